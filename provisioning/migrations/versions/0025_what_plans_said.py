"""what plans said until they were changed"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLE = "radius_former_plan_terms"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "plan_id"],
            ["radius_plan.tenant_id", "radius_plan.id"],
            name=op.f("fk_radius_former_plan_terms_tenant_id_plan_id_radius_plan"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_radius_former_plan_terms")),
        sa.UniqueConstraint("plan_id", "version", name=op.f("uq_radius_former_plan_terms_plan_id_version")),
    )
    op.create_index("ix_radius_former_plan_terms_of", TABLE, ["tenant_id", "plan_id"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE POLICY {TABLE}_own ON {TABLE} USING (tenant_id = {SETTING} OR {SETTING} = '*')")
        op.execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_table(TABLE)
