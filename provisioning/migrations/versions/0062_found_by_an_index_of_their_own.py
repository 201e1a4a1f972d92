"""what has rested longest and what a service did last are found by an index of their own, whatever the planner believes"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ipam.allocation.at_once_ddl import GIVE_AT_ONCE

revision = "0062"
down_revision = "0061"
branch_labels = None
depends_on = None

TABLE = "ipam_allocation_event"
OLDEST, RESTING = "ipam_allocation_oldest", ["pool_id", "available_at", "id"]
FORMER, INDEX = "ix_ipam_allocation_event_service_id", "ipam_allocation_event_of_service"


def upgrade() -> None:
    op.create_index(INDEX, TABLE, ["service_id", "id"])
    op.drop_index(FORMER, TABLE)
    _index_oldest("available_at IS NOT NULL")
    if op.get_bind().dialect.name == "postgresql":
        for sql in GIVE_AT_ONCE:
            op.execute(sql)


def downgrade() -> None:
    """The function stays as it is: what it does is what it did."""
    op.create_index(FORMER, TABLE, ["service_id"])
    op.drop_index(INDEX, TABLE)
    _index_oldest("state = 'quarantine'")


def _index_oldest(which: str) -> None:
    op.drop_index(OLDEST, "ipam_allocation")
    where = sa.text(which)
    op.create_index(OLDEST, "ipam_allocation", RESTING, sqlite_where=where, postgresql_where=where)
