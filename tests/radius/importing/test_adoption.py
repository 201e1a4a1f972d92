"""What the tables of another FreeRADIUS come to as lines: by their operators, their spelling and their groups."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from provisioning.database import Database
from radius import Adoption, SubscriberFile, read_radius_tables

pytestmark = pytest.mark.both_databases

RENDERED = {
    "fiber-100": [("Mikrotik-Rate-Limit", "20M/100M"), ("Acct-Interim-Interval", "300"), ("Framed-Pool", "home")],
    "fiber-50": [("Mikrotik-Rate-Limit", "5M/50M"), ("Simultaneous-Use", "1")],
}


OWNERS = {
    "radcheck": "username",
    "radreply": "username",
    "radusergroup": "username",
    "radgroupcheck": "groupname",
    "radgroupreply": "groupname",
}


@pytest.fixture
async def theirs(database_url: str) -> AsyncIterator[Database]:
    """The tables as FreeRADIUS' own schema makes them, without a word of what is right."""
    opened = Database(database_url)
    async with opened.engine.begin() as connection:
        for table, owner in OWNERS.items():
            columns = (
                "groupname text, priority int" if table == "radusergroup" else "attribute text, op char(2), value text"
            )
            await connection.execute(text(f"CREATE TABLE {table} (id integer PRIMARY KEY, {owner} text, {columns})"))
    yield opened
    await opened.close()


async def put(theirs: Database, table: str, *rows: tuple[str, ...]) -> None:
    async with theirs.begin() as db:
        await db.execute(text(f"DELETE FROM {table}"))
        for number, values in enumerate(rows, start=1):
            listed = ", ".join(f"'{value}'" for value in values)
            await db.execute(text(f"INSERT INTO {table} VALUES ({number}, {listed})"))


def faults_of(read: SubscriberFile) -> dict[str, tuple[str, ...]]:
    return {line.username: line.faults for line in read.lines}


async def read_as(theirs: Database, known: Adoption) -> SubscriberFile:
    return await read_radius_tables(theirs.read, known, own=False)


def beside(*names: str, **cells: str) -> dict[str, dict[str, str]]:
    return {name: {"customer_id": "2001", "plan": "fiber-100", **cells} for name in names}


async def test_what_is_compared_with_a_login_is_no_password_and_suspends_nobody(theirs: Database) -> None:
    for attribute, value in (
        ("Cleartext-Password", "kept-1"),
        ("User-Password", "kept-1"),
        ("NT-Password", "44ebba8d5312b8d611474411f56989ae"),
        ("Password-With-Header", "{clear}kept-1"),
        ("Auth-Type", "Reject"),
    ):
        for op in ("==", "!=", "+=", ""):
            hashed = ("ann", "SSHA2-512-Password", ":=", "00" * 72)
            await put(theirs, "radcheck", ("ann", attribute, op, value), hashed)
            [line] = (await read_as(theirs, Adoption(beside("ann")))).lines
            how = op or "without an operator"
            assert line.faults == (f"radcheck has {attribute} {how}, for which there is no place",)
            assert (line.password, line.state) == (None, "active")
            left_out = Adoption(beside("ann"), frozenset({attribute.lower()}))
            assert faults_of(await read_as(theirs, left_out)) == {"ann": ()}


async def test_a_password_that_is_said_beside_stands_in_for_one_that_is_compared(theirs: Database) -> None:
    await put(theirs, "radcheck", ("ann", "Cleartext-Password", "==", "old"))
    [line] = (await read_as(theirs, Adoption(beside("ann", password="anew")))).lines
    assert (line.faults, line.password) == ((), "anew")


async def test_attributes_are_known_in_any_case_of_letters_and_set_by_either_operator(theirs: Database) -> None:
    await put(
        theirs,
        "radcheck",
        ("ann", "cleartext-password", "=", "kept-1"),
        ("ann", "CALLING-STATION-ID", "==", "00-1a-2b-3c-4d-5e"),
        ("ann", "auth-type", ":=", "reject"),
        ("ben", "nt-password", ":=", "44ebba8d5312b8d611474411f56989ae"),
    )
    ann, ben = (await read_as(theirs, Adoption(beside("ann", "ben")))).lines
    assert (ann.faults, ann.password, ann.state, ann.line.station) == ((), "kept-1", "suspended", "001a2b3c4d5e")
    assert (ben.faults, ben.password_hash is not None and ben.password_hash.kind) == ((), "nt")


