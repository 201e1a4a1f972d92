"""the numbers of a customer's runs are in the index that finds them"""

from __future__ import annotations

from alembic import op

revision = "0048"
down_revision = "0041"
branch_labels = None
depends_on = None

INDEX, TABLE = "ix_run_customer", "run"


def upgrade() -> None:
    op.drop_index(INDEX, table_name=TABLE)
    op.create_index(INDEX, TABLE, ["tenant_id", "customer_id", "id"])


def downgrade() -> None:
    op.drop_index(INDEX, table_name=TABLE)
    op.create_index(INDEX, TABLE, ["tenant_id", "customer_id"])
