"""several prefixes of one pool that are routed to a service"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0071"
down_revision = "0070"
branch_labels = None
depends_on = None

TABLE, HELD, RULE = "ipam_allocation", "ipam_allocation_held_by", "ipam_allocation_ordinal"
ASSIGNED = sa.text("state = 'assigned'")


def upgrade() -> None:
    # SQLite would copy the whole table for a rule of its own, and takes one that comes with a column
    rule = f"CONSTRAINT {RULE} CHECK (ordinal >= 1 AND (ordinal = 1 OR state = 'assigned'))"
    op.execute(f"ALTER TABLE {TABLE} ADD COLUMN ordinal SMALLINT DEFAULT 1 NOT NULL {rule}")
    op.drop_index(HELD, TABLE)
    _hold("service_id", "pool_id", "ordinal")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SELECT set_config('firstlight.tenant_id', '*', true)")
    second = sa.text(f"SELECT service_id, pool_id FROM {TABLE} WHERE ordinal > 1 ORDER BY service_id LIMIT 1")  # noqa: S608 - no value
    if several := op.get_bind().execute(second).first():
        raise RuntimeError(
            f"Service {several.service_id} has several routed prefixes of one pool (number {several.pool_id}), and the"
            " release before knows one. Withdraw the others: firstlight addresses withdraw."
        )
    op.drop_index(HELD, TABLE)
    op.drop_column(TABLE, "ordinal")
    _hold("service_id", "pool_id")


def _hold(*columns: str) -> None:
    op.create_index(HELD, TABLE, list(columns), unique=True, sqlite_where=ASSIGNED, postgresql_where=ASSIGNED)
