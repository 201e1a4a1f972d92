"""A NAS may call itself by another address than its packets come from: its sessions are found and told all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import select, text, update

from radius.logins.tables import radius_login
from radius.projection.freeradius_tables import radacct
from radius.sessions.sessions import host
from radius.testing import LabNas, NoAnswer, Usage
from tests.radius.conftest import Site
from tests.radius.online import FASTER, Line, go_online

LOOPBACK, IPV6, SOURCE = "10.255.0.9", "2001:db8:ffff::9", "source"


@pytest.fixture
async def line(site: Site) -> AsyncIterator[Line]:
    async for made in go_online(site):
        yield made


async def known_as(line: Line, *said: str) -> None:
    """The NAS of the line is known to call itself by these."""
    async with line.site.database.begin() as db:
        _, nas = await line.site.service(db).change_nas(name=line.nas.name, said={"calls_itself": said})
    await line.site.projector.project_one("nas", nas["nas_id"])


async def kept_by(line: Line, *session_ids: str) -> Sequence[tuple[str, bool]]:
    """By which address each of these sessions is kept, and whether it is open."""
    columns = (radacct.c.nasipaddress, radacct.c.acctstoptime.is_(None))
    async with line.site.radius_database.begin() as db:
        mine = select(*columns).where(radacct.c.acctsessionid.in_(session_ids)).order_by(radacct.c.radacctid)
        return [(host(address), bool(is_open)) for address, is_open in await db.execute(mine)]


async def begin(line: Line, *said: str) -> None:
    """A session after the first one, by what the NAS calls itself from then on."""
    await line.nas.accounting_stop(line.session, Usage(seconds=3600))
    line.nas.calls_itself = tuple(line.nas.source_address if each is SOURCE else each for each in said)
    line.session = replace(line.session, session_id=f"anew-{line.session.username}")
    await line.nas.accounting_start(line.session)


async def said_of_a_change(line: Line) -> list[str]:
    told = await line.changes.deliver((await line.act("change_plan", plan=FASTER))["change_id"])
    return [one["said"] for one in told["sessions"]]


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ((LOOPBACK,), (LOOPBACK,)),
        ((IPV6,), (IPV6,)),
        ((LOOPBACK, IPV6), (LOOPBACK, IPV6)),
        ((LOOPBACK, IPV6), (LOOPBACK,)),
        ((LOOPBACK, IPV6), (IPV6,)),
        ((SOURCE, IPV6), ()),
    ],
    ids=[
        "by a loopback",
        "by IPv6",
        "by both",
        "by both, of which one is told",
        "by both, of which the other is told",
        "by IPv6 beside its address, of which nobody needs to know",
    ],
)
async def test_its_sessions_are_kept_by_the_address_of_its_packets_and_it_is_asked_by_its_own_name(
    line: Line, said: tuple[str, ...], known: tuple[str, ...]
) -> None:
    await known_as(line, *known)
    await begin(line, *said)
    assert await kept_by(line, line.session.session_id) == [(line.nas.source_address, True)]

    assert await said_of_a_change(line) == ["changed"]
    ended = await line.changes.deliver((await line.act("suspend"))["change_id"])
    assert [one["said"] for one in ended["sessions"]] == ["disconnected"]
    assert len(line.nas.disconnects.requests) == 2  # it takes requests for nobody but itself


async def test_where_it_is_not_known_by_that_its_sessions_are_of_no_nas(line: Line) -> None:
    await begin(line, LOOPBACK)
    assert await kept_by(line, line.session.session_id) == [(LOOPBACK, True)]
    assert await said_of_a_change(line) == ["nas_unknown"]

    await known_as(line, LOOPBACK)
    await line.nas.accounting_interim(line.session, Usage(seconds=300))
    assert await kept_by(line, line.session.session_id) == [(line.nas.source_address, True)]
    assert await said_of_a_change(line) == ["changed"]


async def test_where_nobody_can_say_by_what_it_is_known_it_is_not_answered_and_asks_again(line: Line) -> None:
    await known_as(line, LOOPBACK)
    await begin(line, LOOPBACK)
    line.nas.timeout_seconds = 1.0
    anew = replace(line.session, session_id=f"later-{line.session.username}")

    async def rename(former: str, new: str) -> None:
        async with line.site.radius_database.begin() as db:
            await db.execute(text(f"ALTER TABLE {former} RENAME TO {new}"))

    await rename("nas", "nas_away")
    try:
        with pytest.raises(NoAnswer):
            await line.login()
        with pytest.raises(NoAnswer):
            await line.nas.accounting_start(anew)
    finally:
        await rename("nas_away", "nas")
    assert await kept_by(line, anew.session_id) == []
    line.nas.timeout_seconds = 6.0
    assert (await line.login()).code == "Access-Accept"
    await line.nas.accounting_start(anew)
    assert await kept_by(line, anew.session_id) == [(line.nas.source_address, True)]


async def test_a_login_of_a_nas_that_is_known_is_logged_as_that_of_its_address(line: Line) -> None:
    said_as = select(radius_login.c.nas_said_address).where(radius_login.c.username == line.session.username)
    line.nas.calls_itself = (LOOPBACK,)
    await line.login()
    await known_as(line, LOOPBACK)
    await line.login()
    async with line.site.radius_database.begin() as db:
        logged = [host(each) for each in await db.scalars(said_as.order_by(radius_login.c.id))]
    assert logged == [line.nas.source_address, LOOPBACK, line.nas.source_address]


async def test_two_that_call_themselves_alike_are_two(line: Line) -> None:
    """As of a make whose routers all come with 192.168.88.1."""
    other: LabNas = await line.site.nas()
    await known_as(line, LOOPBACK)
    async with line.site.database.begin() as db:
        _, nas = await line.site.service(db).change_nas(name=other.name, said={"calls_itself": (LOOPBACK,)})
    await line.site.projector.project_one("nas", nas["nas_id"])
    await begin(line, LOOPBACK)
    other.calls_itself = (LOOPBACK,)
    there = replace(line.session, session_id=f"there-{line.session.username}")
    await other.accounting_start(there)
    assert await kept_by(line, line.session.session_id, there.session_id) == [
        (line.nas.source_address, True),
        (other.source_address, True),
    ]
    await other.accounting_on()
    assert await kept_by(line, line.session.session_id, there.session_id) == [
        (line.nas.source_address, True),
        (other.source_address, False),
    ]


async def test_what_another_hands_on_is_kept_by_whose_it_is(line: Line) -> None:
    behind: LabNas = await line.site.nas()
    await known_as(line, LOOPBACK)
    await begin(line, behind.source_address)
    assert await kept_by(line, line.session.session_id) == [(behind.source_address, True)]


async def test_a_line_that_comes_back_to_its_port_is_no_second_login_there(line: Line) -> None:
    """Whose Calling-Station-Id nobody tells, is told by the port of its NAS."""
    await known_as(line, LOOPBACK)
    await begin(line, LOOPBACK)
    name = line.session.username
    mine = radacct.c.acctsessionid == line.session.session_id
    async with line.site.radius_database.begin() as db:
        await db.execute(update(radacct).where(mine).values(callingstationid="", nasportid="ge-0/0/1"))
    await line.site.define_plan(second_login="reject")
    await line.site.projector.project_plans()
    password = await line.site.password(line.subscriber)
    answers = [await line.nas.login(name, password, nas_port=port) for port in ("ge-0/0/1", "ge-0/0/2")]
    assert [answer.code for answer in answers] == ["Access-Accept", "Access-Reject"]
