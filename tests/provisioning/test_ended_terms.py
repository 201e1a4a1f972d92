"""The sweep over terms that are over: what has no line ends as of its last day, what has one is told to end, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.commercial.bills.subscriptions import SubscriptionView, show_subscription
from provisioning.commercial.bills.term_ends import SubscriptionEnds
from provisioning.commercial.errors import SubscriptionInstalled
from provisioning.commercial.selling.selling_tables import Quote
from provisioning.commercial.tables import Subscription
from provisioning.errors import InvalidRequest
from tests.support.healthy_estate import HealthyEstate
from workflows import list_events, list_runs
from workflows.engine.tables import RunRow

INSTALLED, HOSTED_OFFER = 1, 2
ENDS_ON = date(2026, 6, 30)


class Calendar:
    now = datetime(2026, 6, 30, 23, 59, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def calendar() -> Calendar:
    return Calendar()


@pytest.fixture
async def appliance(estate: HealthyEstate, tmp_path: Path, calendar: Calendar) -> AsyncIterator[Appliance]:
    async with open_appliance(estate.copy(tmp_path), clock=calendar) as opened:
        yield opened


async def with_term(appliance: Appliance, subscription_id: int, **facts: Any) -> None:
    term = {"starts_on": date(2025, 6, 30), "ends_on": ENDS_ON, "anchor_day": 30, "term_months": 12}
    async with appliance.database.begin() as db:
        await db.execute(update(Subscription).where(Subscription.id == subscription_id).values(**term | facts))


async def hosted(appliance: Appliance, **term: Any) -> int:
    """A subscription that needs no line and ends at that day."""
    async with appliance.database.begin() as db:
        sold = await appliance.services(db).billing_service.create_subscription(
            customer_id=1001, plan_id=HOSTED_OFFER, tenant_id=appliance.tenant_id
        )
    started = datetime(2025, 6, 30, 8, tzinfo=UTC)
    await with_term(appliance, sold["subscription_id"], billing_started_at=started, **term)
    return sold["subscription_id"]


async def shown(appliance: Appliance, subscription_id: int) -> SubscriptionView:
    async with appliance.database.read() as db:
        return await show_subscription(db, subscription_id, tenant_id=appliance.tenant_id)


async def end(appliance: Appliance, subscription_id: int, **wish: Any) -> SubscriptionView:
    async with appliance.database.begin() as db:
        ends = SubscriptionEnds(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        return await ends.end(subscription_id=subscription_id, reason="moved away", **wish)


async def test_a_line_whose_term_is_over_is_told_to_end_once(appliance: Appliance, calendar: Calendar) -> None:
    await with_term(appliance, INSTALLED)
    assert await appliance.end_terms() == 0, "the offer to go on can be accepted until this day is over"
    calendar.now += timedelta(minutes=1)
    assert [await appliance.end_terms() for _ in range(2)] == [1, 0]
    await appliance.events.take_up(appliance.database.begin)
    async with appliance.database.read() as db:
        told = await list_events(db, tenant_id=appliance.tenant_id, event_type="service.termination_requested")
        [run] = await list_runs(db, tenant_id=appliance.tenant_id, journey="service_termination")
    assert [(event.key, event.state, event.run_id) for event in told] == [
        ("subscription/1/ends/2026-06-30/over", "started", run.id)
    ]
    assert told[0].data == {
        "username": "c1001-s1@isp.example",
        "at_once": True,
        "reason": "its term was over on 2026-06-29 and not renewed",
    }
    assert (await shown(appliance, INSTALLED)).state == "active", "the journey ends the bill with the service"


@pytest.mark.parametrize(
    ("time_zone", "midnight"),
    [
        ("Pacific/Auckland", datetime(2026, 6, 30, 12, tzinfo=UTC)),
        ("America/Los_Angeles", datetime(2026, 7, 1, 7, tzinfo=UTC)),
    ],
)
async def test_terms_begin_end_and_are_offered_anew_by_the_days_of_the_isp(
    sqlite_estate: HealthyEstate, tmp_path: Path, calendar: Calendar, time_zone: str, midnight: datetime
) -> None:
    """``midnight``: at which 30 June is over there."""
    settings = sqlite_estate.copy(tmp_path, time_zone=time_zone)
    calendar.now = midnight - timedelta(seconds=1)
    async with open_appliance(settings, clock=calendar) as appliance:
        over, next_year = await hosted(appliance), date(2027, 6, 30)
        still_june = await hosted(appliance, starts_on=date(2026, 6, 30), ends_on=next_year)
        async with appliance.database.begin() as db:
            sold = await appliance.services(db).billing_service.create_subscription(
                customer_id=1001, plan_id=HOSTED_OFFER, tenant_id=appliance.tenant_id
            )
            offered = await appliance.services(db).crm_service.create_renewal_quote(
                customer_id=1001, subscription_id=over, renewal_term=12
            )
        assert (sold["starts_on"], offered["valid_until"]) == (date(2026, 6, 30), midnight)
        assert await appliance.end_terms() == 0

        calendar.now = midnight
        async with appliance.database.begin() as db:
            ends = SubscriptionEnds(db, tenant_id=appliance.tenant_id, now=calendar, zone=appliance.zone)
            with pytest.raises(InvalidRequest, match="ends_on is over: today is 2026-07-01"):
                await ends.end(subscription_id=still_june, reason="moves away", ends_on=date(2026, 6, 30))
            sold = await appliance.services(db).billing_service.create_subscription(
                customer_id=1001, plan_id=HOSTED_OFFER, tenant_id=appliance.tenant_id
            )
        assert sold["starts_on"] == date(2026, 7, 1)
        assert await appliance.end_terms() == 1
        ended = await shown(appliance, over)
    assert (ended.state, ended.billing_stopped_at) == ("cancelled", midnight - timedelta(days=1))


async def test_a_line_that_is_to_end_anyway_is_not_told(appliance: Appliance, calendar: Calendar) -> None:
    await with_term(appliance, INSTALLED)
    wish = {"username": "c1001-s1@isp.example", "ends_on": "2026-07-05", "reason": "moves away"}
    async with appliance.database.begin() as db:
        await appliance.termination_desk(db).accept(wish, by="nora")
    calendar.now += timedelta(days=2)
    assert await appliance.end_terms() == 0


async def test_without_the_team_for_what_is_left_nothing_is_told_and_the_next_sweep_tries_again(
    sqlite_estate: HealthyEstate, tmp_path: Path, calendar: Calendar
) -> None:
    settings = sqlite_estate.copy(tmp_path)
    calendar.now += timedelta(days=1)
    async with open_appliance(settings.model_copy(update={"termination_team": "field"}), clock=calendar) as appliance:
        await with_term(appliance, INSTALLED)
        with pytest.raises(ExceptionGroup) as failed:
            await appliance.end_terms()
        assert "FIRSTLIGHT_TERMINATION_TEAM" in str(failed.value.exceptions[0])
    async with open_appliance(settings, clock=calendar) as appliance:
        assert await appliance.end_terms() == 1


async def test_an_accepted_renewal_that_is_being_paid_keeps_it(appliance: Appliance, calendar: Calendar) -> None:
    number = await hosted(appliance)
    data = {"subscription_id": number, "customer_id": 1001, "ends_on": "2026-06-30", "renewal_term_months": 12}
    async with appliance.database.begin() as db:
        run_id, _ = await appliance.runs.start(db, "customer_renewal_process", data, by="clock")
        crm = appliance.services(db).crm_service
        quote = await crm.create_renewal_quote(customer_id=1001, subscription_id=number, renewal_term=12)
        await crm.accept_quote(quote_id=quote["quote_id"], accepted_by="Ada")
    calendar.now += timedelta(days=3)
    assert await appliance.end_terms() == 0
    async with appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id == run_id).values(state="cancelled"))
        assert await db.scalar(select(Quote.state).where(Quote.id == quote["quote_id"])) == "accepted"
    assert await appliance.end_terms() == 1, "nobody goes on with it"
    over = await shown(appliance, number)
    assert (over.state, over.billing_stopped_at) == ("cancelled", datetime(2026, 6, 30, tzinfo=UTC))


async def test_a_hosted_subscription_ends_after_the_day_that_was_given(
    appliance: Appliance, calendar: Calendar
) -> None:
    calendar.now = datetime(2026, 5, 1, 9, tzinfo=UTC)
    number, other = await hosted(appliance), await hosted(appliance)
    planned = await end(appliance, number, ends_on=date(2026, 5, 20))
    assert (planned.state, planned.to_end_on, planned.to_end_because) == ("active", date(2026, 5, 20), "moved away")
    calendar.now = datetime(2026, 5, 20, 23, 59, tzinfo=UTC)
    assert await appliance.end_terms() == 0
    calendar.now += timedelta(hours=8)
    assert await appliance.end_terms() == 1
    over = await shown(appliance, number)
    assert (over.state, over.billing_stopped_at, over.stop_reason) == (
        "cancelled",
        datetime(2026, 5, 21, tzinfo=UTC),
        "moved away",
    )
    assert await end(appliance, number, at_once=True) == over
    at_once = await end(appliance, other, at_once=True)
    assert (at_once.state, at_once.billing_stopped_at) == ("cancelled", calendar.now)


@pytest.mark.parametrize(
    ("wish", "fault"),
    [
        ({}, "is needed, unless the subscription is to end at once"),
        ({"at_once": True, "ends_on": date(2026, 6, 30)}, "can't be given for a subscription that is to end at once"),
        ({"ends_on": date(2026, 6, 29)}, "is over: today is 2026-06-30"),
        ({"ends_on": date(2026, 6, 30)}, "lies after the last day of its term, 2026-06-29"),
    ],
)
async def test_an_end_that_cannot_be_is_refused(
    sqlite_estate: HealthyEstate, tmp_path: Path, calendar: Calendar, wish: dict[str, Any], fault: str
) -> None:
    async with open_appliance(sqlite_estate.copy(tmp_path), clock=calendar) as appliance:
        number = await hosted(appliance)
        with pytest.raises(InvalidRequest) as refused:
            await end(appliance, number, **wish)
        assert [(each.field, each.reason) for each in refused.value.faults] == [("ends_on", fault)]
        with pytest.raises(SubscriptionInstalled):
            await end(appliance, INSTALLED, at_once=True)
