"""partner_service: who sells for the ISP, how many licences they may still give out, and what they have earned."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.commercial.partners.commissions import NEW_CUSTOMER, Commissions
from provisioning.commercial.partners.partner_list import Partners
from provisioning.commercial.partners.partner_pool import PartnerPool
from provisioning.commercial.partners.partner_tables import PartnerLink, PoolEntry
from provisioning.commercial.tables import Customer
from provisioning.intake import Clock, Faults
from workflows.answers import (
    LicenseQuota,
    PartnerCustomer,
    PartnerRecord,
    PoolMovement,
    RecordedCommission,
)

LONGEST_LIST = 500


class PoolRecord(TypedDict):
    """One line of a partner's ledger."""

    entry_id: int
    movement: PoolMovement
    licenses: int
    balance_after: int
    customer_id: int | None
    allocation_id: int | None
    note: str
    by: str
    at: datetime


class PartnerService:
    """The partners of one ISP. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._partners = Partners(db, tenant_id=tenant_id, now=now)
        self._pool = PartnerPool(db, tenant_id=tenant_id, now=now)
        self._commissions = Commissions(db, tenant_id=tenant_id, now=now)

    async def grant(
        self, *, partner_id: int, licenses: int, note: str, by: str, request_id: str | None = None
    ) -> PartnerRecord:
        """Put more licences into the partner's pool, and keep who did and why. The same request is the same grant.

        Raises: InvalidRequest (all faults), PartnerUnknown, RequestConflict, ChangeRaced.
        """
        await self._pool.grant(partner_id=partner_id, licenses=licenses, note=note, by=by, request_id=request_id)
        return await self.partner(partner_id)

    async def partner(self, partner_id: int) -> PartnerRecord:
        """Raises: PartnerUnknown."""
        return await self._partners.partner(partner_id)

    async def customers(
        self, partner_id: int, *, after_id: int = 0, limit: int = LONGEST_LIST
    ) -> list[PartnerCustomer]:
        """The partner's own customers, and nobody else's, by their numbers, a page at a time (``after_id``)."""
        rows = await self._db.execute(
            select(Customer)
            .join(
                PartnerLink,
                (PartnerLink.tenant_id == Customer.tenant_id) & (PartnerLink.customer_id == Customer.id),
            )
            .where(
                PartnerLink.tenant_id == self._tenant_id,
                PartnerLink.partner_id == partner_id,
                PartnerLink.ended_at.is_(None),
                Customer.id > after_id,
            )
            .order_by(Customer.id)
            .limit(min(limit, LONGEST_LIST))
        )
        return [
            PartnerCustomer(customer_id=row.id, partner_id=partner_id, name=row.name, email=row.email)
            for row in rows.scalars()
        ]

    def customer_numbers(self, partner_id: int) -> Select[int]:
        """The query for the numbers of the partner's own customers, for whoever narrows a list to them."""
        return select(PartnerLink.customer_id).where(
            PartnerLink.tenant_id == self._tenant_id,
            PartnerLink.partner_id == partner_id,
            PartnerLink.ended_at.is_(None),
        )

    async def ledger(self, partner_id: int, *, after_id: int = 0, limit: int = LONGEST_LIST) -> list[PoolRecord]:
        """What moved the partner's pool, in order, a page at a time (``after_id``)."""
        rows = await self._db.scalars(
            select(PoolEntry)
            .where(PoolEntry.tenant_id == self._tenant_id, PoolEntry.partner_id == partner_id, PoolEntry.id > after_id)
            .order_by(PoolEntry.id)
            .limit(min(limit, LONGEST_LIST))
        )
        return [_pool_record(row) for row in rows]

    async def check_license_quota(self, *, partner_id: int, requested_licenses: int) -> LicenseQuota:
        """Whether the partner may sell so many licences now. A gate, not a reservation: an allocation decides.

        Raises: InvalidRequest, PartnerUnknown.
        """
        faults = Faults("The question for a quota")
        faults.number("partner_id", partner_id)
        faults.number("requested_licenses", requested_licenses)
        faults.refuse_if_any()
        partner = await self.partner(partner_id)
        remaining = partner["quota_remaining"]
        return LicenseQuota(
            available=partner["state"] == "active" and remaining >= requested_licenses,
            quota_remaining=remaining,
            partner_id=partner_id,
            requested=requested_licenses,
        )

    async def record_commission(
        self,
        *,
        partner_id: int,
        customer_id: int,
        commission_type: str,
        amount: Decimal,
        source: str = NEW_CUSTOMER,
        request_id: str | None = None,
    ) -> RecordedCommission:
        """Record what the partner has earned with this customer, in the partner's currency.

        ``percentage``: ``amount`` is what the customer pays, the commission is the agreed share of it, rounded half up
        to minor units. ``fixed``: ``amount`` is the commission, and must be the agreed one. ``source`` says what for;
        once for the same customer, type and source: again with the same amount is the same commission.

        Raises: InvalidRequest (all faults), PartnerUnknown, CustomerUnknown, CustomerOfAnotherPartner,
        CommissionNotAgreed, CommissionRecorded (with another amount), CommissionReversed (this request's was reversed
        since), RequestConflict, ChangeRaced.
        """
        return await self._commissions.record(
            partner_id=partner_id,
            customer_id=customer_id,
            commission_type=commission_type,
            amount=amount,
            source=source,
            request_id=request_id,
        )

    async def reverse_commission(self, *, commission_id: int, reason: str) -> RecordedCommission:
        """Undo of ``record_commission``: a row takes the amount back. Reversing twice is one reversal.

        Raises: InvalidRequest, CommissionUnknown, CommissionPaid.
        """
        return await self._commissions.reverse(commission_id=commission_id, reason=reason)

    async def pay_commission(self, *, commission_id: int, reference: str) -> RecordedCommission:
        """Keep that the partner got the money, and under which reference. Twice under one reference is once.

        Raises: InvalidRequest, CommissionUnknown, CommissionReversed, CommissionPaid (under another reference).
        """
        return await self._commissions.pay(commission_id=commission_id, reference=reference)

    async def commissions(
        self, partner_id: int, *, after_id: int = 0, limit: int = LONGEST_LIST
    ) -> list[RecordedCommission]:
        """The partner's commissions in order, reversals among them, a page at a time (``after_id``)."""
        return await self._commissions.of_partner(partner_id, after_id=after_id, limit=limit)


def _pool_record(row: PoolEntry) -> PoolRecord:
    return PoolRecord(
        entry_id=row.id,
        movement=row.movement,
        licenses=row.licenses,
        balance_after=row.balance_after,
        customer_id=row.customer_id,
        allocation_id=row.allocation_id,
        note=row.note,
        by=row.by,
        at=row.at,
    )
