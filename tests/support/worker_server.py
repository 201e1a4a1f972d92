"""The test's side of `worker_process`: the server that forks workers, and each worker as the test sees it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from provisioning.settings import Settings
from tests.support.worker_process import Home

ROOT = Path(__file__).parents[2]
WITHOUT_STATUS = 1000


class WorkerProcess:
    """A worker of one database, as the test sees it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.died: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def alive(self) -> bool:
        return not self.died.done()

    @property
    def frozen(self) -> bool:
        """Whether it is stopped by SIGSTOP (proc(5): the state after the last parenthesis)."""
        stat = Path(f"/proc/{self.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def send(self, number: int) -> None:
        """Nothing happens to one that is dead already."""
        if self.alive:
            with suppress(ProcessLookupError):  # it has died, and its server is about to say so
                os.kill(self.pid, number)

    async def end(self) -> None:
        self.send(signal.SIGKILL)
        await self.died


class WorkerServer:
    """Starts workers. ``async with open_worker_server() as server``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._awaited: dict[int, asyncio.Future[WorkerProcess]] = {}
        self._alive: dict[int, WorkerProcess] = {}
        self._resting: dict[int, asyncio.Future[None]] = {}

    async def start(self, settings: Settings, home: Home, *, commits: bool = False) -> WorkerProcess:
        """One more."""
        return await self._ask(settings, home, commits=commits, rehearses=False)

    @asynccontextmanager
    async def rehearsal(self, settings: Settings, home: Home, *, commits: bool = False) -> AsyncIterator[WorkerProcess]:
        """The server itself as a worker, for the time of the block; nothing else may be asked of it then.

        Those who are started afterwards have compiled their statements and read their files.
        """
        number = len(self._awaited)
        worker = await self._ask(settings, home, commits=commits, rehearses=True)
        try:
            yield worker
        finally:
            if worker.alive:
                resting = self._resting[number] = asyncio.get_running_loop().create_future()
                self._write({})
                await resting

    async def _ask(self, settings: Settings, home: Home, *, commits: bool, rehearses: bool) -> WorkerProcess:
        number = len(self._awaited)
        started: asyncio.Future[WorkerProcess] = asyncio.get_running_loop().create_future()
        self._awaited[number] = started
        order = {
            "number": number,
            "settings": settings.model_dump(mode="json"),
            "home": str(home.folder),
            "commits": commits,
            "rehearses": rehearses,
        }
        self._write(order)
        return await started

    def _write(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")

    async def listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if "pid" in said:
                worker = self._alive[said["pid"]] = WorkerProcess(said["pid"])
                self._awaited[said["number"]].set_result(worker)
            elif "rests" in said:
                self._resting.pop(said["number"]).set_result(None)
            elif "died" in said:
                self._alive.pop(said["died"]).died.set_result(said["status"])
        for worker in self._alive.values():  # the server has ended, and took them with it
            worker.died.set_result(WITHOUT_STATUS)
        unanswered: list[asyncio.Future[Any]] = [*self._awaited.values(), *self._resting.values()]
        for awaited in unanswered:
            if not awaited.done():
                awaited.set_exception(ConnectionError("the server of the workers has ended"))


@asynccontextmanager
async def open_worker_server() -> AsyncIterator[WorkerServer]:
    """A process that has imported everything and opened nothing; all its workers end with it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.worker_process",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    server = WorkerServer(process)
    assert process.stdin is not None and process.stdout is not None
    assert "ready" in json.loads(await process.stdout.readline())
    listening = asyncio.create_task(server.listen())
    try:
        yield server
    finally:
        process.stdin.close()
        await process.wait()
        await listening
