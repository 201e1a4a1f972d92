"""what a service is given costs no transaction inside of another one, and two fewer entries in indexes

Of the services on a plan one asks when somebody changes the plan, and of those whose pool a BNG hands out there are few.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ipam.allocation.at_once_ddl import GIVE_AT_ONCE

revision = "0065"
down_revision = "0064"
branch_labels = None
depends_on = None

TABLE, OF_PLAN, FRAMED = "ipam_service", "ix_ipam_service_plan_id", "ix_ipam_service_framed_pool_id"
NAMED = sa.text("framed_pool_id IS NOT NULL")


def upgrade() -> None:
    op.drop_index(OF_PLAN, TABLE)
    op.drop_index(FRAMED, TABLE)
    op.create_index(FRAMED, TABLE, ["framed_pool_id"], sqlite_where=NAMED, postgresql_where=NAMED)
    if op.get_bind().dialect.name == "postgresql":
        for sql in GIVE_AT_ONCE:
            op.execute(sql)


def downgrade() -> None:
    """The function stays as it is: what it does is what it did."""
    op.drop_index(FRAMED, TABLE)
    op.create_index(FRAMED, TABLE, ["framed_pool_id"])
    op.create_index(OF_PLAN, TABLE, ["plan_id"])
