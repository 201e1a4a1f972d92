"""Watchers: what is seen at the ACS and in accounting becomes a signal to the run that waits for it.

The run's row says what it waits for and about whom; a watcher asks the other side about exactly those. A signal told
twice counts once, so watchers may run in every process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from acs import AcsError, ConvergenceBySite, NbiLeftInPeace, NbiUnreachable, SeenDevice
from radius import OwnSessions, RadiusError, Session
from workflows import Lookout, RunNotOpenFor, Runs, RunSummary, WorkflowError, waiting_runs

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far the ACS's clock may be behind ours."""

log = structlog.get_logger(__name__)


class Watchers:
    """Tells waiting runs what has happened outside."""

    def __init__(
        self,
        *,
        begin: Callable[[], AbstractAsyncContextManager[AsyncSession]],
        runs: Runs,
        lookout: Lookout,
        acs: ConvergenceBySite,
        sessions: OwnSessions,
        tenant_id: str,
    ) -> None:
        self._begin = begin
        self._runs = runs
        self._lookout = lookout
        self._acs = acs
        self._sessions = sessions
        self._tenant_id = tenant_id

    async def watch_informs(self) -> int:
        """Asks the ACS at once about every CPE that a run waits for; returns how many runs were told."""
        waiting = {str(run.waiting_on): run for run in await self._waiting("device_informed")}
        if not waiting:
            return 0
        since = {serial: (run.waiting_since or run.created_at) - CLOCK_TOLERANCE for serial, run in waiting.items()}
        told = 0
        for acs_name, group in (await self._acs.by_acs(since)).items():
            their_runs = {serial: waiting[serial] for serial in group}
            try:
                informed = await self._acs.of(acs_name).informed_many(group)
            except AcsError as error:
                told += await self._nobody_asked(their_runs, error)
            else:
                told += await self._informed(their_runs, informed)
        return told

    async def _nobody_asked(self, waiting: Mapping[str, RunSummary], error: AcsError) -> int:
        runs = [{"run_id": run.id, "customer_id": run.customer_id} for run in waiting.values()]
        log.warning("the ACS could not be asked", serials=sorted(waiting), runs=runs, code=error.code)
        # A run says this once and for as long as it is so; that somebody lets the ACS alone is over in seconds.
        why = NbiUnreachable(error.why) if isinstance(error, NbiLeftInPeace) else error
        for run in waiting.values():
            await self._lost(run, "the ACS can't be asked", why)
        return 0

    async def _informed(self, waiting: Mapping[str, RunSummary], informed: Mapping[str, SeenDevice]) -> int:
        for run in waiting.values():
            await self._regained(run, "the ACS can be asked again")
        told = 0
        for serial, seen in informed.items():
            payload = {"device_id": seen["device_id"], "informed_at": seen["last_inform"]}
            with _about(waiting[serial]):
                told += await self._tell(
                    waiting[serial], "device_informed", payload, f"inform/{serial}/{seen['last_inform']}"
                )
        return told

    async def watch_sessions(self) -> int:
        """Looks for the open session of every subscriber that a run waits for, and of nobody who had its name before;
        returns how many runs were told."""
        waiting = await self._waiting("session_started")
        if not waiting:
            return 0
        # Nobody is renamed while its installation goes on, so the name that a run waits for is its subscriber's still.
        usernames = sorted({str(run.waiting_on) for run in waiting})
        try:
            found = await self._sessions.open_under_each(usernames)
        except RadiusError as error:
            runs = [{"run_id": run.id, "customer_id": run.customer_id} for run in waiting]
            log.warning("accounting could not be read", usernames=usernames, runs=runs, code=error.code)
            for run in waiting:
                await self._lost(run, "accounting can't be read", error)
            return 0
        told = 0
        for run in waiting:
            with _about(run):
                await self._regained(run, "accounting can be read again")
                told += await self._logged_in(run, found.get(str(run.waiting_on), []))
        return told

    async def _logged_in(self, run: RunSummary, sessions: Sequence[Session]) -> int:
        told = 0
        username = str(run.waiting_on)
        for session in sessions:
            if session.started_at is None:
                continue  # FreeRADIUS knows no start; its next interim update may bring one
            payload = {
                "username": username,
                "framed_ip_address": session.framed_ip_address,
                "nas_address": session.nas_address,
                "session_id": session.session_id,
                "started_at": session.started_at,
            }
            key = f"session/{username}/{session.nas_address}/{session.session_id}"
            told += await self._tell(run, "session_started", payload, key)
        return told

    async def _waiting(self, signal: str) -> list[RunSummary]:
        async with self._begin() as db:
            return await waiting_runs(db, tenant_id=self._tenant_id, waiting_for=signal)

    async def _lost(self, run: RunSummary, what: str, error: AcsError | RadiusError) -> None:
        """The run itself says that nobody can look, so that its deadline blames nobody else; said once."""
        if run.reason_code is None:
            await self._note(run, lambda db, signal: self._lookout.lost(db, run.id, signal, what=what, why=error))

    async def _regained(self, run: RunSummary, what: str) -> None:
        if run.reason_code is not None:
            await self._note(run, lambda db, signal: self._lookout.regained(db, run.id, signal, what=what))

    async def _note(self, run: RunSummary, note: Callable[[AsyncSession, str], Awaitable[bool]]) -> None:
        async with self._begin() as db:
            try:
                await note(db, str(run.waiting_for))
            except WorkflowError as error:
                log.error("a run could not be told", signal=run.waiting_for, code=error.code, reason=str(error))

    async def _tell(self, run: RunSummary, signal: str, payload: dict[str, Any], key: str) -> bool:
        async with self._begin() as db:
            try:
                return await self._runs.signal(
                    db, run.id, signal, payload, key=key, by="watcher", subject=run.waiting_on
                )
            except RunNotOpenFor:
                return False  # it ended between the look and the word
            except WorkflowError as error:
                log.error("a run could not be told", signal=signal, code=error.code, reason=str(error))
                return False


def _about(run: RunSummary) -> AbstractContextManager[object]:
    """Everything that is logged meanwhile carries the run and its customer."""
    return structlog.contextvars.bound_contextvars(run_id=run.id, customer_id=run.customer_id)
