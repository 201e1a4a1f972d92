"""Dispatch searches slots and books in the console: by hand, for a run that waits or is held, or to move a visit."""

from __future__ import annotations

import html
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from provisioning.field import Jobs, Planning, Technicians, VisitRecord, Visits
from tests.provisioning.console.test_dispatch import ANNA, BERT, LOCAL, book, in_two_days, stored
from tests.provisioning.test_order_visits import CUSTOMER, ORDER, told, waiting
from tests.support.console import Console, Person
from workflows.engine.tables import RunRow, StepRow

PLACE = "52.5163, 13.3777"
OFFER = re.compile(r'name="offer" value="([^"]+)"')


async def prepared(console: Console) -> None:
    """Anna splices and lives nearby, Bert doesn't, and lives elsewhere."""
    appliance = console.appliance
    async with appliance.database.begin() as db:
        people = Technicians(db, tenant_id=appliance.tenant_id)
        planning = Planning(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        for number, name, skills, home in (
            (ANNA, "Anna", ["splicing"], (52.5163, 13.40)),
            (BERT, "Bert", [], (52.30, 13.40)),
        ):
            await people.register(technician_id=number, name=name, skills=skills)
            await planning.plan(technician_id=number, home_latitude=home[0], home_longitude=home[1])
        jobs = Jobs(db, tenant_id=appliance.tenant_id)
        await jobs.define(name="install", duration_minutes=90, window_minutes=30)
        await jobs.define(name="splice", duration_minutes=60, skills=["splicing"])


def asked(console: Console, **more: str) -> dict[str, str]:
    day = in_two_days(console, 10).date().isoformat()
    return {"job": "splice", "day": day, "days": "2", "place": PLACE, **more}


def fields_of(page: str) -> dict[str, str]:
    """What the form that books sends besides the chosen offer."""
    form = page.partition('<form method="post" action="/dispatch')[2].partition("</form>")[0]
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)
    return {name: html.unescape(value) for name, value in hidden if name != "form_token"}


async def visits_of(console: Console, customer_id: int) -> list[VisitRecord]:
    appliance = console.appliance
    async with appliance.database.read() as db:
        found = await Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock).visits(states=["booked"])
    return [each for each in found if each["customer_id"] == customer_id]


async def heard_by(console: Console, run_id: int) -> list[tuple[str, dict[str, Any]]]:
    """What this run was told."""
    return [(name, said) for whom, name, said in await told(console.appliance) if whom == run_id]


async def choose(person: Person, path: str, page: str, offer: str, **more: str) -> Any:
    return await person.send(path, {**fields_of(page), "offer": offer, **more}, page="/dispatch/slots")


async def test_offers_are_ranked_with_their_reasons_and_one_is_booked_by_its_button_once(console: Console) -> None:
    await prepared(console)
    person = await console.somebody("dispatch")
    before = await visits_of(console, 1002)
    search = asked(console, customer="1002", address="Lindenweg 4")
    page = (await person.get("/dispatch/slots", params=search)).text
    first = html.unescape(OFFER.findall(page)[0])
    assert re.search(r"<p>\d+ min from home[^<]*splicing", page), page
    assert {offer.partition("@")[0] for offer in OFFER.findall(page)} == {str(ANNA)}

    answer = await choose(person, "/dispatch/slots", page, first)
    again = await choose(person, "/dispatch/slots", page, first)

    [visit] = [each for each in await visits_of(console, 1002) if each not in before]
    at = datetime.fromisoformat(first.partition("@")[2])
    day = at.astimezone(console.appliance.zone).date()
    leads = f"/dispatch?day={day}#visit-{visit['visit_id']}"
    assert [(each.status_code, each.headers.get("location")) for each in (answer, again)] == [(303, leads)] * 2
    facts = ("technician_id", "starts_at", "address", "job", "latitude", "longitude")
    assert [visit[name] for name in facts] == [ANNA, at, "Lindenweg 4", "splice", 52.5163, 13.3777]  # type: ignore[literal-required]
    audit = (
        await (await console.somebody("admin")).get("/audit", params={"subject": f"visit/{visit['visit_id']}"})
    ).text
    assert "visits book" in audit


