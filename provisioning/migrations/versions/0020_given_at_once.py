"""PostgreSQL gives a whole service by one call of a function of its own"""

from __future__ import annotations

from alembic import op

from ipam.allocation.at_once_ddl import GIVE_AT_ONCE

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for sql in GIVE_AT_ONCE:
            op.execute(sql)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION ipam_give_at_once")
        op.execute("DROP FUNCTION IF EXISTS ipam_give_or_refuse")
