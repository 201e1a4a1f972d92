"""the oldest message that waits for a webhook, without a walk through all that wait"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0067"
down_revision = "0066"
branch_labels = None
depends_on = None

TABLE, INDEX = "webhook_delivery", "ix_webhook_delivery_oldest"


def upgrade() -> None:
    queued = sa.text("state = 'queued'")
    op.create_index(INDEX, TABLE, ["webhook_id", "message_row"], sqlite_where=queued, postgresql_where=queued)


def downgrade() -> None:
    op.drop_index(INDEX, TABLE)
