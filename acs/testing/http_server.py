"""A small HTTP/1.1 server on h11 that can do what a client must survive.

It sends reason phrases of its own, bodies in chunks, drops a connection with no answer, refuses a request head over
16 KB with 431, and closes an idle connection after 5 s, each as the HTTP server under GenieACS 1.2.16 does (observed).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from email.utils import format_datetime

import h11

from acs.testing.clock import Clock

KEEP_ALIVE_SECONDS = 5.0
REQUEST_HEAD_BYTES = 16 * 1024
_READ_BYTES = 64 * 1024
_WRITTEN_BYTES = 64 * 1024
_REASONS = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


@dataclass(frozen=True)
class HttpRequest:
    """`target` is the raw request target, still percent-encoded; header names are lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    worker: int


@dataclass
class HttpResponse:
    """`reason` None means the usual one. The body is sent one chunk per element."""

    status: int
    chunks: list[bytes] = field(default_factory=list)
    reason: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut_short: bool = False  # drop the connection after the chunks instead of ending the body

    @classmethod
    def text(cls, status: int, body: str = "", *, reason: str | None = None, **headers: str) -> HttpResponse:
        return cls(status, [body.encode()] if body else [], reason, dict(headers))


class Disconnect(Exception):
    """Raised by a handler: drop the connection without an answer."""


Handler = Callable[[HttpRequest], Awaitable[HttpResponse]]
Placer = Callable[[], int]


class HttpServer:
    """Serves one handler. `place` names the worker that a new connection belongs to."""

    def __init__(self, handler: Handler, clock: Clock, *, place: Placer = lambda: 0) -> None:
        self._handler = handler
        self._clock = clock
        self._place = place
        self._listener: asyncio.Server | None = None
        self._connections: dict[_Connection, asyncio.Task[None]] = {}
        self.defects: list[BaseException] = []  # errors of a handler that it didn't mean
        self.host = "127.0.0.1"
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def listening(self) -> bool:
        return self._listener is not None

    async def listen(self, host: str, port: int) -> None:
        """Open the port (0: any free one, kept for a later `listen` again)."""
        if self._listener is not None:
            return
        self.host = host
        bound = socket.create_server((host, port), backlog=512)
        self.port = bound.getsockname()[1]
        self._listener = await asyncio.start_server(self._accept, sock=bound)

    async def stop_listening(self) -> None:
        """Connections are refused from now on; those that exist go on."""
        if self._listener is not None:
            listener, self._listener = self._listener, None
            listener.close()
            await listener.wait_closed()

    async def close(self) -> None:
        await self.stop_listening()
        tasks = list(self._connections.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def drop(self, worker: int) -> None:
        """Break every connection of a worker that dies."""
        for connection in [one for one in self._connections if one.worker == worker]:
            connection.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A socket of `create_server` names no protocol, so asyncio leaves Nagle on: 40 ms for every small chunk.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(reader, writer, self._clock, self._place())
        task = asyncio.get_running_loop().create_task(self._serve(connection, writer))
        self._connections[connection] = task
        task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.defects.append(error)

    async def _serve(self, connection: _Connection, writer: asyncio.StreamWriter) -> None:
        try:
            await connection.serve(self._handler)
        except (ConnectionError, Disconnect):
            connection.abort()
        finally:
            self._connections.pop(connection, None)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, clock: Clock, worker: int) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=4 * REQUEST_HEAD_BYTES)
        self.worker = worker

    def abort(self) -> None:
        self._writer.transport.abort()

    async def serve(self, handler: Handler) -> None:
        while True:
            try:
                request = await self._request()
            except h11.RemoteProtocolError as exc:
                await self._refuse(exc.error_status_hint)
                return
            if request is None:
                return
            await self._respond(await handler(request), request.method)
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    async def _request(self) -> HttpRequest | None:
        head = await self._event()
        if not isinstance(head, h11.Request):
            return None
        size = len(head.target) + sum(len(name) + len(value) + 4 for name, value in head.headers)
        if size > REQUEST_HEAD_BYTES:
            raise h11.RemoteProtocolError("request head too large", error_status_hint=431)
        body = bytearray()
        while isinstance(event := await self._event(), h11.Data):
            body += event.data
        if not isinstance(event, h11.EndOfMessage):
            return None
        headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        return HttpRequest(head.method.decode(), head.target.decode("latin-1"), headers, bytes(body), self.worker)

    async def _event(self) -> object:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._http.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))
            data = await self._read()
            if data is None:
                return None
            self._http.receive_data(data)

    async def _read(self) -> bytes | None:
        """Bytes; b"" at the end; None when the client stayed silent too long."""
        read = asyncio.ensure_future(self._reader.read(_READ_BYTES))
        silence = asyncio.ensure_future(self._clock.sleep(KEEP_ALIVE_SECONDS, background=True))
        try:
            await asyncio.wait({read, silence}, return_when=asyncio.FIRST_COMPLETED)
            return await read if read.done() else None
        finally:
            for task in (read, silence):
                task.cancel()

    async def _respond(self, response: HttpResponse, method: str) -> None:
        headers = [(name, value) for name, value in response.headers.items()]
        headers += [("Date", format_datetime(self._clock.now(), usegmt=True))]
        if response.status == 500:
            headers += [("Connection", "close")]
        else:
            headers += [("Connection", "keep-alive"), ("Keep-Alive", f"timeout={KEEP_ALIVE_SECONDS:.0f}")]
        await self._send(_head(response.status, response.reason, headers), framed=method != "HEAD")
        together = bytearray()  # as Node does: chunks that come at once are chunks of one write
        for chunk in response.chunks if method != "HEAD" else ():
            together += self._http.send(h11.Data(data=chunk)) or b""
            if len(together) >= _WRITTEN_BYTES:
                await self._write(bytes(together))
                together.clear()
        await self._write(bytes(together))
        if response.cut_short:
            raise Disconnect
        await self._send(h11.EndOfMessage())

    async def _refuse(self, status: int) -> None:
        if self._http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return
        await self._send(_head(status, None, [("Connection", "close")]), framed=False)

    async def _send(self, event: h11.Event, *, framed: bool = True) -> None:
        data = self._http.send(event)
        if data and not framed:  # Node names no framing where there is no body; h11 always does
            data = data.replace(b"Transfer-Encoding: chunked\r\n", b"").replace(b"transfer-encoding: chunked\r\n", b"")
        await self._write(data or b"")

    async def _write(self, data: bytes) -> None:
        if not data:
            return
        if self._writer.is_closing():  # uvloop would call it an error of ours
            raise Disconnect
        self._writer.write(data)
        await self._writer.drain()


def _head(status: int, reason: str | None, headers: Iterable[tuple[str, str]]) -> h11.Response:
    phrase = reason if reason is not None else _REASONS.get(status, "")
    return h11.Response(status_code=status, reason=phrase.encode(), headers=list(headers))
