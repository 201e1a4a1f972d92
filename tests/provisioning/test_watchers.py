"""Watchers: what the ACS and accounting show becomes one word to the run that waits for it, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import select, update

from acs import AcsError, ConvergenceBySite, NbiLeftInPeace, NbiUnreachable
from provisioning.bootstrap import Appliance, open_appliance
from provisioning.watchers import CLOCK_TOLERANCE, Watchers
from radius import OwnSessions, RadiusDatabaseUnavailable, Session
from tests.support.healthy_estate import HealthyEstate
from workflows import Lookout
from workflows.engine.tables import RunNote, RunRow, SignalRow, StepRow

SERIAL, USERNAME = "HWTC00000002", "c1002-s2@isp.example"
SINCE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NOW = SINCE + timedelta(minutes=20)
RUN, CUSTOMER = 2, 1002

LogLines = Callable[[], list[dict[str, Any]]]


class Acs:
    """Answers what a test has put into it, and remembers what it was asked."""

    def __init__(self) -> None:
        self.informed: dict[str, datetime] = {}
        self.asked: list[dict[str, datetime]] = []
        self.down = False
        self.trouble: AcsError | None = None

    async def by_acs(self, serials: Mapping[str, datetime]) -> dict[str, dict[str, datetime]]:
        return {"default": dict(serials)}

    def of(self, acs_name: str) -> Acs:
        assert acs_name == "default"
        return self

    async def informed_many(self, since: Mapping[str, datetime]) -> dict[str, Any]:
        self.asked.append(dict(since))
        if self.down:
            raise NbiUnreachable("the ACS refuses")
        if self.trouble is not None:
            raise self.trouble
        return {
            serial: {"device_id": f"00259E-HG8245-{serial}", "last_inform": at}
            for serial, at in self.informed.items()
            if serial in since
        }


class Accounting:
    """Likewise."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.down = False

    async def open_under_each(self, usernames: Collection[str]) -> dict[str, list[Session]]:
        if self.down:
            raise RadiusDatabaseUnavailable("away")
        found: dict[str, list[Session]] = {}
        for one in self.sessions:
            if one.username in usernames:
                found.setdefault(one.username, []).append(one)
        return found


class Watch:
    """One appliance whose run 2 can be made to wait for this or that."""

    def __init__(self, appliance: Appliance) -> None:
        self.appliance = appliance
        self.acs, self.accounting = Acs(), Accounting()
        self.watchers = Watchers(
            begin=appliance.database.begin,
            runs=appliance.runs,
            lookout=Lookout(definitions=appliance.definitions, clock=lambda: NOW, tenant_id=appliance.tenant_id),
            acs=cast(ConvergenceBySite, self.acs),
            sessions=cast(OwnSessions, self.accounting),
            tenant_id=appliance.tenant_id,
        )

    async def wait_for(self, signal: str, subject: str) -> None:
        async with self.appliance.database.begin() as db:
            values = {"waiting_for": signal, "waiting_on": subject, "waiting_since": SINCE, "state": "pending"}
            await db.execute(update(RunRow).where(RunRow.id == RUN).values(**values))
            step = {"run_id": RUN, "step": signal, "round": 1, "effect": "wait", "key": f"a test/{signal}"}
            await db.merge(StepRow(**step, state="pending", started_at=SINCE))

    async def told(self) -> list[dict[str, Any]]:
        async with self.appliance.database.begin() as db:
            found = await db.scalars(
                select(SignalRow).where(SignalRow.run_id == RUN, SignalRow.sent_by == "watcher").order_by(SignalRow.id)
            )
            return [{"name": one.name, "subject": one.subject, **json.loads(one.payload)} for one in found]

    async def row(self) -> RunRow:
        async with self.appliance.database.begin() as db:
            return await db.get_one(RunRow, RUN)

    async def state(self) -> str:
        return (await self.row()).state

    async def notes(self) -> list[str]:
        async with self.appliance.database.begin() as db:
            query = select(RunNote.text).where(RunNote.run_id == RUN, RunNote.by == "watcher").order_by(RunNote.id)
            return list(await db.scalars(query))

    async def says(self) -> tuple[str | None, str | None]:
        """Why the run waits, and the code beside it."""
        row = await self.row()
        return row.reason, row.reason_code


@pytest.fixture
async def watch(estate: HealthyEstate, tmp_path: Path) -> AsyncIterator[Watch]:
    async with open_appliance(estate.copy(tmp_path / "copy")) as appliance:
        yield Watch(appliance)


def session(username: str = USERNAME, number: str = "0001", started_at: datetime | None = SINCE) -> Session:
    empty: dict[str, Any] = dict.fromkeys(Session.__dataclass_fields__)
    known = {"username": username, "session_id": number, "nas_address": "127.0.0.1", "framed_ip_address": "100.64.0.2"}
    return Session(**(empty | known | {"started_at": started_at}))


async def test_nobody_is_asked_while_nobody_waits(watch: Watch) -> None:
    assert await watch.watchers.watch_informs() == 0
    assert await watch.watchers.watch_sessions() == 0
    assert watch.acs.asked == []


async def test_an_inform_is_told_once_and_wakes_the_run(watch: Watch) -> None:
    await watch.wait_for("device_informed", SERIAL)
    assert await watch.watchers.watch_informs() == 0
    assert watch.acs.asked == [{SERIAL: SINCE - CLOCK_TOLERANCE}]
    watch.acs.informed = {SERIAL: SINCE + timedelta(minutes=1), "HWTC99999999": SINCE}
    assert await watch.watchers.watch_informs() == 1
    assert await watch.state() == "inProgress"
    await watch.wait_for("device_informed", SERIAL)
    assert await watch.watchers.watch_informs() == 0
    assert await watch.told() == [
        {
            "name": "device_informed",
            "subject": SERIAL,
            "device_id": f"00259E-HG8245-{SERIAL}",
            "informed_at": "2026-03-02T09:01:00Z",
        }
    ]


