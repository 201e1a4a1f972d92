"""lists of runs by journey, by time and for a partner; an audit that can't be truncated; claims that never go back"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from provisioning.access.audit import POSTGRESQL_NO_TRUNCATE

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_run_journey", "run", ["tenant_id", "journey", "id"])
    op.create_index("ix_run_created", "run", ["tenant_id", "created_at", "id"])
    op.add_column("webhook_delivery", sa.Column("claims", sa.Integer(), nullable=False, server_default="0"))
    if op.get_bind().dialect.name == "postgresql":
        op.execute(POSTGRESQL_NO_TRUNCATE)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER audit_entry_no_truncate ON audit_entry")
    op.drop_column("webhook_delivery", "claims")
    op.drop_index("ix_run_created", table_name="run")
    op.drop_index("ix_run_journey", table_name="run")
