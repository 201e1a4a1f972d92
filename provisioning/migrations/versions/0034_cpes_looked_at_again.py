"""when a CPE is read back once more, tried again, and until when it may be sent what it is to have"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def _columns() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("failures", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("try_again_at", sa.DateTime(timezone=True)),
        sa.Column("send_until", sa.DateTime(timezone=True)),
        sa.Column("reread_at", sa.DateTime(timezone=True)),
        sa.Column("inform_attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
    )


def upgrade() -> None:
    for column in _columns():
        op.add_column("acs_device", column)


def downgrade() -> None:
    for column in reversed(_columns()):
        op.drop_column("acs_device", column.name)
