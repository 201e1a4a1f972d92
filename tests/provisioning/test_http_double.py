"""What doubles have in common: whole requests, silence where it is meant, and 400 for what is no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx
import pytest

from provisioning.http_double import LARGEST_BODY_BYTES, Asked, HttpDouble, Silence, Told


class Echo(HttpDouble):
    """Says what it was asked, and is silent at two addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Asked] = []

    def answer(self, asked: Asked) -> Told | Silence:
        self.heard.append(asked)
        silent = {"/hangs": Silence.HANGS, "/drops": Silence.DROPS}
        return silent.get(asked.target) or Told.json(200, {"method": asked.method, "octets": len(asked.body)})


@pytest.fixture
async def double() -> AsyncIterator[Echo]:
    async with Echo() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        yield client


async def test_a_request_is_heard_whole_and_its_connection_is_closed(double: Echo, http: httpx.AsyncClient) -> None:
    answer = await http.put(f"{double.url}/a%20b?c=d", content=b"x" * 200_000, headers={"X-Key": "one"})
    assert (answer.json(), answer.headers["connection"]) == ({"method": "PUT", "octets": 200_000}, "close")
    [asked] = double.heard
    assert (asked.target, asked.headers["x-key"]) == ("/a%20b?c=d", "one")


async def test_who_is_not_answered_waits_or_is_dropped_and_was_heard_all_the_same(
    double: Echo, http: httpx.AsyncClient
) -> None:
    waiting = asyncio.create_task(http.get(f"{double.url}/hangs"))
    await double.hung.wait()
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(httpx.RemoteProtocolError):
        await http.get(f"{double.url}/drops")
    assert [asked.target for asked in double.heard] == ["/hangs", "/drops"]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n" + b"x" * (LARGEST_BODY_BYTES + 1), 413),
    ],
)
async def test_what_is_no_request_is_refused_in_words_and_not_heard(double: Echo, said: bytes, status: int) -> None:
    where = urlsplit(double.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(said)
    assert (await reader.readline()).startswith(f"HTTP/1.1 {status} ".encode())
    writer.close()
    assert double.heard == []


async def test_who_leaves_in_the_middle_was_not_heard_and_holds_up_nobody(
    double: Echo, http: httpx.AsyncClient
) -> None:
    where = urlsplit(double.url)
    _, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(b"POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
    writer.close()
    await writer.wait_closed()
    assert (await http.get(double.url)).status_code == 200
    assert [asked.target for asked in double.heard] == ["/"]


async def test_one_that_was_stopped_may_be_started_again_at_its_port(http: httpx.AsyncClient) -> None:
    double = Echo()
    await double.start()
    url = double.url
    await double.stop()
    await double.stop()
    with pytest.raises(httpx.ConnectError):
        await http.get(url)
    await double.start(int(url.rpartition(":")[2]))
    assert (await http.get(url)).status_code == 200
    await double.stop()
