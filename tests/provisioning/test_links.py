"""One-time links: open for who has the address, until their time, once; and never for one that was not made here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from provisioning.database import Database
from provisioning.errors import InvalidRequest
from provisioning.links import LinkExpired, LinkForged, LinkUsed, OneTimeLinkUse, SignedLinks, without_tokens
from provisioning.tables import ProvisioningBase
from provisioning.vault import SealedSecret, SecretVault, create_keyring, load_keyring, rotate
from workflows.answers import LinkTo

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TO = LinkTo("accept_quote", "17", NOW + timedelta(days=7))
PURSE = "https://isp.example/links/"


class Isp:
    """One tenant's links in one database, with a clock that stands still."""

    def __init__(self, database: Database, keyring: Path, tenant_id: str = "north", now: datetime = NOW) -> None:
        self.database = database
        self.links = SignedLinks(
            SecretVault(load_keyring(keyring), tenant_id=tenant_id),
            tenant_id=tenant_id,
            now=lambda: now,
            public_url="https://isp.example",
        )

    async def issue(self, to: LinkTo = TO) -> str:
        async with self.database.begin() as db:
            address = await self.links.issue(db, to)
        assert address.startswith(PURSE)
        return address.removeprefix(PURSE)

    async def open(self, token: str) -> LinkTo:
        async with self.database.begin() as db:
            return await self.links.open(db, token)

    async def use(self, token: str) -> LinkTo:
        async with self.database.begin() as db:
            return await self.links.use(db, token)


@pytest.fixture
async def isp(database: Database, tmp_path: Path) -> AsyncIterator[Isp]:
    async with database.engine.begin() as connection:
        tables = [SealedSecret.metadata.tables[name] for name in ("secret", "one_time_link_use")]
        await connection.run_sync(lambda sync: ProvisioningBase.metadata.create_all(sync, tables=tables))
    create_keyring(tmp_path / "keyring.json", now=lambda: NOW)
    yield Isp(database, tmp_path / "keyring.json")


async def test_a_link_opens_as_often_as_a_mail_program_looks_and_is_used_once(isp: Isp) -> None:
    token = await isp.issue()
    assert token.startswith("v1.accept_quote.17.")
    assert [await isp.open(token), await isp.open(token), await isp.use(token)] == [TO, TO, TO]
    for again in (isp.open, isp.use):
        with pytest.raises(LinkUsed, match=r"used at 2026-03-02 09:00 UTC and opens once") as used:
            await again(token)
        assert used.value.to == TO
    assert await isp.use(await isp.issue()) == TO, "a new link to the same is another link"


async def test_of_two_who_use_it_at_once_one_has_it(isp: Isp) -> None:
    token = await isp.issue()
    ended = await asyncio.gather(*(isp.use(token) for _ in range(5)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in ended) == ["LinkTo", *["LinkUsed"] * 4]


async def test_a_use_that_was_rolled_back_is_none(isp: Isp) -> None:
    class PulledPlug(Exception):
        pass

    token = await isp.issue()
    with pytest.raises(PulledPlug):
        async with isp.database.begin() as db:
            await isp.links.use(db, token)
            raise PulledPlug
    assert await isp.use(token) == TO


async def test_a_link_opens_until_its_time(isp: Isp, tmp_path: Path) -> None:
    token = await isp.issue()
    assert (
        await Isp(isp.database, tmp_path / "keyring.json", now=TO.expires_at - timedelta(seconds=1)).open(token) == TO
    )
    late = Isp(isp.database, tmp_path / "keyring.json", now=TO.expires_at)
    for use in (late.open, late.use):
        with pytest.raises(LinkExpired, match="opened until 2026-03-09 09:00 UTC"):
            await use(token)


async def test_whatever_is_changed_in_it_it_is_forged(isp: Isp, tmp_path: Path) -> None:
    token = await isp.issue()
    _, purpose, subject, expiry, nonce, mac = token.split(".")
    forged = {
        "another purpose": f"v1.reveal_wifi.{subject}.{expiry}.{nonce}.{mac}",
        "another subject": f"v1.{purpose}.18.{expiry}.{nonce}.{mac}",
        "a later end": f"v1.{purpose}.{subject}.{int(expiry, 16) + 1:x}.{nonce}.{mac}",
        "another nonce": f"v1.{purpose}.{subject}.{expiry}.{nonce[::-1]}.{mac}",
        "a shorter mac": token[:-1],
        "no mac": token.rpartition(".")[0] + ".",
        "nothing": "",
        "a very long one": "v1." + "a" * 5000,
        "other letters": token.replace("17", "\u0661\u0667"),
        "half a surrogate": "\ud800",
    }
    for what, wrong in forged.items():
        with pytest.raises(LinkForged):
            await isp.open(wrong)
            raise AssertionError(what)
    with pytest.raises(LinkForged):
        await Isp(isp.database, tmp_path / "keyring.json", tenant_id="south").open(token)


async def test_links_outlive_a_rotation_of_the_sealing_key_and_end_with_their_own(isp: Isp, tmp_path: Path) -> None:
    token = await isp.issue()
    await rotate(isp.database.begin, tmp_path / "keyring.json", now=lambda: NOW)
    assert await isp.open(token) == TO
    async with isp.database.begin() as db:
        await db.execute(delete(SealedSecret))
    with pytest.raises(LinkForged):
        await isp.open(token)
    await isp.issue()
    with pytest.raises(LinkForged):
        await isp.open(token)


async def test_the_first_links_of_all_share_their_key_even_when_made_at_once(isp: Isp) -> None:
    tokens = await asyncio.gather(*(isp.issue(replace(TO, subject=str(number))) for number in range(5)))
    assert [(await isp.open(token)).subject for token in tokens] == ["0", "1", "2", "3", "4"]
    async with isp.database.begin() as db:
        assert list(await db.scalars(select(SealedSecret.ref))) == ["secret:links/signing"]
        assert list(await db.scalars(select(OneTimeLinkUse.id))) == []


async def test_a_link_that_could_not_be_used_is_not_made(isp: Isp) -> None:
    with pytest.raises(InvalidRequest, match=r"subject isn't 1 to 64 letters.*has expired already"):
        await isp.issue(LinkTo("accept_quote", "quotes/17", NOW))
    with pytest.raises(InvalidRequest, match="is a link to steal; there are: accept_quote, choose_visit, move_visit, "):
        await isp.issue(replace(TO, purpose="steal"))  # type: ignore[arg-type]


async def test_an_operator_sees_that_there_is_a_link_not_which(isp: Isp) -> None:
    text = f"Accept it:\n\n{PURSE}{await isp.issue()}\n\nOr {PURSE}{await isp.issue()}."
    assert without_tokens(text) == f"Accept it:\n\n{PURSE}***\n\nOr {PURSE}***"
