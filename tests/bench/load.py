"""A steady load on connections that are kept, made with as little work as a client can do: its CPU is not the server's.

Requests are sent when it is their time, whether the earlier ones were answered or not, and each is counted from then,
so that a slow answer is not hidden by a client that waits for it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException

CONNECTIONS = 64
UNANSWERED_MS = 30_000.0
"""What a request counts that was not answered within these milliseconds."""


@dataclass(frozen=True)
class Loaded:
    """What came of it: milliseconds of each request in ascending order, and the answers a second."""

    took_ms: Sequence[float]
    rate: float

    def percentile_ms(self, share: float) -> float:
        return self.took_ms[min(int(len(self.took_ms) * share), len(self.took_ms) - 1)]

    @property
    def unanswered(self) -> int:
        return sum(one >= UNANSWERED_MS for one in self.took_ms)


class Client:
    """Asks one server. ``async with`` closes its connections."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._lines: list[_Line] = []
        self._free: deque[_Line] = deque()
        self._waiting: deque[tuple[bytes, asyncio.Future[int]]] = deque()

    async def __aenter__(self) -> Client:
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            _, line = await loop.create_connection(lambda: _Line(self._freed), self._host, self._port)
            self._lines.append(line)
            self._free.append(line)
        return self

    async def __aexit__(self, *_: object) -> None:
        for line in self._lines:
            line.close()

    def request(self, path: str, token: str | None) -> bytes:
        """The bytes of a GET."""
        said = f"Authorization: Bearer {token}\r\n" if token else ""
        return f"GET {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n{said}\r\n".encode()

    def ask(self, request: bytes) -> asyncio.Future[int]:
        """The status of the answer; sent at once, or as soon as a connection is free."""
        answer = asyncio.get_running_loop().create_future()
        if self._free:
            self._free.popleft().send(request, answer)
        else:
            self._waiting.append((request, answer))
        return answer

    def _freed(self, line: _Line) -> None:
        if self._waiting:
            line.send(*self._waiting.popleft())
        else:
            self._free.append(line)

    async def load(self, requests: Sequence[bytes], *, rate: float, seconds: float, status: int = 200) -> Loaded:
        """The requests in turn at this rate.

        Raises: HTTPException for an answer of another status.
        """
        took: list[float] = []
        began = time.perf_counter()

        async def see(due: float, answer: asyncio.Future[int]) -> None:
            try:
                async with asyncio.timeout(UNANSWERED_MS / 1000):
                    found = await answer
            except TimeoutError:
                took.append(UNANSWERED_MS)
                return
            took.append((time.perf_counter() - due) * 1000)
            if found != status:
                raise HTTPException(f"{found} instead of {status}")

        seen = []
        for number in range(max(int(rate * seconds), 1)):
            due = began + number / rate
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            seen.append(asyncio.create_task(see(due, self.ask(requests[number % len(requests)]))))
        await asyncio.gather(*seen)
        return Loaded(sorted(took), len(took) / (time.perf_counter() - began))


class _Line(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, freed: Callable[[_Line], None]) -> None:
        self._freed = freed
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[int] | None = None
        self._received = bytearray()
        self._whole = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, request: bytes, answer: asyncio.Future[int]) -> None:
        assert self._transport is not None and self._answer is None
        self._answer = answer
        self._transport.write(request)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._whole:
            head = self._received.find(b"\r\n\r\n")
            if head < 0:
                return
            self._whole = head + 4 + _length(bytes(self._received[:head]))
        if len(self._received) >= self._whole:
            status = int(self._received[9:12])
            self._received.clear()
            self._whole = 0
            self._end(status)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the server has hung up"))

    def _end(self, status: int) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_result(status)
        self._freed(self)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise HTTPException("an answer without a length")
