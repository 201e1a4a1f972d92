"""events; a run may not know its customer yet"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

PENDING = sa.text("state = 'pending'")
COPIED = {"sqlite_autoincrement": True}
"""SQLite copies the table, and reflection does not tell this of it."""


def upgrade() -> None:
    op.create_table(
        "event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("published_by", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "key", name="uq_event_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_event_pending", "event", ["tenant_id", "id"], sqlite_where=PENDING, postgresql_where=PENDING)
    op.create_index("ix_event_type", "event", ["tenant_id", "type", "id"])
    with op.batch_alter_table("run", table_kwargs=COPIED) as run:
        run.alter_column("customer_id", existing_type=sa.BigInteger(), nullable=True)


def downgrade() -> None:
    op.execute("DELETE FROM run WHERE customer_id IS NULL")
    with op.batch_alter_table("run", table_kwargs=COPIED) as run:
        run.alter_column("customer_id", existing_type=sa.BigInteger(), nullable=False)
    op.drop_table("event")
