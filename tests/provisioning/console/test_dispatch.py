"""The dispatch board: a day's lanes, and a visit that is moved by a form, or told why not and what else fits."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from provisioning.console.dispatch import moment_by
from provisioning.console.topics import marks_of
from provisioning.console.words import moments_in
from provisioning.days import day_of, end_of
from provisioning.errors import Fault
from provisioning.field import Invitations, Jobs, Technicians, Visit, VisitRecord, Visits
from tests.provisioning.test_order_visits import waiting
from tests.support.console import Console, Person, open_console
from tests.support.healthy_estate import HealthyEstate
from workflows.engine.tables import StepRow

ANNA, BERT = 801, 802
LOCAL = "%Y-%m-%dT%H:%M"


async def book(console: Console, technician_id: int, at: datetime) -> VisitRecord:
    appliance = console.appliance
    async with appliance.database.begin() as db:
        for number, name in ((ANNA, "Anna"), (BERT, "Bert")):
            await Technicians(db, tenant_id=appliance.tenant_id).register(technician_id=number, name=name)
        return await Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock).book(
            customer_id=1001, technician_id=technician_id, starts_at=at, duration_minutes=60, address="Lindenweg 4"
        )


def in_two_days(console: Console, hour: int) -> datetime:
    """An hour of the day after tomorrow, by the ISP's clock."""
    local = console.appliance.clock().astimezone(console.appliance.zone) + timedelta(days=2)
    return local.replace(hour=hour, minute=0, second=0, microsecond=0)


async def move(person: Person, visit: VisitRecord, technician: int, at: datetime, /, **more: str) -> Any:
    page = f"/dispatch/visits/{visit['visit_id']}"
    seen = re.search(r'name="seen" value="([^"]+)"', (await person.get(page)).text)
    assert seen is not None
    form = {"seen": html.unescape(seen[1]), "technician": str(technician), "at": at.strftime(LOCAL), "reason": "a swap"}
    return await person.send(page, {**form, **more})


async def stored(console: Console, visit: VisitRecord) -> VisitRecord:
    appliance = console.appliance
    async with appliance.database.read() as db:
        return await Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock).visit(visit["visit_id"])


async def test_the_board_has_a_lane_per_technician_with_visits_and_gaps_in_the_order_of_time(console: Console) -> None:
    at = in_two_days(console, 10)
    visit = await book(console, ANNA, at)
    person = await console.somebody("dispatch")
    page = (await person.get("/dispatch", params={"day": at.date().isoformat()})).text
    lane = page.partition(f'id="lane-{ANNA}"')[2].partition("</section>")[0]
    assert re.findall(r"(?:free |<strong>)(\d\d:\d\d to \d\d:\d\d)", lane) == [
        "08:00 to 10:00",
        "10:00 to 11:00",
        "11:00 to 18:00",
    ]
    assert f'data-visit="{visit["visit_id"]}"' in lane
    assert (await person.get("/dispatch")).status_code == 200
    assert (await person.get("/dispatch", params={"day": "never"})).status_code == 422


def ticks_on(page: str, visit_id: int) -> dict[str, bool] | None:
    """By name, whether each is green; None: there are none."""
    shown = re.search(rf'aria-label="Seen to work, visit {visit_id}">(.*?)</ol>', page)
    if shown is None:
        return None
    return {name: mark == "✓" for mark, name in re.findall(r"<li[^>]*>(.) (\w+)</li>", shown[1])}


async def put_off(console: Console, visits: list[VisitRecord]) -> str:
    """All of these to the day after tomorrow, which is told: their estate may have been made yesterday."""
    appliance, at = console.appliance, in_two_days(console, 9)
    async with appliance.database.begin() as db:
        for number, each in enumerate(visits):
            begins = at + timedelta(hours=2 * number)
            hour = {"starts_at": begins, "ends_at": begins + timedelta(hours=1)}
            await db.execute(update(Visit).where(Visit.id == each["visit_id"]).values(hour))
    return day_of(at, appliance.zone).isoformat()


