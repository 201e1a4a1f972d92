"""An OLT, or the system in front of it, that takes a line order over HTTP.

``PUT /lines/<order>`` with an ``Idempotency-Key`` answers 200 and ``{"port", "onu_id", "received_power_dbm"}``;
``DELETE /lines/<order>`` answers 200, and from then on the order can't be put any more (410). 409, 410 and 422 are
refusals, with a ``reason``, and have changed nothing; so has a 429 or 503, which asks to come again. Whatever else
happens after the first byte went out leaves the outcome unknown, and the same key may be sent again.
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote

import httpx
from pydantic import BaseModel, Field, ValidationError

from provisioning.line.adapters.exchange import LARGEST_ANSWER_BYTES, exchanged, refusal_of
from provisioning.line.errors import OltAnswerMalformed
from provisioning.line.ports import AdapterAnswer, LineRequest
from provisioning.line.words import HIGHEST_ONU_ID, POWER_RANGE_DBM, WORD


class LineAnswer(BaseModel):
    """What a 200 to a PUT holds."""

    port: Annotated[str, Field(pattern=f"^{WORD.pattern}$")]
    onu_id: Annotated[int, Field(ge=0, le=HIGHEST_ONU_ID)] | None = None
    received_power_dbm: Annotated[float, Field(ge=POWER_RANGE_DBM[0], le=POWER_RANGE_DBM[1])] | None = None


class OltHttpAdapter:
    """Speaks the protocol above over an ``httpx.AsyncClient`` that its owner opens and closes."""

    def __init__(self, http: httpx.AsyncClient, *, url: str, timeout_seconds: float) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._timeout_seconds = timeout_seconds

    async def authorise(self, line: LineRequest, *, key: str) -> AdapterAnswer:
        body = {
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
        content = await self._ask("PUT", line, key, body)
        try:
            answer = LineAnswer.model_validate_json(content)
        except ValidationError as exc:
            raise OltAnswerMalformed(line.access_node, f"{exc.error_count()} faults in its answer") from exc
        return AdapterAnswer(
            answered=True,
            actual_port=answer.port,
            onu_id=answer.onu_id,
            received_power_dbm=answer.received_power_dbm,
        )

    async def withdraw(self, line: LineRequest, *, key: str) -> AdapterAnswer:
        await self._ask("DELETE", line, key, None)
        return AdapterAnswer(answered=True)

    async def _ask(self, method: Literal["PUT", "DELETE"], line: LineRequest, key: str, body: object) -> bytes:
        """The content of a 200."""
        request = self._http.build_request(
            method,
            f"{self._url}/lines/{quote(line.order, safe='')}",
            json=body,
            headers={"Idempotency-Key": key},
            timeout=self._timeout_seconds,
        )
        status, content = await exchanged(self._http, request, line, timeout_seconds=self._timeout_seconds)
        if status == 200 and len(content) <= LARGEST_ANSWER_BYTES:
            return content
        raise refusal_of(status, content, line)
