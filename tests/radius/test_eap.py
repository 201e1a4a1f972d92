"""802.1X: eapol_test of wpa_supplicant logs in by PEAP-MSCHAPv2 at the real FreeRADIUS, by the rules of every login."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Executable, insert, select, update

from radius import AuthDoor, LineIdentity, LoginLog, Patient, examine, nas_doors
from radius.logins.tables import radius_unknown_user
from radius.projection.freeradius_tables import radcheck
from radius.subscribers.md4 import md4
from radius.subscribers.verbs import SubscriberVerbs
from radius.testing import FreeRadiusFailed, FreeRadiusServer, LabNas, LabSession
from radius.testing.freeradius_server import Ports
from tests.radius.conftest import ADDRESSES, Site
from tests.support.eapol import Certificate, EapDevice, write_certificate
from tests.support.freeradius import RADDB, prepare_radius_database

ANYBODY = "anonymous@isp.example"
PATIENTLY = (0.5, 1.0, 2.0, 4.0)


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return write_certificate(tmp_path, "radius.isp.example")


@pytest.fixture
async def serving(site: Site, run_dir: Path, certificate: Certificate) -> AsyncIterator[FreeRadiusServer]:
    """A second server on the same tables, which serves EAP."""
    server = FreeRadiusServer(
        raddb=RADDB,
        run_dir=run_dir,
        database_url=site.backend.database_url,
        schema=site.backend.schema,
    )
    server.serve_eap(certificate=certificate.certificate, key=certificate.key)
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.stop)


@pytest.fixture
async def nas(site: Site, serving: FreeRadiusServer) -> LabNas:
    return await site.nas(server=serving)


@pytest.fixture
def log(site: Site) -> LoginLog:
    return LoginLog(site.radius_database.read, site.radius_database.begin)


@pytest.fixture
async def device(
    site: Site, nas: LabNas, certificate: Certificate, tmp_path: Path, serving: FreeRadiusServer
) -> EapDevice:
    return await behind(site, nas, tmp_path, port=serving.auth_port, trusts=certificate.certificate)


async def behind(site: Site, nas: LabNas, folder: Path, *, port: int, trusts: Path) -> EapDevice:
    async with site.database.begin() as db:
        known = await site.service(db).nas_named(name=nas.name)
        secret = await site.secrets.reveal(db, known["secret"])
    return EapDevice(folder, nas.source_address, secret, port, trusts)


async def told(site: Site, statement: Executable) -> None:
    async with site.radius_database.begin() as db:
        await db.execute(statement)


async def refusals(log: LoginLog, username: str) -> list[tuple[Any, Any]]:
    return [(each["method"], each["reason"]) for each in reversed(await log.logins_of(username))]


async def reasons_of_nobody(site: Site, name: str) -> list[str]:
    async with site.radius_database.read() as db:
        who = select(radius_unknown_user.c.reason).where(radius_unknown_user.c.username == name)
        return list(await db.scalars(who))


@pytest.mark.both_databases
async def test_the_name_inside_of_the_tunnel_is_let_in_and_its_nas_is_told_plan_and_name(
    site: Site, device: EapDevice, log: LoginLog
) -> None:
    subscriber = await site.active()
    name = subscriber["username"]
    reply = await device.login(name, await site.password(subscriber), outside=ANYBODY)

    assert (reply.succeeded, reply.code) == (True, "Access-Accept")
    assert reply.attributes[0][0] == "Message-Authenticator"
    told = dict(reply.attributes)
    assert (told["User-Name"], told["Framed-IP-Address"]) == (f"'{name}'", ADDRESSES.ipv4)
    assert [[each for each, _ in reply.attributes].count(one) for one in told if one != "Vendor-Specific"] == [1] * (
        len(told) - 1
    )
    rate = b"20000k/100000k".hex()
    assert any(
        name == "Vendor-Specific" and value.startswith("00003a8c08") and rate in value
        for name, value in reply.attributes
    )
    assert len([name for name, _ in reply.attributes if name == "Framed-IP-Address"]) == 1
    [login] = await log.logins_of(name)
    assert (login["accepted"], login["method"], login["nas_address"]) == (True, "eap", device.source_address)
    assert await log.logins_of(ANYBODY) == []


async def test_a_password_that_is_kept_as_nt_hash_logs_in_too(site: Site, device: EapDevice) -> None:
    subscriber = await site.active()
    password = await site.password(subscriber)
    mine = (radcheck.c.username == subscriber["username"], radcheck.c.attribute == "Cleartext-Password")
    hashed = {"attribute": "NT-Password", "value": f"0x{md4(password.encode('utf-16-le')).hex()}"}
    await told(site, update(radcheck).where(*mine).values(hashed))
    assert (await device.login(subscriber["username"], password)).succeeded


@pytest.mark.both_databases
async def test_every_refusal_inside_of_the_tunnel_is_one_line_of_the_log_under_the_real_name(
    site: Site, nas: LabNas, device: EapDevice, log: LoginLog
) -> None:
    waiting, active = await site.create(), await site.active()
    await site.projector.project_subscriber(waiting["subscriber_id"])
    password, name = await site.password(active), active["username"]

    async def asked(username: str, password: str, **terms: str) -> str:
        reply = await device.login(username, password, outside=ANYBODY, **terms)
        assert not reply.succeeded
        assert [each for each, _ in reply.attributes] == ["Message-Authenticator", "EAP-Message"]
        return reply.code

    assert await asked(waiting["username"], await site.password(waiting)) == "Access-Reject"
    assert await refusals(log, waiting["username"]) == [("eap", "not_in_service")]
    assert await asked(name, "not-the-password") == "Access-Reject"
    row: Mapping[str, str] = {"username": name, "attribute": "Simultaneous-Use", "op": ":=", "value": "1"}
    await told(site, insert(radcheck).values(row))
    await nas.accounting_start(LabSession(name, calling_station="02-00-00-00-00-02", nas_port="lab1"))
    assert await asked(name, password) == "Access-Reject"
    line = LineIdentity(station="02-00-00-00-00-01")
    async with site.database.begin() as db:
        verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        await verbs.bind(subscriber_id=active["subscriber_id"], line=line)
    await site.projector.project_subscriber(active["subscriber_id"])
    assert await asked(name, password, calling_station="02:00:00:00:00:03") == "Access-Reject"
    assert await refusals(log, name) == [("eap", "wrong_password"), ("eap", "already_online"), ("eap", "other_line")]
    stranger = site.new_username()
    assert await asked(stranger, "x") == "Access-Reject"
    assert await reasons_of_nobody(site, stranger) == ["no_such_user"]


async def test_a_tunnel_that_does_not_come_about_is_told_as_that(
    site: Site, nas: LabNas, device: EapDevice, log: LoginLog, tmp_path: Path
) -> None:
    subscriber = await site.active()
    name, password = subscriber["username"], await site.password(subscriber)
    for method in ("MD5", "MSCHAPV2", "TTLS"):
        assert (await device.login(name, password, method=method)).code == "Access-Reject"
    other = write_certificate(tmp_path, "another.example")
    distrusting = await behind(site, nas, tmp_path, port=device.port, trusts=other.certificate)
    assert (await distrusting.login(name, password)).code == "Access-Reject"
    assert await refusals(log, name) == [("eap", "eap_failed")] * 4
    nobody = site.new_username()
    assert not (await distrusting.login(name, password, outside=nobody)).succeeded
    assert (await log.logins_of(nobody), await reasons_of_nobody(site, nobody)) == ([], ["eap_failed"])


async def test_a_server_without_eap_refuses_it_as_a_login_without_a_password(
    site: Site, log: LoginLog, certificate: Certificate, tmp_path: Path
) -> None:
    subscriber, nas = await site.active(), await site.nas()
    port = site.backend.server.auth_port
    device = await behind(site, nas, tmp_path, port=port, trusts=certificate.certificate)
    reply = await device.login(subscriber["username"], await site.password(subscriber))
    assert (reply.succeeded, reply.code) == (False, "Access-Reject")
    assert await refusals(log, subscriber["username"]) == [("eap", "no_password")]
    stranger = site.new_username()
    assert (await device.login(stranger, "x")).code == "Access-Reject"
    assert await reasons_of_nobody(site, stranger) == ["no_such_user"]


@pytest.mark.parametrize("serves_eap", [True, False])
async def test_ms_chap_beside_eap_is_no_login_by_the_name_outside(
    serves_eap: bool, site: Site, serving: FreeRadiusServer, log: LoginLog, tmp_path: Path
) -> None:
    server = serving if serves_eap else site.backend.server
    nas, subscriber = await site.nas(server=server), await site.active()
    name, password = subscriber["username"], await site.password(subscriber)
    identity = bytes([2, 1]) + (len(name) + 5).to_bytes(2, "big") + b"\x01" + name.encode()
    ms_chap = f'User-Name = "{name}"\nMS-CHAP-Password = "{password}"\n'
    both = f"{ms_chap}EAP-Message = 0x{identity.hex()}\n"
    assert await by_radclient(site, nas, server, tmp_path, ms_chap) == "Access-Accept"
    answer = await by_radclient(site, nas, server, tmp_path, both)
    assert answer == ("Access-Challenge" if serves_eap else "Access-Reject")
    logins = [("mschapv2", None)] if serves_eap else [("mschapv2", None), ("eap", "no_password")]
    assert await refusals(log, name) == logins


async def by_radclient(site: Site, nas: LabNas, server: FreeRadiusServer, folder: Path, said: str) -> str:
    request, secret = folder / "request", folder / "secret"
    request.write_text(f"{said}Message-Authenticator = 0x00\nPacket-Src-IP-Address = {nas.source_address}\n")
    async with site.database.begin() as db:
        known = await site.service(db).nas_named(name=nas.name)
        secret.write_text(await site.secrets.reveal(db, known["secret"]))
    client = await asyncio.create_subprocess_exec(
        *("radclient", "-x", "-r", "1", "-t", "5", "-f", str(request), "-S", str(secret)),
        *(f"127.0.0.1:{server.auth_port}", "auth"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await client.communicate()
    answer = re.search(r"Received (\S+)", output.decode())
    assert answer is not None, output.decode()
    return answer[1]


@pytest.mark.parametrize("word", ["PEAP", "yes", "peap "])
def test_a_kind_of_eap_that_there_is_not_keeps_the_server_from_starting_and_is_named(
    word: str, certificate: Certificate, tmp_path: Path, run_dir: Path
) -> None:
    server = FreeRadiusServer(raddb=RADDB, run_dir=run_dir, database_url=f"sqlite+aiosqlite:///{tmp_path}/radius.db")
    server.serve_eap(certificate=certificate.certificate, key=certificate.key, kind=word)
    with pytest.raises(FreeRadiusFailed, match="ended with status 1"):
        server.start()
    is_it_right = [server._program(), "-d", str(server.raddb), "-n", "radiusd", "-C", "-l", "stdout"]
    said = subprocess.run(is_it_right, env=server._environment(Ports(1, 2, 3)), capture_output=True, text=True)
    assert said.returncode == 1
    assert f'Unable to open file "{server.raddb}/eap/{word}.conf"' in said.stdout


def test_where_nobody_has_said_anything_of_eap_there_is_none(tmp_path: Path, run_dir: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/radius.db"
    prepare_radius_database(url, None)
    server = FreeRadiusServer(raddb=RADDB, run_dir=run_dir, database_url=url)
    del server._options["FIRSTLIGHT_FREERADIUS_EAP"]
    with server:
        assert server.running


async def test_a_certificate_that_was_renewed_is_found_until_the_server_takes_it_up(
    site: Site, serving: FreeRadiusServer, nas: LabNas, certificate: Certificate, log: LoginLog, tmp_path: Path
) -> None:
    """A chain of several fragments is read to its end; the look itself is no login of anybody."""
    known = await nas_doors(site.database.begin, [nas.source_address], tenant_id=site.tenant_id, secrets=site.secrets)
    told = known[nas.source_address].door
    environment = {
        "FIRSTLIGHT_FREERADIUS_SQL": "postgresql" if site.backend.is_postgresql else "sqlite",
        "FIRSTLIGHT_FREERADIUS_EAP": "peap",
        "FIRSTLIGHT_FREERADIUS_EAP_CERTIFICATE": str(certificate.certificate),
        "FIRSTLIGHT_FREERADIUS_EAP_KEY": str(certificate.key),
    }
    certificate.key.chmod(0o600)
    before = await log.newest_id()

    async def found(port: int) -> tuple[list[str], list[str]]:
        door = AuthDoor("127.0.0.1", port, told.name, told.address, told.secret)
        patient = Patient(
            serving.raddb, (door,), timedelta(days=30), environment, waits=PATIENTLY, unsigned_waits=(0.1,)
        )
        seen = await examine(patient, site.radius_database.read, now=site.now())
        traps = [trap["trap"] for trap in seen["traps"] if trap["trap"].endswith("_taken_up")]
        return traps, [each for each in seen["not_looked_at"] if "EAP" in each]

    assert await found(serving.auth_port) == ([], [])
    await asyncio.to_thread(renew, certificate, tmp_path)
    assert await found(serving.auth_port) == (["eap_certificate_not_taken_up"], [])
    await asyncio.to_thread(serving.stop)
    await asyncio.to_thread(serving.start)
    assert await found(serving.auth_port) == ([], [])
    without = site.backend.server.auth_port
    refuses = f"which certificate FreeRADIUS at 127.0.0.1 port {without} shows in EAP: it refuses EAP"
    assert await found(without) == ([], [refuses])
    assert (await log.newest_id(), await reasons_of_nobody(site, "firstlight-canary")) == (before, [])


def renew(certificate: Certificate, folder: Path) -> None:
    """With five above it, which do not fit into one message of EAP."""
    files = [write_certificate(folder, name) for name in ("renewed", *(f"above-{number}" for number in range(5)))]
    certificate.certificate.write_bytes(b"".join(each.certificate.read_bytes() for each in files))
    certificate.key.write_bytes(files[0].key.read_bytes())
