"""Durable dispatch of segments, by DBOS: the only module that knows it.

A segment is the DBOS workflow ``run:<id>:<n>`` with no DBOS step inside; what a run *is* stands in our journal. DBOS
brings the queue in the same database, its exactly-one dequeue over many workers, and recovery at restart.

SQLite: one launching process; its executor id is always the same, so DBOS recovers its own segments at launch.
PostgreSQL: every process has an executor id of its own and a heartbeat row by the database's clock; whoever holds the
advisory lock hands the segments of a silent executor back to the queue, in a loop.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions
from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.contextvars import bound_contextvars

from workflows.engine.interpreter import MAX_RESTARTS, Interpreter
from workflows.engine.journal import Begin, Clock, Definitions
from workflows.engine.run_lookups import missing_code
from workflows.engine.runs import Runs
from workflows.engine.tables import MOVING, RunRow, RunState, WorkerRow
from workflows.errors import CodeMissing, WorkflowError

WORKFLOW = "segment"
APPLICATION = "firstlight"
APPLICATION_VERSION = "1"  # definitions carry their own versions; segments last seconds
QUEUE_POLL_SECONDS = 0.1
SQLITE_CONCURRENCY = 4
POSTGRES_CONCURRENCY = 16
LEASE = timedelta(seconds=6)
LOST_AFTER = timedelta(seconds=15)
REAPER_LOCK = 0x46697273746C69  # the advisory lock's number: "Firstli"
UNFINISHED = ("PENDING", "ENQUEUED", "DELAYED")

log = structlog.get_logger(__name__)


def prepare_queue_tables(url: URL) -> None:
    """Creates or migrates DBOS' own tables in the application's database. Blocking."""
    DBOS.migrate(url.render_as_string(hide_password=False))


class Bell:
    """Rings for a segment inside the caller's transaction. Any process may hold one; it dispatches nothing itself."""

    def __init__(self, url: URL, *, tenant_id: str) -> None:
        self._queue = queue_of(tenant_id)
        self._client = DBOSClient(
            system_database_url=url.render_as_string(hide_password=False),
            serializer=DBOSPortableJSONSerializer(),
            application_name=APPLICATION,
            lazy=True,
        )

    async def __call__(self, db: AsyncSession, run_id: int, segment: int) -> None:
        options: EnqueueOptions = {
            "queue_name": self._queue,
            "workflow_name": WORKFLOW,
            "workflow_id": segment_name(run_id, segment),
            "app_version": APPLICATION_VERSION,
        }
        await db.run_sync(lambda sync: self._client.enqueue_in_transaction(sync, options, run_id, segment))

    async def statuses(self, names: list[str]) -> dict[str, str]:
        found = await self._client.list_workflows_async(workflow_ids=names, load_input=False, load_output=False)
        return {workflow.workflow_id: workflow.status for workflow in found}

    async def close(self) -> None:
        await asyncio.to_thread(self._client.destroy)


def queue_of(tenant_id: str) -> str:
    """Each tenant's segments wait in a queue of their own: a worker serves one tenant, with that tenant's services."""
    return f"runs:{tenant_id}"


def segment_name(run_id: int, segment: int) -> str:
    return f"run:{run_id}:{segment}"


def run_and_segment(name: str) -> tuple[int, int]:
    _, run_id, segment = name.split(":")
    return int(run_id), int(segment)


