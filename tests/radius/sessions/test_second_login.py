"""A second login, per plan, through the real FreeRADIUS: it replaces, is rejected, or is allowed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from radius import CreatedSubscriber, SessionLooks
from radius.testing import LabNas, LabSession, LoginReply, Usage
from tests.radius.conftest import Site

OTHER_CPE = "02-00-00-00-00-02"


@dataclass
class Line:
    """A subscriber and a NAS."""

    site: Site
    nas: LabNas
    subscriber: CreatedSubscriber

    async def login(
        self, nas: LabNas | None = None, *, calling_station: str = "02-00-00-00-00-01", nas_port: str = "lab0"
    ) -> LoginReply:
        username, password = self.subscriber["username"], await self.site.password(self.subscriber)
        return await (nas or self.nas).login(username, password, calling_station=calling_station, nas_port=nas_port)

    async def start(
        self,
        session_id: str,
        nas: LabNas | None = None,
        *,
        calling_station: str = "02-00-00-00-00-01",
        nas_port: str = "lab0",
    ) -> LabSession:
        session = LabSession(
            self.subscriber["username"], session_id=session_id, calling_station=calling_station, nas_port=nas_port
        )
        await (nas or self.nas).accounting_start(session)
        return session

    async def open(self) -> list[str]:
        return [one.session_id for one in await self.site.sessions.open_sessions(self.subscriber["username"])]


async def _line(site: Site, second_login: str) -> Line:
    await site.define_plan(second_login=second_login, interim_interval_seconds=60)
    await site.projector.project_plans()
    return Line(site, await site.nas(), await site.active())


@pytest.mark.both_databases
async def test_a_line_that_comes_back_has_closed_its_former_session_and_a_stop_corrects_that(site: Site) -> None:
    line = await _line(site, "replace")
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=9)
    line.nas.event_at = began
    former = await line.start("former")
    line.nas.event_at = began + timedelta(seconds=30)
    await line.nas.accounting_interim(former, Usage(seconds=30, output_octets=500))
    [before] = await site.sessions.open_sessions(former.username)
    line.nas.event_at = began + timedelta(seconds=60)
    await line.start("new", nas_port="lab5")  # the same CPE
    line.nas.event_at = began
    await line.start("former")  # repeated
    assert await line.open() == ["new"]
    looks = SessionLooks(site.radius_database.read, site.radius_database.look, tenant_id=site.tenant_id, now=site.now)
    [closed] = [one for one in await looks.of_user(former.username) if one["session_id"] == "former"]
    assert (closed["terminate_cause"], closed["stopped_at"]) == ("Replaced", before.updated_at)

    line.nas.event_at = began + timedelta(seconds=31)
    await line.nas.accounting_interim(former, Usage(seconds=31, output_octets=600))
    assert await line.open() == ["new"]
    await line.nas.accounting_stop(former, Usage(seconds=33, output_octets=700), cause="Lost-Carrier")
    [over] = [one for one in await looks.of_user(former.username) if one["session_id"] == "former"]
    assert (over["terminate_cause"], over["duration_seconds"], over["output_octets"]) == ("Lost-Carrier", 33, 700)


@pytest.mark.both_databases
async def test_a_session_that_goes_on_after_another_took_its_place_is_open_again(site: Site) -> None:
    line = await _line(site, "replace")
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=9)
    line.nas.event_at = began
    former = await line.start("former")
    line.nas.event_at = began + timedelta(seconds=60)
    await line.start("new")
    line.nas.event_at = began + timedelta(seconds=61)
    await line.nas.accounting_interim(former, Usage(seconds=61, output_octets=600))
    assert sorted(await line.open()) == ["former", "new"]


@pytest.mark.both_databases
@pytest.mark.parametrize("same", ["port, and no CPE is told", "calling station, at another NAS"])
async def test_what_is_replaced_is_the_same_line_s(site: Site, same: str) -> None:
    line = await _line(site, "replace")
    await line.start("former")
    await line.start("neighbour", calling_station=OTHER_CPE)  # on the same port
    assert await line.open() == ["neighbour", "former"]
    if same.startswith("port"):
        await line.start("new", calling_station="")
        assert await line.open() == ["new"]
    else:
        await line.start("new", await site.nas(), nas_port="lab9")
        assert await line.open() == ["new", "neighbour"]
        for number, spelt in enumerate(("0200.0000.0002", "02:00:00:00:00:02", "020000000002")):
            await line.start(f"moved-{number}", await site.nas(), calling_station=spelt, nas_port=f"lab{number}")
            assert await line.open() == [f"moved-{number}", "new"]
        await line.start("no MAC", await site.nas(), calling_station="02.00-0002", nas_port="lab8")
        assert await line.open() == ["no MAC", "moved-2", "new"]


async def test_a_plan_that_allows_it_lets_every_session_go_on(site: Site) -> None:
    line = await _line(site, "allow")
    await line.start("former")
    assert (await line.login(calling_station=OTHER_CPE, nas_port="lab7")).accepted
    await line.start("new")
    assert await line.open() == ["new", "former"]


@pytest.mark.both_databases
async def test_a_plan_that_rejects_it_says_where_the_session_is(site: Site) -> None:
    line = await _line(site, "reject")
    other = await site.nas()
    assert (await line.login()).accepted
    await line.start("first")
    for at in (line.nas, other):  # on the same port of the same NAS as well
        rejected = await line.login(at, calling_station=OTHER_CPE)
        assert rejected.code == "Access-Reject"
    assert (rejected.code, rejected.first("Reply-Message")) == (
        "Access-Reject",
        f"already online on {line.nas.name}",
    )
    assert (await line.login()).accepted  # the same line: its former session is dead
    for spelt in ("02-00-00-00-00-01", "0200.0000.0001", "02:00:00:00:00:01"):  # the same CPE, at another NAS
        assert (await line.login(other, calling_station=spelt, nas_port="lab7")).accepted


@pytest.mark.both_databases
async def test_a_session_of_who_had_the_name_before_keeps_its_successor_out_no_more(site: Site) -> None:
    former = await _line(site, "reject")
    name = former.subscriber["username"]
    password = await site.password(former.subscriber)
    left = LabSession.after(name, await former.nas.login(name, password))
    await former.nas.accounting_start(left)
    async with site.database.begin() as db:
        await site.service(db).terminate(subscriber_id=former.subscriber["subscriber_id"])  # its NAS is silent
    made = await site.create(name)
    await site.activate(made["subscriber_id"])
    line = Line(site, await site.nas(), made)
    reply = await line.login(calling_station=OTHER_CPE)
    assert (reply.code, await line.open()) == ("Access-Accept", [left.session_id])

    unnamed = await line.start("unnamed", calling_station="02-00-00-00-00-03")  # whose it is nobody knows
    refused = await line.login(former.nas, calling_station=OTHER_CPE)
    assert (refused.code, refused.first("Reply-Message")) == ("Access-Reject", f"already online on {line.nas.name}")
    await line.nas.accounting_stop(unnamed, Usage(seconds=1))
    own = replace(LabSession.after(name, reply), calling_station=OTHER_CPE)
    await line.nas.accounting_start(own)
    assert (await line.login(former.nas, calling_station="02-00-00-00-00-04")).first("Reply-Message") == (
        f"already online on {line.nas.name}"
    )
    for nas, session in ((line.nas, own), (former.nas, left)):
        await nas.accounting_stop(session, Usage(seconds=1))


@pytest.mark.both_databases
async def test_a_ghost_keeps_nobody_out(site: Site) -> None:
    line = await _line(site, "reject")
    line.nas.event_at = datetime.now(UTC) - timedelta(minutes=4)
    await line.start("ghost")
    assert await line.open() == ["ghost"]
    assert (await line.login(calling_station=OTHER_CPE, nas_port="lab7")).accepted
