"""A TCP server that says exactly what a test tells it to, byte by byte: proxies, rubbish, half answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from acs import NbiClient

Say = Callable[[asyncio.StreamWriter], None]


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    """A whole HTTP answer with the headers GenieACS sends."""
    lines = [
        f"HTTP/1.1 {status}",
        "GenieACS-Version: 1.2.16+26112238e9",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def documents(*lines: str, total: int | None = None) -> bytes:
    """A list of documents as GenieACS writes it."""
    body = "[\n" + ",\n".join(lines) + "\n]"
    return answer("200 OK", body.encode(), f"total: {len(lines) if total is None else total}")


class ScriptedNbi:
    """Answers the n-th request with the n-th script, and the last one from then on; remembers what it was asked."""

    def __init__(self, *script: bytes) -> None:
        self.script = list(script)
        self.asked: list[bytes] = []
        self.was_asked = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()

    @property
    def url(self) -> str:
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            body = await reader.readexactly(int(length[0].partition(b":")[2])) if length else b""
            self.asked.append(head + body)
            self.was_asked.set()
            said = self.script[min(len(self.asked), len(self.script)) - 1]
            if said is not SILENCE:
                writer.write(said)
                await writer.drain()
            else:
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


SILENCE = b"(says nothing until the client hangs up)"


@asynccontextmanager
async def scripted(*script: bytes) -> AsyncIterator[tuple[NbiClient, ScriptedNbi]]:
    """A client and the server it talks to; the client's pauses take no time."""

    async def no_pause(_seconds: float) -> None:
        await asyncio.sleep(0)

    async with ScriptedNbi(*script) as server, NbiClient(server.url, sleep=no_pause, jitter=lambda: 0.5) as client:
        yield client, server
