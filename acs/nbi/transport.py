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
from acs.nbi.breaker import CircuitBreaker
from acs.nbi.connections import Connections
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
from acs.nbi.timing import (
    CONNECT_RETRY_SECONDS,
    CONNECT_SECONDS,
    CUT_OFF_RETRY_SECONDS,
    IN_SESSION_RETRY_SECONDS,
    KEEPALIVE_EXPIRY_SECONDS,
    POISON_SILENCE_SECONDS,
    READ_SECONDS,
    SECONDS_OF_A_WRITE,
    Silence,
    Wait,
)
from acs.ports import Sleep

log = structlog.get_logger(__name__)

if find_spec("sniffio") is None:
    # httpcore imports it with every request to ask which event loop runs, and where it is not installed, each time the
    # whole path is searched for it: a quarter of what a request costs us. This says at once that it is not there.
    sys.modules["sniffio"] = None  # type: ignore[assignment]

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
        breaker: CircuitBreaker,
    ) -> None:
        self.genieacs_version: str | None = None
        self.clock_of_acs: str | None = None
        """The ``Date`` header of the last answer, where there is one."""
        self._breaker = breaker
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
            transport=Connections(
                # reading all authorities takes a tenth of a second, which plain http does not need
                verify=tls if tls is not None else self._base_url.startswith("https:"),
                max_connections=max_connections,
                keepalive_seconds=KEEPALIVE_EXPIRY_SECONDS,
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
                self._require_ok(target, await _whole(response))
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
        self,
        method: str,
        target: str,
        body: bytes | None,
        *,
        wait: Wait = "short",
        own_504: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Answer | Unknown:
        """A request with an effect; sent again only when it was not taken. ``own_504``: a 504 may be GenieACS's own.

        Raises: NbiUnreachable, NbiDeviceInSession; NbiPoisoned only where it waits for the ACS alone.
        """
        for pause in (*IN_SESSION_RETRY_SECONDS, None):
            answer = await self._write_once(method, target, body, wait=wait, headers=headers)
            if not isinstance(answer, Answer) or not answer.is_in_session:
                break
            if pause is None:
                raise NbiDeviceInSession(
                    f"The ACS has been in a session with the device for {sum(IN_SESSION_RETRY_SECONDS):.0f} s and takes"
                    " no change of its queue meanwhile."
                )
            await self._sleep(pause)
        if isinstance(answer, Answer) and answer.status >= 500 and not (own_504 and answer.status == 504):
            why = f"The answer was {answer.status} {answer.said}."
            self._breaker.unreachable(why)
            return Unknown(why, _asked(method, target))
        return answer

    async def _write_once(
        self, method: str, target: str, body: bytes | None, *, wait: Wait, headers: Mapping[str, str] | None
    ) -> Answer | Unknown:
        asked = _asked(method, target)
        # Who waits long is told nothing meanwhile; its worker may die of somebody else's request.
        nothing_heard = (NbiTimedOut, NbiGarbled, _CutOff, *((NbiPoisoned,) if wait != "short" else ()))
        try:
            async with self._response(method, target, body, SECONDS_OF_A_WRITE[wait], headers) as response:
                return await _whole(response)
        except nothing_heard as silence:
            log.warning("outcome of a request to the acs is unknown", asked=asked, why=str(silence))
            return Unknown(str(silence), asked)

    @asynccontextmanager
    async def _documents(self, target: str) -> AsyncIterator[tuple[Mapping[str, str], AsyncIterator[dict[str, Any]]]]:
        async with self._response("GET", target, None, READ_SECONDS) as response:
            if response.status_code != 200:
                self._require_ok(target, await _whole(response))
            yield response.headers, read_documents(response.aiter_raw())

    @asynccontextmanager
    async def _response(
        self, method: str, target: str, body: bytes | None, seconds: float, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[httpx.Response]:
        """One exchange; everything httpx may raise becomes an error of ours, until the body is read to its end."""
        if self._breaker.state == "half_open" and target != HARMLESS:
            await self._find_out()
        asked = _asked(method, target)
        silence = Silence(self._monotonic)
        timeout = httpx.Timeout(seconds, connect=CONNECT_SECONDS, pool=seconds)
        request = self._http.build_request(
            method,
            self._base_url + target,
            content=body,
            headers=headers,
            timeout=timeout,
            extensions={"trace": silence.follow},
        )
        try:
            with self._breaker.asking() as is_probe:
                response = await self._connected(request, patient=not is_probe)
                if response.status_code < 500:  # else it may be a proxy that speaks for a GenieACS that is down
                    self._breaker.answered()
            silence.broken()
            try:
                self.genieacs_version = response.headers.get("GenieACS-Version", self.genieacs_version)
                self.clock_of_acs = response.headers.get("Date", self.clock_of_acs)
                if response.headers.get("Content-Encoding", "identity") != "identity":
                    raise NbiGarbled(f"The ACS answered {asked} compressed, which was not asked for.")
                yield response
            finally:
                await response.aclose()
        except httpx.TimeoutException as error:
            why = f"The ACS did not answer {asked} within {seconds:.0f} s."
            self._breaker.silent(why)
            raise NbiTimedOut(why) from error
        except httpx.LocalProtocolError as error:
            raise NbiRequestInvalid([f"{asked} is no valid HTTP request"]) from error
        except httpx.RequestError as error:
            if silence.seconds >= POISON_SILENCE_SECONDS:
                raise NbiPoisoned(asked, silence_seconds=silence.seconds) from error
            why = f"The ACS cut the connection during {asked}."
            self._breaker.silent(why)
            raise _CutOff(why) from error

    async def _find_out(self) -> None:
        """Is an ACS that was in trouble well again? What is asked next may take minutes, and have an effect.

        Raises: NbiUnreachable, NbiLeftInPeace: nothing of what comes next was sent.
        """
        try:
            async with self._response("HEAD", HARMLESS, None, HARMLESS_SECONDS) as response:
                self._require_ok(HARMLESS, await _whole(response))
        except (NbiTimedOut, NbiGarbled, NbiPoisoned, _CutOff) as silence:
            raise NbiUnreachable(f"The ACS is in trouble still; nothing was sent. {silence}") from silence

    async def _connected(self, request: httpx.Request, *, patient: bool) -> httpx.Response:
        """Sends the request; tried again, where it is patient, as long as it could not even be begun."""
        for pause in (*(CONNECT_RETRY_SECONDS if patient else ()), None):
            try:
                return await self._http.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if pause is None:
                    why = f"The ACS at {self._base_url} cannot be reached."
                    self._breaker.unreachable(why)
                    raise NbiUnreachable(why) from error
            except httpx.PoolTimeout as error:
                raise NbiUnreachable("All connections to the ACS are taken; nothing was sent.") from error
            log.info("acs cannot be reached, trying again", acs=self._base_url, pause_seconds=pause)
            await self._sleep(pause * (0.5 + self._jitter()))
            self._breaker.require_peace_is_over()  # another has found out meanwhile
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

    def _require_ok(self, target: str, answer: Answer) -> None:
        """Raises: NbiUnreachable for a proxy without a GenieACS behind it, NbiRejected."""
        if answer.status >= 500:
            why = f"The ACS cannot be asked now: {answer.status} {answer.said}."
            self._breaker.unreachable(why)
            raise NbiUnreachable(why)
        if answer.status != 200:
            raise NbiRejected(f"the query {_asked('GET', target)}", status=answer.status, said=answer.said)


class _CutOff(Exception):
    """The connection ended before the answer was whole, at once and not after a worker's 20 s of dying."""


async def _whole(response: httpx.Response) -> Answer:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise NbiGarbled(f"The ACS sent more than {LARGEST_ANSWER} bytes where a few were due.")
    return Answer(response.status_code, response.reason_phrase, response.headers, bytes(body))


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
