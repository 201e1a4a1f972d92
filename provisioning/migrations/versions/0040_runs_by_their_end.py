"""runs by when they ended"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_finished = sa.text("finished_at IS NOT NULL")
    columns = ["tenant_id", "finished_at"]
    op.create_index("ix_run_finished", "run", columns, sqlite_where=is_finished, postgresql_where=is_finished)


def downgrade() -> None:
    op.drop_index("ix_run_finished", table_name="run")
