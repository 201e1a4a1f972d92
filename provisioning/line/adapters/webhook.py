"""The ISP's own OLT system is told by a signed webhook what is wanted, and answers later by a signed call-back.

``POST`` of ``{"type": "line.wanted" | "line.unwanted", "data": {...}}``, signed as Standard Webhooks 1.0 has it. The
``webhook-id`` is the line order's key, the same however often it is sent, and the body is the same then, too. Any 2xx
says only that it was heard: what became of it is told at ``provisioning.api.public_line``. 409, 410 and 422 are
refusals, with a ``reason``, and have changed nothing; so has a 429 or 503, which asks to come again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import httpx

from provisioning.line.adapters.exchange import exchanged, refusal_of
from provisioning.line.ports import AdapterAnswer, LineRequest
from provisioning.signatures import sign

WANTED: Literal["line.wanted"] = "line.wanted"
ANSWER_PATH = "/webhooks/line"
"""Under the appliance's public address: where the OLT system answers."""
UNWANTED: Literal["line.unwanted"] = "line.unwanted"


@dataclass(frozen=True)
class LineWebhookSettings:
    """Where the OLT system is told, the secrets that it shares with us (the one in force first), and where it may
    answer, if anybody has said."""

    url: str
    secrets: tuple[str, ...] = field(repr=False)
    answer_url: str | None
    timeout_seconds: float


class LineWebhookAdapter:
    """Speaks the protocol above over an ``httpx.AsyncClient`` that its owner opens and closes."""

    def __init__(self, http: httpx.AsyncClient, settings: LineWebhookSettings, *, now: Callable[[], datetime]) -> None:
        self._http = http
        self._settings = settings
        self._now = now

    async def authorise(self, line: LineRequest, *, key: str) -> AdapterAnswer:
        return await self._tell(WANTED, {**self._data(line), "answer_url": self._settings.answer_url}, line, key)

    async def withdraw(self, line: LineRequest, *, key: str) -> AdapterAnswer:
        return await self._tell(UNWANTED, self._data(line), line, key)

    async def _tell(self, what: str, data: dict[str, Any], line: LineRequest, key: str) -> AdapterAnswer:
        body = json.dumps({"type": what, "data": data}, sort_keys=True).encode()
        request = self._http.build_request(
            "POST",
            self._settings.url,
            content=body,
            headers={
                **sign(key, body, self._settings.secrets, now=self._now()),
                "Content-Type": "application/json",
            },
            timeout=self._settings.timeout_seconds,
        )
        status, content = await exchanged(self._http, request, line, timeout_seconds=self._settings.timeout_seconds)
        if not 200 <= status <= 299:
            raise refusal_of(status, content, line)
        return AdapterAnswer(answered=False)

    def _data(self, line: LineRequest) -> dict[str, Any]:
        """What never changes of an order: an answer may still come between two sendings."""
        return {
            "order": line.order,
            "customer_id": line.customer_id,
            "service_id": line.service_id,
            "serial": line.device_serial,
            "access_node": line.access_node,
            "port": line.port,
            "svlan": line.svlan,
            "cvlan": line.cvlan,
            "management_vlan": line.management_vlan,
            "line_profile": line.line_profile,
        }
