"""How passwords are kept: by the vectors of the RFCs, and by logins at the real FreeRADIUS."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, text
from sqlalchemy.exc import IntegrityError

from radius import CreatedSubscriber, NasRefused, PasswordStorage, PasswordStorageRefused
from radius.projection.freeradius_tables import radcheck, radusergroup
from radius.projection.projection import plan_group
from radius.subscribers.md4 import md4
from radius.subscribers.password_storage import CHECKABLE, LOGIN_METHODS, kept, uncheckable
from radius.tables import RadiusEstate
from radius.testing import LabNas
from tests.radius.conftest import PLAN, Site


@pytest.mark.parametrize(
    ("message", "digest"),
    [
        ("", "31d6cfe0d16ae931b73c59d7e0c089c0"),
        ("a", "bde52cb31de33e46245e05fbdbd6fb24"),
        ("abc", "a448017aaf21d8525fc10ae87aa6729d"),
        ("message digest", "d9130a8164549fe818874806e1c7014b"),
        ("abcdefghijklmnopqrstuvwxyz", "d79e1c308aa5bbcdeea8ed63df412da9"),
        (
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            "043f8582f241db351ce627e153e7f0e4",
        ),
        ("1234567890" * 8, "e33b4ddc9c38f2199c3e7b164fcc0536"),
    ],
)
def test_md4_is_that_of_rfc_1320_section_a5(message: str, digest: str) -> None:
    assert md4(message.encode()).hex() == digest


def test_an_nt_hash_is_that_of_rfc_2759_section_9_2() -> None:
    assert kept("clientPass", "nt", whose="anybody") == (
        "NT-Password",
        bytes.fromhex("44EBBA8D5312B8D611474411F56989AE"),
    )


def test_a_salted_hash_is_the_same_every_time_and_another_for_each_subscriber() -> None:
    name, value = kept("sesame", "ssha2-512", whose="isp/7")
    assert isinstance(value, bytes)
    salt = value[64:]
    assert (name, len(salt), value[:64]) == ("SSHA2-512-Password", 16, hashlib.sha512(b"sesame" + salt).digest())
    assert kept("sesame", "ssha2-512", whose="isp/7")[1] == value
    assert kept("sesame", "ssha2-512", whose="isp/8")[1] != value


async def _kept_as(site: Site, storage: PasswordStorage) -> tuple[CreatedSubscriber, LabNas, tuple[str, str]]:
    """A subscriber who was active before, a NAS, and what FreeRADIUS has for the password."""
    subscriber = await site.active()
    async with site.database.begin() as db:
        await site.service(db).define_password_storage(storage=storage)
        view = await site.service(db).subscriber(subscriber_id=subscriber["subscriber_id"])
    assert view["projected"] == (storage == "cleartext")
    await site.projector.project_subscriber(subscriber["subscriber_id"])
    assert await site.projector.drift() == []
    async with site.radius_database.begin() as db:
        rows = select(radcheck.c.attribute, radcheck.c.value).where(radcheck.c.username == subscriber["username"])
        [(attribute, value)] = await db.execute(rows)
    nas = await site.nas(login_methods=sorted(CHECKABLE[storage]))
    return subscriber, nas, (attribute, value)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("storage", ["cleartext", "nt", "ssha2-512"])
async def test_who_may_log_in_by_a_method_is_what_the_table_says(
    site: Site, storage: PasswordStorage, tmp_path: Path
) -> None:
    subscriber, nas, (_, value) = await _kept_as(site, storage)
    password = await site.password(subscriber)

    logins = Logins(site, nas, tmp_path)

    right = await logins.accepted(subscriber["username"], password)
    wrong = await logins.accepted(subscriber["username"], "sesame")

    assert right == {method: method in CHECKABLE[storage] for method in LOGIN_METHODS}
    assert wrong == dict.fromkeys(LOGIN_METHODS, False)
    assert (password in value) == (storage == "cleartext")


@dataclass
class Logins:
    """Every way to log in at one NAS; MS-CHAP by FreeRADIUS' own client, since the server needs the same for both of
    its versions."""

    site: Site
    nas: LabNas
    folder: Path

    async def accepted(self, username: str, password: str) -> dict[str, bool]:
        return {
            "pap": (await self.nas.login(username, password)).accepted,
            "chap": (await self.nas.login(username, password, method="chap")).accepted,
            "mschapv2": await self._by_radclient(username, password),
        }

    async def _by_radclient(self, username: str, password: str) -> bool:
        output = await self.answer(f'User-Name = "{username}"\nMS-CHAP-Password = "{password}"\n')
        return "Received Access-Accept" in output

    async def answer(self, said: str) -> str:
        """What FreeRADIUS' own client tells of it."""
        request, secret = self.folder / "request", self.folder / "secret"
        request.write_text(f"{said}Message-Authenticator = 0x00\nPacket-Src-IP-Address = {self.nas.source_address}\n")
        async with self.site.database.begin() as db:
            [nas] = await self.site.service(db).nas_list()
            secret.write_text(await self.site.secrets.reveal(db, nas["secret"]))
        client = await asyncio.create_subprocess_exec(
            *("radclient", "-x", "-r", "1", "-t", "5", "-f", str(request), "-S", str(secret)),
            *(f"127.0.0.1:{self.site.backend.server.auth_port}", "auth"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await client.communicate()
        assert b"Received Access-" in output, output.decode()
        return output.decode()


@pytest.mark.both_databases
@pytest.mark.parametrize("storage", ["cleartext", "nt"])
async def test_the_login_of_rfc_2759_section_9_2_is_let_in_with_the_answer_that_stands_there(
    site: Site, storage: PasswordStorage, tmp_path: Path
) -> None:
    nas = await site.nas()
    await site.projector.project_plans()
    name, value = kept("clientPass", storage, whose="User")
    password = f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
    member = {"username": "User", "groupname": plan_group(site.tenant_id, PLAN), "priority": 1}
    async with site.radius_database.begin() as db:
        await db.execute(insert(radcheck).values(username="User", attribute=name, op=":=", value=password))
        await db.execute(insert(radusergroup).values(member))
    challenge, peer = "5B5D7C7D7B3F2F3E3C2C602132262628", "21402324255E262A28295F2B3A337C7E"
    response = "82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF"
    asked = 'User-Name = "User"\nMS-CHAP-Challenge = 0x{}\nMS-CHAP2-Response = 0x0100{}0000000000000000{}\n'
    logins = Logins(site, nas, tmp_path)

    try:
        told = await logins.answer(asked.format(challenge, peer, response))
        other = await logins.answer(asked.format(challenge, peer, f"00{response[2:]}"))
    finally:  # nobody's rows, which others would find
        async with site.radius_database.begin() as db:
            for table in (radcheck, radusergroup):
                await db.execute(delete(table).where(table.c.username == "User"))

    assert "Received Access-Accept" in told
    success = b"\x01S=407A5589115FD0D6209F510FE9C04566932CDA56"
    assert f"MS-CHAP2-Success = 0x{success.hex()}" in told
    assert "Received Access-Reject" in other


async def test_what_could_not_be_checked_is_refused_from_both_sides_with_every_nas(site: Site) -> None:
    async with site.database.begin() as db:
        service = site.service(db)
        await service.define_nas(name="bng-1", address="10.0.0.1", dialect="mikrotik")
        await service.define_nas(name="bng-2", address="10.0.0.2", dialect="mikrotik", login_methods=["pap", "chap"])
        with pytest.raises(PasswordStorageRefused) as refused:
            await service.define_password_storage(storage="ssha2-512")
        with pytest.raises(PasswordStorageRefused, match="not one of cleartext, nt, ssha2-512"):
            await service.define_password_storage(storage="md5")
        for name, address in (("bng-1", "10.0.0.1"), ("bng-2", "10.0.0.2")):
            await service.define_nas(name=name, address=address, dialect="mikrotik", login_methods=["pap"])
        await service.define_password_storage(storage="ssha2-512")
        with pytest.raises(NasRefused) as by_chap:
            await service.define_nas(name="b", address="10.0.0.3", dialect="wispr", login_methods=["pap", "chap"])
        with pytest.raises(NasRefused) as odd:
            await service.define_nas(name="b", address="10.0.0.3", dialect="wispr", login_methods=["eap", "pap", "pap"])
        with pytest.raises(NasRefused):
            await service.define_nas(name="b", address="10.0.0.3", dialect="wispr", login_methods=[])
    assert [fault.partition(":")[0] for fault in refused.value.faults] == [
        "at NAS bng-1 nobody could log in by chap",
        "at NAS bng-1 nobody could log in by mschapv2",
        "at NAS bng-2 nobody could log in by chap",
    ]
    assert [fault.partition(":")[0] for fault in by_chap.value.faults] == ["nobody could log in by chap"]
    assert len(odd.value.faults) == 2
    assert uncheckable("nt", LOGIN_METHODS) == ["chap"]


async def test_no_way_to_keep_passwords_but_the_known_ones_can_be_stored(site: Site) -> None:
    with pytest.raises(IntegrityError):
        async with site.database.begin() as db:
            db.add(RadiusEstate(tenant_id=site.tenant_id, password_storage="md5", updated_at=site.now()))


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_passwords_kept_in_a_way_that_is_not_known_are_not_taken_for_clear_ones(site: Site) -> None:
    async with site.database.begin() as db:
        await db.execute(text("PRAGMA ignore_check_constraints = ON"))
        db.add(RadiusEstate(tenant_id=site.tenant_id, password_storage="argon2", updated_at=site.now()))
        await db.flush()
        with pytest.raises(PasswordStorageRefused, match="'argon2', not one of"):
            await site.service(db).password_storage()
        await db.execute(text("PRAGMA ignore_check_constraints = OFF"))
