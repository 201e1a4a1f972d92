"""runs by when they ended, and how many sessions were open"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
COUNT = "session_count"


def upgrade() -> None:
    is_finished = sa.text("finished_at IS NOT NULL")
    columns = ["tenant_id", "finished_at"]
    op.create_index("ix_run_finished", "run", columns, sqlite_where=is_finished, postgresql_where=is_finished)
    op.create_table(
        COUNT,
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("open_sessions", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "at", name="pk_session_count"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE POLICY {COUNT}_own ON {COUNT} USING (tenant_id = {SETTING} OR {SETTING} = '*')")
        op.execute(f"ALTER TABLE {COUNT} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_table(COUNT)
    op.drop_index("ix_run_finished", table_name="run")
