"""A NAS that is added, given another secret and tried: the real FreeRADIUS and a laboratory's NAS answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from radius import (
    AuthDoor,
    DefinedNas,
    LoginLog,
    NasNameTaken,
    NasUnknown,
    Retransmission,
    nas_doors,
    probe_coa,
    probe_log,
    probe_login,
)
from radius.coa.dynamic_authorization import NasDoor
from radius.testing import LabNas
from tests.radius.conftest import Site

SHORT = Retransmission(sends=1, first_wait_seconds=0.3)


async def added(site: Site) -> tuple[DefinedNas, LabNas]:
    address = site.backend.free_nas_address()
    async with site.database.begin() as db:
        nas, is_new = await site.service(db).add_nas(name=f"bng-{address}", address=address, dialect="mikrotik")
    assert is_new
    await site.projector.project_one("nas", nas["nas_id"])
    return nas, await lab(site, nas)


async def lab(site: Site, nas: DefinedNas) -> LabNas:
    async with site.database.begin() as db:
        secret = await site.secrets.reveal(db, nas["secret"])
    assert len(secret) >= 24
    ports = site.backend.server
    return LabNas(
        name=nas["name"],
        secret=secret,
        auth_port=ports.auth_port,
        acct_port=ports.acct_port,
        source_address=nas["address"],
    )


async def door(site: Site, address: str) -> NasDoor:
    doors = await nas_doors(site.database.begin, [address], tenant_id=site.tenant_id, secrets=site.secrets)
    return doors[address].door


def auth(site: Site, told: NasDoor, **other: Any) -> AuthDoor:
    server = site.backend.server
    door = AuthDoor(
        host="127.0.0.1", port=server.auth_port, nas_name=told.name, nas_address=told.address, secret=told.secret
    )
    return replace(door, **other)


async def test_a_nas_works_on_its_first_packet_and_goes_on_with_another_secret(site: Site) -> None:
    subscriber = await site.active()
    nas, old = await added(site)
    assert (await old.login(subscriber["username"], await site.password(subscriber))).accepted

    async with site.database.begin() as db:
        rotated = await site.service(db).rotate_nas_secret(name=nas["name"])
    assert (rotated["version"], rotated["projected"]) == (nas["version"] + 1, False)
    await site.projector.project_one("nas", nas["nas_id"])

    new = await lab(site, nas)
    assert new._secret != old._secret
    # it repeats its request; the server remembers the former secret for a second
    assert (await new.login(subscriber["username"], await site.password(subscriber))).accepted
    async with site.database.begin() as db:
        assert (await site.service(db).nas_named(name=nas["name"]))["projected_at"] is not None


async def test_a_nas_is_added_once_and_its_name_is_its_own(site: Site) -> None:
    nas, _ = await added(site)
    async with site.database.begin() as db:
        service = site.service(db)
        again = await service.add_nas(name=nas["name"], address=nas["address"], dialect="mikrotik")
        assert (again[0]["version"], again[1]) == (nas["version"], False)
        with pytest.raises(NasNameTaken, match=f"at {nas['address']} and on other terms"):
            await service.add_nas(name=nas["name"], address=nas["address"], dialect="cisco")
        for unknown in (service.nas_named(name="nowhere"), service.rotate_nas_secret(name="nowhere")):
            with pytest.raises(NasUnknown, match="There is no NAS 'nowhere'"):
                await unknown


async def test_a_login_as_the_nas_shows_whether_freeradius_knows_it(site: Site) -> None:
    nas, _ = await added(site)
    told = await door(site, nas["address"])

    log = LoginLog(site.radius_database.read, site.radius_database.begin)
    fits = await probe_login(auth(site, told))
    other = await probe_login(auth(site, told, secret="0" * 32))
    elsewhere = await probe_login(auth(site, told, nas_address="198.51.100.9"))

    dropped = await probe_log(log, nas["name"], nas["address"], site.backend.server.log_file)
    assert dropped["heard"] == "silent"
    assert f"drops packets of {nas['name']} that are made with another secret, last " in dropped["words"]
    subscriber, laboratory = await site.active(), await lab(site, nas)
    await laboratory.login(subscriber["username"], await site.password(subscriber))
    heard = await probe_log(log, nas["name"], nas["address"], None)
    assert heard["words"].startswith(f"FreeRADIUS has answered a login of {nas['name']} 20")
    assert (fits["heard"], other["heard"], elsewhere["heard"]) == ("answered", "silent", "not_possible")
    assert fits["words"].endswith(
        f"knows {nas['name']} and its secret: it looked nobody up and refused that login, as it should."
    )
    assert "or it has another secret" in other["words"]
    assert elsewhere["words"].startswith("198.51.100.9 is no address of this machine")


async def test_a_nas_to_whose_clock_a_question_is_too_old_is_told_from_one_that_is_not_there(site: Site) -> None:
    nas, answering = await added(site)
    told = replace(await door(site, nas["address"]), port=await answering.listen())
    late, now = [
        await probe_coa(told, now=site.now() - timedelta(minutes=ago), retransmission=SHORT) for ago in (10, 0)
    ]
    await answering.close()
    assert (late["heard"], now["heard"]) == ("silent", "answered")
    assert "answers requests only without an Event-Timestamp: to its clock they are too old" in late["words"]


async def test_a_question_about_a_session_of_nobody_shows_whether_the_nas_takes_requests(site: Site) -> None:
    nas, answering = await added(site)
    port = await answering.listen()
    told = replace(await door(site, nas["address"]), port=port)

    async def asked(door: NasDoor) -> tuple[str, str]:
        found = await probe_coa(door, now=site.now(), retransmission=SHORT)
        return found["heard"], found["words"]

    knows = await asked(told)
    answering.disconnects.mood.refuses_changes = 402
    refuses = await asked(told)
    answering.disconnects.mood.refuses_changes = None
    answering.calls_itself = ("10.255.0.9",)
    seen = len(answering.disconnects.requests)
    for_another = await asked(told)
    assert len(answering.disconnects.requests) == seen + 1  # not once more by less than its address
    other_secret = await asked(replace(told, secret="0" * 32))
    await answering.close()

    assert knows[0] == "answered" and "knows of no such session, which is right" in knows[1]
    assert refuses[0] == "answered" and refuses[1].endswith("it refused this one: Missing Attribute (402).")
    assert for_another[0] == "answered" and for_another[1].endswith(
        f"not this one, which is for {nas['address']} (Error-Cause 403): it calls itself otherwise. Say how:"
        f" `firstlight nas change {nas['name']} --calls-itself ADDRESS --reason ...`, and in the estate's file, if it"
        " stands there."
    )
    assert other_secret[0] == "silent" and "which of them can't be told from here" in other_secret[1]
