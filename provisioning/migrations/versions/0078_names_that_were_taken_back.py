"""when subscribers had names that they gave up and took back"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0078"
down_revision = "0077"
branch_labels = None
depends_on = None

TABLE, COLUMN = "radius_former_username", "taken_back_at"


def upgrade() -> None:
    """The names that stand there are given up; those that were taken back weren't kept, and when they were had before
    nobody can tell any more."""
    op.add_column(TABLE, sa.Column(COLUMN, sa.DateTime(timezone=True)))


def downgrade() -> None:
    """To the release before every row is a name that is given up."""
    op.execute("DELETE FROM radius_former_username WHERE taken_back_at IS NOT NULL")
    op.drop_column(TABLE, COLUMN)
