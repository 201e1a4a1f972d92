"""which host names are proven to be a partner's"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0048"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
DOMAIN = "partner_domain"


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        DOMAIN,
        sa.Column("id", number, nullable=False, autoincrement=True),
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("partner_id", number, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("domain", "token")),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_by", sa.Text(), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("proven_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "partner_id"],
            ["partner.tenant_id", "partner.id"],
            name="fk_partner_domain_tenant_id_partner_id_partner",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_partner_domain"),
    )
    op.create_index("uq_partner_domain_claim", DOMAIN, ["tenant_id", "partner_id", "domain"], unique=True)
    proven = sa.text("proven_at IS NOT NULL")
    op.create_index(
        "uq_partner_domain_proven", DOMAIN, ["domain"], unique=True, sqlite_where=proven, postgresql_where=proven
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE POLICY {DOMAIN}_own ON {DOMAIN} USING (tenant_id = {SETTING} OR {SETTING} = '*')")
        op.execute(f"ALTER TABLE {DOMAIN} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_table(DOMAIN)
