"""payments and terms"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ACTIVE = sa.text("state = 'active'")
IN_FORCE = sa.text("withdrawn_at IS NULL")
LIVE = sa.text("state NOT IN ('declined', 'cancelled', 'refunded')")


def upgrade() -> None:
    _widen_subscription()
    op.create_table(
        "subscription_extension",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("subscription_id", NUMBER, nullable=False),
        sa.Column("months", sa.Integer(), nullable=False),
        sa.Column("extended_from", sa.Date(), nullable=False),
        sa.Column("extended_to", sa.Date(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawal_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("extended_from < extended_to", name=op.f("ck_subscription_extension_period")),
        sa.CheckConstraint("months > 0", name=op.f("ck_subscription_extension_months")),
        sa.CheckConstraint(
            "(withdrawn_at IS NULL) = (withdrawal_reason IS NULL)",
            name=op.f("ck_subscription_extension_reason_when_withdrawn"),
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscription.id"],
            name=op.f("fk_subscription_extension_subscription_id_subscription"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription_extension")),
    )
    _partial("uq_subscription_extension_request", "subscription_extension", ["tenant_id", "request_id"], IN_FORCE)
    _partial("uq_subscription_extension_from", "subscription_extension", ["subscription_id", "extended_from"], IN_FORCE)
    _create_payment()
    _create_payment_history()


def downgrade() -> None:
    for table in ("payment_event", "payment_attempt", "payment", "subscription_extension"):
        op.drop_table(table)
    _narrow_subscription()


def _partial(name: str, table: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, table, columns, unique=True, sqlite_where=where, postgresql_where=where)


# -- subscriptions -----------------------------------------------------------------------------------------------------

OLD_CHECKS = {
    "state": "state IN ('active', 'cancelled')",
    "stopped_when_not_active": "(state = 'active') = (billing_stopped_at IS NULL)",
}
NEW_CHECKS = {
    "state": "state IN ('pending_installation', 'active', 'cancelled')",
    "stopped_when_cancelled": "(state = 'cancelled') = (billing_stopped_at IS NOT NULL)",
    "started_when_active": "state <> 'active' OR billing_started_at IS NOT NULL",
    "of_something": "state <> 'active' OR service_id IS NOT NULL OR (offer_id IS NOT NULL AND plan IS NULL)",
    "pending_before_its_line": "state <> 'pending_installation' OR (service_id IS NULL AND billing_started_at IS NULL"
    " AND starts_on IS NULL AND offer_id IS NOT NULL AND plan IS NOT NULL)",
    "price_of_offer": "(offer_id IS NULL) = (price_minor IS NULL) AND (offer_id IS NULL) = (currency IS NULL)",
    "anchor_of_start": "(starts_on IS NULL) = (anchor_day IS NULL)",
    "term": "ends_on IS NULL OR (starts_on IS NOT NULL AND term_months IS NOT NULL AND starts_on < ends_on)",
}


def _new_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("activation_request_id", sa.Text(), nullable=True),
        sa.Column("offer_id", NUMBER, nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("price_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("term_months", sa.Integer(), nullable=True),
        sa.Column("starts_on", sa.Date(), nullable=True),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("anchor_day", sa.Integer(), nullable=True),
        sa.Column("renewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expiry_told_for", sa.Date(), nullable=True),
    ]


def _subscription_as_it_is(checks: dict[str, str], columns: list[sa.Column[object]], *, sold: bool) -> sa.Table:
    """The table before the change: SQLite makes it anew, and no reflection tells it of CHECK constraints."""
    return sa.Table(
        "subscription",
        sa.MetaData(),
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", NUMBER, nullable=False),
        sa.Column("service_id", NUMBER, nullable=sold),
        sa.Column("plan", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("billing_started_at", sa.DateTime(timezone=True), nullable=sold),
        sa.Column("billing_stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stop_reason", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        *columns,
        *(sa.CheckConstraint(rule, name=f"ck_subscription_{name}") for name, rule in checks.items()),
        sa.ForeignKeyConstraint(
            ["tenant_id", "customer_id"],
            ["customer.tenant_id", "customer.id"],
            name="fk_subscription_tenant_id_customer_id_customer",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_subscription"),
    )


def _widen_subscription() -> None:
    _drop_indexes("uq_subscription_live_service", "uq_subscription_request")
    before = _subscription_as_it_is(OLD_CHECKS, [], sold=False)
    with op.batch_alter_table("subscription", copy_from=before) as table:
        for name in OLD_CHECKS:
            table.drop_constraint(op.f(f"ck_subscription_{name}"), type_="check")
        table.alter_column("service_id", existing_type=NUMBER, nullable=True)
        table.alter_column("billing_started_at", existing_type=sa.DateTime(timezone=True), nullable=True)
        for column in _new_columns():
            table.add_column(column)
        for name, rule in NEW_CHECKS.items():
            table.create_check_constraint(op.f(f"ck_subscription_{name}"), rule)
    _partial("uq_subscription_live_service", "subscription", ["tenant_id", "service_id"], ACTIVE)
    op.create_index("uq_subscription_request", "subscription", ["tenant_id", "request_id"], unique=True)
    op.create_index(
        "uq_subscription_activation_request", "subscription", ["tenant_id", "activation_request_id"], unique=True
    )
    op.create_index("ix_subscription_customer", "subscription", ["tenant_id", "customer_id"])
    op.create_index("ix_subscription_ends_on", "subscription", ["tenant_id", "ends_on"])


def _narrow_subscription() -> None:
    """What was sold without a line has no place in the older shape, and stays out of it."""
    op.execute("DELETE FROM subscription WHERE service_id IS NULL OR billing_started_at IS NULL")
    _drop_indexes(
        "ix_subscription_ends_on",
        "ix_subscription_customer",
        "uq_subscription_activation_request",
        "uq_subscription_request",
        "uq_subscription_live_service",
    )
    before = _subscription_as_it_is(NEW_CHECKS, _new_columns(), sold=True)
    with op.batch_alter_table("subscription", copy_from=before) as table:
        for name in NEW_CHECKS:
            table.drop_constraint(op.f(f"ck_subscription_{name}"), type_="check")
        for column in _new_columns():
            table.drop_column(column.name)
        table.alter_column("service_id", existing_type=NUMBER, nullable=False)
        table.alter_column("billing_started_at", existing_type=sa.DateTime(timezone=True), nullable=False)
        for name, rule in OLD_CHECKS.items():
            table.create_check_constraint(op.f(f"ck_subscription_{name}"), rule)
    _partial("uq_subscription_live_service", "subscription", ["tenant_id", "service_id"], ACTIVE)
    op.create_index("uq_subscription_request", "subscription", ["tenant_id", "request_id"], unique=True)


def _drop_indexes(*names: str) -> None:
    for name in names:
        op.drop_index(name, table_name="subscription")


# -- payments ----------------------------------------------------------------------------------------------------------


def _create_payment() -> None:
    op.create_table(
        "payment",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("order_id", NUMBER, nullable=True),
        sa.Column("quote_id", NUMBER, nullable=True),
        sa.Column("customer_id", NUMBER, nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("provider_ref", sa.Text(), nullable=True),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("action_url", sa.Text(), nullable=True),
        sa.Column("settled_by", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("captured_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refund_asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refunded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.CheckConstraint("(order_id IS NULL) <> (quote_id IS NULL)", name=op.f("ck_payment_of_order_or_quote")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payment_amount")),
        sa.CheckConstraint("method IN ('invoice', 'cash', 'bank', 'card')", name=op.f("ck_payment_method")),
        sa.CheckConstraint(
            "state IN ('requested', 'unknown', 'requires_action', 'awaiting', 'captured', 'declined', 'cancelled',"
            " 'refunded')",
            name=op.f("ck_payment_state"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('captured', 'refunded') OR (captured_at IS NOT NULL AND provider_ref IS NOT NULL)",
            name=op.f("ck_payment_reference_when_captured"),
        ),
        sa.CheckConstraint(
            "(state = 'refunded') = (refunded_at IS NOT NULL)", name=op.f("ck_payment_refunded_at_when_refunded")
        ),
        sa.CheckConstraint(
            "state NOT IN ('declined', 'cancelled') OR reason IS NOT NULL", name=op.f("ck_payment_reason_when_over")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "customer_id"],
            ["customer.tenant_id", "customer.id"],
            name=op.f("fk_payment_tenant_id_customer_id_customer"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment")),
    )
    op.create_index("uq_payment_key", "payment", ["idempotency_key"], unique=True)
    _partial("uq_payment_live_order", "payment", ["tenant_id", "order_id"], LIVE)
    _partial("uq_payment_live_quote", "payment", ["tenant_id", "quote_id"], LIVE)
    _partial("uq_payment_request", "payment", ["tenant_id", "request_id"], LIVE)
    op.create_index("ix_payment_customer", "payment", ["tenant_id", "customer_id"])
    op.create_index("ix_payment_provider_ref", "payment", ["tenant_id", "provider", "provider_ref"])


def _create_payment_history() -> None:
    op.create_table(
        "payment_attempt",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("payment_id", NUMBER, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('capture', 'cancel', 'refund')", name=op.f("ck_payment_attempt_kind")),
        sa.CheckConstraint(
            "outcome IN ('captured', 'awaiting', 'requires_action', 'declined', 'cancelled', 'refunded', 'nothing',"
            " 'refused', 'unknown')",
            name=op.f("ck_payment_attempt_outcome"),
        ),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (outcome IS NULL)", name=op.f("ck_payment_attempt_outcome_when_ended")
        ),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_payment_attempt_payment_id_payment")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_attempt")),
    )
    op.create_index("uq_payment_attempt_number", "payment_attempt", ["payment_id", "number"], unique=True)
    op.create_table(
        "payment_event",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("payment_id", NUMBER, nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('applied', 'late', 'surplus', 'mismatch')", name=op.f("ck_payment_event_outcome")
        ),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_payment_event_payment_id_payment")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_event")),
    )
    op.create_index("uq_payment_event", "payment_event", ["tenant_id", "provider", "event_id"], unique=True)
    op.create_index("ix_payment_event_payment", "payment_event", ["payment_id"])
