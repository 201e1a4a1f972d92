"""From a qualified lead to a customer, once, and back.

A mail address belongs to one customer. A lead with the address of a customer is refused, unless it says that it is
that customer's (somebody moves, or wants a second line): guessing would give one person two records, or two persons
one. The conversion locks the lead; two leads of one address, converted at once, are told apart by an unique index.
"""

from __future__ import annotations

from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.commercial.customers.customer_rows import NUMBERING_ATTEMPTS, active_customer, try_to_add, withdraw
from provisioning.commercial.selling.lead_rows import lock_lead, refuse_unless_qualified
from provisioning.commercial.selling.selling_errors import (
    LeadConversionWithdrawn,
    LeadOfAnotherCustomer,
    LeadOfKnownCustomer,
)
from provisioning.commercial.selling.selling_tables import Lead
from provisioning.commercial.tables import Customer
from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.intake import Clock
from workflows.answers import CustomerFromLead


class WithdrawnCustomer(TypedDict):
    """What the withdrawal left: a customer who was there before the lead is still active."""

    customer_id: int
    lead_id: int
    state: Literal["active", "withdrawn"]


class LeadConversion:
    """Makes customers of leads, for ``CustomerService``. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def convert(self, lead_id: int, request_id: str | None) -> CustomerFromLead:
        """Raises: as ``CustomerService.create_from_lead``."""
        lead = await lock_lead(self._db, self._tenant_id, lead_id)
        if (earlier := await self._converted_before(lead, request_id)) is not None:
            return earlier
        refuse_unless_qualified(lead)
        customer = await self._existing_customer(lead)
        try:
            async with self._db.begin_nested():
                customer = customer or await self._new_customer(lead)
                lead.state, lead.customer_id, lead.reason = "converted", customer.id, None
                lead.conversion_request_id = request_id
                await self._db.flush()  # here the database decides whether the address and the request are still free
        except IntegrityError as exc:
            await self._db.refresh(lead)
            await self._refuse_other_request(lead, request_id)
            await self._refuse_known_address(lead)
            raise ChangeRaced from exc
        return _answer(customer, lead)

    async def take_back(self, customer_id: int, lead_id: int, reason: str) -> WithdrawnCustomer:
        """Raises: as ``CustomerService.withdraw_from_lead``."""
        lead = await lock_lead(self._db, self._tenant_id, lead_id)
        customer = await self._db.get(
            Customer, (self._tenant_id, customer_id), with_for_update=True, populate_existing=True
        )
        if customer is None or (customer.lead_id != lead_id and lead.existing_customer_id != customer_id):
            raise LeadOfAnotherCustomer(lead_id, customer_id)
        if customer.lead_id == lead_id and customer.state == "active":
            await withdraw(self._db, customer, self._now(), reason)
        if lead.customer_id == customer_id:
            lead.state, lead.customer_id, lead.reason = "qualified", None, reason
        await self._db.flush()  # a later question in this transaction must find it taken back
        return WithdrawnCustomer(customer_id=customer_id, lead_id=lead_id, state=customer.state)

    async def _converted_before(self, lead: Lead, request_id: str | None) -> CustomerFromLead | None:
        if request_id is None:
            return None
        await self._refuse_other_request(lead, request_id)
        if lead.conversion_request_id != request_id:
            return None
        if lead.customer_id is None:
            raise LeadConversionWithdrawn(lead.id, lead.reason)
        return _answer(await active_customer(self._db, self._tenant_id, lead.customer_id), lead)

    async def _refuse_other_request(self, lead: Lead, request_id: str | None) -> None:
        if request_id is None:
            return
        other = await self._db.scalar(
            select(Lead.id).where(
                Lead.tenant_id == self._tenant_id, Lead.conversion_request_id == request_id, Lead.id != lead.id
            )
        )
        if other is not None:
            raise RequestConflict(request_id, f"a customer of lead {other}")

    async def _existing_customer(self, lead: Lead) -> Customer | None:
        """Who the lead says it is; None if it is somebody new, at a mail address of their own."""
        if lead.existing_customer_id is not None:
            return await active_customer(self._db, self._tenant_id, lead.existing_customer_id)
        await self._refuse_known_address(lead)
        return None

    async def _refuse_known_address(self, lead: Lead) -> None:
        known = await self._db.scalar(
            select(Customer.id)
            .where(
                Customer.tenant_id == self._tenant_id,
                Customer.state == "active",
                func.lower(Customer.email) == lead.email_key,
            )
            .order_by(Customer.id)
            .limit(1)
        )
        if known is not None:
            raise LeadOfKnownCustomer(lead.id, lead.email, known)

    async def _new_customer(self, lead: Lead) -> Customer:
        for _ in range(NUMBERING_ATTEMPTS):
            try:
                return await try_to_add(
                    self._db,
                    self._tenant_id,
                    number=None,
                    now=self._now(),
                    name=lead.name,
                    email=lead.email,
                    phone=lead.phone,
                    language=lead.language,
                    lead_id=lead.id,
                )
            except IntegrityError as exc:
                raced = exc
        raise ChangeRaced from raced


def _answer(customer: Customer, lead: Lead) -> CustomerFromLead:
    return CustomerFromLead(
        customer_id=customer.id, name=customer.name, email=customer.email, phone=customer.phone, lead_id=lead.id
    )
