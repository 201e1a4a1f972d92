"""Lets verified CPEs report seldom: until then each reports every minute, so that what it is given reaches it soon.

Settings a CPE is to have only *once it was verified* (``Setting.settled``) follow here, after its verification and
apart from it: both values are right for a verified CPE, so neither is drift. Nobody is called. The wish is queued and
taken at the next Inform, which is a minute away; a reading is queued then, since a write shows in the ACS's document
whether or not the CPE has it; and only a value that was read later than it was written ends the matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog

from acs.convergence.desired_states import Desired, DesiredStates, ReportsOften
from acs.convergence.seen_devices import Leaf, read_leaves
from acs.errors import AcsError, DesiredStateChanged
from acs.nbi.client import NbiClient
from acs.nbi.errors import NbiTimedOut, NbiUnreachable
from acs.nbi.faults import in_words
from acs.ports import Now
from acs.templates.rendering import Setting

log = structlog.get_logger(__name__)

SLOWING_KEY = "firstlight:inform"
EXPIRY_SECONDS = 86_400
MOST_ATTEMPTS = 3
"""A CPE that refuses the interval, or says that it took it and has another, keeps the one it has until it was verified
anew."""
AT_ONCE = 200
"""CPEs looked at in one go; the next go takes the next ones."""


INFORM_INTERVAL = ".ManagementServer.PeriodicInformInterval"


def interval_given(parameters: Sequence[Sequence[Any]], *, seldom: bool) -> int | None:
    """The inform interval in seconds that these settings give a CPE, ``seldom`` once it was verified and has that one;
    None where they give none, and it keeps its own."""
    for row in parameters:
        if str(row[0]).endswith(INFORM_INTERVAL):
            setting = Setting.from_row(row)
            value = setting.settled if seldom and setting.settled is not None else setting.value
            return int(value) if str(value).isdigit() and int(value) > 0 else None
    return None


class Slowing:
    """The steps of ``DeviceConvergence.slow_verified``."""

    def __init__(self, nbi: NbiClient, states: DesiredStates, *, acs_name: str, now: Now) -> None:
        self._nbi = nbi
        self._states = states
        self._acs_name = acs_name
        self._now = now
        self._behind: int = 0

    async def go_on(self) -> int:
        """One step for each verified CPE that still reports often; how many have come to report seldom.

        Raises: NbiError when the ACS cannot be asked; what is wrong with one CPE holds up no other.
        """
        waiting = await self._states.reporting_often(
            acs_name=self._acs_name, behind=self._behind, limit=AT_ONCE, attempts=MOST_ATTEMPTS + 1
        )
        self._behind = waiting[-1].desired.row_id if len(waiting) == AT_ONCE else 0
        settled = 0
        for cpe in waiting:
            try:
                settled += await self._step(cpe)
            except (NbiUnreachable, NbiTimedOut):
                raise
            except DesiredStateChanged:
                continue  # it has another wish by now, which begins at the beginning
            except AcsError as error:
                log.warning("a cpe could not be let report seldom", serial=cpe.desired.serial, why=str(error))
        return settled

    async def _step(self, cpe: ReportsOften) -> bool:
        desired, slowed_at = cpe.desired, cpe.slowed_at
        wanted = [setting for setting in desired.settings if setting.settled is not None]
        device_id = desired.device_id
        if not wanted or device_id is None:
            await self._states.record(desired, inform_settled_at=self._now())
            return False
        if await self._is_under_way(desired, device_id):
            return False
        leaves = await read_leaves(self._nbi, device_id, [setting.path for setting in wanted]) or {}
        if not all(_is_settled(setting, leaves.get(setting.path)) for setting in wanted):
            await self._write(cpe, device_id, wanted)
            return False
        stamps = [leaf.stamp for leaf in leaves.values() if leaf.stamp is not None]
        if slowed_at is not None and stamps and min(stamps) > slowed_at:
            await self._states.record(desired, inform_settled_at=self._now(), inform_reason=None)
            log.info("verified cpe reports seldom now", serial=desired.serial)
            return True
        await self._states.record(desired, inform_slowed_at=max(stamps, default=self._now()))
        await self._queue(
            device_id, {"name": "getParameterValues", "parameterNames": [setting.path for setting in wanted]}
        )
        return False

    async def _is_under_way(self, desired: Desired, device_id: str) -> bool:
        """Whether a step is still queued. One that the CPE refused is told, and tried again at the next look."""
        queued = await self._nbi.tasks(device_id, unique_key=SLOWING_KEY)
        for task in queued:
            fault = await self._nbi.fault_of_task(device_id, task.id)
            if fault is None:
                continue
            await self._nbi.delete_fault(fault.id)  # and the task
            reason = f"It goes on reporting often: {in_words(fault)}"
            await self._states.record(desired, inform_reason=reason, inform_slowed_at=None)
            log.warning("cpe does not take its inform interval", serial=desired.serial, why=reason)
            return True
        return bool(queued)

    async def _write(self, cpe: ReportsOften, device_id: str, wanted: Sequence[Setting]) -> None:
        if cpe.attempts >= MOST_ATTEMPTS:
            await self._give_up(cpe)
            return
        await self._states.record(cpe.desired, inform_slowed_at=None, inform_attempts=cpe.attempts + 1)
        values = [[setting.path, setting.settled, setting.xsd_type] for setting in wanted]
        await self._queue(device_id, {"name": "setParameterValues", "parameterValues": values})

    async def _give_up(self, cpe: ReportsOften) -> None:
        """What it said when it refused stays the reason."""
        reason = cpe.reason or "It goes on reporting often: it takes its interval and then has another."
        ended = f"It was given that {cpe.attempts} times, and is again when it was read back anew."
        await self._states.record(cpe.desired, inform_attempts=cpe.attempts + 1, inform_reason=f"{reason} {ended}")
        log.warning("cpe keeps reporting often", serial=cpe.desired.serial, attempts=cpe.attempts)

    async def _queue(self, device_id: str, task: dict[str, object]) -> None:
        """Whatever comes of it is seen at the next look: the same step again replaces this one."""
        await self._nbi.queue_task(device_id, task, unique_key=SLOWING_KEY, expiry_seconds=EXPIRY_SECONDS)


def _is_settled(setting: Setting, leaf: Leaf | None) -> bool:
    return leaf is not None and str(leaf.value) == str(setting.settled)
