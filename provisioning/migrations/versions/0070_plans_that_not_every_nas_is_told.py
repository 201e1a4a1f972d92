"""plans that not every NAS in use can be told"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0070"
down_revision = "0069"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("radius_plan", sa.Column("where_untold", sa.String(12), nullable=False, server_default="refuse_plan"))


def downgrade() -> None:
    op.drop_column("radius_plan", "where_untold")
