"""offers, leads, quotes and orders; customers who were taken back"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("customer") as customer:
        customer.add_column(sa.Column("state", sa.Text(), server_default="active", nullable=False))
        customer.add_column(sa.Column("lead_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
        customer.add_column(sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True))
        customer.add_column(sa.Column("withdrawal_reason", sa.Text(), nullable=True))
        customer.create_check_constraint(op.f("ck_customer_state"), "state IN ('active', 'withdrawn')")
        customer.create_check_constraint(
            op.f("ck_customer_withdrawn_at_when_withdrawn"), "(state = 'withdrawn') = (withdrawn_at IS NOT NULL)"
        )
    op.create_table(
        "offer",
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=True),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("billing_period_months", sa.Integer(), nullable=False),
        sa.Column("setup_fee_minor", sa.BigInteger(), nullable=False),
        sa.Column("term_months", sa.Integer(), nullable=False),
        sa.Column("license_template_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("payment_terms", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.CheckConstraint("payment_terms IN ('prepaid', 'postpaid')", name=op.f("ck_offer_payment_terms")),
        sa.CheckConstraint(
            "billing_period_months > 0 AND term_months % billing_period_months = 0", name=op.f("ck_offer_periods")
        ),
        sa.CheckConstraint("price_minor >= 0 AND setup_fee_minor >= 0", name=op.f("ck_offer_prices")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_offer")),
    )
    op.create_table(
        "lead",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("company", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email_key", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("service_location", sa.Text(), nullable=True),
        sa.Column("offer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("existing_customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("qualified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("conversion_request_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(state = 'converted') = (customer_id IS NOT NULL)", name=op.f("ck_lead_customer_when_converted")
        ),
        sa.CheckConstraint(
            "state <> 'disqualified' OR reason IS NOT NULL", name=op.f("ck_lead_reason_when_disqualified")
        ),
        sa.CheckConstraint("state IN ('new', 'qualified', 'converted', 'disqualified')", name=op.f("ck_lead_state")),
        sa.CheckConstraint(
            "state NOT IN ('qualified', 'converted') OR qualified_at IS NOT NULL", name=op.f("ck_lead_qualified_first")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "customer_id"],
            ["customer.tenant_id", "customer.id"],
            name=op.f("fk_lead_tenant_id_customer_id_customer"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "existing_customer_id"],
            ["customer.tenant_id", "customer.id"],
            name=op.f("fk_lead_tenant_id_existing_customer_id_customer"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "offer_id"], ["offer.tenant_id", "offer.id"], name=op.f("fk_lead_tenant_id_offer_id_offer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lead")),
    )
    op.create_index("ix_lead_state", "lead", ["tenant_id", "state", "id"], unique=False)
    op.create_index("uq_lead_conversion_request", "lead", ["tenant_id", "conversion_request_id"], unique=True)
    op.create_index(
        "uq_lead_new_customer_email",
        "lead",
        ["tenant_id", "email_key"],
        unique=True,
        sqlite_where=sa.text("state = 'converted' AND existing_customer_id IS NULL"),
        postgresql_where=sa.text("state = 'converted' AND existing_customer_id IS NULL"),
    )
    op.create_index("uq_lead_request", "lead", ["tenant_id", "request_id"], unique=True)
    op.create_table(
        "quote",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subscription_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("renewal_term_months", sa.Integer(), nullable=True),
        sa.Column("renews_from", sa.Date(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("payment_terms", sa.Text(), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("drafted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_by", sa.Text(), nullable=True),
        sa.Column("acceptances", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("wish_digest", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("acceptance_request_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(kind = 'renewal') = (subscription_id IS NOT NULL) AND (kind = 'renewal') = (renews_from IS NOT NULL) AND (kind = 'renewal') = (renewal_term_months IS NOT NULL)",
            name=op.f("ck_quote_renewal"),
        ),
        sa.CheckConstraint(
            "(state = 'accepted') = (accepted_at IS NOT NULL) AND (state = 'accepted') = (accepted_by IS NOT NULL)",
            name=op.f("ck_quote_accepted"),
        ),
        sa.CheckConstraint("kind IN ('new', 'renewal')", name=op.f("ck_quote_kind")),
        sa.CheckConstraint("payment_terms IN ('prepaid', 'postpaid')", name=op.f("ck_quote_payment_terms")),
        sa.CheckConstraint(
            "state IN ('draft', 'sent', 'accepted', 'withdrawn', 'expired')", name=op.f("ck_quote_state")
        ),
        sa.CheckConstraint("total_minor >= 0", name=op.f("ck_quote_total")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_quote_subscription_id_subscription")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "customer_id"],
            ["customer.tenant_id", "customer.id"],
            name=op.f("fk_quote_tenant_id_customer_id_customer"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quote")),
    )
    op.create_index("ix_quote_customer", "quote", ["tenant_id", "customer_id", "id"], unique=False)
    op.create_index("ix_quote_state", "quote", ["tenant_id", "state", "id"], unique=False)
    op.create_index("uq_quote_acceptance_request", "quote", ["tenant_id", "acceptance_request_id"], unique=True)
    op.create_index(
        "uq_quote_open_renewal",
        "quote",
        ["tenant_id", "subscription_id", "renews_from"],
        unique=True,
        sqlite_where=sa.text("kind = 'renewal' AND state IN ('draft', 'sent', 'accepted')"),
        postgresql_where=sa.text("kind = 'renewal' AND state IN ('draft', 'sent', 'accepted')"),
    )
    op.create_index("uq_quote_request", "quote", ["tenant_id", "request_id"], unique=True)
    op.create_table(
        "quote_line",
        sa.Column("quote_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("offer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price_minor", sa.BigInteger(), nullable=False),
        sa.Column("charge", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("charge IN ('recurring', 'once')", name=op.f("ck_quote_line_charge")),
        sa.CheckConstraint("amount_minor = quantity * unit_price_minor", name=op.f("ck_quote_line_amount")),
        sa.CheckConstraint("quantity > 0 AND unit_price_minor >= 0", name=op.f("ck_quote_line_positive")),
        sa.ForeignKeyConstraint(["quote_id"], ["quote.id"], name=op.f("fk_quote_line_quote_id_quote")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "offer_id"],
            ["offer.tenant_id", "offer.id"],
            name=op.f("fk_quote_line_tenant_id_offer_id_offer"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quote_line")),
    )
    op.create_index("uq_quote_line_position", "quote_line", ["quote_id", "position"], unique=True)
    op.create_table(
        "sales_order",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("quote_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("payment_terms", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("ordered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(state IN ('completed', 'cancelled', 'failed')) = (ended_at IS NOT NULL)",
            name=op.f("ck_sales_order_ended_at_when_ended"),
        ),
        sa.CheckConstraint("payment_terms IN ('prepaid', 'postpaid')", name=op.f("ck_sales_order_payment_terms")),
        sa.CheckConstraint(
            "state IN ('acknowledged', 'inProgress', 'completed', 'cancelled', 'failed')",
            name=op.f("ck_sales_order_state"),
        ),
        sa.CheckConstraint("total_minor >= 0", name=op.f("ck_sales_order_total")),
        sa.ForeignKeyConstraint(["quote_id"], ["quote.id"], name=op.f("fk_sales_order_quote_id_quote")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "customer_id"],
            ["customer.tenant_id", "customer.id"],
            name=op.f("fk_sales_order_tenant_id_customer_id_customer"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sales_order")),
    )
    op.create_index("ix_sales_order_customer", "sales_order", ["tenant_id", "customer_id", "id"], unique=False)
    op.create_index("ix_sales_order_state", "sales_order", ["tenant_id", "state", "id"], unique=False)
    op.create_index(
        "uq_sales_order_live_quote",
        "sales_order",
        ["tenant_id", "quote_id"],
        unique=True,
        sqlite_where=sa.text("state NOT IN ('cancelled', 'failed')"),
        postgresql_where=sa.text("state NOT IN ('cancelled', 'failed')"),
    )
    op.create_index("uq_sales_order_request", "sales_order", ["tenant_id", "request_id"], unique=True)
    op.create_table(
        "sales_order_line",
        sa.Column("order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("offer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price_minor", sa.BigInteger(), nullable=False),
        sa.Column("charge", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("charge IN ('recurring', 'once')", name=op.f("ck_sales_order_line_charge")),
        sa.CheckConstraint("amount_minor = quantity * unit_price_minor", name=op.f("ck_sales_order_line_amount")),
        sa.CheckConstraint("quantity > 0 AND unit_price_minor >= 0", name=op.f("ck_sales_order_line_positive")),
        sa.ForeignKeyConstraint(
            ["order_id"], ["sales_order.id"], name=op.f("fk_sales_order_line_order_id_sales_order")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "offer_id"],
            ["offer.tenant_id", "offer.id"],
            name=op.f("fk_sales_order_line_tenant_id_offer_id_offer"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sales_order_line")),
    )
    op.create_index("uq_sales_order_line_position", "sales_order_line", ["order_id", "position"], unique=True)


def downgrade() -> None:
    op.drop_index("uq_sales_order_line_position", table_name="sales_order_line")
    op.drop_table("sales_order_line")
    op.drop_index("uq_sales_order_request", table_name="sales_order")
    op.drop_index(
        "uq_sales_order_live_quote",
        table_name="sales_order",
        sqlite_where=sa.text("state NOT IN ('cancelled', 'failed')"),
        postgresql_where=sa.text("state NOT IN ('cancelled', 'failed')"),
    )
    op.drop_index("ix_sales_order_state", table_name="sales_order")
    op.drop_index("ix_sales_order_customer", table_name="sales_order")
    op.drop_table("sales_order")
    op.drop_index("uq_quote_line_position", table_name="quote_line")
    op.drop_table("quote_line")
    op.drop_index("uq_quote_request", table_name="quote")
    op.drop_index(
        "uq_quote_open_renewal",
        table_name="quote",
        sqlite_where=sa.text("kind = 'renewal' AND state IN ('draft', 'sent', 'accepted')"),
        postgresql_where=sa.text("kind = 'renewal' AND state IN ('draft', 'sent', 'accepted')"),
    )
    op.drop_index("uq_quote_acceptance_request", table_name="quote")
    op.drop_index("ix_quote_state", table_name="quote")
    op.drop_index("ix_quote_customer", table_name="quote")
    op.drop_table("quote")
    op.drop_index("uq_lead_request", table_name="lead")
    op.drop_index(
        "uq_lead_new_customer_email",
        table_name="lead",
        sqlite_where=sa.text("state = 'converted' AND existing_customer_id IS NULL"),
        postgresql_where=sa.text("state = 'converted' AND existing_customer_id IS NULL"),
    )
    op.drop_index("uq_lead_conversion_request", table_name="lead")
    op.drop_index("ix_lead_state", table_name="lead")
    op.drop_table("lead")
    op.drop_table("offer")
    with op.batch_alter_table("customer") as customer:
        customer.drop_constraint(op.f("ck_customer_withdrawn_at_when_withdrawn"), type_="check")
        customer.drop_constraint(op.f("ck_customer_state"), type_="check")
        for column in ("withdrawal_reason", "withdrawn_at", "lead_id", "state"):
            customer.drop_column(column)
