"""Takes back what stands at the ACS and is not to reach the CPE any more.

Settings wait at the ACS for the CPE under one key (``CONFIGURATION_KEY``), so that later ones take their place. Where
no later ones follow (the wish was changed and cannot be sent, the CPE is another model, two carry its serial number),
the former ones would still reach it, whatever our row says. So an ``apply`` that ends early takes them back before it
writes down why, and what it could not take back stays marked in the row (``left_standing``) until it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import structlog

from acs.convergence.desired_states import Desired, DesiredStates
from acs.convergence.seen_devices import find_known
from acs.errors import AcsError, DesiredStateChanged, SerialAmbiguous
from acs.nbi.client import NbiClient
from acs.nbi.errors import NbiTimedOut, NbiUnreachable
from acs.nbi.outcomes import Rejected, require_done
from acs.ports import Now

log = structlog.get_logger(__name__)

CONFIGURATION_KEY = "firstlight:cfg"
"""A later configuration task of a CPE takes the place of an earlier one."""
STILL_THERE = " What was queued for it before may still be at the ACS, and is taken back as soon as that answers."
"""In the reason of a row for as long as that is so."""
AT_ONCE = 50
"""CPEs in one go; the next go takes the next ones."""


class Standing:
    """What of ours stands at one ACS for a CPE, and ought not to."""

    def __init__(self, nbi: NbiClient, states: DesiredStates, *, acs_name: str, now: Now) -> None:
        self._nbi = nbi
        self._states = states
        self._acs_name = acs_name
        self._now = now
        self._behind = 0

    async def take_back(self, device_ids: Iterable[str], *, but: str | None = None) -> None:
        """Delete the settings that wait for these CPEs, whoever queued them; ``but``: the task that is to stay.

        Raises: NbiError, after which any of them may still be there; it may be done again.
        """
        for device_id in device_ids:
            for task in await self._nbi.tasks(device_id, unique_key=CONFIGURATION_KEY):
                if task.id != but:
                    await take_back(self._nbi, device_id, task.id)
                    log.info("settings taken back at the acs", device_id=device_id, task_id=task.id)

    async def nothing_waits(self, desired: Desired) -> dict[str, Any]:
        """What to write down when all was taken back: what may arrive later is looked for once more by ``go_on``."""
        late = desired.may_arrive_late(self._now()) or await self._states.former_may_arrive(desired)
        return {"task_id": None, "left_standing": late}

    async def go_on(self) -> int:
        """One step for each CPE with something left standing; how many have nothing there now that they ought not to.

        Raises: NbiError when the ACS cannot be asked; what is wrong with one CPE holds up no other.
        """
        waiting = await self._states.left_standing(acs_name=self._acs_name, behind=self._behind, limit=AT_ONCE)
        self._behind = waiting[-1].row_id if len(waiting) == AT_ONCE else 0
        cleared = 0
        for desired in waiting:
            try:
                cleared += await self._step(desired)
            except (NbiUnreachable, NbiTimedOut):
                raise
            except DesiredStateChanged:
                continue  # marked anew, if need be
            except AcsError as error:
                log.warning("settings could not be taken back", serial=desired.serial, code=error.code, why=str(error))
        return cleared

    async def _step(self, desired: Desired) -> bool:
        try:
            seen = await find_known(self._nbi, desired.serial_as_given, desired.device_id)
            device_ids = [] if seen is None else [seen["device_id"]]
        except SerialAmbiguous as twins:
            device_ids = list(twins.device_ids)
        again = await self._states.live_or_none(desired.serial)
        if again is None or again.task_id != desired.task_id or again.queued_at != desired.queued_at:
            return False  # somebody is at it
        await self.take_back(device_ids, but=None if desired.is_ambiguous else desired.task_id)
        facts = await self.nothing_waits(desired)
        if not desired.is_ambiguous:
            del facts["task_id"]
        if STILL_THERE in desired.reason and not facts["left_standing"]:
            facts["reason"] = desired.reason.replace(STILL_THERE, "")
        await self._states.record(desired, **facts)
        return not facts["left_standing"]


async def take_back(nbi: NbiClient, device_id: str, task_id: str) -> None:
    """Delete a task and its fault, if they are there (still). Raises: NbiError."""
    # The fault's deletion takes the task along, and is done as well when there is no fault.
    require_done(await nbi.delete_fault(f"{device_id}:task_{task_id}"), "the deletion of a fault")
    gone = await nbi.delete_task(task_id)
    if not (isinstance(gone, Rejected) and gone.status == 404):
        require_done(gone, "the deletion of a task")
