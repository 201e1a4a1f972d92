"""the oldest message that waits for a webhook, and the CPE that is in a state longest, without a walk through all"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0067"
down_revision = "0066"
branch_labels = None
depends_on = None

MESSAGES, DEVICES = "ix_webhook_delivery_oldest", "ix_acs_device_oldest"


def upgrade() -> None:
    queued = sa.text("state = 'queued'")
    messages = ["webhook_id", "message_row"]
    op.create_index(MESSAGES, "webhook_delivery", messages, sqlite_where=queued, postgresql_where=queued)
    op.create_index(DEVICES, "acs_device", ["tenant_id", "state", "updated_at", "id"])


def downgrade() -> None:
    op.drop_index(DEVICES, "acs_device")
    op.drop_index(MESSAGES, "webhook_delivery")
