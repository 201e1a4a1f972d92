"""What must always be true of the commercial rows, asked of the database itself. An empty answer is the good one.

``firstlight check`` runs these. The constraints should make most of them impossible; a restored backup, a repair by
hand or a dropped index is how they happen all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from provisioning.commercial.mails.communications import message_id_stem
from provisioning.commercial.tables import Customer, Mail, MailAttempt, Subscription
from provisioning.field import LIVE_STATES, Visit
from workflows.services import MailState


@dataclass(frozen=True)
class DoubledMail:
    """One request, several mails."""

    request_id: str
    email_ids: tuple[int, ...]

    @property
    def subject(self) -> str:
        return f"request {self.request_id}"

    @property
    def sentence(self) -> str:
        return f"Request {self.request_id} made {len(self.email_ids)} mails ({_listed(self.email_ids)}) instead of one."


@dataclass(frozen=True)
class MailOfTwoIdentities:
    """A mail that went out, or would, under a Message-ID that isn't its own."""

    email_id: int
    message_ids: tuple[str, ...]

    @property
    def subject(self) -> str:
        return f"mail {self.email_id}"

    @property
    def sentence(self) -> str:
        return (
            f"Mail {self.email_id} carries, or was tried under, a Message-ID that isn't its own"
            f" ({_listed(self.message_ids)}): its recipient can't tell a second copy from a second mail."
        )


@dataclass(frozen=True)
class StuckMail:
    """A mail that is still open long after it was written."""

    email_id: int
    recipient: str
    state: MailState
    queued_at: datetime
    attempts: int

    @property
    def subject(self) -> str:
        return f"mail {self.email_id}"

    @property
    def sentence(self) -> str:
        return (
            f"Mail {self.email_id} to {self.recipient} is {self.state} since {self.queued_at:%Y-%m-%d %H:%M} UTC, after"
            f" {self.attempts} attempt(s)."
        )


@dataclass(frozen=True)
class OverlappingVisits:
    """One technician, two places, one time."""

    technician_id: int
    visit_id: int
    other_visit_id: int

    @property
    def subject(self) -> str:
        return f"technician {self.technician_id}"

    @property
    def sentence(self) -> str:
        return (
            f"Technician {self.technician_id} is booked for visits {self.visit_id} and {self.other_visit_id} at once."
        )


@dataclass(frozen=True)
class DoubledBill:
    """One service, several running bills."""

    service_id: int
    subscription_ids: tuple[int, ...]

    @property
    def subject(self) -> str:
        return f"service {self.service_id}"

    @property
    def sentence(self) -> str:
        bills = _listed(self.subscription_ids)
        return f"Service {self.service_id} is billed {len(self.subscription_ids)} times (subscriptions {bills})."


@dataclass(frozen=True)
class RunningBill:
    """A bill that runs, and for what. ``needs_line``: not for a hosted product alone."""

    subscription_id: int
    service_id: int | None
    customer_id: int
    needs_line: bool = True

    @property
    def subject(self) -> str:
        return f"subscription {self.subscription_id}"


@dataclass(frozen=True)
class BillWithoutCustomer(RunningBill):
    """A bill that nobody will get."""

    @property
    def sentence(self) -> str:
        return f"Subscription {self.subscription_id} bills customer {self.customer_id}, whom nobody has registered."


@dataclass(frozen=True)
class BillWithoutService(RunningBill):
    """Somebody pays for nothing."""

    @property
    def sentence(self) -> str:
        if self.service_id is None:
            return (
                f"Customer {self.customer_id} is billed for a line that nobody has installed"
                f" (subscription {self.subscription_id})."
            )
        return (
            f"Customer {self.customer_id} is billed for service {self.service_id}, which holds nothing in the network"
            f" (subscription {self.subscription_id})."
        )


async def doubled_mails(db: AsyncSession, tenant_id: str) -> list[DoubledMail]:
    """Requests that made more than one mail."""
    doubled = (
        select(Mail.request_id).where(Mail.tenant_id == tenant_id).group_by(Mail.request_id).having(func.count() > 1)
    )
    rows = await _rows(
        db,
        select(Mail.request_id, Mail.id)
        .where(Mail.tenant_id == tenant_id, Mail.request_id.in_(doubled))
        .order_by(Mail.request_id, Mail.id),
    )
    return [DoubledMail(request_id, ids) for request_id, ids in _grouped(rows).items()]


