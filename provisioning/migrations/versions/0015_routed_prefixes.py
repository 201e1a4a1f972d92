"""prefixes that are routed to a subscriber besides, as FreeRADIUS is told them"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

COLUMNS = ("framed_routes", "framed_ipv6_routes")


def upgrade() -> None:
    for column in COLUMNS:
        op.add_column("radius_subscriber", sa.Column(column, sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    for column in COLUMNS:
        op.drop_column("radius_subscriber", column)
