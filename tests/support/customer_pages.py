"""A web server that answers with customers' pages as the appliance renders them, or is out of order for a while."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from provisioning.bootstrap import Appliance
from provisioning.commercial import TenantError, render_tenant_page
from tests.support.loopback import LOOPBACK, LoopbackServer

FOLDER = "/t/"


class PageServer(LoopbackServer):
    """``async with PageServer() as pages``: listens at ``pages.url``; ``serve`` says whose pages these are."""

    def __init__(self) -> None:
        super().__init__()
        self.out_of_order = False  # every request is answered with 503
        self._appliance: Appliance | None = None

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

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

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, page = await self.page(head.split(" ")[1])
        body = page.encode()
        about = f"Content-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\nConnection: close"
        writer.write(f"HTTP/1.1 {status} X\r\n{about}\r\n\r\n".encode() + body)
        await writer.drain()
