"""The log of logins tells who, from where and why not; the real FreeRADIUS writes it, and it never decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Executable, delete, insert, select, text, update

from radius import LineIdentity, LoginLog, SubscriberVerbs
from radius.escapes import shown
from radius.logins.forgetting import MOST_UNKNOWN
from radius.logins.tables import radius_login, radius_unknown_nas, radius_unknown_user
from radius.logins.views import REASONS
from radius.projection.freeradius_tables import nas as nas_table
from radius.projection.freeradius_tables import radacct, radcheck
from radius.tables import Subscriber
from radius.testing import LabNas, LabSession, NoAnswer
from tests.radius.conftest import Site, soon

pytestmark = pytest.mark.both_databases

HOUR = timedelta(hours=1)


@pytest.fixture
def log(site: Site) -> LoginLog:
    return LoginLog(site.radius_database.read, site.radius_database.begin)


async def reasons(log: LoginLog, username: str) -> list[str | None]:
    return [each["reason"] for each in reversed(await log.logins_of(username))]


async def test_an_accept_says_who_when_how_and_from_where(site: Site, log: LoginLog) -> None:
    subscriber, nas = await site.active(), await site.nas()
    password = await site.password(subscriber)
    for method in ("pap", "chap"):
        await nas.login(subscriber["username"], password, method="chap" if method == "chap" else "pap")

    chap, pap = await log.logins_of(subscriber["username"])

    assert pap == {
        "login_id": pap["login_id"],
        "username": subscriber["username"],
        "accepted": True,
        "reason": None,
        "words": None,
        "about": None,
        "method": "pap",
        "nas_address": nas.source_address,
        "nas_said_address": nas.source_address,
        "nas_identifier": nas.name,
        "calling_station": "02-00-00-00-00-01",
        "nas_port": "lab0",
        "circuit": None,
        "happened_at": pap["happened_at"],
    }
    assert abs(datetime.now(UTC) - pap["happened_at"]) < timedelta(minutes=1)
    assert (chap["method"], chap["accepted"]) == ("chap", True)
    heard = await log.heard([nas.source_address, "192.0.2.77"])
    assert (heard.at, heard.looked_back) == ({nas.source_address: chap["happened_at"]}, None)
    assert await log.last_accept(site.new_username(), subscriber["username"]) == chap


async def test_every_refusal_says_why(site: Site, log: LoginLog) -> None:
    nas = await site.nas()
    waiting, active = await site.create(), await site.active()
    await site.projector.project_subscriber(waiting["subscriber_id"])
    password = await site.password(active)

    await nas.login(waiting["username"], await site.password(waiting))
    await site.test_until(waiting["subscriber_id"], soon())
    async with site.database.begin() as db:  # the appliance is asleep while the hours pass
        (await db.get_one(Subscriber, waiting["subscriber_id"])).testing_until = datetime.now(UTC) - HOUR
    await site.projector.project_subscriber(waiting["subscriber_id"])
    await nas.login(waiting["username"], await site.password(waiting))
    assert await reasons(log, waiting["username"]) == ["not_in_service", "expired"]

    await nas.login(active["username"], "not-the-password")
    await nas.login(active["username"], "not-the-password", method="chap")
    assert await log.wrong_in_a_row(nas.source_address) == 1
    await told(site, insert(radcheck).values(row(active["username"], "Simultaneous-Use", "1")))
    session = LabSession(active["username"], calling_station="02-00-00-00-00-02", nas_port="lab1")
    await nas.accounting_start(session)
    await nas.login(active["username"], password)
    elsewhere = await site.nas()
    await told(site, update(nas_table).where(nas_table.c.nasname == elsewhere.source_address).values(type="other"))
    await told(site, delete(radacct).where(radacct.c.username == active["username"]))
    await elsewhere.login(active["username"], password)
    own = radcheck.c.username == active["username"]
    await told(
        site, update(radcheck).where(own, radcheck.c.attribute == "Simultaneous-Use").values(attribute="No-Such")
    )
    await nas.login(active["username"], password)
    found = await log.logins_of(active["username"])
    assert [each["reason"] for each in reversed(found)] == [
        "wrong_password",
        "wrong_password",
        "already_online",
        "no_rate",
        "row_unreadable",
    ]
    assert found[2]["about"] == nas.name
    assert found[2]["words"] == "already online"
    assert not any(each["accepted"] for each in found)


async def test_a_suspended_one_one_without_a_password_and_one_whose_password_cannot_be_checked(
    site: Site, log: LoginLog
) -> None:
    nas, active = await site.nas(), await site.active()
    own = radcheck.c.username == active["username"]
    await told(site, update(radcheck).where(own).values(attribute="NT-Password", value="0" * 32))
    await nas.login(active["username"], "x", method="chap")
    await told(site, update(radcheck).where(own).values(attribute="Expiration", value="January 19 2037 00:00:00 UTC"))
    await nas.login(active["username"], "x")
    assert await log.last_accept(active["username"]) is None
    async with site.database.begin() as db:
        (await db.get_one(Subscriber, active["subscriber_id"])).state = "suspended"
    await site.projector.project_subscriber(active["subscriber_id"])
    await nas.login(active["username"], await site.password(active))
    assert await reasons(log, active["username"]) == ["uncheckable", "no_password", "suspended"]


async def test_a_login_from_another_line_says_so_and_where_from(site: Site, log: LoginLog) -> None:
    active, nas = await site.active(), await site.nas()
    async with site.database.begin() as db:
        verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        line = LineIdentity(circuit="olt-7 xpon 0/3#2")
        await verbs.bind(subscriber_id=active["subscriber_id"], line=line)
    await site.projector.project_subscriber(active["subscriber_id"])
    for circuit in ("olt-7 xpon 0/3#2", "olt-7 xpon 0/3#3"):
        said = {"ADSL-Agent-Circuit-Id": circuit}
        await nas.login(active["username"], await site.password(active), line=said)
    other, own = await log.logins_of(active["username"])
    assert (own["accepted"], own["circuit"]) == (True, "olt-7 xpon 0/3#2")
    assert (other["reason"], other["circuit"]) == ("other_line", "olt-7 xpon 0/3#3")


async def test_a_line_that_logs_in_by_itself_is_logged_under_its_subscriber(site: Site, log: LoginLog) -> None:
    await site.define_plan(access="ipoe")
    active, nas = await site.active(), await site.nas(lines=True)
    mac, other = f"02-00-{uuid4().hex[:2]}-00-00-07", "02-00-00-00-00-08"
    async with site.database.begin() as db:
        verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        await verbs.bind(subscriber_id=active["subscriber_id"], line=LineIdentity(station=mac), logs_in=True)
    await site.projector.project_subscriber(active["subscriber_id"])
    assert (await nas.line_login(mac, calling_station=mac)).accepted
    assert (await nas.line_login(other, calling_station=other)).code == "Access-Reject"
    [login] = await log.logins_of(active["username"])
    assert (login["accepted"], login["method"], login["calling_station"]) == (True, "line", mac)
    [unknown] = await log.unknown_users(site.tenant_id)
    assert (unknown["username"], unknown["calling_station"]) == (other, other)


async def test_unknown_names_are_a_list_and_one_that_is_a_password_is_not_kept(site: Site, log: LoginLog) -> None:
    nas, name = await site.nas(), site.new_username()
    for _ in range(3):
        await nas.login(name, "whatever")
    hostile = "x'); DROP TABLE radius_login; --\x1b[2J\n" + "y" * 200
    await nas.login(hostile, "whatever")
    secrets = ("Xk29fLq0PwZ7mN3bVc8d", "the same twice", "hunter2")
    await nas.login(secrets[0], "whatever")
    await nas.login(secrets[1], secrets[1])
    await nas.login(secrets[2], name)

    found = {each["username"]: each for each in await log.unknown_users(site.tenant_id)}

    assert found.keys() == {name, ":withheld:", shown(hostile)}
    known = found[name]
    assert (known["times"], known["words"], known["nas_address"]) == (3, "no such user", nas.source_address)
    assert (known["method"], known["calling_station"], known["nas_port"]) == ("pap", "02-00-00-00-00-01", "lab0")
    assert (found[":withheld:"]["times"], found[":withheld:"]["words"]) == (3, REASONS["password_as_name"])
    assert found[shown(hostile)]["username"].startswith("x'); DROP TABLE radius_login; --\\x1b[2J\\n")
    assert await log.unknown_users("another") == []
    assert await log.logins_of(name) == []
    async with site.radius_database.begin() as db:
        mine = radius_unknown_user.c.nas_address == nas.source_address
        kept = " ".join(map(str, await db.execute(select(radius_unknown_user).where(mine))))
    assert not [each for each in secrets if each in kept]


async def test_an_address_that_is_no_nas_leaves_one_row(site: Site, log: LoginLog) -> None:
    stranger = LabNas(
        name="nobody",
        secret="0" * 32,
        auth_port=site.backend.server.auth_port,
        acct_port=site.backend.server.acct_port,
        source_address=site.backend.free_nas_address(),
        timeout_seconds=1.3,
    )
    for _ in range(2):
        with pytest.raises(NoAnswer):
            await stranger.login(site.new_username(), "whatever")

    [seen] = [each for each in await log.unknown_nases() if each["address"] == stranger.source_address]

    assert seen["first_at"] < seen["last_at"] <= datetime.now(UTC)
    # of six packets one at most is counted in each second
    assert 2 <= seen["times"] <= 1 + (seen["last_at"] - seen["first_at"]) / timedelta(seconds=1)


async def test_a_log_that_is_locked_or_gone_lets_everybody_in_as_before(site: Site, log: LoginLog) -> None:
    subscriber, nas = await site.active(), await site.nas()
    name, password = subscriber["username"], await site.password(subscriber)
    assert (await nas.login(name, password)).accepted
    async with locked(site):  # until they are answered
        wrong, unknown = nas.login(name, "not-the-password"), nas.login(site.new_username(), "whatever")
        answers = await asyncio.gather(nas.login(name, password), wrong, unknown)
        assert [each.code for each in answers] == ["Access-Accept", "Access-Reject", "Access-Reject"]
    async with renamed(site, "radius_login", "radius_unknown_user", "radius_unknown_nas"):
        assert (await nas.login(name, password)).accepted
        assert (await nas.login(site.new_username(), "whatever")).code == "Access-Reject"
        assert (await (await site.nas()).login(name, password)).accepted
    assert [each["accepted"] for each in await log.logins_of(name)] == [True]
    assert (await nas.login(name, password)).accepted
    assert len(await log.logins_of(name)) == 2


async def test_what_is_old_is_forgotten_and_a_full_list_is_halved(site: Site, log: LoginLog) -> None:
    now, name = datetime.now(UTC), site.new_username()
    most = MOST_UNKNOWN["radius_unknown_nas"]
    login = {"username": name, "accepted": True, "method": "pap", "nas_address": "192.0.2.1"}
    async with site.radius_database.begin() as db:
        for table in (radius_login, radius_unknown_nas, radius_unknown_user):
            await db.execute(delete(table))
        rows = [{**login, "happened_at": now - HOUR * age} for age in (5, 4, 3, 2, 1)]
        await db.execute(insert(radius_login), rows)
        first = {"first_at": now - HOUR * 9, "times": 1}
        addresses = [
            {**first, "address": f"198.18.{number // 250}.{number % 250}", "last_at": now - number * HOUR / most}
            for number in range(most)
        ]
        await db.execute(insert(radius_unknown_nas), addresses)

    gone = await log.purge(now - HOUR * 2.5)

    assert gone == 3 + most // 2
    assert [each["happened_at"] for each in await log.logins_of(name)] == [
        (now - HOUR * age).replace(microsecond=0) for age in (1, 2)
    ]
    left = await log.unknown_nases()
    assert (len(left), left[0]["address"]) == (most // 2, "198.18.0.0")
    assert await log.purge(now - HOUR * 2.5) == 0
    async with site.radius_database.begin() as db:
        await db.execute(delete(radius_unknown_nas))


async def test_refusals_of_one_kind_after_one_another_are_told_once_and_a_page_ends_behind_all_of_them(
    site: Site, log: LoginLog
) -> None:
    began, name = datetime.now(UTC).replace(microsecond=0) - HOUR * 100, site.new_username()
    said = ["wrong_password"] * 7 + ["other_nas", "in", "in"] + ["wrong_password"] * 3 + ["suspended"] * 9
    rows = [
        {
            "username": name,
            "accepted": word == "in",
            "reason": None if word == "in" else word.replace("other_nas", "wrong_password"),
            "method": "pap",
            "nas_address": "192.0.2.2" if word == "other_nas" else "192.0.2.1",
            "happened_at": began + HOUR * number,
        }
        for number, word in enumerate(said)
    ]
    async with site.radius_database.begin() as db:
        await db.execute(insert(radius_login), rows)
    whole = await log.logins_alike(name, limit=50)
    assert [(each["newest"]["reason"], each["times"]) for each in whole] == [
        ("suspended", 9),
        ("wrong_password", 3),
        (None, 1),
        (None, 1),
        ("wrong_password", 1),
        ("wrong_password", 7),
    ]
    assert [(each["newest"]["happened_at"] - began, each["first_at"] - began) for each in whole[:2]] == [
        (HOUR * 21, HOUR * 13),
        (HOUR * 12, HOUR * 10),
    ]
    for limit in (1, 2, 4, 5):
        paged, before = list[Any](), None
        while page := await log.logins_alike(name, before_id=before, limit=limit):
            assert len(page) <= limit
            paged, before = paged + page, page[-1]["first_id"]
        assert paged == whole, limit


async def test_the_last_accept_is_the_one_that_was_last_though_another_came_into_the_log_later(
    site: Site, log: LoginLog
) -> None:
    began, name = datetime.now(UTC).replace(microsecond=0) - HOUR, site.new_username()
    minutes = (10, 30, 20)
    common = {"username": name, "accepted": True, "method": "pap", "nas_address": "192.0.2.1"}
    rows = [{**common, "happened_at": began + timedelta(minutes=each)} for each in minutes]
    async with site.radius_database.begin() as db:
        await db.execute(insert(radius_login), rows)
    last = await log.last_accept(name)
    assert last is not None
    assert last["happened_at"] == began + timedelta(minutes=30)


def test_what_came_over_the_wire_is_shown_as_it_was_sent_and_moves_no_cursor() -> None:
    assert shown("o=27brien=20=C3=A9=FF") == "o'brien é\\xff"
    assert shown("a=0Ab=1B=5B2J") == "a\\nb\\x1b[2J"


def row(username: str, attribute: str, value: str) -> dict[str, str]:
    return {"username": username, "attribute": attribute, "op": ":=", "value": value}


async def told(site: Site, statement: Executable) -> None:
    async with site.radius_database.begin() as db:
        await db.execute(statement)


@asynccontextmanager
async def locked(site: Site) -> AsyncIterator[None]:
    """Somebody holds the table (on SQLite: the file) and does not let go."""
    async with site.radius_database.engine.connect() as connection:
        if site.radius_database.is_postgresql:
            await connection.execute(text("LOCK TABLE radius_login, radius_unknown_user IN ACCESS EXCLUSIVE MODE"))
        else:
            await connection.execute(update(radius_login).values(method="pap"))
        yield


@asynccontextmanager
async def renamed(site: Site, *tables: str) -> AsyncIterator[None]:
    async def each(form: str) -> None:
        async with site.radius_database.engine.begin() as connection:
            for table in tables:
                await connection.execute(text(form.format(table)))

    await each("ALTER TABLE {0} RENAME TO {0}_away")
    try:
        yield
    finally:
        await each("ALTER TABLE {0}_away RENAME TO {0}")
