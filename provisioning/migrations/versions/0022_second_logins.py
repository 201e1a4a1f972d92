"""what becomes of a login of somebody who is online already"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("radius_plan", sa.Column("second_login", sa.String(8), nullable=False, server_default="replace"))


def downgrade() -> None:
    op.drop_column("radius_plan", "second_login")
