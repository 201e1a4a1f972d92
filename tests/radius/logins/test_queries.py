"""A login in two queries is answered as one in FreeRADIUS' usual five is: the real server is asked both ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from radius import FramedAddresses, LoginLog, PlanTerms, SubscriberVerbs
from radius.projection.freeradius_tables import radcheck, radgroupcheck, radgroupreply, radreply, radusergroup
from radius.testing import FreeRadiusServer, LabNas, LoginReply, NoAnswer
from tests.radius.conftest import PLAN, Site
from tests.radius.logins.test_log import locked, renamed
from tests.support.freeradius import RADDB

pytestmark = pytest.mark.both_databases


@pytest.fixture
async def five(site: Site, run_dir: Path) -> AsyncIterator[FreeRadiusServer]:
    """A second server on the same tables that asks the usual five."""
    server = FreeRadiusServer(
        raddb=RADDB,
        run_dir=run_dir,
        database_url=site.backend.database_url,
        schema=site.backend.schema,
        login_queries="five",
    )
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.stop)


@pytest.fixture
async def another(site: Site, run_dir: Path) -> AsyncIterator[FreeRadiusServer]:
    """A second server on the same tables, without a connection yet."""
    backend = site.backend
    server = FreeRadiusServer(raddb=RADDB, run_dir=run_dir, database_url=backend.database_url, schema=backend.schema)
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.stop)


@pytest.mark.parametrize("table", ["radcheck", "radreply"])
async def test_a_server_that_asked_before_its_tables_were_there_answers_once_they_are(
    site: Site, another: FreeRadiusServer, table: str
) -> None:
    subscriber = await site.active()
    name, password = subscriber["username"], await site.password(subscriber)
    nas = await site.nas(server=another, timeout_seconds=1)
    async with renamed(site, table):
        with suppress(NoAnswer):
            assert not (await nas.login(name, password)).accepted
    nas.timeout_seconds = 6
    async with asyncio.timeout(20):  # a connection that failed is tried anew after a second
        while not (await nas.login(name, password)).accepted:
            pass
    for _ in range(10):  # whichever connection it takes
        answers = await asyncio.gather(*(nas.login(name, password) for _ in range(3)))
        assert [each.code for each in answers] == ["Access-Accept"] * 3


async def test_a_server_that_found_the_log_of_logins_locked_writes_it_once_it_is_free(
    site: Site, another: FreeRadiusServer
) -> None:
    subscriber, log = await site.active(), LoginLog(site.radius_database.read, site.radius_database.begin)
    name, password = subscriber["username"], await site.password(subscriber)
    nas = await site.nas(server=another)

    async def at_once(times: int = 1) -> None:
        for _ in range(times):
            answers = await asyncio.gather(*(nas.login(name, password) for _ in range(3)))
            assert [each.code for each in answers] == ["Access-Accept"] * 3

    async with locked(site):
        await at_once()
    async with asyncio.timeout(20):  # what failed to open is tried anew after a second
        while True:
            before = [each["login_id"] for each in await log.logins_of(name, limit=1)]
            await at_once(times=10)
            logged = [each["login_id"] for each in await log.logins_of(name)]
            if before and logged[30:31] == before:
                break


async def both(site: Site, five: FreeRadiusServer) -> tuple[LabNas, LabNas]:
    """The same NAS, asking the one server and the other."""
    two = await site.nas()
    other = LabNas(
        name=two.name,
        secret=two._secret,
        auth_port=five.auth_port,
        acct_port=five.acct_port,
        source_address=two.source_address,
    )
    return two, other


def said(reply: LoginReply) -> dict[str, Any]:
    """All of a reply but what differs from packet to packet."""
    values = {name: sorted(each) for name, each in reply.attributes.items() if name != "Message-Authenticator"}
    return {"code": reply.code, **values}


async def test_each_state_gets_the_same_answer_in_two_queries_as_in_five(site: Site, five: FreeRadiusServer) -> None:
    await site.define_plan(ipv4_pool="cgnat-1", ipv6_delegated_pool="cgnat-6", session_timeout_seconds=3600)
    async with site.database.begin() as db:
        await site.service(db).define_plan(name="garden", terms=PlanTerms(1000, 1000, ipv4_pool="garden"))
        await site.service(db).define_plan(name="hedge", terms=PlanTerms(2000, 2000))
    await site.projector.project_plans()
    own = await site.active()
    pool = await site.active(FramedAddresses(ipv4_pool="cgnat-9"))
    plans = await site.active(FramedAddresses())
    pending = await site.create(addresses=FramedAddresses())
    await site.projector.project_subscriber(pending["subscriber_id"])
    gardened, hedged = await site.active(FramedAddresses(ipv4="100.64.8.8")), await site.active(FramedAddresses())
    for subscriber, garden in ((gardened, "garden"), (hedged, "hedge")):
        async with site.database.begin() as db:
            verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
            await verbs.suspend(subscriber_id=subscriber["subscriber_id"], garden=garden)
        await site.projector.project_subscriber(subscriber["subscriber_id"])

    answers: dict[str, list[dict[str, Any]]] = {}
    for nas in await both(site, five):
        for name, subscriber in (
            ("own", own),
            ("pool", pool),
            ("plans", plans),
            ("pending", pending),
            ("gardened", gardened),
            ("hedged", hedged),
        ):
            reply = await nas.login(subscriber["username"], await site.password(subscriber))
            answers.setdefault(name, []).append(said(reply))
        answers.setdefault("wrong", []).append(said(await nas.login(own["username"], "wrong")))
        answers.setdefault("unknown", []).append(said(await nas.login(site.new_username(), "wrong")))

    assert [name for name, (first, second) in answers.items() if first != second] == []
    two = {name: first for name, (first, _) in answers.items()}
    assert [two[name]["code"] for name in ("own", "pending", "wrong", "unknown")] == [
        "Access-Accept",
        *["Access-Reject"] * 3,
    ]
    assert [two[name].get("Framed-Pool") for name in ("own", "pool", "plans", "gardened", "hedged")] == [
        None,
        ["cgnat-9"],
        ["cgnat-1"],
        ["garden"],
        ["cgnat-1"],
    ]
    assert [two[name].get("Session-Timeout") for name in ("plans", "hedged")] == [["3600"], None]
    assert [two[name].get("Mikrotik-Delegated-IPv6-Pool") for name in ("plans", "gardened", "hedged")] == [
        ["cgnat-6"],
        None,
        ["cgnat-6"],
    ]
    assert [two[name]["Mikrotik-Rate-Limit"] for name in ("plans", "gardened", "hedged")] == [
        ["20000k/100000k"],
        ["1000k/1000k"],
        ["2000k/2000k"],
    ]


async def test_what_a_plan_checks_is_not_lost(site: Site, five: FreeRadiusServer) -> None:
    await site.projector.project_plans()
    subscriber = await site.active()
    password = await site.password(subscriber)
    async with site.radius_database.begin() as db:
        check = {"groupname": f"{site.tenant_id}/{PLAN}", "attribute": "Auth-Type", "op": ":=", "value": "Reject"}
        await db.execute(insert(radgroupcheck).values(check))
    for nas in await both(site, five):
        assert (await nas.login(subscriber["username"], password)).code == "Access-Reject"


async def test_groups_are_read_up_to_the_first_without_fall_through(site: Site, five: FreeRadiusServer) -> None:
    name = site.new_username()
    first, second, third = (f"{site.tenant_id}/{each}" for each in ("first", "second", "third"))
    rows: list[tuple[Any, dict[str, Any]]] = [
        (radcheck, {"username": name, "attribute": "Cleartext-Password", "op": ":=", "value": "sesame"}),
        (radreply, {"username": name, "attribute": "Mikrotik-Rate-Limit", "op": ":=", "value": "1k/1k"}),
        (radusergroup, {"username": name, "groupname": first, "priority": 1}),
        (radusergroup, {"username": name, "groupname": second, "priority": 2}),
        (radgroupreply, {"groupname": first, "attribute": "Fall-Through", "op": "=", "value": "Yes"}),
        (radusergroup, {"username": name, "groupname": third, "priority": 3}),
        (radgroupreply, {"groupname": second, "attribute": "Session-Timeout", "op": "=", "value": "77"}),
        (radgroupreply, {"groupname": third, "attribute": "Idle-Timeout", "op": "=", "value": "88"}),
    ]
    async with site.radius_database.begin() as db:
        for table, row in rows:
            await db.execute(insert(table).values(row))
    replies = [await nas.login(name, "sesame") for nas in await both(site, five)]
    async with site.radius_database.begin() as db:
        for table, row in rows:
            column = "username" if "username" in row else "groupname"
            await db.execute(table.delete().where(table.c[column] == row[column]))

    assert [reply.accepted for reply in replies] == [True, True]
    assert [(reply.first("Session-Timeout"), reply.first("Idle-Timeout")) for reply in replies] == [("77", None)] * 2
