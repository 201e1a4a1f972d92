"""the history of allocations locks nothing that it names; the database lets go of no service and no pool of it"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from ipam.allocation.at_once_ddl import GIVE_AT_ONCE
from ipam.ddl import POSTGRESQL_POOLS, POSTGRESQL_SERVICES, SQLITE_HISTORY, SQLITE_POOLS, SQLITE_SERVICES

revision = "0068"
down_revision = "0067"
branch_labels = None
depends_on = None

TABLE = "ipam_allocation_event"
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NUMBERS = sa.Text().with_variant(ARRAY(sa.Integer), "postgresql")
REFERS_TO = {"pool_id": "ipam_pool.id", "service_id": "ipam_service.service_id"}
INDEXES = {"ipam_allocation_event_of_unit": ["pool_id", "unit", "id"], f"{TABLE}_of_service": ["service_id", "id"]}
ARRAYS = {"kinds": "text", "standings": "integer", "pools": "integer", "reuses": "boolean", "svlans": "integer"}
"""Of ``ipam_serving``, where text had to be read as an array by each allocation."""
ASKED_IN_STEPS = """
CREATE OR REPLACE FUNCTION {name}(
    of_tenant text, for_customer bigint, at_place text, on_plan text, by_request text, at_realm text, now_at timestamptz
) RETURNS text LANGUAGE sql AS $$ SELECT NULL::text $$
"""
"""A function that leaves every allocation to be made in steps."""
COOLING, TO_COME = "ipam_allocation_event_cooling", sa.text("available_at IS NOT NULL")
GUARDED = ("ipam_pool", "ipam_service")


def upgrade() -> None:
    op.execute("DELETE FROM ipam_serving")  # what is kept there is worked out anew
    if op.get_bind().dialect.name == "postgresql":
        for column in REFERS_TO:
            op.drop_constraint(f"{TABLE}_{column}_fkey", TABLE, type_="foreignkey")
        for column, kind in ARRAYS.items():
            op.execute(f"ALTER TABLE ipam_serving ALTER {column} TYPE {kind}[] USING {column}::{kind}[]")
        guards = POSTGRESQL_POOLS + POSTGRESQL_SERVICES + GIVE_AT_ONCE
    else:
        _make_anew(refers=False)
        guards = SQLITE_POOLS + SQLITE_SERVICES
    op.add_column("ipam_serving", sa.Column("last_seqs", NUMBERS, nullable=False))
    columns = ["pool_id", "available_at"]
    op.create_index(COOLING, TABLE, columns, sqlite_where=TO_COME, postgresql_where=TO_COME)
    for sql in guards:
        op.execute(sql)


def downgrade() -> None:
    """PostgreSQL's function goes by a column that is no more; all is asked in steps from then on, which takes longer."""
    op.drop_index(COOLING, TABLE)
    op.execute("DELETE FROM ipam_serving")
    op.drop_column("ipam_serving", "last_seqs")
    if op.get_bind().dialect.name == "postgresql":
        for name in ("ipam_give_or_refuse", "ipam_give_at_once"):
            op.execute(ASKED_IN_STEPS.format(name=name))
        for table in GUARDED:
            op.execute(f"DROP TRIGGER {table}_kept ON {table}")
        for function in ("ipam_keep_pool", "ipam_keep_service"):
            op.execute(f"DROP FUNCTION {function}()")
        for column in ARRAYS:
            op.execute(f"ALTER TABLE ipam_serving ALTER {column} TYPE text USING {column}::text")
        for column, key in REFERS_TO.items():
            table, referred = key.split(".")
            op.create_foreign_key(f"{TABLE}_{column}_fkey", TABLE, table, [column], [referred])
        return
    for table in GUARDED:
        op.execute(f"DROP TRIGGER {table}_kept")
    _make_anew(refers=True)


def _make_anew(*, refers: bool) -> None:
    """SQLite copies the table, and neither its indexes nor its triggers come with it."""
    op.rename_table(TABLE, f"{TABLE}_former")
    op.create_table(
        TABLE,
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("unit", sa.BigInteger(), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=True),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "what IN ('assigned', 'released', 'moved', 'reserved', 'unreserved', 'lifted')", name=f"{TABLE}_what"
        ),
        sa.CheckConstraint(
            "(what IN ('assigned', 'released', 'moved')) = (service_id IS NOT NULL)", name=f"{TABLE}_service"
        ),
        *(sa.ForeignKeyConstraint([column], [key]) for column, key in REFERS_TO.items() if refers),
        sa.PrimaryKeyConstraint("id"),
    )
    columns = "id, tenant_id, pool_id, unit, service_id, what, at, available_at, note"
    op.execute(f"INSERT INTO {TABLE} ({columns}) SELECT {columns} FROM {TABLE}_former ORDER BY id")  # noqa: S608 - no value
    op.drop_table(f"{TABLE}_former")
    for name, of_columns in INDEXES.items():
        op.create_index(name, TABLE, of_columns)
    for sql in SQLITE_HISTORY:
        op.execute(sql)
