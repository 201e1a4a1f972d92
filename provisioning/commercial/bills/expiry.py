"""Which terms come to their end: told once for each end, and anew where the reason that spoke against it has passed.

``ends_on`` is the first day that is not paid for.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.bills.renewals import Renewals
from provisioning.commercial.publishing import PublishEvent
from provisioning.commercial.selling.sales_records import SalesRecords
from provisioning.commercial.selling.selling_tables import Quote
from provisioning.commercial.tables import Subscription, SubscriptionExtension
from provisioning.days import UTC_DAYS, day_of
from workflows import ENDED, EventConflict, RunState, RunSummary, list_runs
from workflows.definitions.renewal import key_of_end

EXPIRING = "subscription.expiring"
RENEWAL = "customer_renewal_process"
SWEEP_SIZE = 200
LOOK_AGAIN_AFTER = timedelta(days=1)

log = structlog.get_logger(__name__)


async def announce_expiring(
    db: AsyncSession,
    *,
    tenant_id: str,
    until: date,
    now: datetime,
    publish: PublishEvent,
    by: str,
    zone: ZoneInfo = UTC_DAYS,
) -> int:
    """Publishes ``subscription.expiring`` once for each subscription and end that comes by ``until``, and once more
    (a day later at the earliest) where the renewal was undone, or rejected before anything was offered, and is possible
    now. Returns how many were looked at: call it until it is 0.

    The event and the note that it was published are one commit, so a sweep that dies tells nobody twice.
    """
    rows = await _expiring(db, tenant_id, until, now, day_of(now, zone))
    for row in rows:
        assert row.ends_on is not None, "a subscription without an end doesn't expire"
        if row.expiry_told_for != row.ends_on:
            await _tell(db, row, row.ends_on, 1, publish, by)
        elif await _is_possible_now(db, row, row.ends_on, now, zone):
            await _tell(db, row, row.ends_on, (row.expiry_round or 1) + 1, publish, by)
        row.expiry_looked_at = now
    await db.flush()  # the next question in this transaction must not find them again
    return len(rows)


async def _expiring(db: AsyncSession, tenant_id: str, until: date, now: datetime, today: date) -> list[Subscription]:
    """Running subscriptions that end by ``until`` and are to be looked at, locked.

    One whose last paid period is yet to begin was renewed a moment ago, and is left alone until that begins.
    """
    renewed_already = exists().where(
        SubscriptionExtension.subscription_id == Subscription.id,
        SubscriptionExtension.withdrawn_at.is_(None),
        SubscriptionExtension.extended_from > today,
    )
    found = await db.scalars(
        select(Subscription)
        .where(
            Subscription.tenant_id == tenant_id,
            Subscription.state == "active",
            Subscription.ends_on <= until,
            or_(_is_untold(), _is_worth_a_look(now, today)),
            ~renewed_already,
        )
        .order_by(Subscription.ends_on, Subscription.id)
        .limit(SWEEP_SIZE)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(found)


def _is_untold() -> ColumnElement[bool]:
    return or_(Subscription.expiry_told_for.is_(None), Subscription.expiry_told_for != Subscription.ends_on)


def _is_worth_a_look(now: datetime, today: date) -> ColumnElement[bool]:
    """Its end is still ahead, and was last looked at a day ago."""
    looked_at = Subscription.expiry_looked_at
    return and_(Subscription.ends_on > today, or_(looked_at.is_(None), looked_at <= now - LOOK_AGAIN_AFTER))


async def _tell(
    db: AsyncSession, row: Subscription, ends_on: date, number: int, publish: PublishEvent, by: str
) -> None:
    """One that was told of with other words must not stop the others: it counts as told, and the log says so."""
    data = {
        "subscription_id": row.id,
        "customer_id": row.customer_id,
        "ends_on": ends_on.isoformat(),
        "renewal_term_months": row.term_months,
        **({"number": number} if number > 1 else {}),
    }
    try:
        async with db.begin_nested():
            await publish(db, EXPIRING, f"subscription/{row.id}", data, key_of_end(row.id, ends_on, number), by)
    except EventConflict as conflict:
        log.warning("an end was told of with other words", subscription_id=row.id, reason=str(conflict))
    row.expiry_told_for, row.expiry_round = ends_on, number


async def _is_possible_now(db: AsyncSession, row: Subscription, ends_on: date, now: datetime, zone: ZoneInfo) -> bool:
    """The last renewal of this end has come to nothing, nobody decided so, and what was in its way is gone."""
    run = await _last_run(db, row, ends_on)
    if run is None or run.state not in (RunState.REJECTED, RunState.CANCELLED, RunState.FAILED):
        return False
    if run.state == RunState.REJECTED and await _was_offered(db, row, ends_on, run.created_at):
        return False  # it was the customer's to accept, or somebody took the offer back
    sales = SalesRecords(db, tenant_id=row.tenant_id)
    renewals = Renewals(db, tenant_id=row.tenant_id, now=lambda: now, sales=sales, zone=zone)
    return (await renewals.check(customer_id=row.customer_id, subscription_id=row.id))["eligible"]


async def _last_run(db: AsyncSession, row: Subscription, ends_on: date) -> RunSummary | None:
    """The newest first: the last round of this end."""
    runs = await list_runs(db, tenant_id=row.tenant_id, journey=RENEWAL, customer_id=row.customer_id, limit=1000)
    key = key_of_end(row.id, ends_on)
    mine = [run for run in runs if run.business_key == key or run.business_key.startswith(f"{key}/")]
    if any(run.state not in ENDED for run in mine):
        return None
    return mine[0] if mine else None


async def _was_offered(db: AsyncSession, row: Subscription, ends_on: date, since: datetime) -> bool:
    offered = select(Quote.id).where(
        Quote.tenant_id == row.tenant_id,
        Quote.subscription_id == row.id,
        Quote.renews_from == ends_on,
        Quote.drafted_at >= since,
    )
    return await db.scalar(offered.limit(1)) is not None
