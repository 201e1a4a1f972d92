"""The door for acceptances: the yes and what it sets going are one commit, and a renewal is told to its run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.commercial import LineWish, QuoteAcceptedOtherwise, QuoteNotOpen
from provisioning.errors import InvalidRequest
from provisioning.estate import import_estate
from tests.support.appliances import ESTATE, Original
from workflows import Definition, EventConflict, Interpreter, Runs, list_events
from workflows.engine.step_kit import wait_for
from workflows.engine.tables import RunRow
from workflows.testing import InlineDispatch, VirtualClock

CUSTOMER = 1001


class Told(TypedDict):
    quote_id: int
    customer_id: int
    accepted_by: str
    accepted_at: str
    acceptance: int


class Waiting(TypedDict):
    quote_id: int


heard = wait_for(
    "heard",
    signal="quote_accepted",
    payload=Told,
    says="waiting for the customer",
    subject=lambda run: str(run.input["quote_id"]),
)
RENEWAL = Definition(
    name="wait_for_acceptance",
    version=1,
    input=Waiting,
    steps=(heard,),
    key=lambda data: f"quote/{data['quote_id']}",
    customer_id=lambda _data: CUSTOMER,
)


@pytest.fixture
async def appliance(migrated: Original, tmp_path: Path) -> AsyncIterator[Appliance]:
    """An ISP whose events are seen, with a journey that waits for an acceptance."""
    clock = VirtualClock(datetime(2026, 3, 3, 9, 0, tzinfo=UTC))
    async with open_appliance(migrated.copy(tmp_path), clock=clock) as opened:
        await import_estate(opened, ESTATE)
        opened.runs = Runs(
            definitions={("wait_for_acceptance", 1): RENEWAL},
            doorbell=InlineDispatch.doorbell,
            clock=clock,
            tenant_id=opened.tenant_id,
        )
        yield opened


@pytest.fixture
def events(appliance: Appliance, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, dict[str, Any], str, str]]:
    seen: list[tuple[str, str, dict[str, Any], str, str]] = []

    async def publish(db: AsyncSession, type_: str, subject: str, data: Mapping[str, Any], key: str, by: str) -> None:
        assert db.in_transaction()
        seen.append((type_, subject, dict(data), key, by))

    monkeypatch.setattr(appliance, "publish", publish)
    return seen


async def sent_quote(appliance: Appliance) -> int:
    async with appliance.database.begin() as db:
        quotes = appliance.quotes(db)
        drafted = await quotes.draft(
            customer_id=CUSTOMER, lines=[LineWish(1)], valid_until=appliance.clock() + timedelta(days=30)
        )
        await quotes.send(quote_id=drafted["quote_id"])
    return drafted["quote_id"]


async def accept(appliance: Appliance, quote_id: int, accepted_by: str = "Ada") -> list[int]:
    async with appliance.database.begin() as db:
        accepted, told = await appliance.quote_desk(db).accept(quote_id=quote_id, accepted_by=accepted_by, by="link")
    assert accepted["accepted_by"] == "Ada"
    return told


async def test_an_acceptance_publishes_its_event_under_one_key(
    appliance: Appliance, events: list[tuple[str, str, dict[str, Any], str, str]]
) -> None:
    quote_id = await sent_quote(appliance)
    data = {
        "quote_id": quote_id,
        "customer_id": CUSTOMER,
        "accepted_by": "Ada",
        "accepted_at": appliance.clock().isoformat(),
        "acceptance": 1,
    }
    assert await accept(appliance, quote_id) == []
    assert await accept(appliance, quote_id, "Eve") == []
    event = ("quote.accepted", f"quote/{quote_id}", data, f"quote/{quote_id}/accepted", "link")
    assert events == [event, event], "the same key is the same event, whoever publishes it again"


async def test_what_is_wished_goes_with_the_event_and_is_refused_with_every_fault(
    appliance: Appliance, events: list[tuple[str, str, dict[str, Any], str, str]]
) -> None:
    quote_id = await sent_quote(appliance)
    said = {"payment_method": "bank", "scheduled_date": "2026-03-09", "installation_address": "Lindenweg 4"}
    nonsense = {"payment_method": "gold", "scheduled_date": "soon", "priority": "", "team": "dispatch"}
    async with appliance.database.begin() as db:
        desk = appliance.quote_desk(db)
        with pytest.raises(InvalidRequest) as refused:
            await desk.accept(quote_id=quote_id, accepted_by="Ada", by="link", wishes=nonsense)
        assert {fault.field.partition(".")[0] for fault in refused.value.faults} == {
            "payment_method",
            "scheduled_date",
            "priority",
        }
        with pytest.raises(InvalidRequest, match="a team is told by a channel: name both, or neither"):
            await desk.accept(quote_id=quote_id, accepted_by="Ada", by="link", wishes={"team": "dispatch"})
    assert events == []
    async with appliance.database.begin() as db:
        await appliance.quote_desk(db).accept(quote_id=quote_id, accepted_by="Ada", by="link", wishes=said)
    [(_, _, data, _, _)] = events
    assert {name: data[name] for name in said} == said


async def test_a_yes_that_wishes_otherwise_is_refused_with_the_command_that_changes_it(appliance: Appliance) -> None:
    quote_id = await sent_quote(appliance)
    wishes = {"payment_method": "invoice", "priority": "high"}
    async with appliance.database.begin() as db:
        await appliance.quote_desk(db).accept(quote_id=quote_id, accepted_by="Ada", by="link", wishes=wishes)
    with pytest.raises(QuoteAcceptedOtherwise) as refusal:
        async with appliance.database.begin() as db:
            other = {**wishes, "payment_method": "card"}
            await appliance.quote_desk(db).accept(quote_id=quote_id, accepted_by="Ada", by="link", wishes=other)
    assert str(refusal.value) == (
        f"Quote {quote_id} is accepted already (payment_method is invoice, not card). Its order, once it is made, "
        "follows it; change how it is paid with `firstlight orders pay-by ORDER card`."
    )
    assert QuoteAcceptedOtherwise(7, {"priority": "high"}, {}, 5).args == (
        "Quote 7 is accepted already (priority is not said, not high). Order 5 follows it.",
    )


@pytest.mark.parametrize(
    "told", [{}, {"quote_id": 99, "acceptance": 1, "accepted_by": "the CRM"}], ids=["bad", "other"]
)
async def test_a_refused_event_in_its_place_does_not_swallow_the_acceptance(
    appliance: Appliance, told: dict[str, Any]
) -> None:
    quote_id = await sent_quote(appliance)
    key = f"quote/{quote_id}/accepted"
    async with appliance.database.begin() as db:
        await appliance.publish(db, "quote.accepted", f"quote/{quote_id}", told, key, "crm")
    async with appliance.database.begin() as db:
        await db.execute(text("UPDATE event SET state = 'refused', reason = 'bad', settled_at = occurred_at"))
    await accept(appliance, quote_id)
    async with appliance.database.read() as db:
        [event] = await list_events(db, tenant_id=appliance.tenant_id)
    assert (event.state, event.reason, event.published_by, event.key) == ("pending", None, "link", key)
    assert (event.data["quote_id"], event.data["customer_id"], event.data["accepted_by"]) == (quote_id, CUSTOMER, "Ada")


@pytest.mark.parametrize("state", ["pending", "started"])
async def test_an_event_that_was_told_before_stands_only_if_it_is_the_same_acceptance(
    appliance: Appliance, state: str
) -> None:
    numbers = [await sent_quote(appliance), await sent_quote(appliance)]
    async with appliance.database.begin() as db:
        for number, meant in zip(numbers, (numbers[0], 99), strict=True):
            wish = {"quote_id": meant, "acceptance": 1, "priority": "high"}
            await appliance.publish(db, "quote.accepted", "", wish, f"quote/{number}/accepted", "crm")
        await db.execute(text("UPDATE event SET state = :state"), {"state": state})
    await accept(appliance, numbers[0])
    with pytest.raises(EventConflict):
        await accept(appliance, numbers[1])
    async with appliance.database.read() as db:
        event = (await list_events(db, tenant_id=appliance.tenant_id))[-1]
        second = await appliance.quotes(db).quote(numbers[1])
    assert (event.state, event.data["priority"], second["state"]) == (state, "high", "sent")


async def test_a_quote_accepted_anew_sets_things_going_anew(
    appliance: Appliance, events: list[tuple[str, str, dict[str, Any], str, str]]
) -> None:
    quote_id = await sent_quote(appliance)
    await accept(appliance, quote_id)
    async with appliance.database.begin() as db:
        await appliance.services(db).crm_service.withdraw_acceptance(quote_id=quote_id, reason="rolled back")
    await accept(appliance, quote_id)
    assert [key for _, _, _, key, _ in events] == [f"quote/{quote_id}/accepted", f"quote/{quote_id}/accepted/2"]
    assert [data["acceptance"] for _, _, data, _, _ in events] == [1, 2]


async def test_what_is_refused_publishes_nothing(
    appliance: Appliance, events: list[tuple[str, str, dict[str, Any], str, str]]
) -> None:
    quote_id = await sent_quote(appliance)
    async with appliance.database.begin() as db:
        await appliance.quotes(db).withdraw(quote_id=quote_id, reason="typo")
    with pytest.raises(QuoteNotOpen):
        await accept(appliance, quote_id)
    assert events == []


async def test_a_quote_whose_time_is_over_ends_by_itself(appliance: Appliance) -> None:
    quote_id = await sent_quote(appliance)
    clock = appliance.clock
    assert isinstance(clock, VirtualClock)
    states = []
    for later in (timedelta(days=29), timedelta(days=2)):
        clock.advance(later)
        await appliance.expire_quotes()
        async with appliance.database.begin() as db:
            states.append((await appliance.quotes(db).quote(quote_id))["state"])
    assert states == ["sent", "expired"]


async def test_an_accepted_renewal_is_told_to_the_run_that_waits_for_it_and_makes_no_event(
    appliance: Appliance, events: list[tuple[str, str, dict[str, Any], str, str]]
) -> None:
    async with appliance.database.begin() as db:
        services = appliance.services(db)
        sold = await services.billing_service.create_subscription(
            customer_id=CUSTOMER, plan_id=1, tenant_id=appliance.tenant_id
        )
        active = await services.billing_service.activate_service(customer_id=CUSTOMER, service_id=1, plan=sold["plan"])
        offered = await services.crm_service.create_renewal_quote(
            customer_id=CUSTOMER, subscription_id=active["subscription_id"], renewal_term=12
        )
        waiting = Waiting(quote_id=offered["quote_id"])
        run_id, _ = await appliance.runs.start(db, "wait_for_acceptance", waiting, by="test")
        other = Waiting(quote_id=offered["quote_id"] + 1)
        await appliance.runs.start(db, "wait_for_acceptance", other, by="test")
    await drain(appliance)
    assert await accept(appliance, offered["quote_id"]) == [run_id]
    assert await accept(appliance, offered["quote_id"]) == [], "it knows that already"
    await drain(appliance)
    async with appliance.database.begin() as db:
        states = {row.id: row.state for row in await db.execute(select(RunRow.id, RunRow.state))}
    assert states == {run_id: "completed", run_id + 1: "pending"}
    assert events == []


async def drain(appliance: Appliance) -> None:
    clock = appliance.clock
    assert isinstance(clock, VirtualClock)
    interpreter: Interpreter[Any, Any] = Interpreter(
        begin=appliance.database.begin,
        services=appliance.services,
        outside=None,
        definitions={("wait_for_acceptance", 1): RENEWAL},
        clock=clock,
        tenant_id=appliance.tenant_id,
        at=lambda _point: None,
    )
    await InlineDispatch(appliance.database.begin, interpreter, appliance.runs, clock).drain()
