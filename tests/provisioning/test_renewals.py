"""The door for terms that end soon: what is not so of a subscription starts nothing, and stands in nobody's way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.commercial.selling.selling_tables import Offer
from provisioning.commercial.tables import Subscription
from tests.support.healthy_estate import HealthyEstate
from workflows import EventView, list_events, list_runs
from workflows.engine.tables import RunRow

ENDS_ON = "2026-06-30"
RENEWAL = "customer_renewal_process"


@pytest.fixture
async def appliance(sqlite_estate: HealthyEstate, tmp_path: Path) -> AsyncIterator[Appliance]:
    """Customer 1001 has subscription 1, paid for a quarter at a time, whose term ends soon."""
    now = datetime(2026, 6, 1, 9, tzinfo=UTC)
    async with open_appliance(sqlite_estate.copy(tmp_path), clock=lambda: now) as opened:
        term = {"starts_on": date(2025, 6, 30), "ends_on": date(2026, 6, 30), "anchor_day": 30, "term_months": 12}
        sold = {"offer_id": 1, "title": "Fibre 300", "price_minor": 3990, "currency": "EUR"}
        async with opened.database.begin() as db:
            await db.execute(update(Subscription).where(Subscription.id == 1).values(**term, **sold))
            await db.execute(update(Offer).where(Offer.id == 1).values(billing_period_months=3))
        yield opened


def said(**changes: Any) -> dict[str, Any]:
    """What the sweep tells of it."""
    return {"subscription_id": 1, "customer_id": 1001, "ends_on": ENDS_ON, "renewal_term_months": 12, **changes}


async def told(appliance: Appliance, data: Any, key: str) -> EventView:
    """What becomes of it when another system tells it."""
    async with appliance.database.begin() as db:
        await appliance.events.publish(db, "subscription.expiring", subject="s", data=data, key=key, by="api")
    await appliance.events.take_up(appliance.database.begin)
    async with appliance.database.read() as db:
        return (await list_events(db, tenant_id=appliance.tenant_id))[0]


async def keys(appliance: Appliance) -> list[str]:
    async with appliance.database.read() as db:
        return [run.business_key for run in await list_runs(db, tenant_id=appliance.tenant_id, journey=RENEWAL)]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (said(subscription_id=99), "subscription_id There is no subscription 99"),
        (said(customer_id=1002), "customer_id is 1002, and subscription 1 is customer 1001's"),
        (said(ends_on="2026-07-30"), "ends_on is 2026-07-30, and subscription 1 ends on 2026-06-30"),
        (said(renewal_term_months=7), "renewal_term_months is 7, and subscription 1 is paid for 3 months at a time"),
        (said(number=77), "number is 77, and of this end renewal 1 is due"),
        (["subscription", 1], "renewal should be a valid dictionary or instance of ExpiringSubscription"),
        (
            {"subscription_id": 1, "customer_id": 1002, "ends_on": "30 June", "renewal_term_months": 7, "tea": 1},
            "ends_on is not a day such as 2026-03-31; tea is not known here; customer_id is"
            " 1002, and subscription 1 is customer 1001's; renewal_term_months is 7, and subscription 1 is paid for 3"
            " months at a time",
        ),
    ],
)
async def test_what_is_not_so_starts_nothing_and_leaves_the_end_to_the_sweep(
    appliance: Appliance, wrong: Any, reason: str
) -> None:
    event = await told(appliance, wrong, "told/1")
    assert (event.state, event.run_id) == ("refused", None)
    assert event.reason == f"The renewal was refused, nothing was written: {reason}."
    assert await keys(appliance) == []
    await appliance.announce_expiring()
    await appliance.events.take_up(appliance.database.begin)
    assert await keys(appliance) == [f"subscription/1/ends/{ENDS_ON}"]


async def test_the_same_end_is_one_renewal_whoever_tells_of_it_and_when(appliance: Appliance) -> None:
    first = await told(appliance, said(), "told/1")
    async with appliance.database.begin() as db:  # it is extended meanwhile
        await db.execute(update(Subscription).where(Subscription.id == 1).values(ends_on=date(2027, 6, 30)))
    again = await told(appliance, said(), "told/2")
    assert (again.state, again.run_id) == ("started", first.run_id)
    other = await told(appliance, said(renewal_term_months=3), "told/3")
    assert (other.state, other.run_id) == ("refused", None)
    assert f"already started run {first.run_id} with other input" in str(other.reason)


async def test_what_came_to_nothing_has_a_next_number(appliance: Appliance) -> None:
    await told(appliance, said(), "told/1")
    async with appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.journey == RENEWAL).values(state="cancelled"))
    early = await told(appliance, said(number=3), "told/2")
    assert "number is 3, and of this end renewal 2 is due" in str(early.reason)
    assert (await told(appliance, said(number=2), "told/3")).state == "started"
    assert await keys(appliance) == [f"subscription/1/ends/{ENDS_ON}/2", f"subscription/1/ends/{ENDS_ON}"]