async def test_a_session_is_told_once_and_wakes_the_run(watch: Watch) -> None:
    await watch.wait_for("session_started", USERNAME)
    watch.accounting.sessions = [session("somebody@else.example")]
    assert await watch.watchers.watch_sessions() == 0
    watch.accounting.sessions.append(session())
    assert await watch.watchers.watch_sessions() == 1
    assert await watch.state() == "inProgress"
    await watch.wait_for("session_started", USERNAME)
    assert await watch.watchers.watch_sessions() == 0
    (told,) = await watch.told()
    assert (told["username"], told["framed_ip_address"], told["nas_address"], told["session_id"]) == (
        USERNAME,
        "100.64.0.2",
        "127.0.0.1",
        "0001",
    )


async def test_a_session_without_a_start_is_not_believed_yet(watch: Watch) -> None:
    await watch.wait_for("session_started", USERNAME)
    watch.accounting.sessions = [session(started_at=None)]
    assert await watch.watchers.watch_sessions() == 0
    assert await watch.told() == []


async def test_another_side_that_is_away_stops_nothing(watch: Watch, log_lines: LogLines) -> None:
    watch.acs.down = watch.accounting.down = True
    await watch.wait_for("device_informed", SERIAL)
    assert await watch.watchers.watch_informs() == 0
    await watch.wait_for("session_started", USERNAME)
    assert await watch.watchers.watch_sessions() == 0
    assert await watch.state() == "pending"
    asked, read = log_lines()
    assert (asked["event"], asked["runs"]) == (
        "the ACS could not be asked",
        [{"run_id": RUN, "customer_id": CUSTOMER}],
    )
    assert (read["event"], read["usernames"], read["runs"]) == (
        "accounting could not be read",
        [USERNAME],
        [{"run_id": RUN, "customer_id": CUSTOMER}],
    )
    watch.accounting.down = False
    watch.accounting.sessions = [session()]
    assert await watch.watchers.watch_sessions() == 1


async def test_a_run_whose_inform_nobody_can_look_for_says_so_until_somebody_can(watch: Watch) -> None:
    await watch.wait_for("device_informed", SERIAL)
    watch.acs.down = True
    for _ in range(2):
        assert await watch.watchers.watch_informs() == 0
        assert await watch.says() == (
            "waiting for the CPE's first Inform, but the ACS can't be asked since 2026-03-02 09:20 UTC: the ACS"
            " refuses",
            "acs.nbi_unreachable",
        )
    watch.acs.down = False
    assert await watch.watchers.watch_informs() == 0
    assert await watch.says() == ("waiting for the CPE's first Inform", None)
    assert await watch.notes() == [
        "the ACS can't be asked since 2026-03-02 09:20 UTC: the ACS refuses",
        "the ACS can be asked again",
    ]


async def test_an_acs_that_is_left_in_peace_is_told_by_what_was_wrong_with_it(watch: Watch) -> None:
    await watch.wait_for("device_informed", SERIAL)
    watch.acs.trouble = NbiLeftInPeace("http://acs", why="the ACS refuses", seconds=4)
    assert await watch.watchers.watch_informs() == 0
    assert await watch.says() == (
        "waiting for the CPE's first Inform, but the ACS can't be asked since 2026-03-02 09:20 UTC: the ACS refuses",
        "acs.nbi_unreachable",
    )


async def test_a_run_whose_session_nobody_can_look_for_says_so_until_somebody_can(watch: Watch) -> None:
    await watch.wait_for("session_started", USERNAME)
    watch.accounting.down = True
    assert await watch.watchers.watch_sessions() == 0
    assert await watch.says() == (
        "the CPE is configured: waiting for the subscriber's own login, but accounting can't be read since"
        f" 2026-03-02 09:20 UTC: {str(RadiusDatabaseUnavailable('away')).rstrip('.')}",
        "radius.database_unavailable",
    )
    watch.accounting.down = False
    assert await watch.watchers.watch_sessions() == 0
    assert await watch.says() == ("the CPE is configured: waiting for the subscriber's own login", None)


async def test_a_run_that_cannot_be_told_is_named(watch: Watch, log_lines: LogLines) -> None:
    await watch.wait_for("device_informed", SERIAL)
    async with watch.appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id == RUN).values(version=7))
    watch.acs.informed = {SERIAL: SINCE}
    assert await watch.watchers.watch_informs() == 0
    (line,) = log_lines()
    assert (line["event"], line["run_id"], line["customer_id"]) == ("a run could not be told", RUN, CUSTOMER)
    assert (line["code"], line["signal"]) == ("workflow.code_missing", "device_informed")


async def test_a_run_that_ended_between_the_look_and_the_word_is_left_alone(watch: Watch) -> None:
    await watch.wait_for("session_started", USERNAME)
    look = watch.accounting.open_under_each

    async def and_meanwhile_it_ends(usernames: Collection[str]) -> dict[str, list[Session]]:
        async with watch.appliance.database.begin() as db:
            await db.execute(update(RunRow).where(RunRow.id == RUN).values(state="cancelled"))
        return await look(usernames)

    watch.accounting.open_under_each = and_meanwhile_it_ends  # type: ignore[method-assign]
    watch.accounting.sessions = [session()]
    assert await watch.watchers.watch_sessions() == 0
    assert await watch.told() == []
