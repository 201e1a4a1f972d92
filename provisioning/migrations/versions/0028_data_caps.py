"""how much a subscriber may use in a billing month, and what has happened to that; sessions that are open again, or that moves end; silent NASes"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLE = "radius_data_cap_event"
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
)
NEW_ACTS = ("cap", "uncap", "lift_cap", "reopened", "readdress")


def _of_plans() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("data_cap_octets", sa.BigInteger()),
        sa.Column("data_cap_counts", sa.String(8), nullable=False, server_default="both"),
        sa.Column("at_cap", sa.String(8), nullable=False, server_default="tell"),
        sa.Column("cap_plan", sa.String(64)),
    )


def upgrade() -> None:
    for column in _of_plans():
        op.add_column("radius_plan", column)
    op.add_column("radius_subscriber", sa.Column("capped_plan_id", sa.BigInteger()))
    op.add_column("radius_nas", sa.Column("silent_told_at", sa.DateTime(timezone=True)))
    op.create_table(
        TABLE,
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.String(8), nullable=False),
        sa.Column("allowance_octets", sa.BigInteger()),
        sa.Column("used_octets", sa.BigInteger()),
        sa.Column("extra_octets", sa.BigInteger()),
        sa.Column("period_begins", sa.DateTime(timezone=True), nullable=False),
        sa.Column("period_ends", sa.DateTime(timezone=True), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('warned', 'reached', 'lifted', 'ended')", name=op.f("ck_radius_data_cap_event_kind")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "subscriber_id"],
            ["radius_subscriber.tenant_id", "radius_subscriber.id"],
            name=op.f("fk_radius_data_cap_event_tenant_id_subscriber_id_radius_subscriber"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_radius_data_cap_event")),
        sa.UniqueConstraint(
            "tenant_id",
            "subscriber_id",
            "ordinal",
            name=op.f("uq_radius_data_cap_event_tenant_id_subscriber_id_ordinal"),
        ),
    )
    op.create_index("ix_radius_data_cap_event_in", TABLE, ["tenant_id", "subscriber_id", "period_ends"])
    _keep_events_as_they_are()
    _let_acts_be((*OLD_ACTS, *NEW_ACTS))


def _keep_events_as_they_are() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE FUNCTION {TABLE}_is_append_only() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION '{TABLE} is append-only'; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {TABLE}_append_only BEFORE UPDATE OR DELETE ON {TABLE}"
            f" FOR EACH ROW EXECUTE FUNCTION {TABLE}_is_append_only()"
        )
        op.execute(f"CREATE POLICY {TABLE}_own ON {TABLE} USING (tenant_id = {SETTING} OR {SETTING} = '*')")
        op.execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        return
    for act in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {TABLE}_no_{act.lower()} BEFORE {act} ON {TABLE}"
            f" BEGIN SELECT RAISE(ABORT, '{TABLE} is append-only'); END"
        )


def _let_acts_be(acts: tuple[str, ...]) -> None:
    with op.batch_alter_table(CHANGES) as changes:  # SQLite copies the table for that
        changes.drop_constraint(op.f(CHECK), type_="check")
        changes.create_check_constraint(op.f(CHECK), f"act IN ({', '.join(repr(act) for act in acts)})")


def downgrade() -> None:
    op.execute(
        "DELETE FROM radius_session_treatment WHERE change_id IN"
        " (SELECT id FROM radius_session_change WHERE act IN ('cap', 'uncap', 'lift_cap', 'reopened', 'readdress'))"
    )
    op.execute("DELETE FROM radius_session_change WHERE act IN ('cap', 'uncap', 'lift_cap', 'reopened', 'readdress')")
    _let_acts_be(OLD_ACTS)
    op.drop_table(TABLE)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP FUNCTION {TABLE}_is_append_only()")
    # whom a used-up cap has led elsewhere is served as its plan says
    op.execute("UPDATE radius_subscriber SET version = version + 1 WHERE capped_plan_id IS NOT NULL")
    op.drop_column("radius_subscriber", "capped_plan_id")
    op.drop_column("radius_nas", "silent_told_at")
    for column in reversed(_of_plans()):
        op.drop_column("radius_plan", column.name)
