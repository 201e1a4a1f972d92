"""several pools that were retired on one prefix; nobody is given what serves a place as it was a moment ago"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ipam.allocation.at_once_ddl import GIVE_AT_ONCE
from ipam.ddl import SQLITE_POOLS

revision = "0074"
down_revision = "0073"
branch_labels = None
depends_on = None

TABLE, ONCE = "ipam_pool", "ipam_pool_of_prefix"
LIVE = sa.text("retired_at IS NULL")
RETIRED = """
UPDATE ipam_pool SET retired_at = (SELECT max(f.until) FROM ipam_former_prefix AS f WHERE f.pool_id = ipam_pool.id)
WHERE EXISTS (SELECT 1 FROM ipam_prefix AS x WHERE x.id = ipam_pool.prefix_id AND x.role = 'container')
"""
TWO = """
SELECT min(name) AS one, max(name) AS other FROM ipam_pool WHERE prefix_id IS NOT NULL
GROUP BY prefix_id HAVING count(*) > 1 ORDER BY 1 LIMIT 1
"""
NAMED = {"uq": "uq_%(table_name)s_%(column_0_name)s"}
"""SQLite has no name for the rule that goes."""
OF_SQLITE, OF_POSTGRESQL = "uq_ipam_pool_prefix_id", "ipam_pool_prefix_id_key"


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("retired_at", sa.DateTime(timezone=True)))
    op.execute(RETIRED)
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(OF_POSTGRESQL, TABLE, type_="unique")
        for sql in GIVE_AT_ONCE:
            op.execute(sql)
    else:
        with op.batch_alter_table(TABLE, naming_convention=NAMED) as pools:  # a copy
            pools.drop_constraint(OF_SQLITE, type_="unique")
        _guard_the_copy()
    op.create_index(ONCE, TABLE, ["prefix_id"], unique=True, sqlite_where=LIVE, postgresql_where=LIVE)


def downgrade() -> None:
    """PostgreSQL's function that gives a service stays: it does for the release before as well."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SELECT set_config('firstlight.tenant_id', '*', true)")
    if two := op.get_bind().execute(sa.text(TWO)).first():
        raise RuntimeError(
            f"Pools {two.one} and {two.other} were retired on one prefix, and the release before knows one of a prefix:"
            " it can't be gone back to."
        )
    op.drop_index(ONCE, TABLE)
    if op.get_bind().dialect.name == "postgresql":
        op.create_unique_constraint(OF_POSTGRESQL, TABLE, ["prefix_id"])
        op.drop_column(TABLE, "retired_at")
        return
    with op.batch_alter_table(TABLE) as pools:
        pools.create_unique_constraint(OF_SQLITE, ["prefix_id"])
        pools.drop_column("retired_at")
    _guard_the_copy()


def _guard_the_copy() -> None:
    for sql in SQLITE_POOLS:
        op.execute(sql)
