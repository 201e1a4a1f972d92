"""withdrawn CPEs of which something may still be at an ACS are found without walking all that ever were"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0061"
down_revision = "0060"
branch_labels = None
depends_on = None

INDEX = "ix_acs_device_left_by_withdrawn"
LEFT = "state = 'withdrawn' AND cleared_at IS NULL"


def upgrade() -> None:
    where = sa.text(LEFT)
    op.create_index(INDEX, "acs_device", ["tenant_id", "id"], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    op.drop_index(INDEX, "acs_device")
