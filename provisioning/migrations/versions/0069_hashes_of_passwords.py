"""subscribers of whose password only a hash is known"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0069"
down_revision = "0068"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("radius_subscriber", sa.Column("password_hash_kind", sa.String(16)))


def downgrade() -> None:
    # the release before finds no password of theirs: FreeRADIUS' rows stay as they are until one is rotated
    op.drop_column("radius_subscriber", "password_hash_kind")
