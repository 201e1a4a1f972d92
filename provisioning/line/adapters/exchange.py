"""One HTTP request to whoever drives an OLT, and what its answer means where it isn't a yes.

409, 410 and 422 are refusals, with a ``reason``, and have changed nothing; so has a 429 or 503, which asks to come
again. Whatever else happens after the first byte went out leaves the outcome unknown, and the same key may be sent
again.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import httpx
from pydantic import BaseModel, Field, ValidationError

from provisioning.line.errors import LineRefused, OltAnswerMalformed, OltError, OltOutcomeUnknown, OltUnreachable
from provisioning.line.ports import LineRequest

LARGEST_ANSWER_BYTES = 64 * 1024
REFUSALS = (409, 410, 422)
COME_AGAIN = (429, 503)


class Refusal(BaseModel):
    """What a refusal holds."""

    reason: Annotated[str, Field(min_length=1, max_length=LARGEST_ANSWER_BYTES)]


async def exchanged(
    http: httpx.AsyncClient, request: httpx.Request, line: LineRequest, *, timeout_seconds: float
) -> tuple[int, bytes]:
    """The answer's status and content, of which no more than the largest answer is read.

    Raises: OltUnreachable, OltOutcomeUnknown.
    """
    try:
        async with asyncio.timeout(timeout_seconds):  # httpx' own time-out starts anew at every byte
            return await _sent(http, request)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as exc:
        raise OltUnreachable(line.access_node, str(exc) or type(exc).__name__) from exc
    except (httpx.TransportError, httpx.DecodingError, TimeoutError) as exc:
        raise OltOutcomeUnknown(line.access_node, line.device_serial, str(exc) or type(exc).__name__) from exc


def refusal_of(status: int, content: bytes, line: LineRequest) -> OltError:
    """What an answer means that isn't the yes that was hoped for."""
    if status in REFUSALS:
        try:
            reason = Refusal.model_validate_json(content).reason
        except ValidationError:
            reason = f"HTTP {status} without a reason"
        return LineRefused(line.device_serial, line.access_node, reason)
    if status in COME_AGAIN:
        return OltUnreachable(line.access_node, f"HTTP {status}, too busy")
    if status >= 500:
        return OltOutcomeUnknown(line.access_node, line.device_serial, f"HTTP {status}")
    return OltAnswerMalformed(line.access_node, f"HTTP {status} with {len(content)} bytes")


async def _sent(http: httpx.AsyncClient, request: httpx.Request) -> tuple[int, bytes]:
    response = await http.send(request, stream=True, follow_redirects=False)
    content = b""
    try:
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > LARGEST_ANSWER_BYTES:
                break
    finally:
        await response.aclose()
    return response.status_code, content