class Dispatch:
    """Takes segments from the queue and gives them to the interpreter, in this process."""

    def __init__(
        self,
        *,
        url: URL,
        begin: Begin,
        interpreter: Interpreter[Any, Any],
        runs: Runs,
        bell: Bell,
        definitions: Definitions,
        clock: Clock,
        tenant_id: str,
        lease: timedelta = LEASE,
    ) -> None:
        self._url = url
        self._begin = begin
        self._interpreter = interpreter
        self._runs = runs
        self._bell = bell
        self._definitions = definitions
        self._clock = clock
        self._tenant_id = tenant_id
        self._queue = queue_of(tenant_id)
        self._lease = lease
        self._many_workers = url.get_backend_name() == "postgresql"
        self.executor_id = f"worker-{secrets.token_hex(6)}" if self._many_workers else f"single-{tenant_id}"

    async def open(self) -> None:
        """Starts dispatching; segments that a killed process left are taken up again.

        Raises: CodeMissing if open runs need a definition that this release doesn't carry.
        """
        async with self._begin() as db:
            missing = await missing_code(db, self._definitions, tenant_id=self._tenant_id)
        if missing:
            raise CodeMissing(missing)
        await self.beat()
        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": self._url.render_as_string(hide_password=False),
            "executor_id": self.executor_id,
            "application_version": APPLICATION_VERSION,
            "log_level": "ERROR",
            "serializer": DBOSPortableJSONSerializer(),
            "run_migrations": False,
        }
        DBOS(config=config)

        async def segment(run_id: int, number: int) -> str:
            return await self._interpreter.run_segment(run_id, number)

        DBOS.workflow(name=WORKFLOW)(segment)  # DBOS refuses a bound method
        DBOS.listen_queues([self._queue])
        DBOS.launch()  # inside the running loop, so that segments run on it
        await DBOS.register_queue_async(
            self._queue,
            worker_concurrency=POSTGRES_CONCURRENCY if self._many_workers else SQLITE_CONCURRENCY,
            polling_interval_sec=QUEUE_POLL_SECONDS,
            on_conflict="always_update",
        )
        log.info("dispatch is open", executor_id=self.executor_id)

    async def close(self, drain_seconds: int = 10) -> None:
        """Lets the segments under way come to rest, then stops; what doesn't finish is taken up at the next start.

        The heart beats until then, or another worker would take the draining segments for orphans.
        """
        beating = asyncio.create_task(self._beat_on())
        try:
            await asyncio.to_thread(DBOS.destroy, destroy_registry=True, workflow_completion_timeout_sec=drain_seconds)
        finally:
            beating.cancel()
            await asyncio.wait({beating})
        # DBOS had made its own thread pool the loop's default and has shut it down
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(thread_name_prefix="firstlight"))
        if self._many_workers:
            async with self._begin() as db:
                await db.execute(delete(WorkerRow).where(WorkerRow.executor_id == self.executor_id))

    async def _beat_on(self) -> None:
        while True:
            await self.beat()
            await asyncio.sleep(self._lease.total_seconds() / 4)

    # -- what the clock calls ------------------------------------------------------------------------------------------

    async def wake_due(self, most: int = 100) -> int:
        """Starts the next segment of every waiting run whose time has come; returns how many."""
        async with self._begin() as db:
            due = await db.execute(
                select(RunRow.id, RunRow.customer_id)
                .where(
                    RunRow.tenant_id == self._tenant_id,
                    RunRow.state == RunState.PENDING,
                    RunRow.wake_at <= self._clock(),
                )
                .order_by(RunRow.wake_at)
                .limit(most)
            )
            runs = [(row.id, row.customer_id) for row in due]
        woken = 0
        for run_id, customer_id in runs:
            with bound_contextvars(run_id=run_id, customer_id=customer_id):
                woken += await self._alone(run_id, self._runs.wake)
        return woken

    async def restart_lost(self) -> int:
        """Restarts runs that should move but whose segment has ended or vanished; returns how many."""
        async with self._begin() as db:
            found = await db.execute(
                select(RunRow.id, RunRow.segment, RunRow.customer_id).where(
                    RunRow.tenant_id == self._tenant_id,
                    RunRow.state.in_(MOVING),
                    RunRow.updated_at < self._clock() - LOST_AFTER,
                )
            )
            suspects = {segment_name(row.id, row.segment): row for row in found}
        if not suspects:
            return 0
        known = await self._bell.statuses(list(suspects))
        restarted = 0
        for name, run in suspects.items():
            status = known.get(name, "not in the queue")
            if status in UNFINISHED:
                continue
            with bound_contextvars(run_id=run.id, customer_id=run.customer_id):
                log.warning("segment was lost", segment=run.segment, status=status)
                why = f"its segment is {status}"
                again = partial(self._runs.restart, segment=run.segment, why=why, most_restarts=MAX_RESTARTS)
                restarted += await self._alone(run.id, again)
        return restarted

    async def _alone(self, run_id: int, act: Callable[[AsyncSession, int], Awaitable[bool]]) -> bool:
        """One run's transaction; a run that can't be moved (its code is missing) doesn't stop the others."""
        try:
            async with self._begin() as db:
                return await act(db, run_id)
        except WorkflowError as error:
            log.error("a run can't be moved", code=error.code, reason=str(error))
            return False

    async def beat(self) -> None:
        """Says that this process is alive, by the database's clock."""
        if not self._many_workers:
            return
        row = pg_insert(WorkerRow).values(executor_id=self.executor_id, started_at=func.now(), beat_at=func.now())
        async with self._begin() as db:
            await db.execute(row.on_conflict_do_update(index_elements=["executor_id"], set_={"beat_at": func.now()}))

    async def take_over(self) -> list[str]:
        """Hands the segments of executors without a live heartbeat back to the queue (PostgreSQL only).

        The advisory lock lets one process do it at a time; the interpreter's fence makes it safe when a process that
        was only frozen thaws.
        """
        if not self._many_workers:
            return []
        async with self._begin() as db:
            if not await db.scalar(text("SELECT pg_try_advisory_xact_lock(:key)").bindparams(key=REAPER_LOCK)):
                return []
            beats = select(WorkerRow.executor_id).where(WorkerRow.beat_at > func.now() - self._lease)
            alive = set(await db.scalars(beats))
            running = await DBOS.list_workflows_async(
                status="PENDING", name=WORKFLOW, load_input=False, load_output=False
            )
            orphans = [
                workflow.workflow_id
                for workflow in running
                if workflow.queue_name == self._queue and workflow.executor_id not in alive
            ]
            if orphans:
                await _log_take_over(db, orphans)
                await DBOS.resume_workflows_async(orphans, queue_name=self._queue)
            await db.execute(delete(WorkerRow).where(WorkerRow.beat_at < func.now() - 10 * self._lease))
        return orphans


async def _log_take_over(db: AsyncSession, orphans: list[str]) -> None:
    segments = [run_and_segment(name) for name in orphans]
    runs = await db.execute(
        select(RunRow.id, RunRow.customer_id).where(RunRow.id.in_([run_id for run_id, _ in segments]))
    )
    customers = {run.id: run.customer_id for run in runs}
    for run_id, segment in segments:
        log.warning(
            "taking over a segment of a silent worker",
            run_id=run_id,
            customer_id=customers.get(run_id),
            segment=segment,
        )
