"""what open sessions are still to be told, how each NAS takes that, and in which walled garden a subscriber is"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = ("radius_session_change", "radius_session_treatment")


def _nas_columns() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("coa_keys", sa.Text(), nullable=False, server_default=""),
        sa.Column("coa_event_timestamp", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("coa_per_second", sa.Integer()),
        sa.Column("coa_may_end", sa.Boolean(), nullable=False, server_default=sa.true()),
    )


def upgrade() -> None:
    for column in _nas_columns():
        op.add_column("radius_nas", column)
    op.add_column("radius_subscriber", sa.Column("garden_plan_id", sa.BigInteger()))
    op.create_index("uq_radius_subscriber_tenant_id_id", "radius_subscriber", ["tenant_id", "id"], unique=True)
    _make_changes()
    _make_treatments()
    if op.get_bind().dialect.name == "postgresql":
        own = f"tenant_id = {SETTING} OR {SETTING} = '*'"
        for name in TABLES:
            op.execute(f"CREATE POLICY {name}_own ON {name} USING ({own})")
            op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def _make_changes() -> None:
    op.create_table(
        "radius_session_change",
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("act", sa.String(16), nullable=False),
        sa.Column("request_id", sa.String(200)),
        sa.Column("request_fingerprint", sa.String(64), nullable=False),
        sa.Column("former", sa.Text(), nullable=False),
        sa.Column("must_end", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True)),
        sa.Column("carried_at", sa.DateTime(timezone=True)),
        sa.Column("right_above", sa.BigInteger()),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "act IN ('change_plan', 'suspend', 'resume', 'rotate_password')",
            name=op.f("ck_radius_session_change_act"),
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'confirmed', 'superseded')", name=op.f("ck_radius_session_change_state")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "subscriber_id"],
            ["radius_subscriber.tenant_id", "radius_subscriber.id"],
            name=op.f("fk_radius_session_change_tenant_id_subscriber_id_radius_subscriber"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_radius_session_change")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_radius_session_change_tenant_id_id")),
        sa.UniqueConstraint("tenant_id", "request_id", name=op.f("uq_radius_session_change_tenant_id_request_id")),
    )
    op.create_index("ix_radius_session_change_of", "radius_session_change", ["tenant_id", "subscriber_id", "id"])
    pending = sa.text("state = 'pending'")
    op.create_index(
        "ix_radius_session_change_due",
        "radius_session_change",
        ["tenant_id", "due_at"],
        sqlite_where=pending,
        postgresql_where=pending,
    )


def _make_treatments() -> None:
    op.create_table(
        "radius_session_treatment",
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("change_id", sa.BigInteger(), nullable=False),
        sa.Column("radacct_id", sa.BigInteger(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("nas_address", sa.String(45), nullable=False),
        sa.Column("said", sa.String(20), nullable=False),
        sa.Column("error_cause", sa.Integer()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True)),
        sa.Column("heard_at", sa.DateTime(timezone=True)),
        sa.Column("heard_seconds", sa.Integer(), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(
            ["tenant_id", "change_id"],
            ["radius_session_change.tenant_id", "radius_session_change.id"],
            name=op.f("fk_radius_session_treatment_tenant_id_change_id_radius_session_change"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_radius_session_treatment")),
        sa.UniqueConstraint("change_id", "radacct_id", name=op.f("uq_radius_session_treatment_change_id_radacct_id")),
    )


def downgrade() -> None:
    for name in reversed(TABLES):
        op.drop_table(name)
    op.drop_index("uq_radius_subscriber_tenant_id_id", "radius_subscriber")
    op.drop_column("radius_subscriber", "garden_plan_id")
    for column in _nas_columns():
        op.drop_column("radius_nas", column.name)
