"""The double of Stripe's API on 127.0.0.1: one request a connection (RFC 9112 s9.6), form bodies, JSON answers.

async with StripeDouble() as double:
    settings = StripeSettings(double.account.api_key, (double.account.webhook_secret,), double.url, 5)
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import h11

from provisioning.commercial.payments.testing.stripe_account import Quirk, Reply, StripeAccount

LARGEST_BODY_BYTES = 64 * 1024
HANGS = {Quirk.HANG_BEFORE_EFFECT, Quirk.HANG_AFTER_EFFECT}
DROPS = {Quirk.DROP_BEFORE_EFFECT, Quirk.DROP_AFTER_EFFECT}


class StripeDouble:
    """Serves one account, until the block ends."""

    def __init__(self, account: StripeAccount | None = None) -> None:
        self.account = account or StripeAccount()
        self.hung = asyncio.Event()  # set when a client begins to wait for an answer that never comes
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None, "start the double first"
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

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
        request, body = await _read(wire, reader)
        headers = {name.decode(): value.decode() for name, value in request.headers}
        reply, quirk = self._answer(request, headers, body)
        if quirk in HANGS:
            self.hung.set()
            await reader.read()  # until the client gives up
            return
        if quirk in DROPS:
            return
        assert reply is not None, "whoever doesn't hang answers"
        content = b"<html>Bad gateway</html>" if quirk is Quirk.RUBBISH else json.dumps(reply[1]).encode()
        answer = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(content))),
            ("Request-Id", f"req_{len(self.account.calls):08d}"),
            ("Connection", "close"),
        ]
        for event in (h11.Response(status_code=reply[0], headers=answer), h11.Data(data=content), h11.EndOfMessage()):
            writer.write(wire.send(event) or b"")
        await writer.drain()

    def _answer(self, request: h11.Request, headers: dict[str, str], body: bytes) -> tuple[Reply | None, Quirk | None]:
        """No await in here: a request is done wholly or not at all."""
        if headers.get("authorization") != f"Bearer {self.account.api_key}":
            refusal: dict[str, Any] = {"type": "invalid_request_error", "message": "Invalid API Key provided"}
            return (401, {"error": refusal}), None
        target = urlsplit(request.target.decode())
        form = dict(parse_qsl(target.query or body.decode(), keep_blank_values=True))
        return self.account.answer(request.method.decode(), target.path, headers.get("idempotency-key", ""), form)


async def _read(wire: h11.Connection, reader: asyncio.StreamReader) -> tuple[h11.Request, bytes]:
    """A whole request.

    Raises: ConnectionError when the client leaves before its end.
    """
    request: h11.Request | None = None
    body = b""
    while True:
        event = wire.next_event()
        if event is h11.NEED_DATA:
            wire.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data) and len(body) <= LARGEST_BODY_BYTES:
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and request is not None:
            return request, body
        else:
            raise ConnectionError("the client left in the middle of a request")
