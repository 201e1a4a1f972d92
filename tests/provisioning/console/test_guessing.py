"""Guessing and waiting at the sign-in: who guesses shuts out nobody else, and who waits holds nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select

from provisioning.access import ConsoleSession, Invitations, Passwords, SignIns, Users
from provisioning.access.passwords import AT_ONCE, MOST_WAITING
from provisioning.access.sign_ins import OF_A_NAME, OF_A_NAME_FROM_AN_ADDRESS
from provisioning.bootstrap import Appliance
from tests.support.console import CHEAP, PASSWORD, Console, add_user


class Standing(PasswordHasher):
    """Stands still in the middle of its work until it is let go."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.at_work = threading.Event()
        self.go = threading.Event()

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self._stand()
        return super().verify(hash, password)

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        if password != "nobody's":  # that one is made before anybody comes
            self._stand()
        return super().hash(password, salt=salt)

    def _stand(self) -> None:
        self.at_work.set()
        assert self.go.wait(30)

    @asynccontextmanager
    async def standing(self) -> AsyncIterator[None]:
        """While it stands; it goes on when the block ends."""
        try:
            assert await asyncio.to_thread(self.at_work.wait, 30)
            yield
        finally:
            self.go.set()


def slow(console: Console) -> Standing:
    hasher = Standing()
    console.app.state.sign_ins = SignIns(Passwords(hasher))
    return hasher


def connections(appliance: Appliance) -> int:
    pool: Any = appliance.database.reading.pool
    return int(pool.checkedout())


async def test_from_one_address_nobody_shuts_a_person_out_everywhere(console: Console) -> None:
    await add_user(console.appliance, "admin", "admin")
    guesser = console.anybody("192.0.2.66")
    for _ in range(OF_A_NAME + 1):
        last = await guesser.sign_in("admin", "guess")
    assert (last.status_code, last.headers["retry-after"]) == (429, "900")
    assert (await console.anybody("198.51.100.7").sign_in("admin")).status_code == 303


async def test_a_network_of_ipv6_is_one_address(console: Console) -> None:
    await add_user(console.appliance, "nora", "noc")
    for number in range(OF_A_NAME_FROM_AN_ADDRESS):
        assert (await console.anybody(f"2001:db8:0:1::{number:x}").sign_in("nora", "guess")).status_code == 401
    assert (await console.anybody("2001:db8:0:1:ffff::1").sign_in("nora")).status_code == 429
    assert (await console.anybody("2001:db8:0:2::1").sign_in("nora")).status_code == 303


async def test_who_waits_for_their_turn_holds_no_connection(any_console: Console) -> None:
    await add_user(any_console.appliance, "nora", "noc")
    hasher = slow(any_console)
    async with asyncio.TaskGroup() as tasks:
        trying = tasks.create_task(any_console.anybody().sign_in("nora"))
        async with hasher.standing():
            held = connections(any_console.appliance)
    assert held == 0
    assert trying.result().status_code == 303


async def test_who_chooses_a_password_holds_no_connection_meanwhile(console: Console) -> None:
    path, hasher = await link_of(console.appliance, await add_user(console.appliance, "nora", "noc")), slow(console)
    async with asyncio.TaskGroup() as tasks:
        choosing = tasks.create_task(console.anybody().send(path, {"password": PASSWORD, "again": PASSWORD}))
        async with hasher.standing():
            held = connections(console.appliance)
    assert held == 0
    assert choosing.result().status_code == 303


async def test_so_many_wait_and_the_next_is_told_when_to_come_again(console: Console) -> None:
    await add_user(console.appliance, "nora", "noc")
    path = await link_of(console.appliance, await add_user(console.appliance, "paul", "noc"))
    hasher = slow(console)
    sign_ins = console.app.state.sign_ins
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(sign_ins.passwords.matches(None, "guess")) for _ in range(AT_ONCE + MOST_WAITING)]
        async with hasher.standing():
            refused = await console.anybody().sign_in("nora")
            choosing = await console.anybody().send(path, {"password": PASSWORD, "again": PASSWORD})
    assert [(each.status_code, each.headers["retry-after"]) for each in (refused, choosing)] == [(503, "2")] * 2
    assert "come again in some seconds" in refused.text
    assert not any(each.result() for each in waiting)
    assert (await console.anybody().sign_in("nora")).status_code == 303
    assert (await console.anybody().send(path, {"password": PASSWORD, "again": PASSWORD})).status_code == 303


async def give_another_password(users: Users, user_id: int) -> None:
    await users.set_password_hash(user_id, await Passwords(CHEAP).hash("another long password"))


async def disable(users: Users, _user_id: int) -> None:
    await users.disable("nora")


@pytest.mark.both_databases
@pytest.mark.parametrize("change", [give_another_password, disable])
async def test_a_sign_in_does_not_outlive_what_its_password_was(
    any_console: Console, change: Callable[[Users, int], Any]
) -> None:
    appliance = any_console.appliance
    user_id, hasher, person = await add_user(appliance, "nora", "noc"), slow(any_console), any_console.anybody()
    async with asyncio.TaskGroup() as tasks:
        trying = tasks.create_task(person.sign_in("nora"))
        async with hasher.standing(), appliance.database.begin() as db:
            await change(Users(db, tenant_id=appliance.tenant_id, now=appliance.clock), user_id)
    answer = trying.result()
    assert answer.status_code == 401 and "set-cookie" not in answer.headers
    async with appliance.database.begin() as db:
        await Users(db, tenant_id=appliance.tenant_id, now=appliance.clock).enable("nora")
        assert await db.scalar(select(func.count()).select_from(ConsoleSession)) == 0
    assert (await person.get("/queue")).headers["location"].startswith("/sign-in")


async def test_who_is_disabled_while_they_choose_a_password_is_not_signed_in(any_console: Console) -> None:
    appliance = any_console.appliance
    path = await link_of(appliance, await add_user(appliance, "nora", "noc"))
    hasher, person = slow(any_console), any_console.anybody()
    async with asyncio.TaskGroup() as tasks:
        choosing = tasks.create_task(person.send(path, {"password": PASSWORD, "again": PASSWORD}))
        async with hasher.standing(), appliance.database.begin() as db:
            await disable(Users(db, tenant_id=appliance.tenant_id, now=appliance.clock), 0)
    assert choosing.result().status_code == 410
    async with appliance.database.read() as db:
        assert await db.scalar(select(func.count()).select_from(ConsoleSession)) == 0


async def link_of(appliance: Appliance, user_id: int) -> str:
    async with appliance.database.begin() as db:
        links = Invitations(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        return (await links.make(user_id=user_id, by="a test")).path