async def mails_of_two_identities(db: AsyncSession, tenant_id: str) -> list[MailOfTwoIdentities]:
    """Mails whose Message-ID isn't the one their request gives, or that were tried under another one."""
    mails = await _rows(db, select(Mail.id, Mail.request_id, Mail.message_id).where(Mail.tenant_id == tenant_id))
    strange_attempts = await _rows(
        db,
        select(MailAttempt.mail_id, MailAttempt.message_id)
        .join(Mail, Mail.id == MailAttempt.mail_id)
        .where(Mail.tenant_id == tenant_id, MailAttempt.message_id != Mail.message_id)
        .order_by(MailAttempt.mail_id, MailAttempt.number),
    )
    tried_as = _grouped(strange_attempts)
    return [
        MailOfTwoIdentities(email_id, (message_id, *dict.fromkeys(tried_as.get(email_id, ()))))
        for email_id, request_id, message_id in mails
        if email_id in tried_as or not message_id.startswith(f"<{message_id_stem(tenant_id, request_id)}@")
    ]


async def stuck_mails(db: AsyncSession, tenant_id: str, *, queued_before: datetime) -> list[StuckMail]:
    """Mails queued before that time and not sent, refused or withdrawn since."""
    rows = await _rows(
        db,
        select(Mail.id, Mail.recipient, Mail.state, Mail.queued_at, Mail.attempts)
        .where(
            Mail.tenant_id == tenant_id,
            Mail.state.in_(("queued", "unknown")),
            Mail.queued_at < queued_before,
        )
        .order_by(Mail.queued_at, Mail.id),
    )
    return [StuckMail(*row) for row in rows]


async def overlapping_visits(db: AsyncSession, tenant_id: str) -> list[OverlappingVisits]:
    """Pairs of visits that want the same technician at the same time."""
    other = aliased(Visit)
    rows = await _rows(
        db,
        select(Visit.technician_id, Visit.id, other.id)
        .join(other, (other.tenant_id == Visit.tenant_id) & (other.technician_id == Visit.technician_id))
        .where(
            Visit.tenant_id == tenant_id,
            Visit.id < other.id,
            Visit.state.in_(LIVE_STATES),
            other.state.in_(LIVE_STATES),
            func.coalesce(Visit.held_from, Visit.starts_at) < func.coalesce(other.held_to, other.ends_at),
            func.coalesce(other.held_from, other.starts_at) < func.coalesce(Visit.held_to, Visit.ends_at),
        )
        .order_by(Visit.id, other.id),
    )
    return [OverlappingVisits(*row) for row in rows]


async def doubled_bills(db: AsyncSession, tenant_id: str) -> list[DoubledBill]:
    """Services with more than one running bill."""
    doubled = (
        select(Subscription.service_id)
        .where(
            Subscription.tenant_id == tenant_id, Subscription.state == "active", Subscription.service_id.is_not(None)
        )
        .group_by(Subscription.service_id)
        .having(func.count() > 1)
    )
    rows = await _rows(
        db,
        select(Subscription.service_id, Subscription.id)
        .where(
            Subscription.tenant_id == tenant_id,
            Subscription.state == "active",
            Subscription.service_id.in_(doubled),
        )
        .order_by(Subscription.service_id, Subscription.id),
    )
    return [DoubledBill(service_id, ids) for service_id, ids in _grouped(rows).items()]


async def running_bills(db: AsyncSession, tenant_id: str) -> list[RunningBill]:
    """Every running bill, by service."""
    rows = await _rows(
        db,
        select(
            Subscription.id,
            Subscription.service_id,
            Subscription.customer_id,
            or_(Subscription.offer_id.is_(None), Subscription.plan.is_not(None), Subscription.service_id.is_not(None)),
        )
        .where(Subscription.tenant_id == tenant_id, Subscription.state == "active")
        .order_by(Subscription.service_id, Subscription.id),
    )
    return [RunningBill(*row) for row in rows]


async def bills_without_customer(db: AsyncSession, tenant_id: str) -> list[BillWithoutCustomer]:
    """Running bills whose customer isn't registered."""
    known = set(await db.scalars(select(Customer.id).where(Customer.tenant_id == tenant_id)))
    bills = await running_bills(db, tenant_id)
    return [BillWithoutCustomer(**vars(bill)) for bill in bills if bill.customer_id not in known]


async def bills_without_service(
    db: AsyncSession, tenant_id: str, *, live_service_ids: Collection[int]
) -> list[BillWithoutService]:
    """Running bills for services that are not live, as the network knows them, and for lines that are not there:
    somebody pays for nothing. A hosted product needs no line, and what waits for its installation isn't billed."""
    live = frozenset(live_service_ids)
    bills = await running_bills(db, tenant_id)
    return [BillWithoutService(**vars(bill)) for bill in bills if bill.needs_line and bill.service_id not in live]


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


async def _rows(db: AsyncSession, query: Select[*tuple[Any, ...]]) -> Sequence[Row[*tuple[Any, ...]]]:
    return (await db.execute(query)).all()


def _grouped(rows: Sequence[Row[*tuple[Any, ...]]]) -> dict[Any, tuple[Any, ...]]:
    """Pairs of (key, value) as key -> values, in the rows' order."""
    groups: dict[Any, tuple[Any, ...]] = {}
    for key, value in rows:
        groups[key] = (*groups.get(key, ()), value)
    return groups
