"""Customers whom a partner has brought: a customer like any other, and the link that says whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, cast

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.commercial.customers.customer_language import read_language
from provisioning.commercial.customers.customer_rows import withdraw
from provisioning.commercial.errors import CustomerUnknown
from provisioning.commercial.partners.partner_errors import (
    CustomerOfAnotherPartner,
    PartnerCustomerUnknown,
    PartnerCustomerWithdrawn,
    PartnerSuspended,
    PartnerUnknown,
)
from provisioning.commercial.partners.partner_tables import Partner, PartnerLink
from provisioning.commercial.tables import Customer
from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.intake import Clock, Faults
from workflows.answers import PartnerCustomer
from workflows.payloads import CustomerData
from workflows.services import RegisteredCustomer

CUSTOMER_FIELDS = tuple(CustomerData.__annotations__)


class WithdrawnPartnerCustomer(TypedDict):
    customer_id: int
    partner_id: int
    state: Literal["withdrawn"]
    ended_at: datetime
    reason: str


class PartnerLinks:
    """Whose customers are whose. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def made_by(
        self, partner_id: int, wanted: RegisteredCustomer, request_id: str | None
    ) -> PartnerCustomer | None:
        """The partner's customer whom this request has made, if any.

        Raises: RequestConflict, PartnerCustomerWithdrawn.
        """
        if request_id is None:
            return None
        link = await self._db.scalar(
            select(PartnerLink)
            .where(PartnerLink.tenant_id == self._tenant_id, PartnerLink.request_id == request_id)
            .execution_options(populate_existing=True)
        )
        if link is None:
            return None
        customer = await self._db.get(Customer, (self._tenant_id, link.customer_id))
        assert customer is not None, "a link has its customer, by foreign key"
        found = (link.partner_id, customer.name, customer.email, customer.phone)
        if found != (partner_id, wanted["name"], wanted["email"], wanted["phone"]):
            raise RequestConflict(request_id, f"customer {customer.id} of partner {link.partner_id}")
        if link.ended_at is not None:
            raise PartnerCustomerWithdrawn(link.partner_id, customer.id, link.ended_at, link.end_reason)
        return _partner_customer(partner_id, customer)

    async def link(self, partner_id: int, customer: RegisteredCustomer, request_id: str | None) -> PartnerCustomer:
        """This customer is this partner's from now on.

        Raises: ChangeRaced.
        """
        try:
            async with self._db.begin_nested():
                await self._db.execute(
                    insert(PartnerLink).values(
                        tenant_id=self._tenant_id,
                        partner_id=partner_id,
                        customer_id=customer["customer_id"],
                        linked_at=self._now(),
                        request_id=request_id,
                    )
                )
        except IntegrityError as exc:
            if (made := await self.made_by(partner_id, customer, request_id)) is not None:
                return made
            raise ChangeRaced from exc
        return PartnerCustomer(
            customer_id=customer["customer_id"],
            partner_id=partner_id,
            name=customer["name"],
            email=customer["email"],
        )

    async def end(self, customer_id: int, reason: str) -> WithdrawnPartnerCustomer:
        """Nobody's customer any more, and nothing is sold to them; the newest link and the record stay as history.

        Raises: PartnerCustomerUnknown, CustomerInUse.
        """
        link = await self._db.scalar(
            select(PartnerLink)
            .where(PartnerLink.tenant_id == self._tenant_id, PartnerLink.customer_id == customer_id)
            .order_by(PartnerLink.id.desc())
            .limit(1)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        if link is None:
            raise PartnerCustomerUnknown(customer_id)
        if link.ended_at is None:
            link.ended_at, link.end_reason = self._now(), reason
            customer = await self._db.get(
                Customer, (self._tenant_id, customer_id), with_for_update=True, populate_existing=True
            )
            assert customer is not None, "a link has its customer, by foreign key"
            if customer.state == "active":
                await withdraw(self._db, customer, self._now(), reason)
            await self._db.flush()  # a later question in this transaction must find it ended
        assert link.ended_at is not None
        return WithdrawnPartnerCustomer(
            customer_id=customer_id,
            partner_id=link.partner_id,
            state="withdrawn",
            ended_at=link.ended_at,
            reason=link.end_reason or "",
        )


def read_customer_data(faults: Faults, customer_data: object, *, field: str = "customer_data") -> RegisteredCustomer:
    """Name, e-mail and perhaps telephone and language of somebody who has no number yet; nothing else may be in it."""
    if not isinstance(customer_data, Mapping):
        faults.add(field, "is no set of fields")
        customer_data = {}
    given = cast(Mapping[str, Any], customer_data)
    for unknown in sorted(str(name) for name in given if name not in CUSTOMER_FIELDS):
        faults.add(f"{field}.{unknown}", "is not known here")
    return RegisteredCustomer(
        customer_id=0,
        name=faults.line(f"{field}.name", given.get("name")),
        email=faults.email(f"{field}.email", given.get("email")),
        phone=faults.phone(f"{field}.phone", given.get("phone")),
        language=read_language(faults, f"{field}.language", given.get("language")),
    )


async def require_partner_customer(
    db: AsyncSession, tenant_id: str, partner_id: int, customer_id: int, *, lock: bool = False
) -> None:
    """With ``lock``, whoever asks so too for this customer waits.

    Raises: PartnerUnknown, CustomerUnknown, CustomerOfAnotherPartner.
    """
    if await db.get(Partner, (tenant_id, partner_id)) is None:
        raise PartnerUnknown(partner_id)
    if await db.get(Customer, (tenant_id, customer_id)) is None:
        raise CustomerUnknown(customer_id)
    linked = select(PartnerLink.id).where(
        PartnerLink.tenant_id == tenant_id,
        PartnerLink.partner_id == partner_id,
        PartnerLink.customer_id == customer_id,
        PartnerLink.ended_at.is_(None),
    )
    if await db.scalar(linked.with_for_update() if lock else linked) is None:
        raise CustomerOfAnotherPartner(partner_id, customer_id)


async def require_active_partner(db: AsyncSession, tenant_id: str, partner_id: int) -> None:
    """Raises: PartnerUnknown, PartnerSuspended."""
    partner = await db.get(Partner, (tenant_id, partner_id), populate_existing=True)
    if partner is None:
        raise PartnerUnknown(partner_id)
    if partner.state != "active":
        raise PartnerSuspended(partner_id)


def _partner_customer(partner_id: int, customer: Customer) -> PartnerCustomer:
    return PartnerCustomer(customer_id=customer.id, partner_id=partner_id, name=customer.name, email=customer.email)
