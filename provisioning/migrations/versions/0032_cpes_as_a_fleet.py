"""why a CPE cannot be reached and since when, how often it was repaired, and the CPEs that serve nobody"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
SEEN = "acs_seen_device"


def _columns() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("unreached_why", sa.Text()),
        sa.Column("unreached_since", sa.DateTime(timezone=True)),
        sa.Column("repairs", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("repairs_since", sa.DateTime(timezone=True)),
        sa.Column("repair_waits", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("handed_over_at", sa.DateTime(timezone=True)),
    )


def upgrade() -> None:
    for column in _columns():
        op.add_column("acs_device", column)
    op.create_table(
        SEEN,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("oui", sa.Text()),
        sa.Column("product_class", sa.Text()),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_inform_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "device_id", name="acs_seen_device_once"),
    )
    op.create_index("ix_acs_seen_device_serial", SEEN, ["tenant_id", "serial"])
    if op.get_bind().dialect.name == "postgresql":
        own = f"tenant_id = {SETTING} OR {SETTING} = '*'"
        op.execute(f"CREATE POLICY {SEEN}_own ON {SEEN} USING ({own})")
        op.execute(f"ALTER TABLE {SEEN} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_table(SEEN)
    for column in reversed(_columns()):
        op.drop_column("acs_device", column.name)
