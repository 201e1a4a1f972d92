"""ends of terms: wished for, told of, and renewals that are offered anew"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subscription", sa.Column("expiry_round", sa.Integer(), nullable=True))
    op.add_column("subscription", sa.Column("expiry_looked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("subscription", sa.Column("end_told_for", sa.Date(), nullable=True))
    op.add_column("subscription", sa.Column("to_end_on", sa.Date(), nullable=True))
    op.add_column("subscription", sa.Column("to_end_because", sa.Text(), nullable=True))


def downgrade() -> None:
    for column in ("to_end_because", "to_end_on", "end_told_for", "expiry_looked_at", "expiry_round"):
        op.drop_column("subscription", column)
