"""One HTTP exchange with GenieACS at a time: what may be sent again, what must not, and what silence means.

The rules are in the table of ``acs.nbi.client``.
"""

from __future__ import annotations

import ssl
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any, TypeVar

import httpx
import structlog

from acs.nbi.answers import Answer
from acs.nbi.documents import read_documents, total_of
from acs.nbi.errors import (
    NbiDeviceInSession,
    NbiError,
    NbiGarbled,
    NbiPoisoned,
    NbiRejected,
    NbiRequestInvalid,
    NbiTimedOut,
    NbiUnreachable,
)
from acs.nbi.outcomes import Unknown
from acs.ports import Sleep

log = structlog.get_logger(__name__)

if find_spec("sniffio") is None:
    # httpcore imports it with every request to ask which event loop runs, and where it is not installed, each time the
    # whole path is searched for it: a quarter of what a request costs us. This says at once that it is not there.
    sys.modules["sniffio"] = None  # type: ignore[assignment]

# GenieACS closes an idle connection after 5 s; ours must be gone before.
KEEPALIVE_EXPIRY_SECONDS = 4.0
CONNECT_SECONDS = 5.0
READ_SECONDS = 130.0
"""A query without an index scans the whole collection twice."""
WRITE_SECONDS = 10.0
SESSION_SECONDS = 160.0
"""A task with a connection request may wait 30 s for a lock, 4 s for the session's start and 120 s for its end."""

POISON_SILENCE_SECONDS = 15.0
"""A worker that dies of a request keeps the connection 20 s and then drops it (21.0 s observed, 12 of 12)."""

CONNECT_RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0)
IN_SESSION_RETRY_SECONDS = (1.0, 2.0, 2.0, 5.0, 5.0, 5.0, 5.0, 5.0)
CUT_OFF_RETRY_SECONDS = (0.2, 1.0)

HARMLESS = "/devices?query=%7B%22_id%22%3A%22%22%7D&projection=_id"
"""Asks for no device at all, by the one index there is: milliseconds, and it kills no worker."""
HARMLESS_SECONDS = 10.0

LARGEST_ANSWER = 2_000_000

_Read = TypeVar("_Read")


