"""licences, partners, customers' pages, deployments"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from provisioning.commercial.partners.partner_tables import POSTGRESQL_LEDGER, SQLITE_LEDGER

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "license_signing_key",
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "kid", name=op.f("pk_license_signing_key")),
    )
    op.create_index(
        "uq_license_signing_key_current",
        "license_signing_key",
        ["tenant_id"],
        unique=True,
        sqlite_where=sa.text("superseded_at IS NULL"),
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.create_table(
        "license_template",
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("valid_months", sa.Integer(), nullable=True),
        sa.Column("features", sa.JSON(), nullable=False),
        sa.CheckConstraint("seats > 0", name=op.f("ck_license_template_seats")),
        sa.CheckConstraint("valid_months > 0", name=op.f("ck_license_template_valid_months")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_license_template")),
    )
    op.create_table(
        "partner",
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("license_template_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("license_quota", sa.Integer(), nullable=False),
        sa.Column("license_balance", sa.Integer(), nullable=False),
        sa.Column("commission_type", sa.Text(), nullable=False),
        sa.Column("commission_basis_points", sa.Integer(), nullable=True),
        sa.Column("commission_fixed_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "(commission_type = 'fixed') = (commission_fixed_minor IS NOT NULL)",
            name=op.f("ck_partner_commission_fixed"),
        ),
        sa.CheckConstraint(
            "(commission_type = 'percentage') = (commission_basis_points IS NOT NULL)",
            name=op.f("ck_partner_commission_basis_points"),
        ),
        sa.CheckConstraint("commission_type IN ('percentage', 'fixed')", name=op.f("ck_partner_commission_type")),
        sa.CheckConstraint("state IN ('active', 'suspended')", name=op.f("ck_partner_state")),
        sa.CheckConstraint(
            "commission_basis_points BETWEEN 0 AND 10000", name=op.f("ck_partner_basis_points_within_the_whole")
        ),
        sa.CheckConstraint("commission_fixed_minor > 0", name=op.f("ck_partner_commission_fixed_positive")),
        sa.CheckConstraint("license_balance <= license_quota", name=op.f("ck_partner_balance_within_quota")),
        sa.CheckConstraint("license_balance >= 0", name=op.f("ck_partner_balance_not_negative")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "license_template_id"],
            ["license_template.tenant_id", "license_template.id"],
            name=op.f("fk_partner_tenant_id_license_template_id_license_template"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_partner")),
    )
    op.create_table(
        "commission",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("partner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("commission_type", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("base_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reverses_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("payment_reference", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(reverses_id IS NULL AND amount_minor >= 0) OR (reverses_id IS NOT NULL AND amount_minor <= 0 AND state = 'reversed')",
            name=op.f("ck_commission_only_a_reversal_is_negative"),
        ),
        sa.CheckConstraint("(state = 'paid') = (paid_at IS NOT NULL)", name=op.f("ck_commission_paid_at_when_paid")),
        sa.CheckConstraint("commission_type IN ('percentage', 'fixed')", name=op.f("ck_commission_commission_type")),
        sa.CheckConstraint("state IN ('accrued', 'reversed', 'paid')", name=op.f("ck_commission_state")),
        sa.ForeignKeyConstraint(["reverses_id"], ["commission.id"], name=op.f("fk_commission_reverses_id_commission")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "customer_id"],
            ["customer.tenant_id", "customer.id"],
            name=op.f("fk_commission_tenant_id_customer_id_customer"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "partner_id"],
            ["partner.tenant_id", "partner.id"],
            name=op.f("fk_commission_tenant_id_partner_id_partner"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commission")),
    )
    op.create_index(
        "uq_commission_once",
        "commission",
        ["tenant_id", "partner_id", "customer_id", "commission_type", "source"],
        unique=True,
        sqlite_where=sa.text("state <> 'reversed'"),
        postgresql_where=sa.text("state <> 'reversed'"),
    )
    op.create_index("uq_commission_request", "commission", ["tenant_id", "request_id"], unique=True)
    op.create_index("uq_commission_reversed_once", "commission", ["reverses_id"], unique=True)
    op.create_table(
        "deployment",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("visit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("wanted", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("scheduled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("release_reason", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(state = 'released') = (released_at IS NOT NULL)", name=op.f("ck_deployment_released_at_when_released")
        ),
        sa.CheckConstraint("priority IN ('low', 'normal', 'high', 'urgent')", name=op.f("ck_deployment_priority")),
        sa.CheckConstraint("state IN ('scheduled', 'released')", name=op.f("ck_deployment_state")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "customer_id"],
            ["customer.tenant_id", "customer.id"],
            name=op.f("fk_deployment_tenant_id_customer_id_customer"),
        ),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.id"], name=op.f("fk_deployment_visit_id_visit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment")),
    )
    op.create_index(
        "uq_deployment_order",
        "deployment",
        ["tenant_id", "order_id"],
        unique=True,
        sqlite_where=sa.text("state = 'scheduled'"),
        postgresql_where=sa.text("state = 'scheduled'"),
    )
    op.create_index("uq_deployment_request", "deployment", ["tenant_id", "request_id"], unique=True)
    op.create_index("uq_deployment_visit", "deployment", ["visit_id"], unique=True)
    op.create_table(
        "partner_customer",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("partner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (end_reason IS NULL)", name=op.f("ck_partner_customer_reason_when_ended")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "customer_id"],
            ["customer.tenant_id", "customer.id"],
            name=op.f("fk_partner_customer_tenant_id_customer_id_customer"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "partner_id"],
            ["partner.tenant_id", "partner.id"],
            name=op.f("fk_partner_customer_tenant_id_partner_id_partner"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner_customer")),
    )
    op.create_index(
        "ix_partner_customer_partner", "partner_customer", ["tenant_id", "partner_id", "customer_id"], unique=False
    )
    op.create_index(
        "uq_partner_customer_one_partner",
        "partner_customer",
        ["tenant_id", "customer_id"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index("uq_partner_customer_request", "partner_customer", ["tenant_id", "request_id"], unique=True)
    op.create_table(
        "partner_pool_ledger",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("partner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("movement", sa.Text(), nullable=False),
        sa.Column("licenses", sa.Integer(), nullable=False),
        sa.Column("balance_after", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("allocation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(movement = 'granted') = (customer_id IS NULL)",
            name=op.f("ck_partner_pool_ledger_customer_unless_granted"),
        ),
        sa.CheckConstraint(
            "(movement = 'returned') = (allocation_id IS NOT NULL)",
            name=op.f("ck_partner_pool_ledger_allocation_when_returned"),
        ),
        sa.CheckConstraint(
            "licenses <> 0 AND (movement = 'allocated') = (licenses < 0)",
            name=op.f("ck_partner_pool_ledger_less_only_when_allocated"),
        ),
        sa.CheckConstraint(
            "movement IN ('granted', 'allocated', 'returned')", name=op.f("ck_partner_pool_ledger_movement")
        ),
        sa.CheckConstraint("balance_after >= 0", name=op.f("ck_partner_pool_ledger_balance_not_negative")),
        sa.ForeignKeyConstraint(
            ["allocation_id"],
            ["partner_pool_ledger.id"],
            name=op.f("fk_partner_pool_ledger_allocation_id_partner_pool_ledger"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "customer_id"],
            ["customer.tenant_id", "customer.id"],
            name=op.f("fk_partner_pool_ledger_tenant_id_customer_id_customer"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "partner_id"],
            ["partner.tenant_id", "partner.id"],
            name=op.f("fk_partner_pool_ledger_tenant_id_partner_id_partner"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner_pool_ledger")),
    )
    for statement in POSTGRESQL_LEDGER if op.get_bind().dialect.name == "postgresql" else SQLITE_LEDGER:
        op.execute(statement)
    op.create_index(
        "ix_partner_pool_ledger_partner", "partner_pool_ledger", ["tenant_id", "partner_id", "id"], unique=False
    )
    op.create_index("uq_partner_pool_ledger_request", "partner_pool_ledger", ["tenant_id", "request_id"], unique=True)
    op.create_index("uq_partner_pool_ledger_returned", "partner_pool_ledger", ["allocation_id"], unique=True)
    op.create_table(
        "license",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("template_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("partner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("allocation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoke_reason", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(state = 'revoked') = (revoked_at IS NOT NULL)", name=op.f("ck_license_revoked_at_when_revoked")
        ),
        sa.CheckConstraint("state IN ('active', 'revoked')", name=op.f("ck_license_state")),
        sa.CheckConstraint(
            "(partner_id IS NULL) = (allocation_id IS NULL)", name=op.f("ck_license_allocation_of_a_partner")
        ),
        sa.CheckConstraint("seats > 0", name=op.f("ck_license_seats")),
        sa.ForeignKeyConstraint(
            ["allocation_id"], ["partner_pool_ledger.id"], name=op.f("fk_license_allocation_id_partner_pool_ledger")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "customer_id"],
            ["customer.tenant_id", "customer.id"],
            name=op.f("fk_license_tenant_id_customer_id_customer"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "partner_id"],
            ["partner.tenant_id", "partner.id"],
            name=op.f("fk_license_tenant_id_partner_id_partner"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "template_id"],
            ["license_template.tenant_id", "license_template.id"],
            name=op.f("fk_license_tenant_id_template_id_license_template"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_license")),
    )
    op.create_index("ix_license_allocation", "license", ["allocation_id"], unique=False)
    op.create_index("ix_license_customer", "license", ["tenant_id", "customer_id"], unique=False)
    op.create_index("uq_license_key", "license", ["key"], unique=True)
    op.create_index("uq_license_request", "license", ["tenant_id", "request_id"], unique=True)
    op.create_table(
        "hosted_tenant",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("partner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("license_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("deployment_type", sa.Text(), nullable=False),
        sa.Column("white_label", sa.JSON(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("provisioned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdraw_reason", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(deployment_type = 'white_label') = (partner_id IS NOT NULL)",
            name=op.f("ck_hosted_tenant_partner_when_white_label"),
        ),
        sa.CheckConstraint(
            "(state = 'withdrawn') = (withdrawn_at IS NOT NULL)",
            name=op.f("ck_hosted_tenant_withdrawn_at_when_withdrawn"),
        ),
        sa.CheckConstraint(
            "deployment_type IN ('hosted', 'white_label')", name=op.f("ck_hosted_tenant_deployment_type")
        ),
        sa.CheckConstraint("state IN ('active', 'withdrawn')", name=op.f("ck_hosted_tenant_state")),
        sa.ForeignKeyConstraint(["license_id"], ["license.id"], name=op.f("fk_hosted_tenant_license_id_license")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "customer_id"],
            ["customer.tenant_id", "customer.id"],
            name=op.f("fk_hosted_tenant_tenant_id_customer_id_customer"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "partner_id"],
            ["partner.tenant_id", "partner.id"],
            name=op.f("fk_hosted_tenant_tenant_id_partner_id_partner"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hosted_tenant")),
    )
    op.create_index("ix_hosted_tenant_customer", "hosted_tenant", ["tenant_id", "customer_id"], unique=False)
    op.create_index(
        "uq_hosted_tenant_domain",
        "hosted_tenant",
        ["domain"],
        unique=True,
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_index(
        "uq_hosted_tenant_license",
        "hosted_tenant",
        ["license_id"],
        unique=True,
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_index("uq_hosted_tenant_request", "hosted_tenant", ["tenant_id", "request_id"], unique=True)
    op.create_index("uq_hosted_tenant_slug", "hosted_tenant", ["slug"], unique=True)


def downgrade() -> None:
    op.drop_index("uq_hosted_tenant_slug", table_name="hosted_tenant")
    op.drop_index("uq_hosted_tenant_request", table_name="hosted_tenant")
    op.drop_index(
        "uq_hosted_tenant_license",
        table_name="hosted_tenant",
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )
    op.drop_index(
        "uq_hosted_tenant_domain",
        table_name="hosted_tenant",
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )
    op.drop_index("ix_hosted_tenant_customer", table_name="hosted_tenant")
    op.drop_table("hosted_tenant")
    op.drop_index("uq_license_request", table_name="license")
    op.drop_index("uq_license_key", table_name="license")
    op.drop_index("ix_license_customer", table_name="license")
    op.drop_index("ix_license_allocation", table_name="license")
    op.drop_table("license")
    op.drop_index("uq_partner_pool_ledger_returned", table_name="partner_pool_ledger")
    op.drop_index("uq_partner_pool_ledger_request", table_name="partner_pool_ledger")
    op.drop_index("ix_partner_pool_ledger_partner", table_name="partner_pool_ledger")
    op.drop_table("partner_pool_ledger")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION partner_pool_ledger_refuse_rewriting()")
    op.drop_index("uq_partner_customer_request", table_name="partner_customer")
    op.drop_index(
        "uq_partner_customer_one_partner",
        table_name="partner_customer",
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.drop_index("ix_partner_customer_partner", table_name="partner_customer")
    op.drop_table("partner_customer")
    op.drop_index("uq_deployment_visit", table_name="deployment")
    op.drop_index("uq_deployment_request", table_name="deployment")
    op.drop_index(
        "uq_deployment_order",
        table_name="deployment",
        sqlite_where=sa.text("state = 'scheduled'"),
        postgresql_where=sa.text("state = 'scheduled'"),
    )
    op.drop_table("deployment")
    op.drop_index("uq_commission_reversed_once", table_name="commission")
    op.drop_index("uq_commission_request", table_name="commission")
    op.drop_index(
        "uq_commission_once",
        table_name="commission",
        sqlite_where=sa.text("state <> 'reversed'"),
        postgresql_where=sa.text("state <> 'reversed'"),
    )
    op.drop_table("commission")
    op.drop_table("partner")
    op.drop_table("license_template")
    op.drop_index(
        "uq_license_signing_key_current",
        table_name="license_signing_key",
        sqlite_where=sa.text("superseded_at IS NULL"),
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.drop_table("license_signing_key")