async def test_who_comes_too_late_for_a_slot_books_one_of_those_that_are_shown_instead(any_console: Console) -> None:
    await prepared(any_console)
    person = await any_console.somebody("dispatch")
    search = asked(any_console, customer="1002", address="Lindenweg 4", job="install", technician=str(ANNA))
    page = (await person.get("/dispatch/slots", params=search)).text
    first = html.unescape(OFFER.findall(page)[0])
    await book(any_console, ANNA, datetime.fromisoformat(first.partition("@")[2]))

    late = await choose(person, "/dispatch/slots", page, first)

    assert (late.status_code, "Technician Anna is busy" in late.text) == (409, True)
    offers = [html.unescape(each) for each in OFFER.findall(late.text)]
    assert len(offers) == 3 and first not in offers
    back = re.search(r'<a href="([^"]+)">Back to the search', late.text)
    assert back is not None and "address=Lindenweg+4" in back[1]
    assert (await choose(person, "/dispatch/slots", late.text, offers[0])).status_code == 303


async def test_a_time_of_one_s_own_is_refused_against_the_rules_unless_it_may_be_and_is_said_why(
    console: Console,
) -> None:
    await prepared(console)
    search = asked(console, customer="1002", address="Lindenweg 4")
    at = in_two_days(console, 20)
    wish = {"technician": str(BERT), "at": at.strftime(LOCAL)}
    outcomes = {}
    for role in ("dispatch", "noc"):
        person = await console.somebody(role)
        page = (await person.get("/dispatch/slots", params=search)).text
        assert ('name="override_reason"' in page) == (role == "noc")
        for why in ({}, {"override_reason": "a hospital"}):
            answer = await person.send("/dispatch/slots", {**fields_of(page), **wish, **why}, page="/dispatch/slots")
            outcomes[role, bool(why)] = answer.status_code
    assert outcomes == {
        ("dispatch", False): 409,
        ("dispatch", True): 403,
        ("noc", False): 409,
        ("noc", True): 303,
    }
    [visit] = [each for each in await visits_of(console, 1002) if each["starts_at"] == at]
    assert (visit["technician_id"], visit["override_reason"]) == (BERT, "a hospital")


@pytest.mark.parametrize("order_id", [ORDER, None])
async def test_a_run_that_waits_for_a_time_is_booked_for_and_told_of_it_at_once(
    any_console: Console, order_id: int | None
) -> None:
    console = any_console
    await prepared(console)
    run_id = await waiting(console.appliance, "T-9", order_id=order_id)
    person = await console.somebody("dispatch")
    path = f"/dispatch/runs/{run_id}/slots"
    board = (await person.get("/dispatch")).text.partition('id="to-agree"')[2]
    assert (path in board, f"/dispatch/runs/{run_id}/invite" in board) == (True, order_id is not None)
    assert path in (await person.get(f"/runs/{run_id}")).text
    page = (await person.get(path, params=asked(console))).text
    first = html.unescape(OFFER.findall(page)[0])

    assert (await choose(person, path, page, first)).status_code == 303

    [visit] = [each for each in await visits_of(console, CUSTOMER) if each["job"] == "splice"]
    assert (visit["order_id"], visit["technician_id"]) == (order_id, ANNA)
    [(name, said)] = await heard_by(console, run_id)
    assert (name, said["visit_id"], said["technician_id"]) == ("appointment", visit["visit_id"], ANNA)
    assert await console.appliance.order_visits.tell() == 0  # the calendar would say the same
    if order_id is None:
        refused = await person.send(f"/dispatch/runs/{run_id}/invite", {"job": "install", "days": "3"})
        assert refused.status_code in (409, 422)


async def held_for_a_busy_technician(console: Console, *, order_id: int | None) -> int:
    run_id = await waiting(console.appliance, "T-9", order_id=order_id)
    held = {"state": "held", "waiting_for": "operator", "waiting_on": None, "current_step": "schedule_installation"}
    why = {"reason": "Technician Anna is busy then", "reason_code": "field.technician_busy"}
    async with console.appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id == run_id).values(**held, **why))
        row = {"run_id": run_id, "round": 1, "started_at": console.appliance.clock(), "effect": "transactional"}
        db.add(StepRow(**row, step="appointment", state="skipped", key="ticket/T-9/appointment"))
        db.add(StepRow(**row, step="schedule_installation", state="held", key="ticket/T-9/schedule_installation"))
    return run_id


