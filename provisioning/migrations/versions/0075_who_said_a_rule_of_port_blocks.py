"""whether the description of the network said a rule of port blocks, or somebody by hand"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0075"
down_revision = "0074"
branch_labels = None
depends_on = None

TABLE, COLUMN = "ipam_nat_rule", "described"


def upgrade() -> None:
    op.add_column(TABLE, sa.Column(COLUMN, sa.Boolean()))  # of those that there are it isn't known


def downgrade() -> None:
    op.drop_column(TABLE, COLUMN)
