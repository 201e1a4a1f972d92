"""A partner's pool of licences: a balance that can't fall below nothing, and the ledger of all that moved it.

Balance and ledger change in one statement's reach of each other, always in the caller's transaction. The balance is
taken down only where enough is left, by the database, so of two who want the last licence one gets it.
"""

from __future__ import annotations

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.partners.partner_errors import (
    AllocationReturned,
    AllocationUnknown,
    PartnerSuspended,
    PartnerUnknown,
    QuotaExhausted,
)
from provisioning.commercial.partners.partner_tables import Partner, PoolEntry
from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.intake import Clock, Faults

LARGEST_GRANT = 1_000_000
LONGEST_NOTE = 500
OF_A_JOURNEY = "journey"


class PartnerPool:
    """The pools of one ISP's partners. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def grant(
        self, *, partner_id: int, licenses: int, note: str, by: str, request_id: str | None = None
    ) -> PoolEntry:
        """Put more licences into the pool; quota and balance grow. The same request is the same grant.

        Raises: InvalidRequest (all faults), PartnerUnknown, RequestConflict, ChangeRaced.
        """
        faults = Faults("The grant")
        faults.number("partner_id", partner_id)
        if faults.number("licenses", licenses) > LARGEST_GRANT:
            faults.add("licenses", f"are more than {LARGEST_GRANT}")
        entry = {
            "movement": "granted",
            "licenses": licenses,
            "note": faults.line("note", note, longest=LONGEST_NOTE),
            "by": faults.line("by", by),
        }
        request = faults.request_id(request_id)
        faults.refuse_if_any()
        if (known := await self._requested(partner_id, entry, request)) is not None:
            return known
        try:
            async with self._db.begin_nested():
                balance = await self._move(partner_id, licenses, quota=licenses)
                if balance is None:
                    raise PartnerUnknown(partner_id)
                return await self._note(partner_id, entry, balance, request)
        except IntegrityError as exc:
            if (known := await self._requested(partner_id, entry, request)) is not None:
                return known
            raise ChangeRaced from exc

    async def take(
        self, *, partner_id: int, customer_id: int, licenses: int, request_id: str | None
    ) -> tuple[PoolEntry, bool]:
        """Take licences out for a customer: the ledger's entry, and whether it is new.

        Raises: PartnerUnknown, PartnerSuspended, QuotaExhausted, AllocationReturned, RequestConflict, ChangeRaced.
        """
        entry = {
            "movement": "allocated",
            "licenses": -licenses,
            "customer_id": customer_id,
            "note": f"for customer {customer_id}",
            "by": OF_A_JOURNEY,
        }
        if (known := await self._requested(partner_id, entry, request_id)) is not None:
            return known, False
        try:
            async with self._db.begin_nested():
                balance = await self._move(partner_id, -licenses)
                if balance is not None:
                    return await self._note(partner_id, entry, balance, request_id), True
        except IntegrityError as exc:
            if (known := await self._requested(partner_id, entry, request_id)) is not None:
                return known, False
            raise ChangeRaced from exc
        # Nothing was taken. The same request may have been served while this one waited for the partner's row.
        if (known := await self._requested(partner_id, entry, request_id)) is not None:
            return known, False
        partner = await self._partner(partner_id)
        if partner.state != "active":
            raise PartnerSuspended(partner_id)
        raise QuotaExhausted(partner_id, licenses, partner.license_balance)

    async def give_back(self, *, allocation_id: int, reason: str) -> PoolEntry:
        """The entry by which an allocation came back into the pool; it does so once.

        Raises: AllocationUnknown, ChangeRaced.
        """
        allocation = await self._db.scalar(
            select(PoolEntry).where(
                PoolEntry.tenant_id == self._tenant_id,
                PoolEntry.id == allocation_id,
                PoolEntry.movement == "allocated",
            )
        )
        if allocation is None:
            raise AllocationUnknown(allocation_id)
        if (returned := await self._returned(allocation_id)) is not None:
            return returned
        entry = {
            "movement": "returned",
            "licenses": -allocation.licenses,
            "customer_id": allocation.customer_id,
            "allocation_id": allocation_id,
            "note": reason,
            "by": OF_A_JOURNEY,
        }
        try:
            async with self._db.begin_nested():
                balance = await self._move(allocation.partner_id, -allocation.licenses)
                assert balance is not None, "an allocation has its partner, by foreign key"
                return await self._note(allocation.partner_id, entry, balance, None)
        except IntegrityError as exc:
            if (returned := await self._returned(allocation_id)) is not None:
                return returned
            raise ChangeRaced from exc

    async def template_of(self, partner_id: int) -> int:
        """The template by which the partner's licences are issued. Raises: PartnerUnknown."""
        return (await self._partner(partner_id)).license_template_id

    async def _move(self, partner_id: int, licenses: int, *, quota: int = 0) -> int | None:
        """The balance after it, or None where nothing was moved: no such partner, too few left, or suspended."""
        of_the_partner = update(Partner).where(Partner.tenant_id == self._tenant_id, Partner.id == partner_id)
        if licenses < 0:
            of_the_partner = of_the_partner.where(Partner.license_balance >= -licenses, Partner.state == "active")
        balance: int | None = await self._db.scalar(
            of_the_partner.values(
                license_balance=Partner.license_balance + licenses, license_quota=Partner.license_quota + quota
            )
            .returning(Partner.license_balance)
            .execution_options(synchronize_session=False)  # who reads the partner reads it anew
        )
        return balance

    async def _note(self, partner_id: int, entry: dict[str, object], balance: int, request_id: str | None) -> PoolEntry:
        row: PoolEntry | None = await self._db.scalar(
            insert(PoolEntry)
            .values(
                tenant_id=self._tenant_id,
                partner_id=partner_id,
                balance_after=balance,
                at=self._now(),
                request_id=request_id,
                **entry,
            )
            .returning(PoolEntry)
        )
        assert row is not None
        return row

    async def _requested(self, partner_id: int, entry: dict[str, object], request_id: str | None) -> PoolEntry | None:
        """The entry that this request has made, if any."""
        if request_id is None:
            return None
        row = await self._db.scalar(
            select(PoolEntry).where(PoolEntry.tenant_id == self._tenant_id, PoolEntry.request_id == request_id)
        )
        if row is None:
            return None
        wanted = {"partner_id": partner_id, "customer_id": None, **entry}
        if any(getattr(row, field) != value for field, value in wanted.items() if field not in ("note", "by")):
            raise RequestConflict(request_id, f"entry {row.id} of partner {row.partner_id}'s ledger")
        if (returned := await self._returned(row.id)) is not None:
            raise AllocationReturned(row.id, returned.at)
        return row

    async def _returned(self, allocation_id: int) -> PoolEntry | None:
        found: PoolEntry | None = await self._db.scalar(
            select(PoolEntry).where(PoolEntry.tenant_id == self._tenant_id, PoolEntry.allocation_id == allocation_id)
        )
        return found

    async def _partner(self, partner_id: int) -> Partner:
        row = await self._db.get(Partner, (self._tenant_id, partner_id), populate_existing=True)
        if row is None:
            raise PartnerUnknown(partner_id)
        return row
