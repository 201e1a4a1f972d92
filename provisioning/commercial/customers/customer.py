"""customer_service: the people and firms that buy, under the numbers the ISP knows them by."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.customers.customer_language import read_language
from provisioning.commercial.customers.customer_rows import NUMBERING_ATTEMPTS, active_customer, try_to_add
from provisioning.commercial.errors import CustomerConflict
from provisioning.commercial.partners.partner_customers import (
    PartnerLinks,
    WithdrawnPartnerCustomer,
    read_customer_data,
    require_active_partner,
)
from provisioning.commercial.selling.lead_conversion import LeadConversion, WithdrawnCustomer
from provisioning.commercial.selling.selling_errors import CustomerWithdrawn
from provisioning.commercial.tables import Customer
from provisioning.errors import ChangeRaced, RequestConflict, TenantMismatch
from provisioning.intake import Clock, Faults
from workflows.answers import CustomerFromLead, PartnerCustomer
from workflows.services import RegisteredCustomer

LONGEST_REASON = 500


class CustomerRecord(RegisteredCustomer):
    """A customer as they are listed; who was taken back is bought from no more."""

    state: str
    registered_at: datetime


_CUSTOMER = Customer.__table__.c
_RECORDS = select(
    _CUSTOMER.id,
    _CUSTOMER.name,
    _CUSTOMER.email,
    _CUSTOMER.phone,
    _CUSTOMER.language,
    _CUSTOMER.state,
    _CUSTOMER.registered_at,
)
"""The columns of a record: a list makes no objects that could be changed."""


class CustomerService:
    """Registers customers and finds them again. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._conversion = LeadConversion(db, tenant_id=tenant_id, now=now)

    async def register(
        self,
        *,
        name: str,
        email: str,
        phone: str | None = None,
        language: str | None = None,
        customer_id: int | None = None,
        request_id: str | None = None,
    ) -> RegisteredCustomer:
        """Make this customer known. The number is the ISP's when it gives one, otherwise the next free one.

        The same customer again is the same answer; their language may be another by now (``speak``).

        Raises: InvalidRequest (all faults), CustomerConflict (the number is somebody else's), CustomerWithdrawn,
        RequestConflict, ChangeRaced.
        """
        faults = Faults("The customer")
        wanted = RegisteredCustomer(
            customer_id=0 if customer_id is None else faults.number("customer_id", customer_id),
            name=faults.line("name", name),
            email=faults.email("email", email),
            phone=faults.phone("phone", phone),
            language=read_language(faults, "language", language),
        )
        request = faults.request_id(request_id)
        faults.refuse_if_any()
        if (known := await self._known(wanted, request)) is not None:
            return known
        return await self._insert(wanted, request)

    async def customers(
        self,
        *,
        email: str | None = None,
        among: Select[int] | None = None,
        customer_id: int | None = None,
        before_id: int | None = None,
        limit: int = 50,
    ) -> list[CustomerRecord]:
        """Also those who were taken back, the highest number first, a page at a time (``before_id``).

        ``among``: only customers whose numbers this query finds.
        """
        query = _RECORDS.where(_CUSTOMER.tenant_id == self._tenant_id).order_by(_CUSTOMER.id.desc()).limit(limit)
        if email is not None:
            query = query.where(_CUSTOMER.email == email)
        if among is not None:
            query = query.where(_CUSTOMER.id.in_(among))
        if customer_id is not None:
            query = query.where(_CUSTOMER.id == customer_id)
        if before_id is not None:
            query = query.where(_CUSTOMER.id < before_id)
        return [
            CustomerRecord(
                customer_id=number,
                name=name,
                email=email,
                phone=phone,
                language=language,
                state=state,
                registered_at=registered_at,
            )
            for number, name, email, phone, language, state, registered_at in await self._db.execute(query)
        ]

    async def hold(self, customer_id: int) -> None:
        """Nobody changes this customer until the transaction ends. Raises: CustomerUnknown, CustomerWithdrawn."""
        await active_customer(self._db, self._tenant_id, customer_id, hold=True)

    async def speak(self, *, customer_id: int, language: str | None) -> RegisteredCustomer:
        """From now on this customer is written to in this language, or (None) in the ISP's own.

        Raises: InvalidRequest, CustomerUnknown, CustomerWithdrawn.
        """
        faults = Faults("The customer's language")
        spoken = read_language(faults, "language", language)
        faults.refuse_if_any()
        row = await active_customer(self._db, self._tenant_id, customer_id, hold=True)
        row.language = spoken
        await self._db.flush()  # a later question in this transaction must find it changed
        return _registered(row)

    async def customer(self, customer_id: int) -> RegisteredCustomer:
        """A customer who may be sold to.

        Raises: CustomerUnknown, CustomerWithdrawn.
        """
        return _registered(await active_customer(self._db, self._tenant_id, customer_id))

    async def create_from_lead(
        self, *, lead_id: int, tenant_id: str, request_id: str | None = None
    ) -> CustomerFromLead:
        """The customer of a qualified lead: a new one, of the lead's name and at a mail address that is nobody else's,
        or the one whom the lead says it is, as they are known.

        Raises: InvalidRequest, TenantMismatch, LeadUnknown, LeadNotQualified, LeadDisqualified, LeadConverted (naming
        the customer), LeadOfKnownCustomer, LeadConversionWithdrawn (by this request, and taken back since),
        CustomerWithdrawn, RequestConflict, ChangeRaced.
        """
        faults = Faults("The conversion of the lead")
        lead = faults.number("lead_id", lead_id)
        request = faults.request_id(request_id)
        faults.refuse_if_any()
        if tenant_id != self._tenant_id:
            raise TenantMismatch(tenant_id, self._tenant_id)
        return await self._conversion.convert(lead, request)

    async def withdraw_from_lead(self, *, customer_id: int, lead_id: int, reason: str) -> WithdrawnCustomer:
        """Undo of ``create_from_lead``: a customer made from the lead is withdrawn, one who was there before stays, and
        the lead is qualified again. Undoing twice is the same undo.

        Raises: InvalidRequest, LeadUnknown, LeadOfAnotherCustomer, CustomerInUse (a running bill, an open order).
        """
        faults = Faults("The withdrawal of the customer")
        customer = faults.number("customer_id", customer_id)
        lead = faults.number("lead_id", lead_id)
        why = faults.line("reason", reason, longest=LONGEST_REASON)
        faults.refuse_if_any()
        return await self._conversion.take_back(customer, lead, why)

    async def create_partner_customer(
        self, *, partner_id: int, customer_data: Mapping[str, Any], request_id: str | None = None
    ) -> PartnerCustomer:
        """Register the customer whom this partner brings: ``{name, email, phone?, language?}``. The same request is the
        same customer; without a request id every call is another one.

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
            name=wanted["name"],
            email=wanted["email"],
            phone=wanted["phone"],
            language=wanted["language"],
            request_id=request,
        )
        return await links.link(partner_id, customer, request)

    async def withdraw_partner_customer(self, *, customer_id: int, reason: str) -> WithdrawnPartnerCustomer:
        """Undo of ``create_partner_customer``: no partner's customer any more, and withdrawn. The record stays as
        history. Undoing twice is the same undo.

        Raises: InvalidRequest, PartnerCustomerUnknown, CustomerInUse (a running bill, an open order).
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
            if row.state == "withdrawn":
                raise CustomerWithdrawn(row.id, row.withdrawal_reason)
            return _registered(row)
        return None

    async def _insert(self, wanted: RegisteredCustomer, request_id: str | None) -> RegisteredCustomer:
        for _ in range(NUMBERING_ATTEMPTS):
            try:
                row = await try_to_add(
                    self._db,
                    self._tenant_id,
                    number=wanted["customer_id"] or None,
                    now=self._now(),
                    name=wanted["name"],
                    email=wanted["email"],
                    phone=wanted["phone"],
                    language=wanted["language"],
                    request_id=request_id,
                )
            except IntegrityError as exc:
                if (known := await self._known(wanted, request_id)) is not None:
                    return known
                raced = exc
            else:
                return _registered(row)
        raise ChangeRaced from raced

    async def _by_request(self, request_id: str) -> Customer | None:
        found: Customer | None = await self._db.scalar(
            select(Customer).where(Customer.tenant_id == self._tenant_id, Customer.request_id == request_id)
        )
        return found


async def require_customer(db: AsyncSession, tenant_id: str, customer_id: int) -> None:
    """Raises: CustomerUnknown, CustomerWithdrawn."""
    await active_customer(db, tenant_id, customer_id)


def _registered(row: Customer) -> RegisteredCustomer:
    return RegisteredCustomer(
        customer_id=row.id, name=row.name, email=row.email, phone=row.phone, language=row.language
    )


def _differing(row: Customer, wanted: RegisteredCustomer) -> list[str]:
    found = _registered(row)
    fields = ("name", "email", "phone") + (("customer_id",) if wanted["customer_id"] else ())
    return [field for field in fields if found[field] != wanted[field]]  # type: ignore[literal-required]
