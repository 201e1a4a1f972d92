"""what may stand at an ACS though nobody wants it any more"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None

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


def downgrade() -> None:
    op.drop_index(INDEX, table_name="acs_device")
    op.drop_column("acs_device", LEFT)
