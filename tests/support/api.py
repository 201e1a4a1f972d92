"""The HTTP API as its callers have it: the real application, a token for each role, one client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
from fastapi import FastAPI

from provisioning.access import Role, Tokens
from provisioning.api import create_app
from provisioning.bootstrap import Appliance, open_appliance
from provisioning.settings import Settings

PARTNER, TECHNICIAN = 21, 7
WHOSE: dict[str, dict[str, int]] = {"partner": {"partner_id": PARTNER}, "technician": {"technician_id": TECHNICIAN}}


class Api:
    """Calls the application. ``role`` says with whose token; None sends none."""

    def __init__(self, appliance: Appliance, app: FastAPI, client: httpx.AsyncClient) -> None:
        self.appliance = appliance
        self.app = app
        self.client = client
        self._tokens: dict[str, str] = {}

    async def token(self, role: Role, **more: Any) -> str:
        """A token of this role; the same one again, unless it has scopes or an owner of its own."""
        if more or role not in self._tokens:
            given = {"name": f"{role} of the test", "days": 1, **WHOSE.get(role, {}), **more}
            async with self.appliance.database.begin() as db:
                tokens = Tokens(db, tenant_id=self.appliance.tenant_id, now=self.appliance.clock)
                made = await tokens.create(role=role, **given)
            if more:
                return made.secret
            self._tokens[role] = made.secret
        return self._tokens[role]

    async def send(
        self,
        method: str,
        path: str,
        *,
        role: Role | None = "admin",
        token: str | None = None,
        key: str | None = None,
        match: str | None = None,
        headers: dict[str, str] | None = None,
        **request: Any,
    ) -> httpx.Response:
        """One request; a POST has a new Idempotency-Key unless it is given one."""
        sent = dict(headers or {})
        if token is None and role is not None:
            token = await self.token(role)
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if method == "POST":
            sent.setdefault("Idempotency-Key", key or uuid4().hex)
        if match is not None:
            sent["If-Match"] = match
        address = path if path.startswith("/api/") else f"/api/v1{path}"
        return await self.client.request(method, address, headers=sent, **request)

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.send("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return await self.send("POST", path, json={} if body is None else body, **more)

    async def audit(self, **filters: Any) -> list[dict[str, Any]]:
        """The audit's entries, the newest first."""
        answer = await self.get("/audit", params=filters)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found


@asynccontextmanager
async def open_api(settings: Settings) -> AsyncIterator[Api]:
    """The application of an appliance that is opened for the time of the block."""
    async with open_appliance(settings) as appliance:
        app = create_app(appliance)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://isp.test") as client:
            yield Api(appliance, app, client)


def told_of(refused: httpx.Response) -> dict[str, str]:
    """What a request was refused for as malformed, by its places."""
    assert refused.status_code == 422, refused.text
    return {each.get("pointer", each.get("field")): each["detail"] for each in refused.json()["errors"]}
