"""The probe: a page counts only when it answers under its address, with its own name on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest

from provisioning.commercial import TenantNotAnswering, TenantPage, TenantPageWrong, TenantProbe, render_tenant_page
from workflows.answers import TenantAnswer

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PAGE = render_tenant_page(TenantPage("nordnetz-a", "Nordnetz", "#0b5d3b", "#ffffff", None, "none", "active"))


@asynccontextmanager
async def answering(*answers: bytes | None) -> AsyncIterator[str]:
    """A server that gives these answers one after the other, the last again and again; None: it never answers."""
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        answer = left.pop(0) if len(left) > 1 else left[0]
        if answer is not None:
            writer.write(answer)
            await writer.drain()
        else:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/t/nordnetz-a"


def http(status: str, content: str = "", *headers: str) -> bytes:
    body = content.encode()
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


async def ask(url: str, timeout_seconds: float = 5.0) -> TenantAnswer:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await TenantProbe(client, now=lambda: NOW, timeout_seconds=timeout_seconds).answers(url)


async def test_the_right_page_answers() -> None:
    async with answering(http("200 OK", PAGE)) as url:
        assert await ask(url) == {"tenant_url": url, "status": 200, "checked_at": NOW}


@pytest.mark.parametrize("status", ["404 Not Found", "429 Too Many", "500 Oh", "503 Later"])
async def test_a_page_that_is_not_there_yet_may_come(status: str) -> None:
    async with answering(http(status), http("200 OK", PAGE)) as url:
        with pytest.raises(TenantNotAnswering, match=f"HTTP {status[:3]}") as refused:
            await ask(url)
        assert (await ask(url))["status"] == 200
    assert refused.value.transient


async def test_nobody_there_and_silence_are_no_answer() -> None:
    async with answering(None) as url:
        with pytest.raises(TenantNotAnswering, match=r"nothing within 0\.2 s"):
            await ask(url, timeout_seconds=0.2)
    with pytest.raises(TenantNotAnswering):
        await ask(url)
    async with answering(b"rubbish\r\n\r\n") as url:
        with pytest.raises(TenantNotAnswering):
            await ask(url)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http("200 OK", "<h1>Welcome to nginx</h1>"), "it carries no page's name"),
        (http("200 OK", PAGE.replace("nordnetz-a", "other-b")), "it says other-b"),
        (http("200 OK", "x" * 300_000 + PAGE), "it carries no page's name"),
        (http("301 Moved", "", "Location: https://isp.example/t/nordnetz-a"), "HTTP 301 leads to https://isp.example"),
    ],
)
async def test_another_page_is_not_taken_for_it(answer: bytes, reason: str) -> None:
    async with answering(answer) as url:
        with pytest.raises(TenantPageWrong, match=reason) as refused:
            await ask(url)
    assert not refused.value.transient
