"""A login in one question is answered as in two, and as in FreeRADIUS' usual five: the server is asked each way."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text

from radius import FramedAddresses, LineIdentity, LoginLog, PlanTerms, SubscriberVerbs
from radius.attributes import ATTRIBUTES
from radius.projection.freeradius_tables import SAFE_ROW, radcheck, radgroupcheck, radgroupreply, radreply, radusergroup
from radius.subscribers.md4 import md4
from radius.testing import FreeRadiusServer, LabNas, LoginReply, NoAnswer
from tests.radius.conftest import PLAN, Site
from tests.radius.logins.test_log import locked, renamed
from tests.support.freeradius import RADDB

pytestmark = pytest.mark.both_databases
_CHECKED = ("radcheck", "radreply", "radgroupcheck", "radgroupreply")


@pytest.fixture(params=["two", "five"])
async def more(request: pytest.FixtureRequest, site: Site, run_dir: Path) -> AsyncIterator[FreeRadiusServer]:
    """A second server on the same tables that asks more questions."""
    server = FreeRadiusServer(
        raddb=RADDB,
        run_dir=run_dir,
        database_url=site.backend.database_url,
        schema=site.backend.schema,
        login_queries=request.param,
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


async def both(site: Site, more: FreeRadiusServer) -> tuple[LabNas, LabNas]:
    """The same NAS, asking the one server and the other."""
    one = await site.nas()
    other = LabNas(
        name=one.name,
        secret=one._secret,
        auth_port=more.auth_port,
        acct_port=more.acct_port,
        source_address=one.source_address,
    )
    return one, other


@asynccontextmanager
async def rows_of_others(site: Site, rows: Sequence[tuple[Any, dict[str, Any]]]) -> AsyncIterator[None]:
    """FreeRADIUS' tables with rows that Firstlight has not written, as they may be in tables that were there before it,
    which have none of its CHECKs."""
    on_sqlite = site.backend.schema is None
    async with site.radius_database.begin() as db:
        if on_sqlite:
            await db.execute(text("PRAGMA ignore_check_constraints = ON"))
        else:
            for name in _CHECKED:
                await db.execute(text(f"ALTER TABLE {name} DROP CONSTRAINT {name}_safe"))
        for table, row in rows:
            await db.execute(insert(table).values(row))
        if on_sqlite:
            await db.execute(text("PRAGMA ignore_check_constraints = OFF"))
    try:
        yield
    finally:
        async with site.radius_database.begin() as db:
            for table, row in rows:
                column = "username" if "username" in row else "groupname"
                await db.execute(table.delete().where(table.c[column] == row[column]))
            if not on_sqlite:
                for name in _CHECKED:
                    await db.execute(
                        text(f"ALTER TABLE {name} ADD CONSTRAINT {name}_safe CHECK ({SAFE_ROW['postgresql']})")
                    )


def said(reply: LoginReply) -> dict[str, Any]:
    """All of a reply but what differs from packet to packet."""
    values = {name: sorted(each) for name, each in reply.attributes.items() if name != "Message-Authenticator"}
    return {"code": reply.code, **values}


async def test_each_state_gets_the_same_answer_in_one_question_as_in_more(site: Site, more: FreeRadiusServer) -> None:
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
    for nas in await both(site, more):
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
    one = {name: first for name, (first, _) in answers.items()}
    assert [one[name]["code"] for name in ("own", "pending", "wrong", "unknown")] == [
        "Access-Accept",
        *["Access-Reject"] * 3,
    ]
    assert [one[name].get("Framed-Pool") for name in ("own", "pool", "plans", "gardened", "hedged")] == [
        None,
        ["cgnat-9"],
        ["cgnat-1"],
        ["garden"],
        ["cgnat-1"],
    ]
    assert [one[name].get("Session-Timeout") for name in ("plans", "hedged")] == [["3600"], None]
    assert [one[name].get("Mikrotik-Delegated-IPv6-Pool") for name in ("plans", "gardened", "hedged")] == [
        ["cgnat-6"],
        None,
        ["cgnat-6"],
    ]
    assert [one[name]["Mikrotik-Rate-Limit"] for name in ("plans", "gardened", "hedged")] == [
        ["20000k/100000k"],
        ["1000k/1000k"],
        ["2000k/2000k"],
    ]


async def test_what_a_plan_checks_is_not_lost(site: Site, more: FreeRadiusServer) -> None:
    await site.projector.project_plans()
    subscriber = await site.active()
    password = await site.password(subscriber)
    async with site.radius_database.begin() as db:
        check = {"groupname": f"{site.tenant_id}/{PLAN}", "attribute": "Auth-Type", "op": ":=", "value": "Reject"}
        await db.execute(insert(radgroupcheck).values(check))
    for nas in await both(site, more):
        assert (await nas.login(subscriber["username"], password)).code == "Access-Reject"


async def test_groups_are_read_up_to_the_first_without_fall_through(site: Site, more: FreeRadiusServer) -> None:
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
    async with rows_of_others(site, rows):
        replies = [await nas.login(name, "sesame") for nas in await both(site, more)]

    assert [reply.accepted for reply in replies] == [True, True]
    assert [(reply.first("Session-Timeout"), reply.first("Idle-Timeout")) for reply in replies] == [("77", None)] * 2


PASSWORD = "sesame-of-somebody"
IN_CLEAR = ("Cleartext-Password", ":=", PASSWORD)


def hashed(password: str) -> tuple[str, str, str]:
    return ("NT-Password", ":=", md4(password.encode("utf-16-le")).hex())


CHECKS_OF_OTHERS: dict[str, tuple[list[tuple[str, str, str]], bool]] = {
    "a kind of password that we never write": ([("MD5-Password", ":=", md5(PASSWORD.encode()).hexdigest())], True),
    "another password than the one that is sent": ([("MD5-Password", ":=", md5(b"another").hexdigest())], False),
    "a comparison that holds": ([IN_CLEAR, ("Calling-Station-Id", "==", "02-00-00-00-00-01")], True),
    "a comparison that does not hold": ([IN_CLEAR, ("Calling-Station-Id", "==", "02-00-00-00-00-02")], False),
    "a password by another operator": ([("Cleartext-Password", "+=", PASSWORD)], True),
    "a name in other letters": ([("cleartext-password", ":=", PASSWORD)], True),
    "a way in without a password": ([("Auth-Type", ":=", "Accept")], True),
    "a second login that is none": ([IN_CLEAR, ("Simultaneous-Use", ":=", "1")], True),
    "a method that this server has not": ([IN_CLEAR, ("Auth-Type", ":=", "LDAP")], False),
    "a moment that is none": ([IN_CLEAR, ("Expiration", ":=", "whenever")], False),
    "two passwords, of which the first is right": ([IN_CLEAR, hashed("another")], True),
    "two passwords, of which the second is right": ([hashed("another"), IN_CLEAR], False),
}


@pytest.mark.parametrize("checked", CHECKS_OF_OTHERS)
async def test_what_somebody_else_s_rows_check_is_answered_the_same(
    site: Site, more: FreeRadiusServer, checked: str
) -> None:
    name, (checks, accepted) = site.new_username(), CHECKS_OF_OTHERS[checked]
    rows: list[tuple[Any, dict[str, Any]]] = [
        *((radcheck, {"username": name, "attribute": each, "op": op, "value": value}) for each, op, value in checks),
        (radreply, {"username": name, "attribute": "Mikrotik-Rate-Limit", "op": ":=", "value": "1k/1k"}),
        (radreply, {"username": name, "attribute": "Class", "op": ":=", "value": "0x31"}),
    ]
    async with rows_of_others(site, rows):
        answers = [said(await nas.login(name, PASSWORD)) for nas in await both(site, more)]
    assert answers[0] == answers[1]
    assert (answers[0]["code"], answers[0].get("Class")) == (
        ("Access-Accept", ["31"]) if accepted else ("Access-Reject", None)
    )


async def test_who_a_group_refuses_is_refused_whatever_its_own_rows_say(site: Site, more: FreeRadiusServer) -> None:
    name, group = site.new_username(), f"{site.tenant_id}/disabled"
    rows: list[tuple[Any, dict[str, Any]]] = [
        (radcheck, {"username": name, "attribute": "Auth-Type", "op": ":=", "value": "Accept"}),
        (radreply, {"username": name, "attribute": "Mikrotik-Rate-Limit", "op": ":=", "value": "1k/1k"}),
        (radusergroup, {"username": name, "groupname": group, "priority": 1}),
        (radgroupcheck, {"groupname": group, "attribute": "Auth-Type", "op": ":=", "value": "Reject"}),
    ]
    async with rows_of_others(site, rows):
        codes = [(await nas.login(name, PASSWORD)).code for nas in await both(site, more)]
    assert codes == ["Access-Reject"] * 2


@pytest.mark.parametrize("holds", [True, False])
async def test_what_somebody_else_s_groups_compare_decides_about_the_login(
    site: Site, another: FreeRadiusServer, holds: bool
) -> None:
    name, group = site.new_username(), f"{site.tenant_id}/theirs"
    station = "02-00-00-00-00-01" if holds else "02-00-00-00-00-02"
    rows: list[tuple[Any, dict[str, Any]]] = [
        (radcheck, {"username": name, "attribute": "Cleartext-Password", "op": ":=", "value": PASSWORD}),
        (radreply, {"username": name, "attribute": "Mikrotik-Rate-Limit", "op": ":=", "value": "1k/1k"}),
        (radusergroup, {"username": name, "groupname": group, "priority": 1}),
        (radgroupcheck, {"groupname": group, "attribute": "Calling-Station-Id", "op": "==", "value": station}),
        (radgroupreply, {"groupname": group, "attribute": "Session-Timeout", "op": "=", "value": "77"}),
    ]
    async with rows_of_others(site, rows):
        reply = await (await site.nas(server=another)).login(name, PASSWORD)
    assert (reply.accepted, reply.first("Session-Timeout")) == ((True, "77") if holds else (False, None))


async def test_what_is_to_be_replied_is_never_what_is_checked(site: Site, more: FreeRadiusServer) -> None:
    name, group = site.new_username(), f"{site.tenant_id}/misplaced"
    told = {
        "Mikrotik-Rate-Limit": "1k/1k",
        "Auth-Type": "Accept",
        "Cleartext-Password": "misplaced",
        "auth-type": "Accept",
        "Firstlight-Check-Cleartext-Password": "misplaced",
        "firstlight-check-firstlight-login": "By-Line",
    }
    rows: list[tuple[Any, dict[str, Any]]] = [
        (radcheck, {"username": name, "attribute": "Cleartext-Password", "op": ":=", "value": PASSWORD}),
        *(
            (radreply, {"username": name, "attribute": each, "op": ":=", "value": value})
            for each, value in told.items()
        ),
        (radusergroup, {"username": name, "groupname": group, "priority": 1}),
        (
            radgroupreply,
            {"groupname": group, "attribute": "Firstlight-Check-Cleartext-Password", "op": ":=", "value": "too"},
        ),
    ]
    async with rows_of_others(site, rows):
        for nas in await both(site, more):
            assert not (await nas.login(name, "misplaced")).accepted
            assert not (await nas.login(name, "too")).accepted
            assert (await nas.login(name, PASSWORD)).accepted


@pytest.mark.parametrize("grouped", [False, True])
async def test_who_has_nothing_that_is_checked_is_nobody(site: Site, more: FreeRadiusServer, grouped: bool) -> None:
    name, group = site.new_username(), f"{site.tenant_id}/left"
    rows: list[tuple[Any, dict[str, Any]]] = [
        (radreply, {"username": name, "attribute": "Mikrotik-Rate-Limit", "op": ":=", "value": "1k/1k"}),
        (radreply, {"username": name, "attribute": "Reply-Message", "op": ":=", "value": "You are known."}),
        (radusergroup, {"username": name, "groupname": group, "priority": 1}),
        (radgroupreply, {"groupname": group, "attribute": "Session-Timeout", "op": "=", "value": "77"}),
    ]
    async with rows_of_others(site, rows if grouped else rows[:2]):
        answers = [said(await nas.login(name, PASSWORD)) for nas in await both(site, more)]
        log = LoginLog(site.radius_database.read, site.radius_database.begin)
        words = [each["words"] for each in await log.unknown_users(site.tenant_id) if each["username"] == name]
    assert answers == [{"code": "Access-Reject"}] * 2
    assert words == ["no such user"]


@pytest.mark.parametrize("knows", [True, False], ids=["known", "unknown"])
async def test_nobody_is_let_in_where_a_piece_of_the_plan_cannot_be_told(
    site: Site, more: FreeRadiusServer, run_dir: Path, tmp_path: Path, knows: bool
) -> None:
    """Nor by a server of before, whose dictionary and policies don't know how that is said."""
    if not knows:
        await asyncio.to_thread(more.stop)
        shutil.copytree(RADDB, old := tmp_path / "raddb")
        words = (old / "dictionary").read_text("utf-8")
        (old / "dictionary").write_text(re.sub("ATTRIBUTE\tFirstlight-Untold.*\n", "", words), "utf-8")
        policies = (old / "policies.conf").read_text("utf-8")
        branch = "if (&reply:Firstlight-Untold) {\n\t\tnot_at_this_nas\n\t}\n\tels"
        assert branch in policies
        (old / "policies.conf").write_text(policies.replace(branch, ""), "utf-8")
        more._raddb = old
        await asyncio.to_thread(more.start)
    name, piece, garden = site.new_username(), f"{site.tenant_id}/plan:vrf", f"{site.tenant_id}/garden"
    rows: list[tuple[Any, dict[str, Any]]] = [
        (radcheck, {"username": name, "attribute": "Cleartext-Password", "op": ":=", "value": PASSWORD}),
        (radusergroup, {"username": name, "groupname": piece, "priority": 1}),
        (radgroupreply, {"groupname": piece, "attribute": "Fall-Through", "op": "=", "value": "Yes"}),
        (
            radgroupreply,
            {"groupname": f"{piece}:mikrotik", "attribute": "Firstlight-Untold", "op": "=", "value": "vrf"},
        ),
        (radusergroup, {"username": name, "groupname": garden, "priority": 2}),
        (
            radgroupreply,
            {"groupname": f"{garden}:mikrotik", "attribute": "Mikrotik-Rate-Limit", "op": "=", "value": "1k/1k"},
        ),
    ]
    one, other = await both(site, more)
    async with rows_of_others(site, rows):
        refused = [said(await nas.login(name, PASSWORD)) for nas in ((one, other) if knows else (other,))]
    async with rows_of_others(site, [row for row in rows if row[1].get("attribute") != "Firstlight-Untold"]):
        assert [(await nas.login(name, PASSWORD)).accepted for nas in (one, other)] == [True, True]
    assert {each["code"] for each in refused} == {"Access-Reject"}
    if knows:
        assert {each["Reply-Message"][0] for each in refused} == {"No rate is known for this line at this NAS."}


