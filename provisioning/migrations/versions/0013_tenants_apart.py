"""row-level security: on PostgreSQL a session sees and writes the rows of its own tenant alone

PostgreSQL documentation, section 5.9: forced, so that it holds for the owner of the tables too, which is what the
appliance connects as. Superusers, and roles with BYPASSRLS (for backups), pass.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
OWN = f"tenant_id = {SETTING} OR {SETTING} = '*'"
OF_OWN_RUN = f"{SETTING} = '*' OR EXISTS (SELECT FROM run WHERE run.id = run_id)"
OF_RUNS = ("run_note", "run_signal", "run_step")


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in tables_of_tenants():
        op.execute(f"CREATE POLICY {table}_own ON {table} USING ({OWN})")
    for table in OF_RUNS:
        op.execute(f"CREATE POLICY {table}_own ON {table} USING ({OF_OWN_RUN})")
    for table in (*tables_of_tenants(), *OF_RUNS):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in (*tables_of_tenants(), *OF_RUNS):
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY")
        op.execute(f"DROP POLICY {table}_own ON {table}")


def tables_of_tenants() -> list[str]:
    """Every table of the appliance's schema with a column ``tenant_id``, as it stands now."""
    found = op.get_bind().scalars(
        sa.text(
            "SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'tenant_id'"
            " WHERE relkind IN ('r', 'p') AND relnamespace = to_regnamespace(current_schema()) ORDER BY relname"
        )
    )
    return list(found)
