"""A web hook's other side: it keeps what it is sent, and answers as it is told to."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

LOOPBACK = "127.0.0.1"
PATIENCE_SECONDS = 10.0
SILENCE = 0
"""Instead of a status: it keeps the request and never answers."""


@dataclass(frozen=True)
class Received:
    """One request."""

    method: str
    target: str
    headers: dict[str, str]
    body: Any
    raw: bytes = field(default=b"", repr=False)


class HttpReceiver:
    """``async with HttpReceiver() as receiver``: listens on ``receiver.port`` until the block ends."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.port = 0
        self.received: list[Received] = []
        self.location = ""  # where a redirect leads
        self.retry_after = ""
        self.cookie = ""
        self._answers: deque[int] = deque()
        self._server: asyncio.Server | None = None
        self._conversations: set[asyncio.Task[None]] = set()
        self._arrival = asyncio.Event()

    async def __aenter__(self) -> HttpReceiver:
        self._server = await asyncio.start_server(self._take, LOOPBACK, 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)
        await self._server.wait_closed()

    def answer(self, *statuses: int) -> None:
        """One status for each of the next requests; after them every one is taken with 200."""
        self._answers.extend(statuses)

    async def until_received(self, count: int) -> None:
        """Waits until so many requests have come, ten seconds at most."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.received) < count:
                self._arrival.clear()
                await self._arrival.wait()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        try:
            self.received.append(await _read(reader))
            self._arrival.set()
            status = self._answers.popleft() if self._answers else 200
            if status == SILENCE:
                await asyncio.Event().wait()
            given = {"Location": self.location, "Retry-After": self.retry_after, "Set-Cookie": self.cookie}
            given["Connection"] = "close"
            headers = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n{headers}\r\n".encode())
            await writer.drain()
        finally:
            self._conversations.discard(task)
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, target, _ = first.split(" ")
    return Received(method, target, headers, json.loads(body) if body else None, body)
