"""The lab's HTTP server itself, under whatever handler."""

from __future__ import annotations

import asyncio

import uvloop

from acs.testing import LabClock
from acs.testing.http_server import HttpRequest, HttpResponse, HttpServer


def test_an_answer_to_a_client_that_has_gone_meanwhile_is_no_defect_of_the_handler() -> None:
    """uvloop, on which workers and demo run, refuses to write to a connection that is gone; asyncio keeps still."""

    async def asked() -> tuple[bytes, list[BaseException]]:
        async def goes(request: HttpRequest) -> HttpResponse:
            server.drop(request.worker)
            await is_gone.wait()
            answered.set()
            return HttpResponse(200, chunks=[b"too late"])

        is_gone, answered = asyncio.Event(), asyncio.Event()
        server = HttpServer(goes, LabClock())
        await server.listen("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
        try:
            heard = await reader.read()
        except ConnectionResetError:
            heard = b""
        is_gone.set()
        await answered.wait()
        writer.close()
        await server.close()
        return heard, server.defects

    assert uvloop.run(asked()) == (b"", [])
