"""what may stand at an ACS though nobody wants it any more; the key of provisioning codes"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
MOMENT = sa.DateTime(timezone=True)
KEY = "acs_code_key"
LEFT = "left_standing"
INDEX = "ix_acs_device_left_standing"


def upgrade() -> None:
    op.add_column("acs_device", sa.Column(LEFT, sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(
        INDEX, "acs_device", ["tenant_id", "id"], sqlite_where=sa.text(LEFT), postgresql_where=sa.text(LEFT)
    )
    # What was queued before this release, and is neither known to be taken nor the task that carries the present wish.
    device = sa.table(
        "acs_device",
        *(sa.column(name) for name in ("state", "device_id", "task_id", "queued_at", "applied_at")),
        sa.column(LEFT, sa.Boolean()),
    )
    op.execute(
        device.update()
        .where(
            device.c.state != "withdrawn",
            device.c.device_id.is_not(None),
            device.c.task_id.is_(None),
            device.c.queued_at.is_not(None),
            sa.or_(device.c.applied_at.is_(None), device.c.applied_at < device.c.queued_at),
        )
        .values({LEFT: True})
    )
    op.create_table(
        KEY,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("rotated_at", MOMENT),
        sa.Column("request_id", sa.Text()),
        sa.Column("former_until", MOMENT),
        sa.Column("former_used_at", MOMENT),
        sa.Column("former_used_by", sa.String(64)),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", name="acs_code_key_once"),
    )
    if op.get_bind().dialect.name == "postgresql":
        for name in (KEY,):
            op.execute(f"CREATE POLICY {name}_own ON {name} USING (tenant_id = {SETTING} OR {SETTING} = '*')")
            op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_table(KEY)
    op.drop_index(INDEX, table_name="acs_device")
    op.drop_column("acs_device", LEFT)
