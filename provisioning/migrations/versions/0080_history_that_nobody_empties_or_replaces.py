"""history that nobody empties, replaces or alters: neither the addresses' nor the audit's"""

from __future__ import annotations

import re

from alembic import op

from ipam.kept_ddl import POSTGRESQL_KEPT, SQLITE_KEPT
from provisioning.access.audit import SQLITE_NO_REPLACE

revision = "0080"
down_revision = "0079"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for statements in (POSTGRESQL_KEPT if is_postgresql else SQLITE_KEPT).values():
        for sql in statements:
            op.execute(sql)
    if not is_postgresql:
        op.execute(SQLITE_NO_REPLACE)


def downgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for table, statements in (POSTGRESQL_KEPT if is_postgresql else SQLITE_KEPT).items():
        for name in re.findall(r"CREATE TRIGGER (\w+)", "\n".join(statements)):
            op.execute(f"DROP TRIGGER {name} ON {table}" if is_postgresql else f"DROP TRIGGER {name}")
    op.execute("DROP FUNCTION ipam_refuse_it()" if is_postgresql else "DROP TRIGGER audit_entry_no_replace")
