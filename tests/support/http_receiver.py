"""A web hook's other side: it keeps what it is sent, and answers as it is told to."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from tests.support.loopback import LoopbackServer

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


class HttpReceiver(LoopbackServer):
    """``async with HttpReceiver() as receiver``: listens on ``receiver.port`` until the block ends."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.received: list[Received] = []
        self.location = ""  # where a redirect leads
        self.retry_after = ""
        self.cookie = ""
        self._answers: deque[int] = deque()
        self._arrival = asyncio.Event()

    def answer(self, *statuses: int) -> None:
        """One status for each of the next requests; after them every one is taken with 200."""
        self._answers.extend(statuses)

    async def until_received(self, count: int) -> None:
        """Waits until so many requests have come, ten seconds at most."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.received) < count:
                self._arrival.clear()
                await self._arrival.wait()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, kept and answered."""
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


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, target, _ = first.split(" ")
    return Received(method, target, headers, json.loads(body) if body else None, body)
