"""A web server that answers with customers' pages as the appliance renders them, or is out of order for a while."""

from __future__ import annotations

import asyncio
from types import TracebackType
from urllib.parse import urlsplit

from provisioning.bootstrap import Appliance
from provisioning.commercial import TenantError, render_tenant_page

LOOPBACK = "127.0.0.1"
FOLDER = "/t/"


class PageServer:
    """``async with PageServer() as pages``: listens at ``pages.url``; ``serve`` says whose pages these are."""

    def __init__(self) -> None:
        self.url = ""
        self.out_of_order = False  # every request is answered with 503
        self._appliance: Appliance | None = None
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> PageServer:
        self._server = await asyncio.start_server(self._take, LOOPBACK, 0)
        self.url = f"http://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def serve(self, appliance: Appliance) -> None:
        self._appliance = appliance

    async def page(self, url: str) -> tuple[int, str]:
        """What stands at this address: status and page."""
        path = urlsplit(url).path
        if self.out_of_order or self._appliance is None:
            return 503, ""
        if not path.startswith(FOLDER):
            return 404, ""
        try:
            async with self._appliance.database.read() as db:
                found = await self._appliance.tenant_pages.find(db, slug=path.removeprefix(FOLDER))
        except TenantError:
            return 404, ""
        return 200, render_tenant_page(found)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status, page = await self.page(head.split(" ")[1])
            body = page.encode()
            about = f"Content-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\nConnection: close"
            writer.write(f"HTTP/1.1 {status} X\r\n{about}\r\n\r\n".encode() + body)
            await writer.drain()
        finally:
            writer.close()