async def test_the_ticks_of_what_was_scanned_stand_on_the_board_and_are_followed_today(any_console: Console) -> None:
    appliance, person = any_console.appliance, await any_console.somebody("dispatch")
    marks = marks_of(appliance)
    async with appliance.database.read() as db:
        visits = await Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock).visits()
        wanted = {}
        for each in visits:
            if each["state"] in ("scanned", "completed"):
                whole = await appliance.field_desk(db).ticks(each["visit_id"])
                wanted[each["visit_id"]] = {tick["name"]: tick["is_true"] for tick in whole["ticks"]}
                run_id = whole["run_id"]
        before = (await marks(db, ["visits"]))["visits"]
    assert [sum(each.values()) for each in wanted.values()] == [5, 0]  # completed; held at another port than planned
    day = await put_off(any_console, visits)
    page = (await person.get("/dispatch", params={"day": day})).text
    assert {each["visit_id"]: ticks_on(page, each["visit_id"]) for each in visits} == {
        each["visit_id"]: wanted.get(each["visit_id"]) for each in visits
    }
    assert "data-topic" not in page  # it is another day's
    at_work, begins = max(wanted), appliance.clock()
    seen = {"run_id": run_id, "step": "provision_device", "round": 9, "key": "of the test", "started_at": begins}
    async with appliance.database.begin() as db:
        hour = {"starts_at": begins, "ends_at": begins + timedelta(hours=1)}
        await db.execute(update(Visit).where(Visit.id == at_work).values(hour))
    async with appliance.database.read() as db:
        came = (await marks(db, ["visits"]))["visits"]
    async with appliance.database.begin() as db:
        db.add(StepRow(**seen, state="completed", effect="keyed"))
    async with appliance.database.read() as db:
        assert len({before, came, (await marks(db, ["visits"]))["visits"]}) == 3
    today = (await person.get("/dispatch")).text
    assert 'data-topic="visits" hx-get="/dispatch/now?day=' in today
    part = (await person.get("/dispatch/now")).text
    assert (ticks_on(today, at_work) or {})["bound"] and ticks_on(part, at_work) == ticks_on(today, at_work)
    assert "<html" not in part


async def test_a_visit_is_moved_with_a_reason_and_stands_on_its_new_day(console: Console) -> None:
    at = in_two_days(console, 10)
    visit = await book(console, ANNA, at)
    person = await console.somebody("dispatch")
    answer = await move(person, visit, BERT, at + timedelta(days=1, hours=2))
    day = day_of(at + timedelta(days=1, hours=2), console.appliance.zone)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/dispatch?day={day}#visit-{visit['visit_id']}")
    moved = await stored(console, visit)
    assert (moved["technician_name"], moved["starts_at"]) == ("Bert", at + timedelta(days=1, hours=2))
    audit = await (await console.somebody("admin")).get("/audit", params={"subject": f"visit/{visit['visit_id']}"})
    assert "visits reschedule" in audit.text
    assert "a swap" in audit.text


async def test_a_visit_is_called_off_or_was_for_nothing_with_a_reason_that_stands_in_the_audit(
    console: Console,
) -> None:
    to_come, begun = in_two_days(console, 10), console.appliance.clock() - timedelta(minutes=1)
    person, admin = await console.somebody("dispatch"), await console.somebody("admin")
    for how, state, at in (("cancel", "cancelled", to_come), ("no-show", "no_access", begun)):
        visit = await book(console, ANNA, at)
        address = f"/dispatch/visits/{visit['visit_id']}"
        mark = re.search(r'name="seen" value="([^"]+)"', (await person.get(address)).text)
        assert mark is not None
        wish = {"seen": html.unescape(mark[1]), "outcome": how, "reason": "sold the house"}
        stale = await person.send(f"{address}/end", {**wish, "seen": '"other"'}, page=address)
        assert stale.status_code == 409
        nothing = await person.send(f"{address}/end", {"seen": wish["seen"]}, page=address)
        assert nothing.status_code == 422
        assert all(fault in nothing.text for fault in ("is none of cancel, no-show", "is missing"))
        assert await stored(console, visit) == visit
        answer = await person.send(f"{address}/end", wish, page=address)
        day = day_of(at, console.appliance.zone)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/dispatch?day={day}")
        ended = await stored(console, visit)
        assert (ended["state"], ended["outcome_note"]) == (state, "sold the house")
        assert "It is not to come any more" in (await person.get(address)).text
        audit = (await admin.get("/audit", params={"subject": f"visit/{visit['visit_id']}"})).text
        assert (f"visits {how}" in audit, "sold the house" in audit) == (True, True)


