"""An ISP's own OLT system: it believes signed webhooks alone, does each once, and answers later, signed as well."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from provisioning.signatures import new_secret, sign, verified_id
from tests.support.http_receiver import HttpReceiver

ANSWERS_AT = "/webhooks/line"


@dataclass
class LineSystem:
    """``receiver`` takes what it is told; ``work`` does it at the OLT and answers to ``appliance``."""

    receiver: HttpReceiver
    secret: str
    olt_url: str
    appliance: httpx.AsyncClient
    now: Callable[[], datetime]
    done: set[str] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.receiver.port}/lines"

    async def work(self) -> list[httpx.Response]:
        """Does whatever it was told and hasn't done yet; what the appliance said to each answer."""
        answers = []
        for told in list(self.receiver.received):
            number = verified_id(told.headers, told.raw, [self.secret], now=self.now())
            if number not in self.done:
                self.done.add(number)
                act = self._authorise if told.body["type"] == "line.wanted" else self._remove
                answers.append(await self.answer(await act(number, told.body["data"])))
        return answers

    async def answer(self, said: dict[str, Any], *, number: str | None = None) -> httpx.Response:
        """A call-back, as a message of its own unless it is sent again under its number."""
        body = json.dumps(said).encode()
        headers = sign(number or f"answer-{uuid4()}", body, [self.secret], now=self.now())
        return await self.appliance.post(ANSWERS_AT, content=body, headers=headers)

    async def _authorise(self, number: str, line: dict[str, Any]) -> dict[str, Any]:
        about = {"order": line["order"], "serial": line["serial"]}
        names = ("customer_id", "service_id", "serial", "access_node", "port", "svlan", "cvlan", "management_vlan")
        wanted = {name: line[name] for name in (*names, "line_profile")}
        async with httpx.AsyncClient(trust_env=False) as http:
            done = await http.put(
                f"{self.olt_url}/lines/{line['order']}", json=wanted, headers={"Idempotency-Key": number}
            )
        if done.status_code != 200:
            return {**about, "result": "refused", "reason": done.json()["reason"]}
        return {**about, "result": "authorised", **done.json()}

    async def _remove(self, number: str, line: dict[str, Any]) -> dict[str, Any]:
        async with httpx.AsyncClient(trust_env=False) as http:
            done = await http.delete(f"{self.olt_url}/lines/{line['order']}", headers={"Idempotency-Key": number})
        assert done.status_code == 200, done.text
        return {"order": line["order"], "serial": line["serial"], "result": "removed"}


def line_webhook_settings(folder: Path, receiver: HttpReceiver) -> dict[str, Any]:
    """What an ISP sets whose system takes messages there; the secret is written into a file of this folder."""
    file = folder / "line-secret"
    file.write_text(new_secret())
    return {
        "line_webhook_url": f"http://127.0.0.1:{receiver.port}/lines",
        "line_webhook_secret_file": file,
        "line_webhook_timeout_seconds": 2.0,
        "webhook_private_networks": ("127.0.0.0/8",),
    }
