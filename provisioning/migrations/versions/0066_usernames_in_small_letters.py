"""usernames in small letters, in a column of their own: behind row-level security PostgreSQL uses no index for lower()"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0066"
down_revision = "0065"
branch_labels = None
depends_on = None

TABLE, FOLDED, INDEX = "radius_subscriber", "username_folded", "ix_radius_subscriber_begins"


def upgrade() -> None:
    op.drop_index(INDEX, TABLE)
    is_postgresql = op.get_bind().dialect.name == "postgresql"  # SQLite adds none that is stored
    op.add_column(TABLE, sa.Column(FOLDED, sa.String(128), sa.Computed("lower(username)", persisted=is_postgresql)))
    op.create_index(INDEX, TABLE, ["tenant_id", FOLDED], postgresql_ops={FOLDED: "text_pattern_ops"})


def downgrade() -> None:
    op.drop_index(INDEX, TABLE)
    op.drop_column(TABLE, FOLDED)
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    name = "lower(username) text_pattern_ops" if is_postgresql else "lower(username)"
    op.create_index(INDEX, TABLE, ["tenant_id", sa.text(name)])