async def test_a_visit_in_vain_stays_on_the_board_with_what_was_said_of_it(console: Console) -> None:
    visit = await book(console, ANNA, console.appliance.clock() - timedelta(minutes=1))
    person = await console.somebody("dispatch")
    async with console.appliance.database.begin() as db:
        calendar = Visits(db, tenant_id=console.appliance.tenant_id, now=console.appliance.clock)
        await calendar.report(visit_id=visit["visit_id"], outcome="no_access", note="the bell is broken")
    day = day_of(visit["starts_at"], console.appliance.zone).isoformat()
    board = (await person.get("/dispatch/now", params={"day": day})).text
    block = board.partition(f'id="visit-{visit["visit_id"]}"')[2].partition("</li>")[0]
    assert ("no access" in block, "the bell is broken" in block, "data-visit" in block) == (True, True, False)


async def test_who_waits_for_a_time_is_followed_with_the_lanes_of_today(any_console: Console) -> None:
    appliance, person = any_console.appliance, await any_console.somebody("dispatch")
    marks = marks_of(appliance)
    async with appliance.database.read() as db:
        before = (await marks(db, ["visits"]))["visits"]
    run_id = await a_run_without_an_appointment(any_console)
    async with appliance.database.read() as db:
        assert (await marks(db, ["visits"]))["visits"] != before
    live = (await person.get("/dispatch/now")).text
    assert f"Run {run_id}</a>, customer 1001: " in live.partition('id="to-agree"')[2]


