"""What the journeys that make customers have left behind: asked of the tables, and of the pages from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.helpdesk.ticket_tables import Ticket
from provisioning.commercial.licences.licence_tables import License
from provisioning.commercial.partners.partner_tables import Commission, PartnerLink
from provisioning.commercial.tables import Customer, Mail, Subscription
from provisioning.commercial.tenants.tenant_tables import HostedTenant
from tests.support.lab import JourneyLab


@dataclass(frozen=True)
class Standing:
    """How everything of some customers stands: the states, oldest first, and what partners earn by them."""

    customers: tuple[str, ...] = ()
    subscriptions: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    tickets: tuple[str, ...] = ()
    mails: tuple[str, ...] = ()
    live_links: int = 0  # to a partner
    earned_minor: int = 0


async def standing(lab: JourneyLab, email: str) -> Standing:
    """Of all customers who have had this mail address."""
    async with lab.appliance.database.read() as db:
        numbers = await _all(db, select(Customer.id).where(Customer.email == email).order_by(Customer.id))
        return Standing(
            customers=await _all(db, select(Customer.state).where(Customer.id.in_(numbers)).order_by(Customer.id)),
            subscriptions=await _all(db, _states(Subscription, numbers)),
            licences=await _all(db, _states(License, numbers)),
            pages=await _all(db, _states(HostedTenant, numbers)),
            tickets=await _all(db, _states(Ticket, numbers)),
            mails=await _all(db, select(Mail.state).where(Mail.recipient == email).order_by(Mail.id)),
            live_links=len(
                await _all(
                    db,
                    select(PartnerLink.id).where(PartnerLink.customer_id.in_(numbers), PartnerLink.ended_at.is_(None)),
                )
            ),
            earned_minor=sum(
                await _all(db, select(Commission.amount_minor).where(Commission.customer_id.in_(numbers)))
            ),
        )


def _states(table: Any, numbers: Sequence[int]) -> Select[Any]:
    return select(table.state).where(table.customer_id.in_(numbers)).order_by(table.id)


async def _all(db: AsyncSession, query: Select[Any]) -> tuple[Any, ...]:
    return tuple(await db.scalars(query))
