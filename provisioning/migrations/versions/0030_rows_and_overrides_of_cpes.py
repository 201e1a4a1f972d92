"""how settings reach a CPE, what it and its plan have otherwise than the template, and its interval once verified"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
TABLE = "acs_plan_overrides"
EMPTY = ("delivery", "overrides", "rows")
TIMES = ("inform_slowed_at", "inform_settled_at")
TEXTS = ("plan", "inform_reason")


def upgrade() -> None:
    for name in EMPTY:
        op.add_column("acs_device", sa.Column(name, sa.JSON(), nullable=False, server_default=sa.text("'{}'")))
    for name in TEXTS:
        op.add_column("acs_device", sa.Column(name, sa.Text()))
    for name in TIMES:
        op.add_column("acs_device", sa.Column(name, sa.DateTime(timezone=True)))
    op.create_table(
        TABLE,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("overrides", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "plan", name="acs_plan_overrides_once"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE POLICY {TABLE}_own ON {TABLE} USING (tenant_id = {SETTING} OR {SETTING} = '*')")
        op.execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_table(TABLE)
    for name in reversed((*EMPTY, *TEXTS, *TIMES)):
        op.drop_column("acs_device", name)
