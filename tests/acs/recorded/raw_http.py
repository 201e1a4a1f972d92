"""An HTTP client that sends a request target exactly as given, malformed escapes included, and keeps the reason."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import h11


@dataclass(frozen=True)
class Answer:
    """`dropped`: the server closed the connection without a whole answer. `seconds` is the caller's to fill in."""

    dropped: bool
    status: int = 0
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    seconds: float = 0.0

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name.lower())


async def ask(
    host: str, port: int, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b""
) -> Answer:
    """One request on a connection of its own."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        http = h11.Connection(h11.CLIENT)
        sent = [("Host", host), *(headers or {}).items(), ("Content-Length", str(len(body)))]
        # h11 refuses nothing in a target but spaces and control characters.
        writer.write(http.send(h11.Request(method=method, target=target, headers=sent)) or b"")
        if body:
            writer.write(http.send(h11.Data(data=body)) or b"")
        writer.write(http.send(h11.EndOfMessage()) or b"")
        return await _receive(reader, http)
    except ConnectionError:
        return Answer(dropped=True)
    finally:
        writer.close()


async def _receive(reader: asyncio.StreamReader, http: h11.Connection) -> Answer:
    head: h11.Response | None = None
    received = bytearray()
    while True:
        try:
            event = http.next_event()
        except h11.RemoteProtocolError:
            return Answer(dropped=True)
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            received += event.data
        else:
            break
    if head is None:
        return Answer(dropped=True)
    headers = tuple((name.decode(), value.decode()) for name, value in head.headers)
    return Answer(False, head.status_code, head.reason.decode(), headers, received.decode())
