"""what an operation knew of its CPE's last Inform, a campaign that takes back in parts, and CPEs that have yet to take it"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0042"
branch_labels = None
depends_on = None

UNTAKEN = sa.text("send_until IS NOT NULL AND (applied_revision IS NULL OR applied_revision <> revision)")


def upgrade() -> None:
    op.add_column("acs_operation", sa.Column("inform_heard_at", sa.DateTime(timezone=True)))
    op.add_column("acs_campaign", sa.Column("recalls", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(
        "ix_acs_device_untaken",
        "acs_device",
        ["tenant_id", "send_until"],
        sqlite_where=UNTAKEN,
        postgresql_where=UNTAKEN,
    )


def downgrade() -> None:
    op.drop_index("ix_acs_device_untaken", "acs_device")
    op.drop_column("acs_campaign", "recalls")
    op.drop_column("acs_operation", "inform_heard_at")
