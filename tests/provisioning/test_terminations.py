"""The door for services that are to end: what is known becomes one run, what isn't is refused with every fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select, update

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.days import end_of
from provisioning.errors import InvalidRequest
from provisioning.terminations import TERMINATION_REQUESTED, StartedTermination
from radius.tables import Subscriber
from tests.support.healthy_estate import HealthyEstate
from workflows import list_events, show_run
from workflows.definitions.termination import Termination
from workflows.engine.tables import RunRow, StepRow
from workflows.errors import InputRefused, RunNotOpenFor

DONE, WAITING, CANCELLED = "c1001-s1@isp.example", "c1002-s2@isp.example", "c1004-s4@isp.example"
BERLIN = "Europe/Berlin"
LATE = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)  # half past midnight of the 29th in Berlin, where summer time begins


@asynccontextmanager
async def in_berlin(estate: HealthyEstate, folder: Path) -> AsyncIterator[Appliance]:
    settings = estate.copy(folder).model_copy(update={"time_zone": BERLIN})
    async with open_appliance(settings, clock=lambda: LATE) as opened:
        yield opened


@pytest.fixture
async def appliance(sqlite_estate: HealthyEstate, tmp_path: Path) -> AsyncIterator[Appliance]:
    async with in_berlin(sqlite_estate, tmp_path) as opened:
        yield opened


@pytest.fixture
async def any_appliance(estate: HealthyEstate, tmp_path: Path) -> AsyncIterator[Appliance]:
    """The same on SQLite and on PostgreSQL."""
    async with in_berlin(estate, tmp_path) as opened:
        yield opened


def wish(**changes: Any) -> dict[str, Any]:
    given = {"username": DONE, "ends_on": "2026-03-29", "reason": "moves away"} | changes
    return {field: value for field, value in given.items() if value is not ...}


async def accept(appliance: Appliance, **changes: Any) -> StartedTermination:
    async with appliance.database.begin() as db:
        return await appliance.termination_desk(db).accept(wish(**changes), by="nora")


async def withdraw(appliance: Appliance, username: str = DONE, reason: str = "stays after all") -> int:
    async with appliance.database.begin() as db:
        return await appliance.termination_desk(db).withdraw(username, reason=reason, by="nora")


async def runs(appliance: Appliance) -> int:
    async with appliance.database.read() as db:
        return await db.scalar(select(func.count()).select_from(RunRow)) or 0


async def faults(appliance: Appliance, **changes: Any) -> dict[str, str]:
    before = await runs(appliance)
    with pytest.raises(InvalidRequest) as refused:
        await accept(appliance, **changes)
    assert await runs(appliance) == before
    return {fault.field: fault.reason for fault in refused.value.faults}


async def set_run(appliance: Appliance, run_id: int, state: str) -> None:
    async with appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id == run_id).values(state=state))


async def test_a_service_ends_when_its_last_day_is_over_where_the_isp_is(appliance: Appliance) -> None:
    started = await accept(appliance)
    assert (started.ends_on, started.is_new) == (date(2026, 3, 29), True)
    async with appliance.database.read() as db:
        view = await show_run(db, started.run_id, tenant_id=appliance.tenant_id, definitions=appliance.definitions)
    assert view.summary.business_key == "service/1/termination/1"
    assert view.summary.customer_id == 1001
    assert datetime.fromisoformat(view.input["ends_at"]) == datetime(2026, 3, 29, 22, 0, tzinfo=UTC)
    assert (view.input["username"], view.input["service_id"], view.input["reason"]) == (DONE, 1, "moves away")


def test_a_day_of_23_hours_is_over_at_midnight_too() -> None:
    zone = ZoneInfo(BERLIN)
    assert end_of(date(2026, 3, 28), zone).astimezone(UTC) == datetime(2026, 3, 28, 23, 0, tzinfo=UTC)
    assert end_of(date(2026, 3, 29), zone).astimezone(UTC) == datetime(2026, 3, 29, 22, 0, tzinfo=UTC)


async def test_the_same_wish_again_is_the_same_run_and_another_day_a_fault(appliance: Appliance) -> None:
    first = await accept(appliance)
    assert await accept(appliance) == StartedTermination(first.run_id, first.ends_on, False)
    there_is = f"names a service that is to end after 2026-03-29 already (run {first.run_id}): take that back first"
    assert await faults(appliance, ends_on="2026-04-30") == {"username": there_is}
    assert await faults(appliance, ends_on=..., at_once=True) == {"username": there_is}
    assert await faults(appliance, reason="another") == {"username": there_is}
    assert await faults(appliance, ends_on="2020-01-01") == {
        "username": there_is,
        "ends_on": "is over: today is 2026-03-29",
    }


async def test_the_same_wish_once_the_service_has_ended_is_the_run_that_ended_it(appliance: Appliance) -> None:
    first = await accept(appliance, ends_on=..., at_once=True)
    await set_run(appliance, first.run_id, "completed")
    async with appliance.database.begin() as db:
        await db.execute(update(Subscriber).where(Subscriber.username == DONE).values(state="terminated"))
    assert await accept(appliance, ends_on=..., at_once=True) == StartedTermination(first.run_id, first.ends_on, False)
    ended = {"username": f"names a service that has ended already: {DONE}"}
    assert await faults(appliance, ends_on="2026-04-30") == ended
    assert await faults(appliance, ends_on=..., at_once=True, reason="another") == ended
    async with appliance.database.begin() as db:  # whoever has its name by now
        whose = select(Subscriber.id).where(Subscriber.username == DONE)
        number = await db.scalar(whose)
        await db.execute(update(Subscriber).where(Subscriber.id == number).values(username=WAITING))
        desk = appliance.termination_desk(db)
        again = await desk.accept(wish(username=WAITING, ends_on=..., at_once=True), by="nora", subscriber_id=number)
    assert again == StartedTermination(first.run_id, first.ends_on, False)


async def test_a_run_that_ended_whoever_had_the_service_before_is_no_answer_to_another(appliance: Appliance) -> None:
    await set_run(appliance, (await accept(appliance, ends_on=..., at_once=True)).run_id, "completed")
    async with appliance.database.begin() as db:
        ended = {"state": "terminated", "updated_at": appliance.clock()}
        await db.execute(update(Subscriber).where(Subscriber.username == DONE).values(ended))
        service = await db.scalar(select(Subscriber.service_id).where(Subscriber.username == DONE))
        await db.execute(update(Subscriber).where(Subscriber.username == DONE).values(service_id=None))
        heir = {**ended, "service_id": service}
        await db.execute(update(Subscriber).where(Subscriber.username == WAITING).values(heir))
    assert await faults(appliance, username=WAITING, ends_on=..., at_once=True) == {
        "username": f"names a service that has ended already: {WAITING}"
    }


async def test_a_team_that_is_not_there_is_a_fault_before_anything_is_written(
    sqlite_estate: HealthyEstate, tmp_path: Path
) -> None:
    settings = sqlite_estate.copy(tmp_path)
    async with open_appliance(settings, clock=lambda: LATE) as appliance:
        first = await accept(appliance)
    changed = settings.model_copy(update={"termination_team": "field"})
    async with open_appliance(changed, clock=lambda: LATE) as appliance:
        assert await accept(appliance) == StartedTermination(first.run_id, first.ends_on, False), "it is known already"
        await withdraw(appliance)
        await set_run(appliance, first.run_id, "cancelled")
        found = await faults(appliance, reason=" ", ends_on="2020-01-01")
        assert found.keys() == {"reason", "ends_on", "FIRSTLIGHT_TERMINATION_TEAM"}
        assert (
            found["FIRSTLIGHT_TERMINATION_TEAM"]
            == "There is no team field; there are: dispatch, noc, onboarding. Teams stand in the estate file."
        )


async def test_the_ticket_goes_to_the_team_of_the_setting_and_of_an_older_run_to_the_noc(appliance: Appliance) -> None:
    started = await accept(appliance)
    async with appliance.database.read() as db:
        view = await show_run(db, started.run_id, tenant_id=appliance.tenant_id, definitions=appliance.definitions)
    assert view.input["ticket_team"] == "noc"
    older = {field: value for field, value in view.input.items() if field != "ticket_team"}
    assert Termination.model_validate(older).ticket_team == "noc"


async def test_two_wishes_at_once_are_one_end(any_appliance: Appliance) -> None:
    outcomes = await asyncio.gather(
        accept(any_appliance), accept(any_appliance, ends_on="2026-04-30"), return_exceptions=True
    )
    started = [outcome for outcome in outcomes if isinstance(outcome, StartedTermination)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, InvalidRequest)]
    assert (len(started), len(refused)) == (1, 1)
    assert f"(run {started[0].run_id})" in str(refused[0])


async def test_what_was_taken_back_can_be_asked_for_again_under_the_next_number(appliance: Appliance) -> None:
    first = await accept(appliance)
    assert await withdraw(appliance) == first.run_id
    await set_run(appliance, first.run_id, "cancelled")  # as the worker does
    second = await accept(appliance)
    assert (second.is_new, second.run_id != first.run_id) == (True, True)
    async with appliance.database.read() as db:
        key = await db.scalar(select(RunRow.business_key).where(RunRow.id == second.run_id))
    assert key == "service/1/termination/2"


async def test_every_fault_is_named_at_once(appliance: Appliance) -> None:
    assert await faults(appliance, username="nobody@isp.example", ends_on="2026-03-28") == {
        "username": "names no subscriber: nobody@isp.example",
        "ends_on": "is over: today is 2026-03-29",
    }
    found = await faults(appliance, username="nobody@isp.example", reason="  ", ends_on="someday", colour="red")
    assert found.keys() == {"username", "reason", "ends_on", "colour"}
    assert found["ends_on"] == "is no day, such as 2026-03-02"  # and is not missing besides
    assert await faults(appliance, ends_on="2026-03-31T10:00:00Z") == {"ends_on": found["ends_on"]}
    assert (await faults(appliance, username=..., reason=...)).keys() == {"username", "reason"}
    assert await faults(appliance, ends_on=...) == {"ends_on": "is needed, unless the service is to end at once"}
    assert await faults(appliance, at_once=True) == {"ends_on": "can't be given for a service that is to end at once"}
    assert await faults(appliance, ends_on="2036-01-01") == {"ends_on": "lies more than three years ahead"}


async def test_a_service_that_is_being_installed_or_was_never_used_or_has_ended_is_refused(
    appliance: Appliance, sqlite_estate: HealthyEstate
) -> None:
    assert await faults(appliance, username=WAITING) == {
        "username": "names a service whose installation is not over:"
        f" cancel run {sqlite_estate.waiting}, or let it end first"
    }
    assert await faults(appliance, username=CANCELLED) == {
        "username": f"names a service that has ended already: {CANCELLED}"
    }
    async with appliance.database.begin() as db:
        await db.execute(update(Subscriber).where(Subscriber.username == DONE).values(state="pending"))
    assert await faults(appliance) == {"username": f"names a service that was never in use: {DONE} is pending"}
    async with appliance.database.begin() as db:
        await db.execute(update(Subscriber).where(Subscriber.username == DONE).values(state="suspended"))
    assert (await accept(appliance)).is_new


async def test_nothing_is_taken_back_that_was_not_asked_for(appliance: Appliance) -> None:
    for username in (DONE, "nobody@isp.example"):
        with pytest.raises(InvalidRequest, match=f"username names no service that is to end: {username}"):
            await withdraw(appliance, username)
    first = await accept(appliance)
    with pytest.raises(InputRefused):
        await withdraw(appliance, reason=" ")
    await set_run(appliance, first.run_id, "completed")
    with pytest.raises(InvalidRequest):
        await withdraw(appliance)


async def test_an_event_ends_a_service_through_the_same_door(appliance: Appliance) -> None:
    async with appliance.database.begin() as db:
        for key, data in (("a", wish()), ("b", wish(username=CANCELLED))):
            await appliance.events.publish(db, TERMINATION_REQUESTED, subject=key, data=data, key=key, by="crm")
    await appliance.events.take_up(appliance.database.begin)
    async with appliance.database.read() as db:
        refused, started = await list_events(
            db, tenant_id=appliance.tenant_id, event_type=TERMINATION_REQUESTED, limit=2
        )
        run = (await db.scalars(select(RunRow).where(RunRow.id == started.run_id))).one()
    assert (started.state, run.business_key) == ("started", "service/1/termination/1")
    assert refused.state == "refused"
    assert f"names a service that has ended already: {CANCELLED}" in str(refused.reason)


async def test_a_wish_at_the_desk_is_told_once_as_the_event_that_it_is(any_appliance: Appliance) -> None:
    first = await accept(any_appliance)
    await accept(any_appliance)
    await withdraw(any_appliance)
    await set_run(any_appliance, first.run_id, "cancelled")
    second = await accept(any_appliance, reason="moves after all")
    assert await any_appliance.events.take_up(any_appliance.database.begin) == 0
    async with any_appliance.database.read() as db:
        told = await list_events(db, tenant_id=any_appliance.tenant_id, event_type=TERMINATION_REQUESTED)
    assert [(event.key, event.state, event.run_id, event.published_by) for event in told] == [
        ("service/1/termination/2", "started", second.run_id, "nora"),
        ("service/1/termination/1", "started", first.run_id, "nora"),
    ]
    assert (told[1].subject, told[1].data) == ("service/1", wish())


async def test_an_end_that_has_begun_is_not_taken_back(appliance: Appliance) -> None:
    started = await accept(appliance, ends_on=..., at_once=True)
    assert started.ends_on == date(2026, 3, 29)
    async with appliance.database.begin() as db:
        view = await show_run(db, started.run_id, tenant_id=appliance.tenant_id, definitions=appliance.definitions)
    assert (view.input["ends_at"], view.past_return) == (None, False)
    await _begin_to_end(appliance, started.run_id)
    with pytest.raises(RunNotOpenFor, match="end_service was begun, and from there on it can only be completed"):
        await withdraw(appliance)
    async with appliance.database.begin() as db:
        view = await show_run(db, started.run_id, tenant_id=appliance.tenant_id, definitions=appliance.definitions)
    assert view.past_return


async def _begin_to_end(appliance: Appliance, run_id: int) -> None:
    async with appliance.database.begin() as db:
        db.add(
            StepRow(
                run_id=run_id,
                step="end_service",
                round=1,
                state="completed",
                effect="transactional",
                key="service/1/termination/1/end_service",
                attempts=0,
                undo_attempts=0,
                forgiven_attempts=0,
                forgiven_undo_attempts=0,
                started_at=LATE + timedelta(seconds=1),
            )
        )
