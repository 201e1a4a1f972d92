"""Several pools behave as one: no more connections than allowed, none idle while somebody waits, each given back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from acs.nbi.connections import OF_A_POOL, Connections

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers when it is told to, and counts its connections."""

    def __init__(self) -> None:
        self.open = self.most = self.accepted = 0
        self.asked = asyncio.Semaphore(0)
        self.may_answer = asyncio.Event()
        self.url = ""

    async def arrived(self, requests: int) -> None:
        async with asyncio.timeout(20):
            for _ in range(requests):
                await self.asked.acquire()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.accepted += 1
        self.most = max(self.most, self.open)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.asked.release()
                await self.may_answer.wait()
                writer.write(ANSWER)
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            self.open -= 1
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with listening:
        yield made


def client(most: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=Connections(verify=False, max_connections=most, keepalive_seconds=4))


@pytest.mark.parametrize("most", [3, OF_A_POOL + 3])
async def test_as_many_are_under_way_as_may_be_and_the_others_follow(server: Server, most: int) -> None:
    async with client(most) as http, asyncio.TaskGroup() as group:
        asked = [group.create_task(http.get(server.url)) for _ in range(most + 5)]
        await server.arrived(most)
        server.may_answer.set()
    assert [task.result().text for task in asked] == ["ok"] * (most + 5)
    assert server.most == most


async def test_requests_one_after_the_other_use_one_connection(server: Server) -> None:
    server.may_answer.set()
    async with client(3 * OF_A_POOL) as http:
        for _ in range(2 * OF_A_POOL):
            assert (await http.get(server.url)).text == "ok"
    assert server.accepted == 1


async def test_one_that_is_cancelled_or_refused_keeps_no_room(server: Server) -> None:
    transport = Connections(verify=False, max_connections=2, keepalive_seconds=4)
    async with httpx.AsyncClient(transport=transport) as http:
        hanging = [asyncio.create_task(http.get(server.url)) for _ in range(2)]
        await server.arrived(2)
        for task in hanging:
            task.cancel()
        await asyncio.wait(hanging)
        with pytest.raises(httpx.ConnectError):
            await http.get("http://127.0.0.1:1")
        server.may_answer.set()
        assert (await http.get(server.url)).text == "ok"
    assert [pool.taken for pool in transport._pools] == [0]
