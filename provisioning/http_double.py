"""What doubles that speak HTTP have in common: one request a connection (RFC 9112 s9.6, ``Connection: close``).

    class LabClock(HttpDouble):
        def answer(self, asked: Asked) -> Told | Silence:
            return Told.json(200, {"now": 12})

    async with LabClock() as clock:
        await http.get(f"{clock.url}/now")

Stripe's double, the lab's OLT and the systems that the lab's webhooks tell are such; GenieACS's is not, which keeps its
connections as a real one does (``acs.testing``).
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Self

import h11

LARGEST_BODY_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Asked:
    """A whole request; names of headers are lower case, ``target`` is as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Told:
    """What is answered."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def json(cls, status: int, document: dict[str, Any]) -> Told:
        return cls(status, json.dumps(document).encode(), (("Content-Type", "application/json"),))


class Silence(Enum):
    """No answer, whatever was done: ``HANGS`` until the client gives up, or ``DROPS`` the connection."""

    HANGS = auto()
    DROPS = auto()


class HttpDouble(ABC):
    """A double on 127.0.0.1, for the time of a block or from ``start`` to ``stop``; it may be started again."""

    def __init__(self) -> None:
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.hung = asyncio.Event()  # set when a client begins to wait for an answer that never comes

    @abstractmethod
    def answer(self, asked: Asked) -> Told | Silence:
        """What the double does about a request. No await in here: it is done wholly or not at all."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        assert self._server is not None, "start the double first"
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

    async def start(self, port: int = 0) -> None:
        """Answer at this port (0: any that is free)."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)

    async def stop(self) -> None:
        """Refuse and break connections; nothing to do for one that never started."""
        if self._server is None:
            return
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client went away, or the double is switched off
        finally:
            self._connections.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = h11.Connection(h11.SERVER)
        try:
            said = self.answer(await _asked(wire, reader))
        except h11.RemoteProtocolError as refused:
            said = Told.json(refused.error_status_hint, {"reason": str(refused)})
        if said is Silence.DROPS:
            return
        if said is Silence.HANGS:
            self.hung.set()
            await reader.read()  # until the client gives up
            return
        length = [("Content-Length", str(len(said.body)))] if said.status != 204 else []  # RFC 9110 s8.6
        headers = [*said.headers, *length, ("Connection", "close")]
        for event in (h11.Response(status_code=said.status, headers=headers), h11.Data(data=said.body)):
            writer.write(wire.send(event) or b"")
        await writer.drain()


async def _asked(wire: h11.Connection, reader: asyncio.StreamReader) -> Asked:
    """A whole request.

    Raises:
        ConnectionError: the client left before its end.
        h11.RemoteProtocolError: it isn't HTTP, or its body is too large.
    """
    head: h11.Request | None = None
    body = b""
    while True:
        event = wire.next_event()
        if event is h11.NEED_DATA:
            wire.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > LARGEST_BODY_BYTES:
                raise h11.RemoteProtocolError(f"a body of more than {LARGEST_BODY_BYTES} bytes", error_status_hint=413)
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
            return Asked(head.method.decode(), head.target.decode("latin-1"), headers, body)
        else:
            raise ConnectionError("the client left in the middle of a request")
