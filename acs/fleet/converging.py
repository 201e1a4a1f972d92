"""Brings thousands of CPEs to what they should have: the steps of one, many at a time.

A CPE's settings are queued without waiting (75 CPEs a second against 31 with one waiting request each, observed), it is
called, and what became of the queue is looked up for a hundred at once. How far each has come stands in its row before
the next step is taken; a process that is killed in the middle loses nothing, and the next call goes on from there. One
that cannot be called keeps its settings queued and gets them at its next Inform.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from sqlalchemy import ColumnElement, func, or_, select

from acs.convergence.device_convergence import DeviceConvergence, Shared
from acs.convergence.session_window import SessionWindow
from acs.convergence.sessions import Patience
from acs.convergence.unreached import AMBIGUOUS
from acs.device_records import DeviceState
from acs.errors import (
    AcsError,
    DesiredStateChanged,
    DeviceUnreachable,
    NotYet,
    SerialAmbiguous,
    SettingsFailed,
    SettingsRefused,
)
from acs.fleet.gathering_nbi import GatheringNbi
from acs.fleet.grouped_states import GroupedStates
from acs.nbi.client import NbiClient
from acs.nbi.errors import NbiError, NbiPoisoned, NbiRejected, NbiRequestInvalid, NbiUnreachable
from acs.ports import Begin, Now, Secrets, Sleep
from acs.tables import DEFAULT_ACS, AcsDevice

log = structlog.get_logger(__name__)

SESSIONS_OF_A_WORKER = 8
LARGEST_SESSIONS_OF_A_WORKER = 16
"""A CWMP worker of GenieACS takes 20, and CPEs come by themselves as well."""
UNDER_WAY = 400
"""CPEs at some step at once; most of them wait for their reading, their call or their answer."""
PAGE = 500
ATTEMPTS = 3
UNCONVERGED: tuple[DeviceState, ...] = ("queued", "applied", "drifted", "unreachable", "faulted")
"""Those that an operator means by "everything that has not converged"; one that never reported has no queue yet."""
STATE_OF_WAITING: Mapping[str, DeviceState] = {
    "awaiting_first_inform": "awaiting_first_inform",
    "reset_meanwhile": "drifted",
}
"""The state of a CPE that is waited for, by why it is; *queued* for any other reason."""
TO_BE_GONE_ON_WITH = frozenset({"not_applied", "in_progress"})
CALLED_IN_VAIN = "no_session"
FLEET_PATIENCE = Patience(first_poll_seconds=0.1, reached_seconds=30.0, unreached_seconds=1.0)


@dataclass(slots=True)
class FleetProgress:
    """How far a call has come. ``by_state``: of the CPEs that are done with, their states now; ``unreachable`` ones
    also by why; ``errors``: those whose outcome nobody knows, by the error's code."""

    total: int | None
    done: int = 0
    by_state: Counter[str] = field(default_factory=Counter)
    by_why: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, other: FleetProgress) -> None:
        """What another ACS's CPEs have come to."""
        self.total = None if self.total is None or other.total is None else self.total + other.total
        self.done += other.done
        self.by_state += other.by_state
        self.by_why += other.by_why
        self.errors += other.errors

    @property
    def converged(self) -> int:
        return self.by_state["verified"] + self.by_state["accepted_unverifiable"]


OnProgress = Callable[[FleetProgress], None]


