"""What deploy/freeradius promises beside logins: silence, NASes from SQL, authenticated replies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, delete, insert, text
from sqlalchemy.engine import make_url

from provisioning.database import Database, sync_url
from radius.projection.freeradius_tables import nas as nas_table
from radius.projection.freeradius_tables import radcheck, radreply
from radius.testing import FreeRadiusServer, LabNas, LoginReply, NoAnswer
from radius.testing.freeradius_server import LoginQueries
from radius.testing.wire import exchange, new_request
from tests.radius.conftest import Site
from tests.support.eapol import write_certificate
from tests.support.freeradius import RADDB, prepare_radius_database
from tests.support.postgres import as_superuser

SECRET = "a-lab-secret-of-24-chars"


async def _answer_within(nas: LabNas, seconds: float, username: str, password: str) -> LoginReply:
    """Log in again and again, as a subscriber's CPE does, until somebody answers."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await nas.login(username, password)
        except NoAnswer:
            if time.monotonic() > deadline:
                raise


@contextmanager
def _database_down(url: str) -> Iterator[None]:
    """PostgreSQL: nobody may connect to this one database, and nobody stays connected. SQLite: the file is gone."""
    if url.startswith("sqlite"):
        path = Path(str(make_url(url).database))
        hidden = path.with_suffix(".gone")
        path.rename(hidden)
        try:
            yield
        finally:
            hidden.rename(path)
        return
    name = make_url(url).database
    admin = create_engine(sync_url(as_superuser(url)).set(database="postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        try:
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
            connection.execute(text(ended), {"name": name})
            yield
        finally:
            connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
    admin.dispose()


async def _begin_eap(server: FreeRadiusServer, *, seconds: float) -> str:
    """The first packet of EAP tells a name (RFC 3579 s2.1)."""
    request = new_request(1, SECRET)
    request["User-Name"] = "anna"
    request[79] = [b"\x02\x01\x00\x09\x01anna"]
    port = server.auth_port
    said = await exchange(request, server="127.0.0.1", port=port, source="127.0.0.1", timeout_seconds=seconds)
    return said.code


@pytest.mark.parametrize("questions", ["one", "two"])
async def test_while_the_database_is_down_the_server_is_silent_and_afterwards_it_answers(
    database_url: str, run_dir: Path, tmp_path: Path, questions: LoginQueries
) -> None:
    url = database_url.replace("firstlight.db", "radius.db")
    schema = None if url.startswith("sqlite") else "radius"
    prepare_radius_database(url, schema)
    radius_database = Database(url, schema=schema)
    async with radius_database.begin() as db:
        await db.execute(insert(nas_table).values(nasname="127.0.0.1", shortname="bng", type="mikrotik", secret=SECRET))
        password = {"username": "anna", "attribute": "Cleartext-Password", "op": ":=", "value": "sesame"}
        await db.execute(insert(radcheck).values(password))
        rate = {"username": "anna", "attribute": "Mikrotik-Rate-Limit", "op": ":=", "value": "1000k/1000k"}
        await db.execute(insert(radreply).values(rate))
    await radius_database.close()
    eap = write_certificate(tmp_path, "radius.isp.example")
    server = FreeRadiusServer(
        raddb=RADDB,
        run_dir=run_dir,
        database_url=url,
        schema=schema,
        nas_lifetime_seconds=300,
        login_queries=questions,
    )
    server.serve_eap(certificate=eap.certificate, key=eap.key)
    await asyncio.to_thread(server.start)
    try:
        nas = LabNas(
            name="bng", secret=SECRET, auth_port=server.auth_port, acct_port=server.acct_port, timeout_seconds=1.5
        )
        if not url.startswith("sqlite"):  # SQLite's file, once open, cannot be taken away
            assert (await nas.login("anna", "sesame")).accepted
        with _database_down(url):
            with pytest.raises(NoAnswer) as silence:
                await nas.login("anna", "sesame")
            with pytest.raises(NoAnswer):
                await _begin_eap(server, seconds=1.5)
            assert server.running
        after = await _answer_within(nas, 20, "anna", "sesame")
        begun = await _begin_eap(server, seconds=6)
    finally:
        await asyncio.to_thread(server.stop)

    assert silence.value.transient
    assert after.accepted
    assert begun == "Access-Challenge"


async def test_a_nas_defined_while_the_server_runs_is_answered_at_once(site: Site) -> None:
    subscriber = await site.active()
    nas = await site.nas()
    assert (await nas.login(subscriber["username"], await site.password(subscriber))).accepted


async def test_a_rotated_nas_secret_is_taken_without_a_restart(site: Site) -> None:
    nas = await site.nas()
    assert (await nas.login("nobody", "x")).code == "Access-Reject"
    async with site.database.begin() as db:
        await site.service(db).define_nas(name=nas.name, address=nas.source_address, dialect="mikrotik", secret=SECRET)
    await site.projector.project_nas()
    rotated = LabNas(
        name=nas.name,
        secret=SECRET,
        auth_port=site.backend.server.auth_port,
        acct_port=site.backend.server.acct_port,
        source_address=nas.source_address,
        timeout_seconds=0.3,
    )
    assert (await _answer_within(rotated, 20, "nobody", "x")).code == "Access-Reject"


async def test_an_address_that_is_no_nas_gets_no_answer(site: Site) -> None:
    stranger = LabNas(
        name="stranger",
        secret=SECRET,
        auth_port=site.backend.server.auth_port,
        acct_port=site.backend.server.acct_port,
        source_address=site.backend.free_nas_address(),
        timeout_seconds=0.4,
    )
    with pytest.raises(NoAnswer):
        await stranger.login("anybody", "anything")


def test_what_is_known_of_a_nas_is_asked_in_one_question_since_the_database_may_drop_between_two() -> None:
    asked, _, _ = (RADDB / "sites" / "nas.conf").read_text().partition("elsif")
    assert asked.count("%{sql:") == 1


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "secret",
    [
        r"""a|b\t'c"d`%{1} $x ^&*~#!?;:<>=""",
        "|the|secret|begins||with|it|",
        "ends in a backslash \\",
        "%{User-Name} 'ä'",
    ],
)
async def test_a_secret_may_hold_any_character_that_can_be_seen(site: Site, secret: str) -> None:
    address = site.backend.free_nas_address()
    async with site.radius_database.begin() as db:
        row = {"nasname": address, "shortname": "hall|1", "type": "other|one", "secret": secret}
        await db.execute(insert(nas_table).values(row))
    there = LabNas(
        name="hall",
        secret=secret,
        auth_port=site.backend.server.auth_port,
        acct_port=site.backend.server.acct_port,
        source_address=address,
    )
    reply = await there.login("nobody", "x")
    async with site.radius_database.begin() as db:  # FreeRADIUS' tables are those of all tests
        await db.execute(delete(nas_table).where(nas_table.c.nasname == address))
    assert reply.code == "Access-Reject"


async def test_a_nas_with_the_wrong_secret_gets_no_answer(site: Site) -> None:
    nas = await site.nas()
    wrong = LabNas(
        name=nas.name,
        secret="another-secret-than-agreed",
        auth_port=site.backend.server.auth_port,
        acct_port=site.backend.server.acct_port,
        source_address=nas.source_address,
        timeout_seconds=0.4,
    )
    with pytest.raises(NoAnswer):
        await wrong.login("anybody", "anything")


async def test_a_request_without_message_authenticator_gets_no_answer(site: Site) -> None:
    nas = await site.nas()

    async with site.database.begin() as db:
        (known,) = await site.service(db).nas_list()
        secret = await site.secrets.reveal(db, known["secret"])

    def request(*, signed: bool) -> Any:
        made = new_request(1, secret)
        if not signed:
            del made[80]
            made.message_authenticator = False
        made["User-Name"] = "anybody"
        made["User-Password"] = made.PwCrypt("anything")
        return made

    async def ask(*, signed: bool, timeout_seconds: float) -> str:
        port = site.backend.server.auth_port
        made = request(signed=signed)
        source = nas.source_address
        return (
            await exchange(made, server="127.0.0.1", port=port, source=source, timeout_seconds=timeout_seconds)
        ).code

    assert await ask(signed=True, timeout_seconds=6) == "Access-Reject"
    with pytest.raises(NoAnswer):
        await ask(signed=False, timeout_seconds=0.4)


@pytest.mark.parametrize("right", [True, False])
async def test_the_message_authenticator_is_the_first_attribute_of_every_reply(site: Site, right: bool) -> None:
    subscriber = await site.active()
    nas = await site.nas()
    password = await site.password(subscriber) if right else "wrong"
    reply = await nas.login(subscriber["username"], password)
    assert next(iter(reply.attributes)) == "Message-Authenticator"


async def test_one_row_that_does_not_parse_rejects_its_subscriber_and_nobody_else(site: Site) -> None:
    broken, fine = await site.active(), await site.active()
    async with site.radius_database.begin() as db:
        row = {"username": broken["username"], "attribute": "Idle-Timeout", "op": ":=", "value": "soon"}
        await db.execute(insert(radreply).values(row))
    nas = await site.nas()

    assert (await nas.login(broken["username"], await site.password(broken))).code == "Access-Reject"
    assert (await nas.login(fine["username"], await site.password(fine))).accepted
