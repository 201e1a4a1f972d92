"""The tables of partners: who sells for the ISP, the ledger of their licences, their customers, their commissions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DDL, CheckConstraint, ForeignKeyConstraint, Index, Table, Text, event, text
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.commercial.tables import OF_A_CUSTOMER
from provisioning.tables import Identity, ProvisioningBase, Reference, RowId, TenantId
from workflows.answers import CommissionState, CommissionType, PartnerState, PoolMovement

OF_A_PARTNER = ("tenant_id", "partner_id"), ("partner.tenant_id", "partner.id")


class Partner(ProvisioningBase):
    """Who sells for the ISP, under the number the ISP knows them by.

    ``license_balance`` is what may still be given out; every change of it stands in the ledger, in the same commit.
    """

    __tablename__ = "partner"
    __table_args__ = (
        ForeignKeyConstraint(
            ("tenant_id", "license_template_id"), ("license_template.tenant_id", "license_template.id")
        ),
        CheckConstraint("state IN ('active', 'suspended')", name="state"),
        CheckConstraint("license_balance >= 0", name="balance_not_negative"),
        CheckConstraint("license_balance <= license_quota", name="balance_within_quota"),
        CheckConstraint("commission_type IN ('percentage', 'fixed')", name="commission_type"),
        CheckConstraint(
            "(commission_type = 'percentage') = (commission_basis_points IS NOT NULL)", name="commission_basis_points"
        ),
        CheckConstraint("commission_basis_points BETWEEN 0 AND 10000", name="basis_points_within_the_whole"),
        CheckConstraint("(commission_type = 'fixed') = (commission_fixed_minor IS NOT NULL)", name="commission_fixed"),
        CheckConstraint("commission_fixed_minor > 0", name="commission_fixed_positive"),
    )

    tenant_id: Mapped[TenantId] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)
    email: Mapped[str] = mapped_column(Text)
    state: Mapped[PartnerState] = mapped_column(Text)
    license_template_id: Mapped[Reference]
    license_quota: Mapped[int]
    license_balance: Mapped[int]
    commission_type: Mapped[CommissionType] = mapped_column(Text)
    commission_basis_points: Mapped[int | None]
    commission_fixed_minor: Mapped[Reference | None]
    currency: Mapped[str] = mapped_column(Text)


class PoolEntry(ProvisioningBase):
    """One movement of a partner's pool of licences: more is positive, less is negative. Never changed, never deleted.

    An ``allocated`` entry is the allocation that the contract speaks of; what is ``returned`` names it.
    """

    __tablename__ = "partner_pool_ledger"
    __table_args__ = (
        ForeignKeyConstraint(*OF_A_PARTNER),
        ForeignKeyConstraint(*OF_A_CUSTOMER),
        ForeignKeyConstraint(("allocation_id",), ("partner_pool_ledger.id",)),
        CheckConstraint("movement IN ('granted', 'allocated', 'returned')", name="movement"),
        CheckConstraint("licenses <> 0 AND (movement = 'allocated') = (licenses < 0)", name="less_only_when_allocated"),
        CheckConstraint("balance_after >= 0", name="balance_not_negative"),
        CheckConstraint("(movement = 'granted') = (customer_id IS NULL)", name="customer_unless_granted"),
        CheckConstraint("(movement = 'returned') = (allocation_id IS NOT NULL)", name="allocation_when_returned"),
        Index("uq_partner_pool_ledger_request", "tenant_id", "request_id", unique=True),
        Index("uq_partner_pool_ledger_returned", "allocation_id", unique=True),
        Index("ix_partner_pool_ledger_partner", "tenant_id", "partner_id", "id"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    partner_id: Mapped[Reference]
    movement: Mapped[PoolMovement] = mapped_column(Text)
    licenses: Mapped[int]
    balance_after: Mapped[int]
    customer_id: Mapped[Reference | None]
    allocation_id: Mapped[Reference | None]
    note: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    request_id: Mapped[str | None] = mapped_column(Text)


class PartnerLink(ProvisioningBase):
    """Whose customer somebody is. One partner at a time; what has ended stays as history."""

    __tablename__ = "partner_customer"
    __table_args__ = (
        ForeignKeyConstraint(*OF_A_PARTNER),
        ForeignKeyConstraint(*OF_A_CUSTOMER),
        CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="reason_when_ended"),
        Index(
            "uq_partner_customer_one_partner",
            "tenant_id",
            "customer_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("uq_partner_customer_request", "tenant_id", "request_id", unique=True),
        Index("ix_partner_customer_partner", "tenant_id", "partner_id", "customer_id"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    partner_id: Mapped[Reference]
    customer_id: Mapped[Reference]
    linked_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)


class Commission(ProvisioningBase):
    """What a partner has earned, in minor units; a reversal is a row of its own, with the amount taken back.

    The sum of all rows is what was earned, the sum of the accrued ones what is still to be paid. ``source`` says for
    what: nobody earns twice for the same customer, type and source.
    """

    __tablename__ = "commission"
    __table_args__ = (
        ForeignKeyConstraint(*OF_A_PARTNER),
        ForeignKeyConstraint(*OF_A_CUSTOMER),
        ForeignKeyConstraint(("reverses_id",), ("commission.id",)),
        CheckConstraint("commission_type IN ('percentage', 'fixed')", name="commission_type"),
        CheckConstraint("state IN ('accrued', 'reversed', 'paid')", name="state"),
        CheckConstraint(
            "(reverses_id IS NULL AND amount_minor >= 0)"
            " OR (reverses_id IS NOT NULL AND amount_minor <= 0 AND state = 'reversed')",
            name="only_a_reversal_is_negative",
        ),
        CheckConstraint("(state = 'paid') = (paid_at IS NOT NULL)", name="paid_at_when_paid"),
        Index(
            "uq_commission_once",
            "tenant_id",
            "partner_id",
            "customer_id",
            "commission_type",
            "source",
            unique=True,
            sqlite_where=text("state <> 'reversed'"),
            postgresql_where=text("state <> 'reversed'"),
        ),
        Index("uq_commission_reversed_once", "reverses_id", unique=True),
        Index("uq_commission_request", "tenant_id", "request_id", unique=True),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    partner_id: Mapped[Reference]
    customer_id: Mapped[Reference]
    commission_type: Mapped[CommissionType] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    base_minor: Mapped[Reference]
    amount_minor: Mapped[Reference]
    currency: Mapped[str] = mapped_column(Text)
    state: Mapped[CommissionState] = mapped_column(Text)
    recorded_at: Mapped[datetime]
    reverses_id: Mapped[Reference | None]
    reason: Mapped[str | None] = mapped_column(Text)
    paid_at: Mapped[datetime | None]
    payment_reference: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)


_APPEND_ONLY = "partner_pool_ledger is append-only"

POSTGRESQL_LEDGER = (
    "CREATE OR REPLACE FUNCTION partner_pool_ledger_refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS"
    f" $$ BEGIN RAISE EXCEPTION '{_APPEND_ONLY}' USING ERRCODE = 'restrict_violation'; END $$",
    "CREATE TRIGGER partner_pool_ledger_append_only BEFORE UPDATE OR DELETE ON partner_pool_ledger"
    " FOR EACH ROW EXECUTE FUNCTION partner_pool_ledger_refuse_rewriting()",
)

SQLITE_LEDGER = tuple(
    f"CREATE TRIGGER partner_pool_ledger_no_{verb.lower()} BEFORE {verb} ON partner_pool_ledger"
    f" BEGIN SELECT RAISE(ABORT, '{_APPEND_ONLY}'); END"
    for verb in ("UPDATE", "DELETE")
)


def _keep_the_ledger(table: Table) -> None:
    for dialect, statements in (("postgresql", POSTGRESQL_LEDGER), ("sqlite", SQLITE_LEDGER)):
        for statement in statements:
            ddl = DDL(statement)  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", ddl.execute_if(dialect=dialect))


_keep_the_ledger(PoolEntry.metadata.tables[PoolEntry.__tablename__])