class FleetConvergence:
    """``DeviceConvergence`` for many CPEs of one ACS at a time; safe to call again, also after it was killed."""

    def __init__(
        self,
        begin: Begin,
        nbi: NbiClient,
        *,
        tenant_id: str,
        now: Now,
        secrets: Secrets,
        sleep: Sleep = asyncio.sleep,
        patience: Patience = FLEET_PATIENCE,
        cwmp_workers: int = 1,
        acs_name: str = DEFAULT_ACS,
    ) -> None:
        self._begin = begin
        self._nbi = nbi
        self._tenant_id = tenant_id
        self._now = now
        self._secrets = secrets
        self._sleep = sleep
        self._patience = patience
        self._cwmp_workers = cwmp_workers
        self._acs_name = acs_name

    async def converge_many(
        self, serials: Iterable[str] | None = None, *, on_progress: OnProgress = lambda _progress: None
    ) -> FleetProgress:
        """Apply and verify each of these CPEs, or all that are bound and not converged.

        A serial that is bound to nobody counts under ``errors``. One that was handed over to a person is passed over,
        unless its serial is given. The call ends early only when the ACS itself fails.

        Raises: NbiUnreachable, NbiPoisoned, NbiRejected, NbiRequestInvalid.
        """
        total = len(serials) if isinstance(serials, list | tuple) else None
        progress = FleetProgress(await self._count() if serials is None else total)
        states = GroupedStates(
            self._begin, tenant_id=self._tenant_id, now=self._now, secrets=self._secrets, sleep=self._sleep
        )
        nbi = GatheringNbi(self._nbi, sleep=self._sleep)
        convergence = DeviceConvergence(
            self._begin,
            nbi,
            tenant_id=self._tenant_id,
            now=self._now,
            secrets=self._secrets,
            sleep=self._sleep,
            patience=self._patience,
            shared=Shared(states, self._window()),
        )
        run = _Run(convergence, states, progress, on_progress)
        try:
            await convergence.prepare()
            await run.all_of(self._unconverged() if serials is None else _each(serials))
        finally:
            await nbi.close()
            await states.close()
        return progress

    async def own(self, serials: Sequence[str]) -> list[str]:
        """Those of the canonical serials that are bound to this ACS."""
        found: list[str] = []
        for start in range(0, len(serials), PAGE):
            async with self._begin() as db:
                found += await db.scalars(
                    select(AcsDevice.serial).where(
                        AcsDevice.tenant_id == self._tenant_id,
                        AcsDevice.acs_name == self._acs_name,
                        AcsDevice.state != "withdrawn",
                        AcsDevice.serial.in_(serials[start : start + PAGE]),
                    )
                )
        return found

    def _window(self) -> SessionWindow:
        workers = self._cwmp_workers
        return SessionWindow(SESSIONS_OF_A_WORKER * workers, largest=LARGEST_SESSIONS_OF_A_WORKER * workers)

    async def _count(self) -> int:
        async with self._begin() as db:
            return await db.scalar(select(func.count()).select_from(AcsDevice).where(*self._wanted())) or 0

    async def _unconverged(self) -> AsyncIterator[str]:
        """Their serials, a page at a time; each once, wherever its state goes meanwhile."""
        after = 0
        columns = select(AcsDevice.id, AcsDevice.serial).where(*self._wanted()).order_by(AcsDevice.id).limit(PAGE)
        while True:
            async with self._begin() as db:
                page = (await db.execute(columns.where(AcsDevice.id > after))).all()
            for row_id, serial in page:
                after = row_id
                yield serial
            if len(page) < PAGE:
                return

    def _wanted(self) -> tuple[ColumnElement[bool], ...]:
        return (
            AcsDevice.tenant_id == self._tenant_id,
            AcsDevice.acs_name == self._acs_name,
            AcsDevice.state.in_(UNCONVERGED),
            AcsDevice.handed_over_at.is_(None),
            is_sendable(self._now()),
        )


def is_sendable(now: datetime) -> ColumnElement[bool]:
    """Whether no campaign keeps what a CPE is to have from being sent at this time."""
    return or_(AcsDevice.send_until.is_(None), AcsDevice.send_until > now)


class _Run:
    """One call of ``converge_many``."""

    def __init__(
        self,
        convergence: DeviceConvergence,
        states: GroupedStates,
        progress: FleetProgress,
        on_progress: OnProgress,
    ) -> None:
        self._convergence = convergence
        self._states = states
        self._progress = progress
        self._on_progress = on_progress
        self._looked_for_again: list[str] | None = []
        """Those that answered their call and had no session in time: an ACS that is busy with thousands turns some
        away, and they come again by themselves. None: it is their last look."""

    async def all_of(self, serials: AsyncIterator[str]) -> None:
        await self._each_of(serials)
        late, self._looked_for_again = self._looked_for_again or [], None
        await self._each_of(_each(late))

    async def _each_of(self, serials: AsyncIterator[str]) -> None:
        room = asyncio.Semaphore(UNDER_WAY)
        try:
            async with asyncio.TaskGroup() as group:
                async for serial in serials:
                    await room.acquire()
                    group.create_task(self._one(serial)).add_done_callback(lambda _task: room.release())
        except BaseExceptionGroup as failed:
            raise _first(failed) from failed

    async def _one(self, serial: str) -> None:
        progress = self._progress
        try:
            progress.by_state[await self._converged(serial)] += 1
        except DeviceUnreachable as error:
            progress.by_state["unreachable"] += 1
            progress.by_why[error.reason] += 1
        except SerialAmbiguous:
            progress.by_state["unreachable"] += 1
            progress.by_why[AMBIGUOUS] += 1
        except NotYet as error:
            if error.reason == CALLED_IN_VAIN and self._looked_for_again is not None:
                self._looked_for_again.append(serial)
                return
            progress.by_state[STATE_OF_WAITING.get(error.reason, "queued")] += 1
            progress.by_why[error.reason] += 1
        except (NbiUnreachable, NbiPoisoned, NbiRejected, NbiRequestInvalid):
            raise
        except NbiError as error:
            log.warning("nobody knows how far a cpe has come", serial=serial, code=error.code, why=str(error))
            progress.errors[error.code] += 1
        except AcsError as error:
            progress.errors[error.code] += 1
        progress.done += 1
        self._on_progress(progress)

    async def _converged(self, serial: str) -> DeviceState:
        """Raises: AcsError when it has not come so far."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._convergence.apply(serial)
                return (await self._convergence.verify(serial))["state"]
            except (SettingsRefused, SettingsFailed):  # its row says why, and whether and when it is tried again
                return "faulted"
            except NotYet as error:
                if error.reason not in TO_BE_GONE_ON_WITH or attempt == ATTEMPTS:
                    raise
            except DesiredStateChanged:
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")


async def _each(serials: Iterable[str]) -> AsyncIterator[str]:
    for serial in dict.fromkeys(serials):
        yield serial


def _first(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    error = failed.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
