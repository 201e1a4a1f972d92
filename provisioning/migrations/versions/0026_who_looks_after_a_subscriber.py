"""which subscribers were brought in, and acts by which they begin and end"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

TABLE, CHECK = "radius_session_change", "ck_radius_session_change_act"
OLD_ACTS = ("change_plan", "suspend", "resume", "rotate_password", "rename", "bind", "unbind", "apply_plan")
NEW_ACTS = (*OLD_ACTS, "activate", "terminate")


def upgrade() -> None:
    op.add_column("radius_subscriber", sa.Column("origin", sa.String(8), nullable=False, server_default="ordered"))
    _let_acts_be(NEW_ACTS)


def _let_acts_be(acts: tuple[str, ...]) -> None:
    with op.batch_alter_table(TABLE) as changes:  # SQLite copies the table for that
        changes.drop_constraint(op.f(CHECK), type_="check")
        changes.create_check_constraint(op.f(CHECK), f"act IN ({', '.join(repr(act) for act in acts)})")


def downgrade() -> None:
    op.execute(
        "DELETE FROM radius_session_treatment WHERE change_id IN"
        " (SELECT id FROM radius_session_change WHERE act IN ('activate', 'terminate'))"
    )
    op.execute("DELETE FROM radius_session_change WHERE act IN ('activate', 'terminate')")
    _let_acts_be(OLD_ACTS)
    op.drop_column("radius_subscriber", "origin")
