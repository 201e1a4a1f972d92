"""operations on CPEs: written down before anything is sent, and called done by proof"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
STATES = "'requested', 'queued', 'done', 'faulted', 'expired', 'unknown', 'cancelled'"
STAGES = "'new', 'sending', 'queued', 'withdrawing', 'refused', 'ran'"


def upgrade() -> None:
    op.create_table(
        "acs_operation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("device_serial", sa.String(64), nullable=False),
        sa.Column("device_row_id", sa.Integer()),
        sa.Column("customer_id", sa.BigInteger()),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("alone", sa.Boolean(), nullable=False),
        sa.Column("request_id", sa.String(200)),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("result", sa.JSON()),
        sa.Column("cancel_wanted", sa.Boolean(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("baseline", sa.JSON(), nullable=False),
        sa.Column("device_id", sa.Text()),
        sa.Column("task_id", sa.Text()),
        sa.Column("requested_by", sa.Text(), nullable=False),
        *(sa.Column(name, sa.DateTime(timezone=True), nullable=False) for name in ("requested_at",)),
        *(sa.Column(name, sa.DateTime(timezone=True)) for name in ("sent_at", "queued_at", "ended_at")),
        *(sa.Column(name, sa.DateTime(timezone=True), nullable=False) for name in ("expires_at", "due_at")),
        sa.Column("leased_until", sa.DateTime(timezone=True)),
        sa.Column("leased_by", sa.String(32)),
        sa.CheckConstraint(f"state IN ({STATES})", name="acs_operation_state"),
        sa.CheckConstraint(f"stage IN ({STAGES})", name="acs_operation_stage"),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (state IN ('requested', 'queued')) OR state = 'unknown'", name="acs_operation_ended"
        ),
        sa.ForeignKeyConstraint(["device_row_id"], ["acs_device.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "request_id", name="acs_operation_once"),
    )
    op.create_index("ix_acs_operation_newest", "acs_operation", ["tenant_id", "id"])
    op.create_index("ix_acs_operation_device", "acs_operation", ["tenant_id", "device_serial", "id"])
    is_open, is_alone = sa.text("ended_at IS NULL"), sa.text("ended_at IS NULL AND alone")
    op.create_index(
        "ix_acs_operation_due",
        "acs_operation",
        ["tenant_id", "due_at"],
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_index(
        "acs_operation_exclusive",
        "acs_operation",
        ["tenant_id", "device_serial"],
        unique=True,
        sqlite_where=is_alone,
        postgresql_where=is_alone,
    )
    if op.get_bind().dialect.name == "postgresql":
        own = f"tenant_id = {SETTING} OR {SETTING} = '*'"
        op.execute(f"CREATE POLICY acs_operation_own ON acs_operation USING ({own})")
        op.execute("ALTER TABLE acs_operation ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_table("acs_operation")
