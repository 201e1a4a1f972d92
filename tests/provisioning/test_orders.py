"""The door for orders: an acceptance that is in force starts one order; whatever else an event says is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.commercial import LineWish
from provisioning.errors import InvalidRequest
from provisioning.estate import import_estate
from tests.support.appliances import ESTATE, Original
from workflows import EventView, list_events, list_runs, show_run
from workflows.testing import VirtualClock

CUSTOMER = 1001
WAYS = {"order_payment_method": "bank", "order_priority": "high", "order_team": "onboarding", "order_channel": "email"}


ON_SQLITE = pytest.mark.parametrize("migrated", ["sqlite"], indirect=True)
"""What is refused has nothing to do with the database."""


@pytest.fixture
async def appliance(migrated: Original, tmp_path: Path) -> AsyncIterator[Appliance]:
    """An ISP that carries out its orders in its own way."""
    clock = VirtualClock(datetime(2026, 3, 3, 9, 0, tzinfo=UTC))
    async with open_appliance(migrated.copy(tmp_path, **WAYS), clock=clock) as opened:
        await import_estate(opened, ESTATE)
        yield opened


async def sent_quote(appliance: Appliance) -> int:
    async with appliance.database.begin() as db:
        drafted = await appliance.quotes(db).draft(
            customer_id=CUSTOMER, lines=[LineWish(1)], valid_until=appliance.clock() + timedelta(days=30)
        )
        await appliance.quotes(db).send(quote_id=drafted["quote_id"])
    return drafted["quote_id"]


def said(quote_id: int, /, **changes: Any) -> dict[str, Any]:
    """What an acceptance tells; None takes a field out."""
    data = {
        "quote_id": quote_id,
        "customer_id": CUSTOMER,
        "accepted_by": "Ada",
        "accepted_at": "2026-03-03T09:00:00+00:00",
        "acceptance": 1,
    }
    return {name: value for name, value in (data | changes).items() if value is not None}


async def told(appliance: Appliance, data: Any, key: str = "api/1") -> EventView:
    """What becomes of an acceptance that another system tells."""
    async with appliance.database.begin() as db:
        await appliance.events.publish(db, "quote.accepted", subject="quote", data=data, key=key, by="api")
    await appliance.events.take_up(appliance.database.begin)
    async with appliance.database.begin() as db:
        return (await list_events(db, tenant_id=appliance.tenant_id))[0]


async def test_an_acceptance_starts_one_order_in_the_isps_own_way(appliance: Appliance) -> None:
    quote_id = await sent_quote(appliance)
    async with appliance.database.begin() as db:
        await appliance.quote_desk(db).accept(quote_id=quote_id, accepted_by="Ada", by="desk")
    await appliance.events.take_up(appliance.database.begin)
    async with appliance.database.begin() as db:
        [event] = await list_events(db, tenant_id=appliance.tenant_id)
        assert (event.state, event.key) == ("started", f"quote/{quote_id}/accepted")
        assert event.run_id is not None
        run = await show_run(db, event.run_id, tenant_id=appliance.tenant_id, definitions=appliance.definitions)
    assert (run.summary.business_key, run.summary.customer_id) == (f"quote/{quote_id}/accepted", CUSTOMER)
    ways = {"payment_method": "bank", "priority": "high", "team": "onboarding", "channel": "email"}
    assert run.input == said(quote_id, accepted_at="2026-03-03T09:00:00Z", **ways) | {
        "scheduled_date": None,
        "installation_address": None,
    }

    same = await told(appliance, said(quote_id), "api/1")
    assert (same.state, same.run_id) == ("started", event.run_id)
    other = await told(appliance, said(quote_id, payment_method="card"), "api/2")
    assert (other.state, other.run_id) == ("refused", None)
    assert f"already started run {event.run_id} with other input" in str(other.reason)


@ON_SQLITE
async def test_a_yes_that_only_its_event_brings_is_kept_with_the_start_of_its_order(
    appliance: Appliance,
) -> None:
    quote_id = await sent_quote(appliance)
    event = await told(appliance, said(quote_id, payment_method="cash", scheduled_date="2026-03-09"))
    assert event.state == "started"
    async with appliance.database.begin() as db:
        quote = await appliance.quotes(db).quote(quote_id)
        # The customer's own yes comes afterwards: it is the same acceptance, and no second event.
        await appliance.quote_desk(db).accept(quote_id=quote_id, accepted_by="Eve", by="link")
    assert (quote["state"], quote["accepted_by"]) == ("accepted", "Ada")


@ON_SQLITE
async def test_an_event_that_does_not_fit_its_quote_starts_nothing(appliance: Appliance) -> None:
    assert await sent_quote(appliance) == 1
    misfits: list[tuple[Any, str]] = [
        (said(99), "There is no quote 99."),
        (said(1, customer_id=7), "Quote 1 is not customer 7's."),
        (said(1, acceptance=2), "Quote 1 stands at its acceptance 1, and this is its acceptance 2"),
        (said(1, accepted_by=None, quote_id="1"), "accepted_by is missing"),
        (said(1, priority="yesterday"), "priority should be 'low', 'normal', 'high' or 'urgent'"),
        (said(1, team=""), "team is ''"),
        (said(1, discount=10), "discount is not known here"),
        (said(1, scheduled_date="2026-03-02"), "scheduled_date is over already"),
        (said(1, scheduled_date="soon"), "scheduled_date is neither a day, such as 2026-03-02, nor a moment"),
        (said(1, scheduled_date=1772486040), "scheduled_date is neither a day, such as 2026-03-02, nor a moment"),
        (said(1, scheduled_date="0900-01-01"), "scheduled_date is in the year 900, not in 1970 to 2199"),
        (["quote", 1], "is no JSON object"),
    ]
    for number, (data, reason) in enumerate(misfits):
        event = await told(appliance, data, f"api/{number}")
        assert (event.state, event.run_id) == ("refused", None)
        assert reason in str(event.reason)
    await _nothing_was_started(appliance, "sent")


@ON_SQLITE
async def test_all_that_does_not_fit_is_named_at_once(appliance: Appliance) -> None:
    assert await sent_quote(appliance) == 1
    data = said(
        1, customer_id=7, accepted_by="", priority="yesterday", scheduled_date="2026-03-02", team="field", tea=1
    )
    event = await told(appliance, data)
    assert event.reason == (
        "The acceptance was refused, nothing was written: priority should be 'low', 'normal', 'high' or 'urgent'; "
        "accepted_by is blank; tea is not known here; customer_id Quote 1 is not customer 7's; scheduled_date is over "
        "already; team There is no team field; there are: deployment, dispatch, noc, onboarding. Teams stand in the "
        "estate file."
    )
    await _nothing_was_started(appliance, "sent")


@ON_SQLITE
async def test_a_yes_for_a_day_that_is_over_is_none_and_one_that_was_given_stays_one(appliance: Appliance) -> None:
    quote_id = await sent_quote(appliance)
    for day, fault in (("2026-03-02", "is over already"), ("2028-03-04", "lies more than two years ahead")):
        with pytest.raises(InvalidRequest) as refused:
            await _accept(appliance, quote_id, by="", scheduled_date=day)
        found = [(fault.field, fault.reason) for fault in refused.value.faults]
        assert found == [("accepted_by", "is missing"), ("scheduled_date", fault)]
    await _nothing_was_started(appliance, "sent")
    first = await _accept(appliance, quote_id, by="Ada", scheduled_date="2026-03-03")
    assert isinstance(appliance.clock, VirtualClock)
    appliance.clock.advance(timedelta(days=1))
    assert await _accept(appliance, quote_id, by="Ada", scheduled_date="2026-03-03") == first
    await appliance.events.take_up(appliance.database.begin)  # by a worker that was down meanwhile
    async with appliance.database.read() as db:
        [event] = await list_events(db, tenant_id=appliance.tenant_id)
    assert (event.state, event.reason) == ("started", None)


async def _accept(appliance: Appliance, quote_id: int, *, by: str, **wishes: Any) -> Any:
    async with appliance.database.begin() as db:
        desk = appliance.quote_desk(db)
        accepted, _ = await desk.accept(quote_id=quote_id, accepted_by=by, by="desk", wishes=wishes)
    return accepted


@ON_SQLITE
async def test_a_quote_that_is_over_is_refused_with_the_reason(appliance: Appliance) -> None:
    quote_id = await sent_quote(appliance)
    clock = appliance.clock
    assert isinstance(clock, VirtualClock)
    clock.advance(timedelta(days=31))
    event = await told(appliance, said(quote_id))
    assert (event.state, event.reason) == (
        "refused",
        "Quote 1 was valid until 2026-04-02 09:00 UTC and can't be accepted any more; send the customer a new one.",
    )
    async with appliance.database.begin() as db:
        await appliance.quotes(db).withdraw(quote_id=quote_id, reason="typo")
    event = await told(appliance, said(quote_id), "api/2")
    assert (event.state, event.reason) == ("refused", "Quote 1 is withdrawn (typo) and can't be accepted.")
    await _nothing_was_started(appliance, "withdrawn")


@ON_SQLITE
async def test_a_renewal_makes_no_order(appliance: Appliance) -> None:
    async with appliance.database.begin() as db:
        services = appliance.services(db)
        sold = await services.billing_service.create_subscription(
            customer_id=CUSTOMER, plan_id=1, tenant_id=appliance.tenant_id
        )
        active = await services.billing_service.activate_service(customer_id=CUSTOMER, service_id=1, plan=sold["plan"])
        offered = await services.crm_service.create_renewal_quote(
            customer_id=CUSTOMER, subscription_id=active["subscription_id"], renewal_term=12
        )
    event = await told(appliance, said(offered["quote_id"]))
    assert event.state == "refused"
    assert event.reason == f"Quote 1 renews subscription {active['subscription_id']} and makes no order."
    await _nothing_was_started(appliance, "sent")


async def _nothing_was_started(appliance: Appliance, quote_state: str) -> None:
    async with appliance.database.begin() as db:
        assert await list_runs(db, tenant_id=appliance.tenant_id) == []
        assert (await appliance.quotes(db).quote(1))["state"] == quote_state


@ON_SQLITE
async def test_without_the_team_that_is_told_of_orders_nothing_is_accepted_and_nothing_ordered(
    migrated: Original, tmp_path: Path
) -> None:
    async with open_appliance(migrated.copy(tmp_path, order_team="field")) as appliance:
        await import_estate(appliance, ESTATE)
        quote_id = await sent_quote(appliance)
        for wishes, field in (({}, "FIRSTLIGHT_ORDER_TEAM"), ({"team": "noc", "channel": "pager"}, "team")):
            with pytest.raises(InvalidRequest) as refused:
                async with appliance.database.begin() as db:
                    desk = appliance.quote_desk(db)
                    await desk.accept(quote_id=quote_id, accepted_by="Ada", by="desk", wishes=wishes)
            assert [fault.field for fault in refused.value.faults] == [field]
        event = await told(appliance, said(quote_id))
        assert (event.state, event.run_id) == ("refused", None)
        assert "FIRSTLIGHT_ORDER_TEAM There is no team field; there are: deployment, dispatch, noc" in str(event.reason)
        await _nothing_was_started(appliance, "sent")
