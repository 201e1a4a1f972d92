"""Every invariant finds the corruption it is for. The tables here are an existing server's: they have no CHECKs of
ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, insert, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.database import Database
from radius import (
    RADIUS_INVARIANTS,
    Drift,
    Finding,
    FramedAddresses,
    PlanTerms,
    SubscriberVerbs,
    doubled_addresses,
    doubled_findings,
    drift_findings,
    ensure_freeradius_tables,
)
from radius import subscribers_of_ended_services as ended
from radius.invariants import sessions_of_refused, sessions_of_terminated, silent_nases
from radius.projection.freeradius_tables import nas, radacct, radcheck, radgroupreply, radpostauth, radreply
from radius.sessions.tables import radius_nas_heard
from radius.tables import FormerUsername
from radius.testing import LabSession, Usage
from tests.radius.conftest import PLAN, Site

STOCK = (
    "CREATE TABLE radcheck (id {id}, username text, attribute text, op text, value text)",
    "CREATE TABLE radreply (id {id}, username text, attribute text, op text, value text)",
    "CREATE TABLE radgroupreply (id {id}, groupname text, attribute text, op text, value text)",
    "CREATE TABLE nas (id {id}, nasname text, shortname text, type text, secret text, description text)",
)


@pytest.fixture
async def stock(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    number = "bigserial PRIMARY KEY" if opened.is_postgresql else "INTEGER PRIMARY KEY"
    async with opened.engine.begin() as connection:
        for table in STOCK:
            await connection.execute(text(table.format(id=number)))
        await connection.run_sync(ensure_freeradius_tables)
    yield opened
    await opened.close()


async def _ask(stock: Database) -> dict[str, list[Finding]]:
    async with stock.begin() as db:
        return {invariant.name: await invariant.find(db, datetime.now(UTC)) for invariant in RADIUS_INVARIANTS}


def _subjects(findings: list[Finding]) -> list[str]:
    return sorted(finding.subject for finding in findings)


async def _row(db: AsyncSession, username: str, attribute: str, value: str, op: str = ":=") -> None:
    table = radcheck if attribute == "Cleartext-Password" else radreply
    await db.execute(insert(table).values(username=username, attribute=attribute, op=op, value=value))


async def test_a_sound_database_has_no_finding(stock: Database) -> None:
    async with stock.begin() as db:
        await _row(db, "anna", "Cleartext-Password", "sesame")
        await _row(db, "anna", "Framed-IP-Address", "100.64.0.9")
        await _row(db, "anna", "Filter-Id", "one", "+=")
        await _row(db, "anna", "Filter-Id", "two", "+=")
        await db.execute(insert(nas).values(nasname="10.0.0.1", shortname="bng", type="mikrotik", secret="s" * 24))
    assert await _ask(stock) == {invariant.name: [] for invariant in RADIUS_INVARIANTS}


async def test_sessions_that_no_worker_looks_after_are_found(stock: Database) -> None:
    now = datetime.now(UTC)
    session = {"acctsessionid": "s", "acctuniqueid": "s", "username": "anna", "nasipaddress": "10.0.0.1"}
    long_ago, lately = now - timedelta(minutes=11), now - timedelta(minutes=9)
    told = []
    async with stock.begin() as db:
        await db.execute(insert(radacct).values(**session, acctstarttime=long_ago, acctupdatetime=now))
        told.append(_subjects(await silent_nases(db, now)))  # nobody has ever looked: there was no worker yet
        at = {"heard_at": now, "changed_at": now, "heard_since": now}
        for looked_at in (long_ago, lately):
            await db.execute(delete(radius_nas_heard))
            await db.execute(insert(radius_nas_heard).values(nasipaddress="10.0.0.1", looked_at=looked_at, **at))
            told.append(_subjects(await silent_nases(db, now)))
    assert told == [[], ["worker"], []]


async def test_a_value_that_does_not_arrive_as_it_is_written_is_found(stock: Database) -> None:
    mangled = ["`%{sql:SELECT 1}`", "'x1'", '"x2"', "a\\n", "a\nb", "%{User-Password}", "x" * 254, " x3", ""]
    async with stock.begin() as db:
        await _row(db, "sound", "Cleartext-Password", "sesame")
        await _row(db, "wrong-op", "Cleartext-Password", "sesame", "==")
        for number, value in enumerate(mangled):
            await _row(db, f"user-{number}", "Cleartext-Password", value)
            group = {"groupname": f"group-{number}", "attribute": "Filter-Id", "op": "=", "value": value}
            await db.execute(insert(radgroupreply).values(group))
    found = (await _ask(stock))["radius.mangled_values"]

    numbers = range(len(mangled))
    assert _subjects(found) == sorted(
        [*(f"user-{number}" for number in numbers), *(f"group-{number}" for number in numbers), "wrong-op"]
    )
    assert not [value for value in mangled if value and any(value in finding.sentence for finding in found)]


async def test_a_row_with_nothing_in_it_is_found(stock: Database) -> None:
    async with stock.begin() as db:
        for columns in (
            "'anna', NULL, ':=', 'x'",
            "'berta', 'Idle-Timeout', NULL, '60'",
            "'carl', 'Idle-Timeout', '=', NULL",
        ):
            await db.execute(text(f"INSERT INTO radreply (username, attribute, op, value) VALUES ({columns})"))
    assert _subjects((await _ask(stock))["radius.mangled_values"]) == ["anna", "berta", "carl"]


async def test_a_username_that_is_never_looked_up_is_found(stock: Database) -> None:
    async with stock.begin() as db:
        await _row(db, "o'brien", "Cleartext-Password", "sesame")
    assert _subjects((await _ask(stock))["radius.mangled_values"]) == ["o'brien"]


async def test_a_second_row_of_a_single_value_is_found(stock: Database) -> None:
    async with stock.begin() as db:
        for password in ("old", "new"):
            await _row(db, "anna", "Cleartext-Password", password)
        for address in ("100.64.0.1", "100.64.0.2"):
            await _row(db, "berta", "Framed-IP-Address", address)
    assert _subjects((await _ask(stock))["radius.repeated_single_values"]) == ["anna", "berta"]


async def test_a_password_in_the_login_log_is_found_and_not_repeated(stock: Database) -> None:
    async with stock.begin() as db:
        columns = {"username": "anna", "pass": "sesame", "reply": "Access-Accept", "authdate": datetime.now(UTC)}
        await db.execute(insert(radpostauth).values(columns))
    found = (await _ask(stock))["radius.passwords_in_login_log"]
    assert _subjects(found) == ["anna"]
    assert "sesame" not in found[0].sentence


async def test_one_address_for_two_usernames_is_found(stock: Database) -> None:
    async with stock.begin() as db:
        for username in ("anna", "berta"):
            await _row(db, username, "Framed-IP-Address", "100.64.0.9")
        assert _subjects(doubled_findings(await doubled_addresses(db), {})) == ["100.64.0.9"]


async def test_that_the_nas_chooses_is_no_address_that_is_given_twice(stock: Database) -> None:
    async with stock.begin() as db:
        for username in ("anna", "berta"):
            for chosen in ("255.255.255.254", "255.255.255.255"):
                await _row(db, username, "Framed-IP-Address", chosen)
        assert await doubled_addresses(db) == []


async def test_one_address_is_no_finding_where_it_is_allocated_in_two_vrfs_of_which_no_nas_is_told(
    stock: Database,
) -> None:
    route = "198.51.100.8/29 0.0.0.0 1"
    names = ("anna", "berta", "carl", "dora")
    async with stock.begin() as db:
        for username in names:
            await _row(db, username, "Framed-Route", route)
        doubled = await doubled_addresses(db)

    def told(*vrfs: str | None) -> list[str]:
        known = {name: {"198.51.100.8/29": vrf} for name, vrf in zip(names, vrfs, strict=True) if vrf is not None}
        return [finding.sentence for finding in doubled_findings(doubled, known)]

    assert told("blue", "red", "green", "default") == []
    assert told("blue", "red", "blue", "default") == [f"radreply gives {route} to 2 usernames."]
    assert told("blue", "red", "green", None) == [f"radreply gives {route} to 4 usernames."]  # it may be in any
    another = {name: {"198.51.100.16/29": name} for name in names}
    assert [finding.sentence for finding in doubled_findings(doubled, another)] == [
        f"radreply gives {route} to 4 usernames."
    ]


@pytest.mark.both_databases
async def test_one_address_in_two_vrfs_is_no_finding_and_in_one_of_them_is(site: Site) -> None:
    address = FramedAddresses(ipv4="100.64.77.9")
    await site.define_plan()
    async with site.database.begin() as db:
        service = site.service(db)
        for plan, vrf, priority in (("blue", "blue", None), ("red", "red", None), ("gold", "red", 1)):
            terms = PlanTerms(100_000, 20_000, where_untold="refuse_login", vrf=vrf, priority=priority)
            await service.define_plan(name=plan, terms=terms)
    await site.projector.project_plans()
    apart: dict[str, dict[str, str]] = {}

    async def given(plan: str) -> list[str]:
        """After one more, of that plan, has it."""
        async with site.database.begin() as db:
            made = await site.service(db).create_subscriber(
                customer_id=7, username=site.new_username(), bandwidth_profile=plan, addresses=address
            )
        await site.activate(made["subscriber_id"])
        apart[made["username"]] = {"100.64.77.9/32": made["username"]}
        return await found({})

    async def found(known: dict[str, dict[str, str]]) -> list[str]:
        async with site.radius_database.begin() as db:
            found = doubled_findings(await doubled_addresses(db), known)
        return [finding.sentence for finding in found if finding.subject == address.ipv4]

    assert [await given(plan) for plan in (PLAN, "blue", "red")] == [[], [], []]
    assert await given("gold") == ["radreply gives 100.64.77.9 to 2 usernames."]
    assert await given(PLAN) == ["radreply gives 100.64.77.9 to 4 usernames."]
    assert await found(apart) == ["radreply gives 100.64.77.9 to 2 usernames."]  # whom a NAS puts into one, as told


async def test_a_nas_that_is_told_no_rate_is_found(stock: Database) -> None:
    async with stock.begin() as db:
        await db.execute(insert(nas).values(nasname="10.0.0.1", shortname="old", type="other", secret="s" * 24))
    assert _subjects((await _ask(stock))["radius.nas_without_dialect"]) == ["10.0.0.1"]


async def test_a_session_that_outlives_its_subscriber_is_found_after_a_quarter_of_an_hour(site: Site) -> None:
    nas_of_site = await site.nas()
    ended, revived, online = [await site.active() for _ in range(3)]
    for subscriber in (ended, revived, online):
        await nas_of_site.accounting_start(LabSession(subscriber["username"], session_id=f"s{subscriber['username']}"))
    await nas_of_site.accounting_start(over := LabSession(ended["username"]))
    await nas_of_site.accounting_stop(over, Usage(seconds=1))
    for subscriber in (ended, revived):
        await site.projector.withdraw_subscriber(subscriber["subscriber_id"])
    await site.activate((await site.create(revived["username"]))["subscriber_id"])

    async def ask(after: timedelta) -> list[Finding]:
        async with site.radius_database.begin() as db:
            found = await sessions_of_terminated(db, datetime.now(UTC) + after)
        mine = {subscriber["username"] for subscriber in (ended, revived, online)}
        return [finding for finding in found if finding.subject in mine]

    assert await ask(timedelta(minutes=14)) == []
    (finding,) = await ask(timedelta(minutes=16))
    assert finding.subject == ended["username"]
    assert f"session s{ended['username']} at NAS {nas_of_site.source_address} is still open" in finding.sentence


@pytest.mark.both_databases
@pytest.mark.parametrize("service_id", [None, 7])
async def test_a_session_of_who_had_the_name_before_is_not_the_present_ones(site: Site, service_id: int | None) -> None:
    nas_of_site, former = await site.nas(), await site.active()
    name, later = former["username"], datetime.now(UTC) + timedelta(minutes=16)
    async with site.database.begin() as db:
        verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        await verbs.rename(subscriber_id=former["subscriber_id"], username=site.new_username())
        await db.execute(update(FormerUsername).values(free_at=site.now()))
    await site.projector.project_subscriber(former["subscriber_id"])
    async with site.database.begin() as db:
        present = (
            await site.service(db).create_subscriber(
                customer_id=7, username=name, bandwidth_profile=PLAN, service_id=service_id
            )
        )["subscriber_id"]
    await site.projector.project_subscriber(present)
    own = f"subscriber-{present}" if service_id is None else f"service-{service_id}"
    labels = (f"subscriber-{former['subscriber_id']}", "service-99", own, "another-server", None)
    for label in labels:
        service_class = None if label is None else label.encode()
        session = LabSession(name, session_id=f"{label}-{name}", service_class=service_class)
        await nas_of_site.accounting_start(session)

    async def told(find: Callable[[AsyncSession, datetime], Awaitable[list[Finding]]]) -> list[str]:
        async with site.radius_database.begin() as db:
            found = [finding.sentence for finding in await find(db, later) if finding.subject == name]
        return [str(label) for label in labels if any(f"session {label}-{name} " in sentence for sentence in found)]

    assert await told(sessions_of_refused) == [own, "another-server", "None"]
    await site.projector.withdraw_subscriber(present)
    assert await told(sessions_of_terminated) == ["service-99", own, "another-server", "None"]
    async with site.radius_database.begin() as db:
        await db.execute(delete(radacct).where(radacct.c.username == name))


async def test_a_subscriber_whose_service_has_ended_is_found(site: Site) -> None:
    async with site.database.begin() as db:
        service = site.service(db)
        for service_id, username in ((1, "anna"), (2, "berta"), (3, "carl"), (None, "dora")):
            created = await service.create_subscriber(
                customer_id=7, username=username, bandwidth_profile=PLAN, service_id=service_id
            )
            if username == "carl":
                await service.terminate(subscriber_id=created["subscriber_id"])
        found = await ended(db, tenant_id=site.tenant_id, live_service_ids=[2])
    assert _subjects(found) == ["anna"]


def test_drift_is_said_in_plain_words() -> None:
    drift = Drift("subscriber", "anna", "extra", "w", "a", awaiting_projection=False)
    assert [finding.sentence for finding in drift_findings([drift, replace(drift, awaiting_projection=True)])] == [
        "subscriber anna still has rows in FreeRADIUS' tables and should have none.",
        "subscriber anna still has rows in FreeRADIUS' tables and should have none"
        " (its last change is not projected yet).",
    ]


def test_every_invariant_has_a_name_of_its_own() -> None:
    names = [invariant.name for invariant in RADIUS_INVARIANTS]
    assert len(set(names)) == len(names)
    assert all(name.startswith("radius.") for name in names)
