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
SEVERAL = """
SELECT a.service_id, p.name, count(*) AS held FROM ipam_allocation AS a JOIN ipam_pool AS p ON p.id = a.pool_id
WHERE a.state = 'assigned' GROUP BY a.service_id, p.name HAVING count(*) > 1 ORDER BY a.service_id LIMIT 1
"""


def upgrade() -> None:
    # SQLite would copy the whole table for a rule of its own, and takes one that comes with a column
    rule = f"CONSTRAINT {RULE} CHECK (ordinal BETWEEN 1 AND 16 AND (ordinal = 1 OR state = 'assigned'))"
    op.execute(f"ALTER TABLE {TABLE} ADD COLUMN ordinal SMALLINT DEFAULT 1 NOT NULL {rule}")
    op.drop_index(HELD, TABLE)
    _hold("service_id", "pool_id", "ordinal")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SELECT set_config('firstlight.tenant_id', '*', true)")
    if several := op.get_bind().execute(sa.text(SEVERAL)).first():
        raise RuntimeError(
            f"Service {several.service_id} has {several.held} routed prefixes of pool {several.name}, and the release"
            " before knows one. Withdraw the others: firstlight addresses withdraw."
        )
    op.drop_index(HELD, TABLE)
    op.drop_column(TABLE, "ordinal")
    _hold("service_id", "pool_id")


def _hold(*columns: str) -> None:
    op.create_index(HELD, TABLE, list(columns), unique=True, sqlite_where=ASSIGNED, postgresql_where=ASSIGNED)
