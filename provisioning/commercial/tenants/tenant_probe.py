"""A look at a customer's page from outside: it answers, and it is the right one."""

from __future__ import annotations

import asyncio
import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import httpx

from provisioning.commercial.tenants.tenant_errors import TenantNotAnswering, TenantPageWrong
from provisioning.commercial.tenants.tenant_page import META_NAME
from provisioning.intake import Clock
from workflows.answers import TenantAnswer

LARGEST_PAGE_BYTES = 256 * 1024
TIMEOUT_SECONDS = 20.0
LONGEST_WORDS = 200


class TenantProbe:
    """Asks over an ``httpx.AsyncClient`` that its owner opens and closes. Asking changes nothing."""

    def __init__(self, http: httpx.AsyncClient, *, now: Clock, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._http = http
        self._now = now
        self._timeout_seconds = timeout_seconds

    async def answers(self, tenant_url: str) -> TenantAnswer:
        """The page answers with 200 and carries its own name.

        Raises: TenantNotAnswering (transient: nobody there, too slow, or a status that may pass), TenantPageWrong
        (another page, or the way to one).
        """
        try:
            async with asyncio.timeout(self._timeout_seconds):  # httpx' own time-out starts anew at every byte
                status, location, content = await self._fetch(tenant_url)
        except TimeoutError as exc:
            raise TenantNotAnswering(tenant_url, f"nothing within {self._timeout_seconds:g} s") from exc
        except (httpx.TransportError, httpx.DecodingError) as exc:
            raise TenantNotAnswering(tenant_url, str(exc) or type(exc).__name__) from exc
        if 300 <= status <= 399:
            raise TenantPageWrong(tenant_url, f"HTTP {status} leads to {_plain(location or 'nowhere')}")
        if status != 200:
            raise TenantNotAnswering(tenant_url, f"HTTP {status}")
        wanted = urlsplit(tenant_url).path.rpartition("/")[2]
        if (found := _name_in(content)) != wanted:
            raise TenantPageWrong(tenant_url, f"it says {_plain(found)}" if found else "it carries no page's name")
        return TenantAnswer(tenant_url=tenant_url, status=status, checked_at=self._now())

    async def _fetch(self, tenant_url: str) -> tuple[int, str | None, bytes]:
        request = self._http.build_request(
            "GET", tenant_url, headers={"Accept": "text/html"}, timeout=self._timeout_seconds
        )
        response = await self._http.send(request, stream=True, follow_redirects=False)
        content = b""
        try:
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > LARGEST_PAGE_BYTES:  # the name stands in the head
                    break
        finally:
            await response.aclose()
        return response.status_code, response.headers.get("Location"), content[:LARGEST_PAGE_BYTES]


class _NameReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.name: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "meta" and given.get("name") == META_NAME and self.name is None:
            self.name = given.get("content")


def _name_in(content: bytes) -> str | None:
    reader = _NameReader()
    reader.feed(content.decode("utf-8", errors="replace"))
    return reader.name


def _plain(words: str) -> str:
    """The other side's words, fit for a log line and a screen."""
    return re.sub(r"[^\x20-\x7e]+", " ", words).strip()[:LONGEST_WORDS]
