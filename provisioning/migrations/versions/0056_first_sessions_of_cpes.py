"""what a CPE was told in its first session"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0056"
down_revision = "0054"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("acs_device", sa.Column("handed_out_revision", sa.String(64)))
    op.add_column("acs_device", sa.Column("handed_out_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("acs_device", "handed_out_at")
    op.drop_column("acs_device", "handed_out_revision")
