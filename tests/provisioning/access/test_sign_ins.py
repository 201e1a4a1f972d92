"""Tries to sign in: by address, by name there, by name everywhere; the owner of a name is slowed, not shut out."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from provisioning.access import Passwords, Recognised, SignInRefused, SignIns, SignInsBusy, SignInsTooMany, Users
from provisioning.access.sign_ins import (
    MOST_SLOWED,
    OF_A_NAME,
    OF_A_NAME_FROM_AN_ADDRESS,
    OF_AN_ADDRESS,
    SLOWED_SECONDS,
    network_of,
)
from provisioning.database import Database
from provisioning.tables import ProvisioningBase
from tests.support.console import CHEAP, PASSWORD

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
OWNERS = "198.51.100.7"


class Door:
    """Sign-ins at which waiting takes no time, unless they are held."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.waited: list[float] = []
        self.held: asyncio.Event | None = None
        self.full = asyncio.Event()
        self.sign_ins = SignIns(Passwords(CHEAP), pause=self._pause)

    async def _pause(self, seconds: float) -> None:
        self.waited.append(seconds)
        if len(self.waited) == MOST_SLOWED:
            self.full.set()
        if self.held is not None:
            await self.held.wait()

    async def try_(self, name: str, password: str, address: str) -> Recognised:
        async with self.database.read() as db:
            tried = await self.sign_ins.look(db, name, address=address, tenant_id="north", now=lambda: NOW)
        return await self.sign_ins.compare(tried, password)

    async def guess(self, name: str, address: str, times: int = 1) -> None:
        for _ in range(times):
            with pytest.raises(SignInRefused):
                await self.try_(name, "guess", address)


@pytest.fixture
async def door(database: Database) -> Door:
    async with database.engine.begin() as connection:
        await connection.run_sync(ProvisioningBase.metadata.create_all)
    hashed = await Passwords(CHEAP).hash(PASSWORD)
    async with database.begin() as db:
        users = Users(db, tenant_id="north", now=lambda: NOW)
        for name in ("nora", "paul"):
            added = await users.add(login_name=name, display_name=name, role="noc")
            await users.set_password_hash(added.user_id, hashed)
    return Door(database)


async def guess_from_everywhere(door: Door) -> None:
    for number in range(OF_A_NAME // OF_A_NAME_FROM_AN_ADDRESS):
        await door.guess("nora", f"192.0.2.{number}", times=OF_A_NAME_FROM_AN_ADDRESS)


async def test_an_address_that_guesses_many_names_is_stopped_and_no_other(door: Door) -> None:
    for number in range(OF_AN_ADDRESS):
        await door.guess(f"name{number}", "192.0.2.1")
    with pytest.raises(SignInsTooMany):
        await door.try_("nora", PASSWORD, "192.0.2.1")
    assert (await door.try_("nora", PASSWORD, "192.0.2.2")).user.login_name == "nora"


async def test_who_knows_the_password_is_not_counted_and_wrong_ones_of_their_address_stay(door: Door) -> None:
    for _ in range(OF_AN_ADDRESS - 1):
        await door.guess("nora", OWNERS)
        for name in ("paul", " NORA "):
            assert (await door.try_(name, PASSWORD, OWNERS)).user.login_name == name.strip().lower()
    await door.guess("nora", OWNERS)
    with pytest.raises(SignInsTooMany):
        await door.try_("paul", PASSWORD, OWNERS)


async def test_the_owner_of_a_name_that_is_guessed_at_from_everywhere_is_slowed_and_comes_in(door: Door) -> None:
    await guess_from_everywhere(door)
    assert door.waited == []
    assert (await door.try_("nora", PASSWORD, OWNERS)).user.login_name == "nora"
    assert door.waited == [SLOWED_SECONDS]
    assert (await door.try_("paul", PASSWORD, OWNERS)).user.login_name == "paul"
    assert door.waited == [SLOWED_SECONDS]


async def test_a_guesser_has_one_slow_try_from_each_further_address(door: Door) -> None:
    await guess_from_everywhere(door)
    await door.guess("nora", "203.0.113.1")
    assert door.waited == [SLOWED_SECONDS]
    for address in ("203.0.113.1", "192.0.2.3"):
        with pytest.raises(SignInsTooMany):
            await door.try_("nora", PASSWORD, address)
    assert door.waited == [SLOWED_SECONDS]


async def test_so_many_are_slowed_at_once_and_the_next_is_sent_away(door: Door) -> None:
    await guess_from_everywhere(door)
    door.held = asyncio.Event()
    guessing = [asyncio.create_task(door.try_("nora", "guess", f"203.0.113.{number}")) for number in range(MOST_SLOWED)]
    await asyncio.wait_for(door.full.wait(), 30)
    with pytest.raises(SignInsBusy):
        await door.try_("nora", PASSWORD, OWNERS)
    door.held.set()
    ends = await asyncio.gather(*guessing, return_exceptions=True)
    assert {type(end) for end in ends} == {SignInRefused, SignInsBusy}  # more than may wait for their turn
    assert (await door.try_("nora", PASSWORD, "198.51.100.8")).user.login_name == "nora"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1:a:b:c:d", "2001:db8:0:1::/64"),
        ("2001:DB8:0:1::", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("x" * 100, "x" * 64),
    ],
)
def test_an_address_is_counted_as_what_one_line_has(address: str, network: str) -> None:
    assert network_of(address) == network