async def test_a_name_of_every_character_at_its_longest_is_asked_for(site: Site, more: FreeRadiusServer) -> None:
    """Each that is unsafe in SQL becomes three there, and the name stands in one question again and again."""
    name = site.new_username()
    name += "'" * (253 - len(name))
    for nas in await both(site, more):
        assert said(await nas.login(name, PASSWORD)) == {"code": "Access-Reject"}
    log = LoginLog(site.radius_database.read, site.radius_database.begin)
    [unknown] = [each for each in await log.unknown_users(site.tenant_id) if each["username"][:80] == name[:80]]
    assert (unknown["words"], unknown["times"]) == ("no such user", 2)


async def test_all_that_firstlight_itself_checks_comes_in_one_question(site: Site) -> None:
    await site.define_plan(second_login="reject", access="ipoe")
    await site.projector.project_plans()
    await site.nas(lines=True)
    bound, on_its_line, refused = await site.active(), await site.active(), await site.create()
    lines = (LineIdentity("02-00-00-00-00-0a", "ge-0/0/1", "olt-1 1/1", "cpe"), LineIdentity("02-00-00-00-00-0b"))
    async with site.database.begin() as db:
        verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        for subscriber, line in zip((bound, on_its_line), lines, strict=True):
            logs_in = subscriber is on_its_line
            await verbs.bind(subscriber_id=subscriber["subscriber_id"], line=line, logs_in=logs_in)
    for subscriber in (bound, on_its_line, refused):
        await site.projector.project_subscriber(subscriber["subscriber_id"])
    question = (RADDB / "sql" / "login_questions-postgresql.conf").read_text("utf-8")
    known_checks, is_known = (
        re.findall(rf'^{name} = "(.*)"$', question, re.MULTILINE)[0] for name in ("known_checks", "is_known")
    )
    told = is_known.replace("${known_checks}", known_checks)
    names = {each["username"] for each in (bound, on_its_line, refused)}
    checked = set[str]()
    async with site.radius_database.read() as db:
        for table, owner in (("radcheck", "username"), ("radgroupcheck", "groupname")):
            for name, attribute, known in await db.execute(text(f"SELECT {owner}, attribute, {told} FROM {table}")):
                if name in names or name.startswith(site.tenant_id):
                    assert known, (name, attribute)
                    checked.add(attribute)
    assert checked == {
        *("Cleartext-Password", "Auth-Type", "Simultaneous-Use", "Firstlight-Login"),
        *("Firstlight-Station", "Firstlight-Port", "Firstlight-Circuit", "Firstlight-Remote"),
    }


