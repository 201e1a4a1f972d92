"""by which other addresses a NAS calls itself, and where FreeRADIUS knew it before us"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0072"
down_revision = "0071"
branch_labels = None
depends_on = None

TABLE = "radius_nas"


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("calls_itself", sa.Text(), nullable=False, server_default=""))
    op.add_column(TABLE, sa.Column("adopted_address", sa.String(15)))


def downgrade() -> None:
    op.drop_column(TABLE, "adopted_address")
    op.drop_column(TABLE, "calls_itself")
