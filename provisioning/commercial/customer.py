"""customer_service: the people and firms that buy, under the numbers the ISP knows them by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.errors import CustomerConflict, CustomerUnknown
from provisioning.commercial.partner_customers import (
    PartnerLinks,
    WithdrawnPartnerCustomer,
    read_customer_data,
    require_active_partner,
)
from provisioning.commercial.tables import Customer
from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.intake import Clock, Faults
from workflows.answers import PartnerCustomer
from workflows.services import RegisteredCustomer

LONGEST_REASON = 500
# Two registrations may want the same next number; each loser sees the winner's row on its next try.
NUMBERING_ATTEMPTS = 20


class CustomerService:
    """Registers customers and finds them again. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def register(
        self,
        *,
        name: str,
        email: str,
        phone: str | None = None,
        customer_id: int | None = None,
        request_id: str | None = None,
    ) -> RegisteredCustomer:
        """Make this customer known. The number is the ISP's when it gives one, otherwise the next free one.

        The same customer again is the same answer.

        Raises: InvalidRequest (all faults), CustomerConflict (the number is somebody else's), RequestConflict,
        ChangeRaced.
        """
        faults = Faults("The customer")
        wanted = RegisteredCustomer(
            customer_id=0 if customer_id is None else faults.number("customer_id", customer_id),
            name=faults.line("name", name),
            email=faults.email("email", email),
            phone=faults.phone("phone", phone),
        )
        request = faults.request_id(request_id)
        faults.refuse_if_any()
        if (known := await self._known(wanted, request)) is not None:
            return known
        return await self._insert(wanted, request)

    async def customer(self, customer_id: int) -> RegisteredCustomer:
        """Raises: CustomerUnknown."""
        row = await self._db.get(Customer, (self._tenant_id, customer_id))
        if row is None:
            raise CustomerUnknown(customer_id)
        return _registered(row)

    async def create_partner_customer(
        self, *, partner_id: int, customer_data: Mapping[str, Any], request_id: str | None = None
    ) -> PartnerCustomer:
        """Register the customer whom this partner brings: ``{name, email, phone?}``. The same request is the same
        customer; without a request id every call is another one.

        Raises: InvalidRequest (all faults), PartnerUnknown, PartnerSuspended, PartnerCustomerWithdrawn (this request's
        customer was withdrawn since), RequestConflict, ChangeRaced.
        """
        faults = Faults("The partner's customer")
        faults.number("partner_id", partner_id)
        wanted = read_customer_data(faults, customer_data)
        request = faults.request_id(request_id)
        faults.refuse_if_any()
        links = PartnerLinks(self._db, tenant_id=self._tenant_id, now=self._now)
        if (made := await links.made_by(partner_id, wanted, request)) is not None:
            return made
        await require_active_partner(self._db, self._tenant_id, partner_id)
        customer = await self.register(
            name=wanted["name"], email=wanted["email"], phone=wanted["phone"], request_id=request
        )
        return await links.link(partner_id, customer, request)

    async def withdraw_partner_customer(self, *, customer_id: int, reason: str) -> WithdrawnPartnerCustomer:
        """Undo of ``create_partner_customer``: no partner's customer any more. The record itself stays as history.

        Raises: InvalidRequest, PartnerCustomerUnknown.
        """
        faults = Faults("The withdrawal of a partner's customer")
        why = faults.line("reason", reason, longest=LONGEST_REASON)
        faults.refuse_if_any()
        return await PartnerLinks(self._db, tenant_id=self._tenant_id, now=self._now).end(customer_id, why)

    async def _known(self, wanted: RegisteredCustomer, request_id: str | None) -> RegisteredCustomer | None:
        if request_id is not None and (row := await self._by_request(request_id)) is not None:
            if _differing(row, wanted):
                raise RequestConflict(request_id, f"customer {row.id}")
            return _registered(row)
        if wanted["customer_id"] and (row := await self._db.get(Customer, (self._tenant_id, wanted["customer_id"]))):
            if differing := _differing(row, wanted):
                raise CustomerConflict(row.id, differing)
            return _registered(row)
        return None

    async def _insert(self, wanted: RegisteredCustomer, request_id: str | None) -> RegisteredCustomer:
        next_number = (
            select(func.coalesce(func.max(Customer.id), 0) + 1)
            .where(Customer.tenant_id == self._tenant_id)
            .scalar_subquery()
        )
        for _ in range(NUMBERING_ATTEMPTS):
            try:
                async with self._db.begin_nested():
                    row = await self._db.scalar(
                        insert(Customer)
                        .values(
                            tenant_id=self._tenant_id,
                            id=wanted["customer_id"] or next_number,
                            name=wanted["name"],
                            email=wanted["email"],
                            phone=wanted["phone"],
                            registered_at=self._now(),
                            request_id=request_id,
                        )
                        .returning(Customer)
                    )
            except IntegrityError as exc:
                if (known := await self._known(wanted, request_id)) is not None:
                    return known
                raced = exc
            else:
                assert row is not None
                return _registered(row)
        raise ChangeRaced from raced

    async def _by_request(self, request_id: str) -> Customer | None:
        found: Customer | None = await self._db.scalar(
            select(Customer).where(Customer.tenant_id == self._tenant_id, Customer.request_id == request_id)
        )
        return found


async def require_customer(db: AsyncSession, tenant_id: str, customer_id: int) -> None:
    """Raises: CustomerUnknown."""
    if await db.get(Customer, (tenant_id, customer_id)) is None:
        raise CustomerUnknown(customer_id)


def _registered(row: Customer) -> RegisteredCustomer:
    return RegisteredCustomer(customer_id=row.id, name=row.name, email=row.email, phone=row.phone)


def _differing(row: Customer, wanted: RegisteredCustomer) -> list[str]:
    found = _registered(row)
    fields = ("name", "email", "phone") + (("customer_id",) if wanted["customer_id"] else ())
    return [field for field in fields if found[field] != wanted[field]]  # type: ignore[literal-required]