async def test_a_board_that_stays_open_past_midnight_says_that_its_day_is_over(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    appliance, person = console.appliance, await console.somebody("dispatch")
    day, marks = day_of(appliance.clock(), appliance.zone), marks_of(appliance)
    assert "is over" not in (await person.get("/dispatch/now", params={"day": day.isoformat()})).text
    quiet = end_of(day + timedelta(days=400), appliance.zone)  # nobody is visited then
    async with appliance.database.read() as db:
        with monkeypatch.context() as then:
            then.setattr(appliance, "clock", lambda: quiet - timedelta(seconds=1))
            before = (await marks(db, ["visits"]))["visits"]
            then.setattr(appliance, "clock", lambda: quiet)
            assert (await marks(db, ["visits"]))["visits"] != before
    yesterday = (day - timedelta(days=1)).isoformat()
    part = (await person.get("/dispatch/now", params={"day": yesterday})).text
    assert f'{yesterday} is over: <a href="/dispatch">' in part
    assert "is over" not in (await person.get("/dispatch", params={"day": yesterday})).text  # where nothing is live


async def test_that_nobody_was_at_home_is_neither_offered_nor_kept_before_the_visit_begins(console: Console) -> None:
    at = in_two_days(console, 10)
    visit, begun = await book(console, ANNA, at), await book(console, BERT, console.appliance.clock())
    person = await console.somebody("dispatch")
    offer = 'value="no-show">Nobody was at home'
    assert offer in (await person.get(f"/dispatch/visits/{begun['visit_id']}")).text
    address = f"/dispatch/visits/{visit['visit_id']}"
    form = (await person.get(address)).text
    assert offer not in form and 'value="cancel">It is called off' in form
    mark = re.search(r'name="seen" value="([^"]+)"', form)
    assert mark is not None
    wish = {"seen": html.unescape(mark[1]), "outcome": "no-show", "reason": "nobody answered"}
    refused = await person.send(f"{address}/end", wish, page=address)
    zone = console.appliance.zone.key
    begins = f"Visit {visit['visit_id']} begins at {at:%Y-%m-%d %H:%M} ({zone}); that nobody is there"
    assert (refused.status_code, begins in re.sub("<[^>]+>", "", refused.text)) == (409, True)
    assert await stored(console, visit) == visit


async def test_what_does_not_fit_is_refused_with_who_is_in_the_way_and_what_is_free(console: Console) -> None:
    at = in_two_days(console, 10)
    visit, other = await book(console, ANNA, at), await book(console, BERT, at)
    person = await console.somebody("dispatch")
    refused = await move(person, visit, BERT, at + timedelta(minutes=30))
    assert refused.status_code == 409
    zone = console.appliance.zone
    ends = at + timedelta(hours=1)
    assert f"Technician Bert is busy from {at:%Y-%m-%d %H:%M} to {ends:%Y-%m-%d %H:%M} ({zone.key})" in refused.text
    offers = re.findall(r'<li class="card good"><a href="([^"]+)">', refused.text)
    assert offers
    assert await stored(console, visit) == visit
    chosen = html.unescape(offers[0])
    form = (await person.get(chosen)).text
    assert 'value="a swap"' in form
    technician = re.search(r'<option value="(\d+)" selected', form)
    time = re.search(r'name="at" value="([^"]+)"', form)
    assert technician is not None and time is not None
    taken = await move(person, visit, int(technician[1]), datetime.fromisoformat(time[1]))
    assert taken.status_code == 303
    assert (await stored(console, visit))["starts_at"].astimezone(console.appliance.zone).strftime(LOCAL) == time[1]
    assert await stored(console, other) == other


async def test_a_move_of_what_looks_otherwise_by_now_or_lacks_anything_is_refused(console: Console) -> None:
    at = in_two_days(console, 10)
    visit = await book(console, ANNA, at)
    person = await console.somebody("dispatch")
    stale = await move(person, visit, BERT, at, seen='"other"')
    assert stale.status_code == 409
    assert "you have seen it" in stale.text.replace("&#39;", "'")
    empty = await move(person, visit, BERT, at, technician="x", at="soon", reason="")
    assert empty.status_code == 422
    for fault in ("is no technician", "is no time", "is missing"):
        assert fault in empty.text
    for wrong, why in (
        ("9999-12-31T10:00", "is in the year 9999, not in 1970 to 2199"),
        (f"{at.strftime(LOCAL)}+05:00", f"has a time zone of its own; it is told by the clock of {at.tzinfo}"),
    ):
        refused = await move(person, visit, BERT, at, at=wrong)
        assert (refused.status_code, why in refused.text) == (422, True), wrong
    rule_broken = await move(person, visit, BERT, at, override_reason="because")
    assert rule_broken.status_code == 403
    assert await stored(console, visit) == visit


async def test_why_the_rules_are_broken_goes_back_to_the_form_with_what_was_tried(console: Console) -> None:
    at = in_two_days(console, 10)
    visit = await book(console, ANNA, at)
    await book(console, BERT, at)
    person = await console.somebody("noc")
    refused = await move(person, visit, BERT, at + timedelta(minutes=30), override_reason="a hospital")
    assert refused.status_code == 409, refused.text
    back = re.search(r'<a href="([^"]+)">Back to the form', refused.text)
    assert back is not None
    form = (await person.get(html.unescape(back[1]))).text
    assert 'name="override_reason" value="a hospital"' in form
    assert 'name="reason" value="a swap"' in form


@pytest.mark.parametrize("day", ["0001-01-01", "1969-12-31", "2200-01-01", "9999-12-31"])
async def test_a_day_that_nobody_means_is_refused(console: Console, day: str) -> None:
    answer = await (await console.somebody("dispatch")).get("/dispatch", params={"day": day})
    assert (answer.status_code, f"is in the year {int(day[:4])}" in answer.text) == (422, True)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-29T01:59", datetime(2026, 3, 29, 0, 59, tzinfo=UTC)),
        ("2026-03-29T03:00", datetime(2026, 3, 29, 1, tzinfo=UTC)),
        ("2026-03-29T02:30", Fault("at", "is no time in Europe/Berlin: the clocks go forward past it")),
        ("", Fault("at", "is missing")),
    ],
)
def test_a_time_is_read_by_the_isp_s_clock(text: str, moment: datetime | Fault) -> None:
    assert moment_by(text, ZoneInfo("Europe/Berlin")) == moment


