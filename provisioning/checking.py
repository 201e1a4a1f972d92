"""Checks that are recorded: by whoever types ``firstlight check``, and by the worker now and then."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta

import structlog

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.check import CheckResult, check_everything
from provisioning.check_records import last_check, record_check

log = structlog.get_logger(__name__)


async def check_and_record(appliance: Appliance) -> CheckResult:
    """Asks every invariant, and keeps what was found with the time at which it was begun.

    Raises: as ``check_everything``; then nothing is kept.
    """
    began, clock = appliance.clock(), time.monotonic()
    result = await check_everything(appliance)
    took = time.monotonic() - clock
    async with appliance.database.begin() as db:
        await record_check(db, result, tenant_id=appliance.tenant_id, checked_at=began, took_seconds=took)
    return result


class PeriodicCheck:
    """Checks when the last check is older than ``every``, whoever did it."""

    def __init__(self, appliance: Appliance, *, every: timedelta) -> None:
        self._appliance = appliance
        self._every = every

    async def look(self) -> bool:
        """Whether a check was due, and done.

        Raises: as ``check_everything``.
        """
        appliance = self._appliance
        async with appliance.database.read() as db:
            last = await last_check(db, tenant_id=appliance.tenant_id)
        if last is not None and appliance.clock() - last.checked_at < self._every:
            return False
        result = await check_aside(appliance)
        if result.failed:
            log.warning("invariants are broken", failed=result.failed, findings=len(result.findings))
        return True


async def check_aside(appliance: Appliance) -> CheckResult:
    """The same in a thread with a loop and connections of its own: comparing a hundred thousand rows must not keep the
    worker from its heartbeat. Who waits for it and is called off calls it off.

    Raises: as ``check_everything``.
    """
    called_off = threading.Event()
    theirs: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[CheckResult]]] = []

    async def act() -> CheckResult:
        task = asyncio.current_task()
        assert task is not None
        theirs.append((asyncio.get_running_loop(), task))
        if called_off.is_set():
            raise asyncio.CancelledError
        async with open_appliance(appliance.settings, clock=appliance.clock) as opened:
            return await check_and_record(opened)

    working = asyncio.get_running_loop().run_in_executor(None, lambda: asyncio.run(act()))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        called_off.set()
        for loop, task in theirs:
            loop.call_soon_threadsafe(task.cancel)
        await asyncio.gather(working, return_exceptions=True)
        raise