class NbiTransport:
    """Owns the one ``httpx.AsyncClient``. Nothing of httpx leaves it."""

    def __init__(
        self,
        base_url: str,
        *,
        authorization: str | None,
        tls: ssl.SSLContext | None,
        max_connections: int,
        sleep: Sleep,
        monotonic: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self.genieacs_version: str | None = None
        self._answered: set[str] = set()
        self._base_url = _checked_base_url(base_url)
        self._sleep = sleep
        self._monotonic = monotonic
        self._jitter = jitter
        headers = {"Accept-Encoding": "identity"}  # nothing here is large enough to risk a compressed bomb
        if authorization is not None:
            headers["Authorization"] = authorization
        self._http = httpx.AsyncClient(
            headers=headers,
            verify=tls if tls is not None else True,
            limits=httpx.Limits(
                max_connections=max_connections,
                max_keepalive_connections=max_connections,
                keepalive_expiry=KEEPALIVE_EXPIRY_SECONDS,
            ),
            follow_redirects=False,
            trust_env=False,
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    async def head(self, target: str, *, kind: str) -> Mapping[str, str]:
        """The headers alone; ``kind`` as for ``collect``. Raises: NbiError."""

        async def ask() -> Mapping[str, str]:
            async with self._response("HEAD", target, None, READ_SECONDS) as response:
                _require_ok(target, await _whole(response))
                return response.headers

        return await self._again_when_cut_off(ask, kind)

    async def collect(self, target: str, *, kind: str) -> tuple[int, list[dict[str, Any]]]:
        """The ``total`` header and all documents, read as they arrive.

        ``kind`` is the query without its values: one of a kind that was answered before kills no worker.

        Raises: NbiError.
        """

        async def ask() -> tuple[int, list[dict[str, Any]]]:
            async with self._documents(target) as (headers, lines):
                return total_of(headers), [document async for document in lines]

        return await self._again_when_cut_off(ask, kind)

    async def stream(self, target: str) -> AsyncGenerator[dict[str, Any], None]:
        """The documents one by one, asked for once. Raises: NbiError."""
        try:
            async with self._documents(target) as (_, lines):
                async for document in lines:
                    yield document
        except _CutOff as cut:
            raise NbiGarbled(str(cut)) from cut

    async def write(
        self, method: str, target: str, body: bytes | None, *, waits: bool = False, own_504: bool = False
    ) -> Answer | Unknown:
        """A request with an effect; sent again only when it was not taken.

        ``waits``: for the end of a CPE's session. ``own_504``: a 504 may be GenieACS's own.

        Raises: NbiUnreachable, NbiDeviceInSession; NbiPoisoned only where it waits for nothing.
        """
        seconds = SESSION_SECONDS if waits else WRITE_SECONDS
        for pause in (*IN_SESSION_RETRY_SECONDS, None):
            answer = await self._write_once(method, target, body, seconds, waits=waits)
            if not isinstance(answer, Answer) or not answer.is_in_session:
                break
            if pause is None:
                raise NbiDeviceInSession(
                    f"The ACS has been in a session with the device for {sum(IN_SESSION_RETRY_SECONDS):.0f} s and takes"
                    " no change of its queue meanwhile."
                )
            await self._sleep(pause)
        if isinstance(answer, Answer) and answer.status >= 500 and not (own_504 and answer.status == 504):
            return Unknown(f"The answer was {answer.status} {answer.said}.", _asked(method, target))
        return answer

    async def _write_once(
        self, method: str, target: str, body: bytes | None, seconds: float, *, waits: bool
    ) -> Answer | Unknown:
        asked = _asked(method, target)
        # Who waits for a session is told nothing meanwhile; its worker may die of somebody else's request.
        nothing_heard = (NbiTimedOut, NbiGarbled, _CutOff, *((NbiPoisoned,) if waits else ()))
        try:
            async with self._response(method, target, body, seconds) as response:
                return await _whole(response)
        except nothing_heard as silence:
            log.warning("outcome of a request to the acs is unknown", asked=asked, why=str(silence))
            return Unknown(str(silence), asked)

    @asynccontextmanager
    async def _documents(self, target: str) -> AsyncIterator[tuple[Mapping[str, str], AsyncIterator[dict[str, Any]]]]:
        async with self._response("GET", target, None, READ_SECONDS) as response:
            if response.status_code != 200:
                _require_ok(target, await _whole(response))
            yield response.headers, read_documents(response.aiter_raw())

    @asynccontextmanager
    async def _response(
        self, method: str, target: str, body: bytes | None, seconds: float
    ) -> AsyncIterator[httpx.Response]:
        """One exchange; everything httpx may raise becomes an error of ours, until the body is read to its end."""
        asked = _asked(method, target)
        silence = _Silence(self._monotonic)
        try:
            response = await self._connected(method, target, body, seconds, silence)
            silence.broken()
            try:
                self.genieacs_version = response.headers.get("GenieACS-Version", self.genieacs_version)
                if response.headers.get("Content-Encoding", "identity") != "identity":
                    raise NbiGarbled(f"The ACS answered {asked} compressed, which was not asked for.")
                yield response
            finally:
                await response.aclose()
        except httpx.TimeoutException as error:
            raise NbiTimedOut(f"The ACS did not answer {asked} within {seconds:.0f} s.") from error
        except httpx.LocalProtocolError as error:
            raise NbiRequestInvalid([f"{asked} is no valid HTTP request"]) from error
        except httpx.RequestError as error:
            if silence.seconds >= POISON_SILENCE_SECONDS:
                raise NbiPoisoned(asked, silence_seconds=silence.seconds) from error
            raise _CutOff(f"The ACS cut the connection during {asked}.") from error

    async def _connected(
        self, method: str, target: str, body: bytes | None, seconds: float, silence: _Silence
    ) -> httpx.Response:
        """Sends the request; tried again as long as it could not even be begun."""
        timeout = httpx.Timeout(seconds, connect=CONNECT_SECONDS, pool=seconds)
        request = self._http.build_request(
            method, self._base_url + target, content=body, timeout=timeout, extensions={"trace": silence.follow}
        )
        for pause in (*CONNECT_RETRY_SECONDS, None):
            try:
                return await self._http.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if pause is None:
                    raise NbiUnreachable(f"The ACS at {self._base_url} cannot be reached.") from error
            except httpx.PoolTimeout as error:
                raise NbiUnreachable("All connections to the ACS are taken; nothing was sent.") from error
            log.info("acs cannot be reached, trying again", acs=self._base_url, pause_seconds=pause)
            await self._sleep(pause * (0.5 + self._jitter()))
        raise AssertionError("the last pause is None")

    async def _again_when_cut_off(self, ask: Callable[[], Awaitable[_Read]], kind: str) -> _Read:
        """A read does no harm twice. After a long silence it is asked again once, if the ACS is there for others."""
        silent_before = False
        for pause in (*CUT_OFF_RETRY_SECONDS, None):
            try:
                answer = await ask()
            except NbiPoisoned as silence:
                if silent_before and kind not in self._answered:
                    raise
                if silent_before or pause is None or not await self._answers_others(kind):
                    raise NbiUnreachable(
                        f"The ACS has hung up after {silence.silence_seconds:.0f} s without a word, and not only on"
                        " this question: its workers die of something else. Look at the log of genieacs-nbi."
                    ) from silence
                silent_before = True
            except (_CutOff, NbiGarbled) as cut:
                if pause is None:
                    if isinstance(cut, NbiGarbled):
                        raise
                    raise NbiUnreachable(str(cut)) from cut
                log.info("answer of the acs was cut off, asking again", why=str(cut))
            else:
                self._answered.add(kind)
                return answer
            await self._sleep(pause * (0.5 + self._jitter()))
        raise AssertionError("the last pause is None")

    async def _answers_others(self, kind: str) -> bool:
        """Whether that question may have been what the worker died of.

        A worker dies as well when its database fails (lib/nbi.ts throws what a query's cursor reports); then it dies
        of the most harmless question too.
        """
        if kind in self._answered:
            return True
        try:
            async with self._response("HEAD", HARMLESS, None, HARMLESS_SECONDS) as response:
                return (await _whole(response)).status == 200
        except (NbiError, _CutOff):
            return False


class _Silence:
    """How long the ACS has said nothing since the request was written; a worker that dies of it does not say a word.

    What goes before (waiting for a free connection, connecting, TLS) is not the ACS's silence.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._since: float | None = None

    async def follow(self, event: str, _info: Mapping[str, Any]) -> None:
        """What httpx tells of the progress of a request (its ``trace`` extension)."""
        if event == "http11.send_request_headers.started":
            self._since = self._monotonic()

    def broken(self) -> None:
        self._since = None

    @property
    def seconds(self) -> float:
        return 0.0 if self._since is None else self._monotonic() - self._since


class _CutOff(Exception):
    """The connection ended before the answer was whole, at once and not after a worker's 20 s of dying."""


async def _whole(response: httpx.Response) -> Answer:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise NbiGarbled(f"The ACS sent more than {LARGEST_ANSWER} bytes where a few were due.")
    return Answer(response.status_code, response.reason_phrase, response.headers, bytes(body))


def _require_ok(target: str, answer: Answer) -> None:
    """Raises: NbiUnreachable for a proxy without a GenieACS behind it, NbiRejected."""
    if answer.status >= 500:
        raise NbiUnreachable(f"The ACS cannot be asked now: {answer.status} {answer.said}.")
    if answer.status != 200:
        raise NbiRejected(f"the query {_asked('GET', target)}", status=answer.status, said=answer.said)


def _asked(method: str, target: str) -> str:
    return f"{method} {target.partition('?')[0]}"


def _checked_base_url(base_url: str) -> str:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise NbiRequestInvalid([f"{base_url!r} is no address of an ACS"]) from error
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment or url.userinfo:
        raise NbiRequestInvalid(["the address of the ACS is http(s)://host[:port][/path], credentials apart"])
    return base_url.rstrip("/")