async def test_a_run_that_is_held_for_a_busy_technician_stands_on_the_board_and_goes_on_once_it_is_booked(
    console: Console,
) -> None:
    await prepared(console)
    run_id = await held_for_a_busy_technician(console, order_id=ORDER)
    person = await console.somebody("dispatch")
    path = f"/dispatch/runs/{run_id}/slots"
    board = (await person.get("/dispatch")).text.partition('id="held"')[2]
    assert path in board and "Technician Anna is busy then" in board
    page = (await person.get(path, params=asked(console))).text

    assert (await choose(person, path, page, html.unescape(OFFER.findall(page)[0]))).status_code == 303

    assert [name for name, _ in await heard_by(console, run_id)] == ["appointment"]
    async with console.appliance.database.read() as db:
        assert await db.scalar(select(RunRow.state).where(RunRow.id == run_id)) != "held"
    assert 'id="held"' not in (await person.get("/dispatch")).text


async def test_where_the_order_has_a_visit_that_one_is_moved_for_its_run(console: Console) -> None:
    await prepared(console)
    appliance, at = console.appliance, in_two_days(console, 15)
    async with appliance.database.begin() as db:
        booked = await appliance.dispatch_desk(db).book(
            customer_id=CUSTOMER,
            technician_id=BERT,
            starts_at=at,
            address="Lindenweg 4",
            job="install",
            order_id=ORDER,
            by="nora",
        )
    run_id = await held_for_a_busy_technician(console, order_id=ORDER)
    person = await console.somebody("dispatch")
    path = f"/dispatch/runs/{run_id}/slots"
    page = (await person.get(path, params=asked(console))).text
    assert f"has visit {booked['visit_id']} already" in page
    offer = html.unescape(OFFER.findall(page)[0])

    assert (await choose(person, path, page, offer)).status_code == 303

    moved = await stored(console, booked)
    assert f"{moved['technician_id']}@{moved['starts_at'].isoformat()}" == offer.replace("Z", "+00:00")
    assert [each["visit_id"] for each in await visits_of(console, CUSTOMER) if each["order_id"] == ORDER] == [
        booked["visit_id"]
    ]
    [(_, said)] = await heard_by(console, run_id)
    assert said["visit_id"] == booked["visit_id"]


async def test_another_time_of_a_visit_is_searched_and_leads_to_the_form_that_moves_it_filled_in(
    console: Console,
) -> None:
    await prepared(console)
    at = in_two_days(console, 10)
    visit = await book(console, ANNA, at)
    person = await console.somebody("dispatch")
    path = f"/dispatch/visits/{visit['visit_id']}"
    assert f"{path}/slots" in (await person.get(path)).text
    page = (await person.get(f"{path}/slots", params={"day": at.date().isoformat(), "technician": str(ANNA)})).text
    leads = [html.unescape(each) for each in re.findall(rf'href="({path}\?technician=[^"]+)"', page)]
    begins = {each.partition("at=")[2] for each in leads}
    assert at.strftime(LOCAL) not in begins  # it is then already
    assert (at + timedelta(minutes=30)).strftime(LOCAL) in begins  # it is not in its own way
    form = (await person.get(leads[0])).text
    assert f'name="at" value="{leads[0].partition("at=")[2]}"' in form


@pytest.mark.parametrize(
    ("search", "says"),
    [
        ({"customer": "x"}, "is no number"),
        ({"customer": "1002", "place": "north"}, "is no latitude and longitude"),
        ({"customer": "1002", "place": "91, 3"}, "is not from -90 to 90"),
        ({"customer": "1002", "day": "soon"}, "is no day"),
        ({"customer": "1002", "days": "99"}, "1 to 31 are looked at"),
        ({"customer": "999999"}, "999999"),
    ],
)
async def test_a_search_that_cannot_be_meant_is_refused_in_words(
    console: Console, search: dict[str, str], says: str
) -> None:
    answer = await (await console.somebody("dispatch")).get("/dispatch/slots", params=search)
    assert (answer.status_code in (404, 422), says in html.unescape(answer.text)) == (True, True)


async def test_a_booking_of_which_anything_is_missing_or_made_up_is_refused_with_all_faults(console: Console) -> None:
    person = await console.somebody("dispatch")
    for form, faults in (
        ({}, ("at: is missing", "technician: is missing", "job: is missing", "customer: is missing")),
        ({"offer": "anna@soon", "job": "x", "customer": "1002"}, ("is none that was shown", "is no number")),
    ):
        answer = await person.send("/dispatch/slots", form)
        plain = re.sub(r"<[^>]+>", "", html.unescape(answer.text))
        assert (answer.status_code, [each for each in faults if each not in plain]) == (422, [])
    assert (
        await person.send("/dispatch/runs/3/slots", {"offer": f"{ANNA}@2030-01-01T10:00:00Z", "job": "x"})
    ).status_code == 409
