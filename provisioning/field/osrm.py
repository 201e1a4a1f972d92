"""Ways by road from an OSRM server: its table service, ``GET /table/v1/<profile>/<lon>,<lat>;...`` (OSRM HTTP API v1).

``durations`` are seconds; ``null`` where no road leads from one place to the other.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Sequence
from typing import Any

import httpx

from provisioning.field.travel import Place
from provisioning.field.ways import RouterUnavailable, Seconds

TIMEOUT_SECONDS = 3.0
LARGEST_ANSWER = 2_000_000


class Osrm:
    """Asks one server. ``url``: with the profile, as ``http://127.0.0.1:5000/table/v1/driving``. ``tls``: whom to trust
    where that is HTTPS; ``None``: the usual authorities, read anew for each question."""

    def __init__(
        self, url: str, *, timeout_seconds: float = TIMEOUT_SECONDS, tls: ssl.SSLContext | None = None
    ) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout_seconds
        # reading all authorities takes a tenth of a second, which plain http does not need
        self._verify = tls if tls is not None else self._url.startswith("https:")

    async def table(self, places: Sequence[Place], *, origins: Sequence[int], destinations: Sequence[int]) -> Seconds:
        """Raises: RouterUnavailable."""
        where = ";".join(f"{place.longitude:.6f},{place.latitude:.6f}" for place in places)
        asked = {"annotations": "duration", "sources": _numbers(origins), "destinations": _numbers(destinations)}
        try:
            async with asyncio.timeout(self._timeout):  # in all: httpx counts each read by itself
                status, body = await self._answer(f"{self._url}/{where}", asked)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise RouterUnavailable(f"the router can't be asked: {type(error).__name__}") from error
        return _read(status, body, len(origins), len(destinations))

    async def _answer(self, address: str, asked: dict[str, str]) -> tuple[int, bytes]:
        """Raises: RouterUnavailable, if it has no end."""
        body = bytearray()
        async with (
            httpx.AsyncClient(timeout=self._timeout, trust_env=False, verify=self._verify) as http,
            http.stream("GET", address, params=asked) as answer,
        ):
            async for some in answer.aiter_bytes():
                body += some
                if len(body) > LARGEST_ANSWER:
                    raise RouterUnavailable(f"the router's answer is larger than {LARGEST_ANSWER} bytes")
        return answer.status_code, bytes(body)


def _numbers(numbers: Sequence[int]) -> str:
    return ";".join(map(str, numbers))


def _read(status: int, body: bytes, rows: int, columns: int) -> Seconds:
    try:
        said: Any = json.loads(body)
    except ValueError as error:
        raise RouterUnavailable(f"the router answered {status} without JSON") from error
    if not isinstance(said, dict) or said.get("code") != "Ok":
        code = said.get("code") if isinstance(said, dict) else None
        raise RouterUnavailable(f"the router answered {status}: {str(code)[:60]}")
    table = said.get("durations")
    if not isinstance(table, list) or len(table) != rows or not all(_is_row(row, columns) for row in table):
        raise RouterUnavailable(f"the router's durations are not {rows} rows of {columns}")
    return table


def _is_row(row: Any, columns: int) -> bool:
    return isinstance(row, list) and len(row) == columns and all(map(_is_duration, row))


def _is_duration(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 10**7)