def test_moments_in_a_refusal_are_told_by_the_isp_s_clock() -> None:
    told = "busy from 2026-03-02 23:30 to 2026-03-03 00:30 UTC, and until 2026-07-01 10:00 UTC"
    assert moments_in(told, ZoneInfo("Europe/Berlin")) == (
        "busy from 2026-03-03 00:30 to 2026-03-03 01:30 (Europe/Berlin), and until 2026-07-01 12:00 (Europe/Berlin)"
    )


async def a_run_without_an_appointment(console: Console) -> int:
    appliance = console.appliance
    async with appliance.database.begin() as db:
        await Jobs(db, tenant_id=appliance.tenant_id).define(name="install", duration_minutes=90, window_minutes=30)
    return await waiting(appliance, "T-9")


@pytest.fixture
async def reachable(estate: HealthyEstate, tmp_path: Path) -> AsyncIterator[Console]:
    """A console whose mails may lead customers to it."""
    async with open_console(estate.copy(tmp_path / "reachable", public_url="http://127.0.0.1:8080")) as opened:
        yield opened


async def test_who_waits_for_a_time_is_on_the_board_and_is_invited_to_choose_it(reachable: Console) -> None:
    console = reachable
    run_id = await a_run_without_an_appointment(console)
    person = await console.somebody("dispatch")

    board = (await person.get("/dispatch")).text.partition('id="to-agree"')[2]
    assert f"Run {run_id}</a>, customer 1001: " in board
    assert "not invited to choose" in board
    page = f"/dispatch/runs/{run_id}/invite"
    assert page in board
    assert "Mail the link" in (await person.get(page)).text

    answer = await person.send(page, {"job": "install", "days": "5"})

    assert (answer.status_code, answer.headers.get("location")) == (303, "/dispatch#to-agree"), answer.text
    board = (await person.get("/dispatch")).text.partition('id="to-agree"')[2]
    assert re.search(r"invited .*, not answered; the link opens until ", board)
    async with console.appliance.database.read() as db:
        known = Invitations(db, tenant_id=console.appliance.tenant_id, now=console.appliance.clock)
        [invited] = await known.invitations()
    assert (invited["run_id"], invited["job"]) == (run_id, "install")
    opens = invited["expires_at"] - invited["invited_at"]
    assert abs(opens - timedelta(days=5)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"job": "install", "days": "soon"}, "is no number of days"),
        ({"job": "install", "days": "31"}, "are 31; a link opens for 1 to 30"),
        ({"job": "dig", "days": "3"}, "dig"),
    ],
)
async def test_an_invitation_that_cannot_be_meant_is_refused_in_words(
    console: Console, form: dict[str, str], says: str
) -> None:
    run_id = await a_run_without_an_appointment(console)
    person = await console.somebody("dispatch")
    answer = await person.send(f"/dispatch/runs/{run_id}/invite", form)
    assert answer.status_code in (404, 409, 422)
    assert says in html.unescape(answer.text)
    assert "not invited to choose" in (await person.get("/dispatch")).text


async def test_a_run_that_waits_for_no_time_has_no_form(console: Console) -> None:
    person = await console.somebody("dispatch")
    assert (await person.get("/dispatch/runs/3/invite")).status_code == 409
    assert (await person.get("/dispatch/runs/999999/invite")).status_code == 404
