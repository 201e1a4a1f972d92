"""whether a log has told the end of a port block, or the next one of its ports only began then"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0076"
down_revision = "0075"
branch_labels = None
depends_on = None

TABLE, COLUMN = "ipam_nat_block", "end_told"


def upgrade() -> None:
    """Of the ends that there are it isn't known: where the next one of the same ports began just then it can't be told
    any more, and where none did one may yet be read. To write what is known of the others would take as long as the log
    of years is."""
    op.add_column(TABLE, sa.Column(COLUMN, sa.Boolean()))


def downgrade() -> None:
    op.drop_column(TABLE, COLUMN)
