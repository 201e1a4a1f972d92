"""`firstlight serve --processes`: several answer at one address, and one keeps them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from provisioning.access import ConsoleInvitation
from tests.support.api import Api

COMMAND = (sys.executable, "-m", "provisioning", "serve", "--port", "0")


class Keeper:
    """The process that keeps the others, and what all of them say."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[dict[str, Any]] = []

    async def until(self, event: str, times: int = 1) -> dict[str, Any]:
        """The line that says it for the n-th time."""
        assert self.process.stderr is not None
        while True:
            if len(found := [line for line in self.said if line.get("event") == event]) >= times:
                return found[-1]
            line = await self.process.stderr.readline()
            assert line, self.said
            self.said.append(json.loads(line))

    def children(self) -> list[int]:
        number = self.process.pid
        return [int(child) for child in Path(f"/proc/{number}/task/{number}/children").read_text().split()]


@asynccontextmanager
async def served(api: Api, *options: str) -> AsyncIterator[Keeper]:
    settings = api.appliance.settings
    environment = os.environ | {
        "FIRSTLIGHT_DATA_DIR": str(settings.sealing_key_file.parent),
        "FIRSTLIGHT_DATABASE_URL": settings.database_url,
        "FIRSTLIGHT_LOG_FORMAT": "json",
        "FIRSTLIGHT_PUBLIC_URL": "https://isp.example",
    }
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *options,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Keeper(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_process_that_dies_is_replaced_and_all_end_when_they_are_told_to(api: Api) -> None:
    token = await api.token("noc")
    async with asyncio.timeout(60), served(api, "--processes", "2", "--no-worker") as keeper:
        port = (await keeper.until("serving", times=2))["port"]
        first, second = keeper.children()
        os.kill(first, signal.SIGKILL)
        lost = await keeper.until("a serving process has ended and is replaced")
        assert (lost["process"], lost["status"]) == (0, -signal.SIGKILL)
        assert (await keeper.until("serving", times=3))["port"] == port
        assert second in keeper.children() and first not in keeper.children() and len(keeper.children()) == 2
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(
                f"http://127.0.0.1:{port}/api/v1/runs", headers={"Authorization": f"Bearer {token}"}
            )
        assert (answer.status_code, len(answer.json()["items"])) == (200, 4)
        keeper.process.terminate()
        assert await keeper.process.wait() == 0


@pytest.mark.second_half
async def test_nobody_answers_any_more_when_the_keeper_was_killed(api: Api) -> None:
    async with asyncio.timeout(60), served(api, "--processes", "2", "--no-worker") as keeper:
        port = (await keeper.until("serving", times=2))["port"]
        keeper.process.kill()
        await keeper.process.wait()
        assert keeper.process.stderr is not None
        await keeper.process.stderr.read()  # ends when nobody is left who could write to it
        while True:  # a process that ends closes its standard error before its sockets
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                break
            except ConnectionError:
                continue  # its last moment
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


@pytest.mark.second_half
async def test_one_that_can_not_start_ends_all_with_its_own_sentence_and_status(api: Api) -> None:
    async with asyncio.timeout(60), served(api, "--processes", "2", "--with-worker") as keeper:
        assert keeper.process.stderr is not None
        said = (await keeper.process.stderr.read()).decode()
        assert await keeper.process.wait() == 2
    assert "FIRSTLIGHT_GENIEACS_NBI_URL" in said
    assert "a serving process could not start" in said


@pytest.mark.second_half
async def test_the_first_start_prints_the_link_of_the_first_administrator_once_and_logs_it_never(api: Api) -> None:
    async with asyncio.timeout(60), served(api, "--processes", "2", "--no-worker") as keeper:
        port = (await keeper.until("serving", times=2))["port"]
        assert keeper.process.stdout is not None
        said = (await keeper.process.stdout.readline()).decode()
        found = re.search(r"https://isp\.example(/welcome/[\w-]{43})$", said.strip())
        assert found is not None, said
        async with httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{port}") as client:
            assert "Nobody can sign in yet" in (await client.get(found[1])).text
        async with api.appliance.database.read() as db:  # the other process has made none, which would close this one
            assert await db.scalar(select(func.count()).select_from(ConsoleInvitation)) == 1
        keeper.process.terminate()
        assert (await keeper.process.stdout.read()).decode() == ""
        assert keeper.process.stderr is not None
        assert found[1] not in str(keeper.said) + (await keeper.process.stderr.read()).decode()
