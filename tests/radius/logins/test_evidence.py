"""Diagnoses of real logins: FreeRADIUS answered them, and what it wrote down is what is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import delete, select, text, update

from radius import (
    Diagnoses,
    Diagnosis,
    DiagnosisTerms,
    LineIdentity,
    LoginLog,
    SubscriberVerbs,
)
from radius.logins.server_log import secret_misfits, unknown_clients
from radius.logins.tables import radius_login
from radius.logins.views import UnknownNas
from radius.projection.freeradius_tables import radacct, radcheck, radgroupreply, radreply, radusergroup
from radius.tables import FormerUsername
from radius.testing import FreeRadiusServer, LabNas, LabSession, NoAnswer, Usage
from tests.radius.conftest import PLAN, Site
from tests.support.freeradius import RADDB


def diagnoses(site: Site, *, wait: timedelta = timedelta(minutes=5)) -> Diagnoses:
    return Diagnoses(
        site.database.read,
        site.radius_database.read,
        tenant_id=site.tenant_id,
        now=site.now,
        secrets=site.secrets,
        terms=DiagnosisTerms(kept_days=30, accounting_wait=wait, log_file=site.backend.server.log_file),
    )


async def codes(
    site: Site, username: str, weight: str = "cause", *, wait: timedelta = timedelta(minutes=5)
) -> list[str]:
    found = await diagnoses(site, wait=wait).of(username)
    return [each["code"] for each in found["findings"] if each["weight"] == weight]


async def test_from_the_first_silence_to_the_session_each_look_finds_what_is_wrong_now(site: Site) -> None:
    subscriber, nas = await site.active(), await site.nas()
    name, password = subscriber["username"], await site.password(subscriber)
    assert await codes(site, name) == ["no_request"]

    await nas.login(name.partition("@")[0], password)
    assert await codes(site, name) == ["name_misspelt", "no_request"]
    assert (await diagnoses(site).of(name.upper()))["verdict"] == (
        f"There is no subscriber {name.upper()}. Close to it: {name}."
    )
    for _ in range(2):
        await nas.login(name, "not-the-password")
    assert "wrong_password" in await codes(site, name)
    found = [each for each in (await diagnoses(site).of(name))["findings"] if each["code"] == "wrong_password"]
    assert found[0]["evidence"][1].startswith("2 times in a row, since ")

    reply = await nas.login(name, password)
    assert await codes(site, name, wait=timedelta(0)) == ["no_accounting_start"]
    assert await codes(site, name, "note") == ["accounting_awaited", "never_online"]
    await nas.accounting_start(LabSession.after(name, reply))
    assert await codes(site, name) == []
    assert await codes(site, name, "fine") == ["active", "rows_as_wished", "accepted", "online"]

    async with site.radius_database.begin() as db:  # the session falls silent
        mine = radacct.c.username == name
        await db.execute(update(radacct).where(mine).values(acctupdatetime=site.now() - timedelta(hours=1)))
        rate = radgroupreply.c.groupname == f"{site.tenant_id}/{PLAN}:mikrotik"
        await db.execute(update(radgroupreply).where(rate).values(value="1k/1k"))
    assert await codes(site, name, "note") == ["session_silent"]
    assert await codes(site, name) == ["rows_changed"]


async def test_a_name_whose_rows_are_gone_was_tried_and_unknown(site: Site) -> None:
    subscriber, nas = await site.active(), await site.nas()
    name, password = subscriber["username"], await site.password(subscriber)
    log = LoginLog(site.radius_database.read, site.radius_database.begin)
    async with site.radius_database.begin() as db:
        for table in (radcheck, radreply, radusergroup):
            await db.execute(delete(table).where(table.c.username == name))
    await nas.login(name, password)
    assert await codes(site, name) == ["unknown_when_tried", "rows_changed"]
    assert [each["username"] for each in await log.unknown_users(site.tenant_id)] == [name]

    await site.projector.project_subscriber(subscriber["subscriber_id"])
    assert await codes(site, name) == []
    assert await codes(site, name, "note") == ["unknown_when_tried", "never_online"]
    assert await log.unknown_users(site.tenant_id) == []


async def test_a_nas_with_another_secret_is_named_by_freeradius_own_log(site: Site) -> None:
    subscriber, nas = await site.active(), await site.nas()
    other = LabNas(
        name=nas.name,
        secret="0" * 32,
        auth_port=site.backend.server.auth_port,
        acct_port=site.backend.server.acct_port,
        source_address=nas.source_address,
        timeout_seconds=0.6,
    )
    with pytest.raises(NoAnswer):
        await other.login(subscriber["username"], await site.password(subscriber))

    found = await diagnoses(site).of(subscriber["username"])

    assert told_of(found, nas).startswith(f"{nas.name}: packets with another secret were dropped, last ")


def test_what_freeradius_drops_is_told_by_its_log_in_either_form(tmp_path: Path) -> None:
    at = "Thu Nov 26 17:47:22 2026 : "
    (tmp_path / "radius.log").write_text(
        f"{at}Info: Dropping packet without response because of error: Received packet from 10.0.0.2 with invalid"
        " Message-Authenticator!  (Shared secret is incorrect.) (from client bng-2)\n"
        f"{at}Error: Receive - Insecure packet from host 10.0.0.3:  Packet does not contain required"
        " Message-Authenticator attribute\n"
        f"{at}Info: Adding client 10.0.0.4/32\n"
    )
    found = secret_misfits(tmp_path / "radius.log")
    assert {address: misfit.unsigned for address, misfit in found.items()} == {"10.0.0.2": False, "10.0.0.3": True}


def test_who_asks_from_outside_of_its_network_is_read_out_of_freeradius_log(tmp_path: Path) -> None:
    log, at = tmp_path / "radius.log", datetime(2026, 11, 26, 17, 47, 22).astimezone()
    ignored = "Error: Ignoring request to auth address * port 1812 bound to server subscribers from unknown client"
    log.write_text(
        f"{at:%a %b %d %H:%M:%S %Y} : {ignored} 10.0.0.2 port 33959 proto udp\n"
        f"{at:%a %b %d %H:%M:%S %Y} : {ignored} 10.0.0.2 port 33960 proto udp\n"
        f"{at + timedelta(seconds=9):%a %b %d %H:%M:%S %Y} : {ignored} 10.0.0.3 port 9 proto udp\n"
        f"{at + timedelta(minutes=1):%a %b %d %H:%M:%S %Y} : {ignored} 10.0.0.2 port 33959 proto udp\n"
        f"{at:%a %b %d %H:%M:%S %Y} : Auth: (1) Login incorrect: [from unknown client 10.0.0.4 port 1 proto udp]\n"
    )
    assert unknown_clients(log) == [
        {"address": "10.0.0.2", "first_at": at, "last_at": at + timedelta(minutes=1), "times": 2},
        {
            "address": "10.0.0.3",
            "first_at": at + timedelta(seconds=9),
            "last_at": at + timedelta(seconds=9),
            "times": 1,
        },
    ]


async def test_an_address_outside_of_the_network_of_nases_is_told_until_it_is_a_nas(site: Site, tmp_path: Path) -> None:
    server = FreeRadiusServer(
        raddb=RADDB,
        run_dir=tmp_path / "run",
        database_url=site.backend.database_url,
        schema=site.backend.schema,
        nas_network="127.66.0.0/16",
    )
    outside = site.backend.free_nas_address()
    with server:
        stranger = LabNas(
            name="nobody",
            secret="0" * 32,
            auth_port=server.auth_port,
            acct_port=server.acct_port,
            source_address=outside,
            timeout_seconds=0.6,
        )
        with pytest.raises(NoAnswer):
            await stranger.login(site.new_username(), "whatever")
    log = LoginLog(site.radius_database.read, site.radius_database.begin)
    assert [each for each in await log.unknown_nases() if each["address"] == outside] == []
    told = unknown_clients(server.log_file)
    assert [each["address"] for each in told] == [outside]
    found = [each for each in await log.unknown_nases(told) if each["address"] == outside]
    assert found == told
    of = Diagnoses(
        site.database.read,
        site.radius_database.read,
        tenant_id=site.tenant_id,
        now=site.now,
        secrets=site.secrets,
        terms=DiagnosisTerms(kept_days=30, accounting_wait=timedelta(minutes=5), log_file=server.log_file),
    )
    subscriber = await site.active()
    silent = [each for each in (await of.of(subscriber["username"]))["findings"] if each["code"] == "no_request"]
    assert any(line.startswith(f"{outside} asks and is no NAS, last ") for line in silent[0]["evidence"])

    nas = await site.nas()
    became = [UnknownNas(address=nas.source_address, first_at=site.now(), last_at=site.now(), times=1)]
    assert nas.source_address not in {each["address"] for each in await log.unknown_nases(became)}


def told_of(found: Diagnosis, nas: LabNas) -> str:
    [silence] = [each for each in found["findings"] if each["code"] == "no_request"]
    [told] = [line for line in silence["evidence"] if line.startswith(f"{nas.name}: ")]
    return told


async def test_its_line_and_its_former_name_are_looked_at(site: Site) -> None:
    subscriber, nas, mac = await site.active(), await site.nas(), f"02-00-{uuid4().hex[:2]}-00-00-09"
    number, former, new = subscriber["subscriber_id"], subscriber["username"], site.new_username()
    async with site.database.begin() as db:
        verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        await verbs.bind(subscriber_id=number, line=LineIdentity(station=mac))
    await site.projector.project_subscriber(number)
    assert (await nas.line_login(mac, calling_station=mac)).code == "Access-Reject"
    assert await codes(site, former) == ["line_unknown"]

    session = LabSession(former, calling_station=mac)
    await nas.accounting_start(session)
    async with site.database.begin() as db:
        verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        await verbs.rename(subscriber_id=number, username=new)
    await site.projector.project_subscriber(number)
    await nas.login(former, await site.password(subscriber))
    assert "former_name_tried" in await codes(site, new)
    assert "online" in await codes(site, new, "fine")


@pytest.mark.both_databases
async def test_a_session_of_who_had_the_name_before_is_not_told_as_its_own(site: Site) -> None:
    former, nas = await site.active(), await site.nas()
    name = former["username"]
    left = LabSession.after(name, await nas.login(name, await site.password(former)))
    await nas.accounting_start(left)
    async with site.database.begin() as db:
        await site.service(db).terminate(subscriber_id=former["subscriber_id"])  # its NAS is silent
    present = await site.create(name)
    await site.activate(present["subscriber_id"])
    facts = await diagnoses(site).facts(name)
    assert (facts.open_sessions, facts.last_session) == ([], None)

    own = replace(LabSession.after(name, await nas.login(name, await site.password(present))), session_id="own")
    await nas.accounting_start(own)
    await nas.accounting_stop(own, Usage(seconds=1))
    again = replace(own, session_id="again")
    for expected in ([], ["again"]):
        if expected:
            await nas.accounting_start(again)
        facts = await diagnoses(site).facts(name)
        assert facts.last_session is not None
        assert [each.session_id for each in facts.open_sessions] == expected
        assert facts.last_session.session_id == (expected or ["own"])[0]
    for session in (again, left):
        await nas.accounting_stop(session, Usage(seconds=1))


@pytest.mark.both_databases
async def test_a_login_of_who_had_the_name_before_is_not_told_as_its_own(site: Site) -> None:
    former, nas, log = (
        await site.active(),
        await site.nas(),
        LoginLog(site.radius_database.read, site.radius_database.read),
    )
    name, renamed = former["username"], site.new_username()
    assert (await nas.login(name, await site.password(former))).accepted
    assert not (await nas.login(name, "wrong")).accepted
    await at_an_earlier_time(site, name)
    async with site.database.begin() as db:
        verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        await verbs.rename(subscriber_id=former["subscriber_id"], username=renamed)
        await db.execute(update(FormerUsername).values(free_at=site.now()))
    await site.projector.project_subscriber(former["subscriber_id"])
    present = await site.create(name)
    await site.activate(present["subscriber_id"])
    facts = await diagnoses(site).facts(name)
    assert (facts.logins, facts.last_accept) == ([], None)
    assert "wrong_password" not in await codes(site, name)

    assert (await nas.login(name, await site.password(present))).accepted
    facts = await diagnoses(site).facts(name)
    assert [each["reason"] for each in facts.logins] == [None]
    assert facts.last_accept == facts.logins[0]

    facts = await diagnoses(site).facts(renamed)
    assert [each["reason"] for each in facts.logins] == ["wrong_password", None]
    assert facts.last_accept == facts.logins[1]
    async with site.database.begin() as db:
        held = {
            each["username"]: await site.service(db).held_names(subscriber_id=each["subscriber_id"])
            for each in (former, present | {"username": "present"})
        }
    assert [each["reason"] for each in await log.logins_of(*held["present"])] == [None]
    assert [each["newest"]["reason"] for each in await log.logins_alike(*held["present"])] == [None]
    assert [each["newest"]["reason"] for each in await log.logins_alike(*held[name])] == ["wrong_password", None]


async def at_an_earlier_time(site: Site, username: str) -> None:
    """The log of logins and the beginning of a name go by whole seconds."""
    async with site.radius_database.begin() as db:
        mine = radius_login.c.username == username
        earlier = [
            (row.id, row.happened_at - timedelta(minutes=1))
            for row in await db.execute(select(radius_login).where(mine))
        ]
        for number, moment in earlier:
            await db.execute(update(radius_login).where(radius_login.c.id == number).values(happened_at=moment))


@pytest.mark.both_databases
async def test_a_former_name_of_before_there_was_a_rule_hides_no_session_under_the_others(site: Site) -> None:
    subscriber, nas = await site.active(), await site.nas()
    async with site.database.begin() as db:
        given_up = FormerUsername(
            tenant_id=site.tenant_id,
            subscriber_id=subscriber["subscriber_id"],
            username="o'brien",
            given_up_at=site.now(),
        )
        db.add(given_up)
    name = subscriber["username"]
    session = LabSession.after(name, await nas.login(name, await site.password(subscriber)))
    await nas.accounting_start(session)
    facts = await diagnoses(site).facts(name)
    assert [each.session_id for each in facts.open_sessions] == [session.session_id]
    assert facts.last_session is not None


async def test_a_table_that_is_gone_takes_no_more_than_its_own_part(site: Site) -> None:
    subscriber, nas = await site.active(), await site.nas()
    await nas.accounting_start(LabSession(subscriber["username"]))
    async with site.radius_database.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE radius_login RENAME TO radius_login_away"))
    try:
        assert await codes(site, subscriber["username"]) == ["radius_database_unread"]
        assert await codes(site, subscriber["username"], "fine") == ["active", "rows_as_wished", "online"]
    finally:
        async with site.radius_database.engine.begin() as connection:
            await connection.execute(text("ALTER TABLE radius_login_away RENAME TO radius_login"))