async def grouped(theirs: Database) -> None:
    await put(theirs, "radcheck", *((name, "Cleartext-Password", ":=", "pw") for name in ("ann", "ben", "cat", "dan")))
    members = (("ann", "fiber-100"), ("ben", "fiber-100"), ("cat", "fiber-100"), ("dan", "fiber-50"))
    await put(theirs, "radusergroup", *((name, group, "1") for name, group in members))
    await put(theirs, "radgroupcheck", ("fiber-100", "Simultaneous-Use", ":=", "1"))
    await put(
        theirs,
        "radgroupreply",
        ("fiber-100", "Mikrotik-Rate-Limit", "=", "5M/50M"),
        ("fiber-100", "acct-interim-interval", ":=", "300"),
        ("fiber-100", "Session-Timeout", ":=", "3600"),
        ("fiber-100", "Tunnel-Password", ":=", "never told"),
        ("fiber-50", "Mikrotik-Rate-Limit", ":=", "5M/50M"),
        ("nobodys", "Session-Timeout", ":=", "60"),
    )


async def test_what_a_group_has_and_its_plan_does_not_say_is_told_once_of_the_plan_in_its_place(
    theirs: Database,
) -> None:
    await grouped(theirs)
    without = {name: {"customer_id": "2001"} for name in ("ann", "ben", "cat", "dan")}
    mapped = {**without, "cat": {"customer_id": "2001", "plan": "fiber-50"}}
    instead = "change the plan, or leave the attribute out (--leave-out group:ATTRIBUTE)"

    found = faults_of(await read_as(theirs, Adoption(mapped, plans=RENDERED)))
    assert found == {
        "ann": (
            "group fiber-100 has Simultaneous-Use 1, Mikrotik-Rate-Limit 5M/50M, Session-Timeout 3600, Tunnel-Password,"
            f" which plan fiber-100 does not say: {instead}",
        ),
        "ben": (),
        "cat": (
            "group fiber-100 has acct-interim-interval 300, Session-Timeout 3600, Tunnel-Password, which plan fiber-50"
            f" does not say: {instead}",
        ),
        "dan": (),
    }
    left_out = frozenset({"session-timeout", "Tunnel-Password", "Acct-Interim-Interval", "Simultaneous-Use"})
    some = faults_of(await read_as(theirs, Adoption(mapped, left_out, plans=RENDERED)))
    assert some["ann"] == (
        f"group fiber-100 has Mikrotik-Rate-Limit 5M/50M, which plan fiber-100 does not say: {instead}",
    )
    assert [faults for name, faults in some.items() if name != "ann"] == [()] * 3
    of_groups = frozenset(f"group:{name}" for name in (*left_out, "mikrotik-rate-limit"))
    assert set(faults_of(await read_as(theirs, Adoption(mapped, of_groups, plans=RENDERED))).values()) == {()}
    nobody_of_it = Adoption(mapped, frozenset({f"user={name}" for name in ("ann", "ben", "cat")}), plans=RENDERED)
    assert faults_of(await read_as(theirs, nobody_of_it)) == {"dan": ()}


async def test_one_rate_in_two_spellings_is_one_and_what_orders_rows_is_nothing_of_a_plan(theirs: Database) -> None:
    await put(theirs, "radcheck", ("eve", "Cleartext-Password", ":=", "pw"))
    await put(theirs, "radusergroup", ("eve", "fiber-7", "1"))
    told = ("fiber-7", "Mikrotik-Rate-Limit", "=", "5M/50M 10M/100M")
    await put(theirs, "radgroupreply", told, ("fiber-7", "Fall-Through", "=", "Yes"))
    for rate, is_alike in (("5000k/50000k 10000k/100000k", True), ("5000k/50000k 10000k/100001k", False)):
        plans = {"fiber-7": [("Mikrotik-Rate-Limit", rate)]}
        found = faults_of(await read_as(theirs, Adoption({"eve": {"customer_id": "2001"}}, plans=plans)))
        assert (found["eve"] == ()) is is_alike


async def test_an_empty_password_is_none_and_one_is_to_be_said_beside_it(theirs: Database) -> None:
    missing = ("has no password, neither in clear nor as a hash: say one beside it",)
    for attribute in ("Cleartext-Password", "User-Password"):
        await put(theirs, "radcheck", ("ann", attribute, ":=", ""), ("eve", attribute, ":=", ""))
        async with theirs.begin() as db:
            await db.execute(text("UPDATE radcheck SET value = NULL WHERE username = 'eve'"))
        assert faults_of(await read_as(theirs, Adoption(beside("ann", "eve")))) == {"ann": missing, "eve": missing}
        said = await read_as(theirs, Adoption(beside("ann", "eve", password="kept-1")))
        assert [(line.password, line.faults) for line in said.lines] == [("kept-1", ())] * 2
    by_line = beside("ann", "eve", login_by_line="yes", station="00:1a:2b:3c:4d:5e")
    assert faults_of(await read_as(theirs, Adoption(by_line))) == {"ann": (), "eve": ()}
