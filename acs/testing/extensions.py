"""What scripts in a session may ask of programs beside the ACS: `ext(name, function, ...)`.

A GenieACS runs each in a process of its own, waits 3 s (EXT_TIMEOUT) and then calls it a fault of that channel; the
rest of the session goes on. One that is not there never answers, which comes to the same. `FirstlightExtension` does
what `deploy/genieacs/ext/firstlight.js` does: it asks a Firstlight over HTTP, and never fails.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from urllib.parse import quote

import httpx
import structlog

from acs.testing.clock import Clock
from acs.testing.errors import ExtensionFault

log = structlog.get_logger(__name__)

EXT_SECONDS = 3.0
Extension = Callable[[str, Sequence[str]], Awaitable[object]]
"""Called with the function's name and its arguments, which are text."""

ANSWER_SECONDS = 2.0
LEFT_IN_PEACE = timedelta(seconds=15)
MOST_AT_ONCE = 8
MOST_BYTES = 65_536


def _is_nothing(status: int, text: bytes) -> bool:
    """Firstlight itself says that it has nothing for this CPE: a 404 may be of a proxy, or mean every CPE."""
    if status != 404:
        return status == 422
    try:
        problem = json.loads(text)
    except ValueError:
        return False
    return isinstance(problem, dict) and problem.get("code") == "acs.first_session_refused"


class Extensions:
    """Those that the operator has put beside the ACS, by name: `lab.extensions["firstlight"] = ...`."""

    def __init__(self) -> None:
        self._by_name: dict[str, Extension] = {}

    def __setitem__(self, name: str, extension: Extension) -> None:
        self._by_name[name] = extension

    async def run(self, name: str, function: str, *args: object) -> object:
        """Its answer, waited for in real time. Raises: ExtensionFault."""
        extension = self._by_name.get(name)
        try:
            async with asyncio.timeout(EXT_SECONDS if extension is not None else 0):
                if extension is None:
                    await asyncio.Event().wait()
                    raise AssertionError("nobody sets it")
                return await extension(function, [str(each) for each in args])
        except TimeoutError:
            raise ExtensionFault("timeout", "Extension timed out") from None


class FirstlightExtension:
    """The lab's twin of `firstlight.js`. `transport` is for one that is asked without a socket."""

    def __init__(
        self,
        url: str,
        token: str,
        clock: Clock,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self.answers: list[int | str] = []
        """What came of each question: the status, or what went wrong."""
        self._url = url
        self._token = token
        self._clock = clock
        self._transport = transport
        self._answer_seconds = answer_seconds
        self._under_way = 0
        self._left_in_peace_until: datetime | None = None

    async def __call__(self, function: str, args: Sequence[str]) -> str | None:
        if function != "settings":
            raise ExtensionFault("ext.TypeError", f"{function} is no function of firstlight")
        until = self._left_in_peace_until
        if self._under_way >= MOST_AT_ONCE or (until is not None and self._clock.now() < until):
            return None
        self._under_way += 1
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await self._asked(*args)
        except (httpx.HTTPError, TimeoutError, ValueError, KeyError) as error:
            self.answers.append(type(error).__name__)
            log.warning("a firstlight was asked for settings in vain", trouble=type(error).__name__)
            self._left_in_peace_until = self._clock.now() + LEFT_IN_PEACE
            return None
        finally:
            self._under_way -= 1

    async def _asked(
        self, acs: str, serial: str, data_model: str, code: str, manufacturer: str, product_class: str
    ) -> str | None:
        body = {
            "serial": serial,
            "data_model": data_model,
            "provisioning_code": code,
            "manufacturer": manufacturer or None,
            "product_class": product_class or None,
        }
        headers = {"Authorization": f"Bearer {self._token}"}
        async with (
            httpx.AsyncClient(base_url=self._url, transport=self._transport, headers=headers) as http,
            http.stream("POST", f"/api/v1/acs/{quote(acs, safe='')}/first-sessions", json=body) as response,
        ):
            text = b""
            async for chunk in response.aiter_bytes():
                text += chunk
                if len(text) > MOST_BYTES:
                    raise ValueError("its answer is too long")
        if not _is_nothing(response.status_code, text):
            response.raise_for_status()
        said: str | None = json.loads(text)["settings"] if response.status_code == 200 else None
        if said is not None:
            json.loads(said)
        self.answers.append(response.status_code)
        return said
