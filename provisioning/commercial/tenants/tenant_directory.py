"""Which customer's page answers to a name or a host, and what it shows at this moment."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.partners.partner_domains import is_proven
from provisioning.commercial.selling.selling_tables import ENDED_ORDERS, SalesOrder
from provisioning.commercial.tables import Customer, Subscription
from provisioning.commercial.tenants.brand import DEFAULT_PRIMARY, WHITE
from provisioning.commercial.tenants.tenant_errors import TenantUnknown
from provisioning.commercial.tenants.tenant_page import HEADINGS, OrderState, ServiceState, TenantPage
from provisioning.commercial.tenants.tenant_tables import Deployment, HostedTenant
from provisioning.field import LIVE_STATES, Visit
from provisioning.languages import choose_words
from radius import State, states_of_customer
from workflows import ENDED, RunState, list_runs
from workflows.answers import OrderState as OrderStateOfTmf

INSTALLATION = "isp_ticket_to_deployment"
CARRIED_OUT = frozenset({RunState.COMPLETED, RunState.PARTIAL})
_ENDED_ORDERS: dict[OrderStateOfTmf, OrderState] = {
    "completed": "completed",
    "cancelled": "cancelled",
    "failed": "failed",
}

# The best news of several subscribers is what the customer asks for.
_SERVICE_OF: tuple[tuple[State, ServiceState], ...] = (
    ("active", "active"),
    ("testing", "testing"),
    ("suspended", "suspended"),
    ("pending", "pending"),
    ("terminated", "ended"),
)


class TenantDirectory:
    """The live pages of one ISP's customers; ``isp_name`` is the brand of those without a partner's. Reads only.

    ``language`` is the ISP's own, as BCP 47 writes it, for customers who have none.
    """

    def __init__(self, *, tenant_id: str, isp_name: str, language: str = "en") -> None:
        self._tenant_id = tenant_id
        self._isp_name = isp_name
        self._language = language

    async def find(self, db: AsyncSession, *, slug: str | None = None, host: str | None = None) -> TenantPage:
        """The page of that name, or the one that answers under that host (without a port, in any case of letters) as
        long as the host name is proven to be its partner's.

        Raises: TenantUnknown, also for a page that was withdrawn.
        """
        live = select(HostedTenant).where(HostedTenant.tenant_id == self._tenant_id, HostedTenant.state == "active")
        if slug is not None:
            row = await db.scalar(live.where(HostedTenant.slug == slug))
        else:
            row = await db.scalar(live.where(HostedTenant.domain == (host or "").lower()))
            if row is not None and not await self._is_theirs(db, row.partner_id, row.domain):
                row = None
        if row is None:
            raise TenantUnknown(slug or host or "without a name")
        brand = row.white_label
        return TenantPage(
            slug=row.slug,
            brand=brand.get("name", self._isp_name),
            primary=brand.get("primary", DEFAULT_PRIMARY),
            on_primary=brand.get("on_primary", WHITE),
            logo_url=brand.get("logo_url"),
            order_state=await self._order_state(db, row.customer_id),
            service_state=await self._service_state(db, row.customer_id),
            spoken=choose_words(HEADINGS, await self._language_of(db, row.customer_id), self._language),
        )

    async def was_withdrawn(self, db: AsyncSession, *, slug: str | None = None, host: str | None = None) -> bool:
        """Whether a page had that name, or that host name of its partner's, until it was withdrawn."""
        named = HostedTenant.slug == slug if slug is not None else HostedTenant.domain == (host or "").lower()
        gone = (
            select(HostedTenant.partner_id, HostedTenant.domain)
            .where(HostedTenant.tenant_id == self._tenant_id, HostedTenant.state == "withdrawn", named)
            .distinct()
        )
        found = (await db.execute(gone)).all()
        if slug is not None:
            return bool(found)
        return any([await self._is_theirs(db, partner_id, domain) for partner_id, domain in found])

    async def _is_theirs(self, db: AsyncSession, partner_id: int | None, domain: str | None) -> bool:
        return domain is not None and await is_proven(db, self._tenant_id, partner_id, domain)

    async def _language_of(self, db: AsyncSession, customer_id: int) -> str | None:
        theirs: str | None = await db.scalar(
            select(Customer.language).where(Customer.tenant_id == self._tenant_id, Customer.id == customer_id)
        )
        return theirs

    async def _order_state(self, db: AsyncSession, customer_id: int) -> OrderState:
        """What moves comes before what has ended, and of that the newest is told; a visit that is booked is the news of
        an order that moves."""
        runs = await list_runs(db, tenant_id=self._tenant_id, journey=INSTALLATION, customer_id=customer_id, limit=1)
        if runs and runs[0].state not in ENDED:
            return "in_progress"
        visit = await db.scalar(
            select(Visit.id)
            .join(Deployment, Deployment.visit_id == Visit.id)
            .where(
                Deployment.tenant_id == self._tenant_id,
                Deployment.customer_id == customer_id,
                Deployment.state == "scheduled",
                Visit.state.in_(LIVE_STATES),
            )
            .limit(1)
        )
        if visit is not None:
            return "scheduled"
        order = await db.scalar(
            select(SalesOrder)
            .where(SalesOrder.tenant_id == self._tenant_id, SalesOrder.customer_id == customer_id)
            .order_by(SalesOrder.id.desc())
            .limit(1)
        )
        if order is not None and (not runs or order.ordered_at > runs[0].created_at or order.state not in ENDED_ORDERS):
            return _ENDED_ORDERS.get(order.state, "in_progress")
        if not runs:
            return "none"
        return "completed" if runs[0].state in CARRIED_OUT else "cancelled"

    async def _service_state(self, db: AsyncSession, customer_id: int) -> ServiceState:
        found = set(await states_of_customer(db, tenant_id=self._tenant_id, customer_id=customer_id))
        found |= await self._states_of_subscriptions(db, customer_id)
        return next((shown for state, shown in _SERVICE_OF if state in found), "none")

    async def _states_of_subscriptions(self, db: AsyncSession, customer_id: int) -> set[State]:
        """What is sold without a line, and so has no subscriber, or waits for the one that it is to have."""
        sold = await db.execute(
            select(Subscription.state, Subscription.plan, Subscription.billing_started_at).where(
                Subscription.tenant_id == self._tenant_id, Subscription.customer_id == customer_id
            )
        )
        found: set[State] = set()
        for state, plan, began_at in sold:
            if state == "pending_installation":
                found.add("pending")
            elif plan is None and state == "active":
                found.add("active")
            elif plan is None and began_at is not None:
                found.add("terminated")
        return found
