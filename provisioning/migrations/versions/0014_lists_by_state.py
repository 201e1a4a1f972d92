"""lists by state of events, subscribers, devices and a journey's runs; by customer of devices and tickets"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

RESERVED = sa.text("state = 'reserved'")
INDICES = {
    "ix_run_journey_state": ("run", ["tenant_id", "journey", "state", "id"]),
    "ix_event_state": ("event", ["tenant_id", "state", "id"]),
    "ix_event_type_state": ("event", ["tenant_id", "type", "state", "id"]),
    "ix_radius_subscriber_named": ("radius_subscriber", ["tenant_id", "username", "id"]),
    "ix_radius_subscriber_state": ("radius_subscriber", ["tenant_id", "state", "id"]),
    "ix_acs_device_state": ("acs_device", ["tenant_id", "state", "id"]),
    "ix_acs_device_customer": ("acs_device", ["tenant_id", "customer_id", "id"]),
}


def upgrade() -> None:
    for name, (table, columns) in INDICES.items():
        op.create_index(name, table, columns)
    op.drop_index("ix_ticket_customer", table_name="ticket")
    op.create_index("ix_ticket_customer", "ticket", ["tenant_id", "customer_id", "due_at", "id"])
    op.create_index(
        "ipam_allocation_reserved",
        "ipam_allocation",
        ["pool_id", "available_at"],
        sqlite_where=RESERVED,
        postgresql_where=RESERVED,
    )


def downgrade() -> None:
    op.drop_index("ipam_allocation_reserved", table_name="ipam_allocation")
    op.drop_index("ix_ticket_customer", table_name="ticket")
    op.create_index("ix_ticket_customer", "ticket", ["tenant_id", "customer_id"])
    for name, (table, _) in INDICES.items():
        op.drop_index(name, table_name=table)
