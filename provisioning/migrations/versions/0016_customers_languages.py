"""the language that a customer is written to in, and that a lead asks for; none: the ISP's own"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("customer", "lead"):
        op.add_column(table, sa.Column("language", sa.Text(), nullable=True))


def downgrade() -> None:
    for table in ("lead", "customer"):
        op.drop_column(table, "language")
