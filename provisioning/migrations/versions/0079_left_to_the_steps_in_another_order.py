"""what a statement has drawn in another order than it was asked for is left to the steps"""

from __future__ import annotations

from alembic import op

from ipam.allocation.at_once_ddl import GIVE_AT_ONCE

revision = "0079"
down_revision = "0078"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for sql in GIVE_AT_ONCE:
            op.execute(sql)


def downgrade() -> None:
    """The function stays as it is: whatever it answers, the release before knows."""
