"""sessions that are ended by hand, and subscribers that are set right"""

from __future__ import annotations

from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

CHANGES, CHECK = "radius_session_change", "ck_radius_session_change_act"
OLD_ACTS = (
    "change_plan",
    "suspend",
    "resume",
    "rotate_password",
    "rename",
    "bind",
    "unbind",
    "apply_plan",
    "activate",
    "terminate",
    "cap",
    "uncap",
    "lift_cap",
    "reopened",
    "readdress",
)
NEW_ACTS = ("disconnect", "set_right")


def upgrade() -> None:
    _let_acts_be((*OLD_ACTS, *NEW_ACTS))


def downgrade() -> None:
    op.execute(
        "DELETE FROM radius_session_treatment WHERE change_id IN"
        " (SELECT id FROM radius_session_change WHERE act IN ('disconnect', 'set_right'))"
    )
    op.execute("DELETE FROM radius_session_change WHERE act IN ('disconnect', 'set_right')")
    _let_acts_be(OLD_ACTS)


def _let_acts_be(acts: tuple[str, ...]) -> None:
    # SQLite copies the table for that, and needs to know nothing of those that it refers to
    with op.batch_alter_table(CHANGES, reflect_kwargs={"resolve_fks": False}) as changes:
        changes.drop_constraint(op.f(CHECK), type_="check")
        changes.create_check_constraint(op.f(CHECK), f"act IN ({', '.join(repr(act) for act in acts)})")