def test_what_is_checked_is_known_to_the_question_the_dictionary_and_the_policy() -> None:
    checked = {name: fact.type for name, fact in ATTRIBUTES.items() if fact.place == "check"}
    question = (RADDB / "sql" / "login_questions-postgresql.conf").read_text("utf-8")
    [known] = re.findall(r"^known_checks = \"(.*)\"$", question, re.MULTILINE)
    assert sorted(re.findall(r"'([\w-]+)'", known)) == sorted(checked)

    dictionary = (RADDB / "dictionary").read_text("utf-8")
    typed = dict(
        re.findall(r"^ATTRIBUTE\tFirstlight-Check-([\w-]+)\t\d+\t(\w+)(?:\tsecret)?$", dictionary, re.MULTILINE)
    )
    assert typed == checked | {
        "Auth-Type": "string"
    }  # by its name, as an Auth-Type of the site has no number of its own

    policies = (RADDB / "policies.conf").read_text("utf-8")
    policy = policies[policies.index("\nwhat_is_checked {") :].partition("\n}")[0]
    told = set(re.findall(r"&control:([\w-]+) := &reply:Firstlight-Check-\1\n", policy))
    assert told | {"Auth-Type"} == set(checked)
    assert set(re.findall(r"&Firstlight-Check-([\w-]+) !\* ANY\n", policy)) == set(checked)
    assert set(re.findall(r"&reply:Firstlight-Check-([\w-]+)(?: &&|\))", policy)) == set(checked)
