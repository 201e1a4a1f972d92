"""The console as its people have it: the real application, somebody of each role signed in, one client each."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from argon2 import PasswordHasher
from fastapi import FastAPI

from provisioning.access import Passwords, Role, Users
from provisioning.api import create_app
from provisioning.bootstrap import Appliance, open_appliance
from provisioning.console import LiveStreams, add_console
from provisioning.settings import Settings
from tests.support.api import WHOSE

PASSWORD = "correct horse battery staple"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}

_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')


class Person:
    """Somebody at a browser without scripts: follows links, fills forms in."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.client.get(path, **more)

    async def send(self, path: str, form: dict[str, Any] | None = None, *, page: str | None = None) -> httpx.Response:
        """Sends a form of this page (or of the one at the same address) to this address."""
        seen = await self.get(page or path)
        token = _TOKEN.search(seen.text)
        fields = {"form_token": token[1] if token else "", **(form or {})}
        return await self.client.post(path, data=fields, headers=SAME_ORIGIN)

    async def sign_in(self, login_name: str, password: str = PASSWORD, **more: str) -> httpx.Response:
        form = {"login_name": login_name, "password": password, **more}
        return await self.client.post("/sign-in", data=form, headers=SAME_ORIGIN)


class Console:
    """The application and the people at it."""

    def __init__(self, appliance: Appliance, app: FastAPI, streams: LiveStreams) -> None:
        self.appliance = appliance
        self.app = app
        self.streams = streams
        self._people: dict[str, Person] = {}
        self._clients: list[httpx.AsyncClient] = []

    def anybody(self, address: str = "192.0.2.1") -> Person:
        """Nobody that is known, at this address."""
        transport = httpx.ASGITransport(self.app, client=(address, 40_000))
        client = httpx.AsyncClient(transport=transport, base_url="http://isp.test")
        self._clients.append(client)
        return Person(client)

    async def somebody(self, role: Role) -> Person:
        """Somebody of this role, signed in; always the same."""
        if role not in self._people:
            await add_user(self.appliance, role, role, **WHOSE.get(role, {}))
            person = self.anybody()
            answer = await person.sign_in(role)
            assert answer.status_code == 303, answer.text
            self._people[role] = person
        return self._people[role]

    async def close(self) -> None:
        self.streams.close()
        for client in self._clients:
            await client.aclose()


async def add_user(appliance: Appliance, login_name: str, role: Role, **whose: int) -> int:
    """Somebody whose password is ``PASSWORD``."""
    hashed = await Passwords(CHEAP).hash(PASSWORD)
    async with appliance.database.begin() as db:
        users = Users(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        added = await users.add(login_name=login_name, display_name=f"{login_name} of the test", role=role, **whose)
        await users.set_password_hash(added.user_id, hashed)
    return added.user_id


@asynccontextmanager
async def open_console(settings: Settings) -> AsyncIterator[Console]:
    """The console of an appliance that is opened for the time of the block."""
    async with open_appliance(settings) as appliance:
        app = create_app(appliance)
        console = Console(appliance, app, add_console(app, appliance, passwords=Passwords(CHEAP)))
        try:
            yield console
        finally:
            await console.close()
