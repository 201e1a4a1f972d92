"""Takes a CPE back to factory default when its service has ended, and never says so without the CPE's own word.

The proof is a BOOTSTRAP Inform that came after the reset was asked for (TR-069 3.7.1.5), by the ACS's own times. A task
that has left the queue is none: the CPE may have taken it and not found back to the ACS since, or somebody deleted it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import structlog
from typing_extensions import TypedDict

from acs.convergence.desired_states import DesiredStates
from acs.convergence.seen_devices import find_known, look_again
from acs.convergence.sessions import Sessions, not_yet
from acs.convergence.standing import take_back
from acs.errors import NotYet
from acs.nbi.client import NbiClient
from acs.nbi.errors import NbiRejected, NbiTimedOut
from acs.nbi.faults import in_words, is_passing
from acs.nbi.outcomes import NotReached, Rejected, Unknown
from acs.serials import canonical_serial

log = structlog.get_logger(__name__)

RESET_KEY = "firstlight:reset"

ResetState = Literal["reset", "unproven", "not_reached", "refused", "not_known", "in_use"]
"""* reset: the CPE has reported as one that was reset.
* unproven: it was sent the reset, or somebody took that back; it has not reported since.
* not_reached: it never came for it; nothing waits for it any more.
* refused: it said no.
* not_known: the ACS does not know it (any more).
* in_use: it serves somebody else by now, and is left alone.
"""


class ResetRequest(TypedDict):
    """A factory reset that waits at the ACS for the CPE. ``over``: there is nothing to wait for, and why.

    ``asked_after`` is the ACS's time: a BOOTSTRAP that is younger follows the reset.
    """

    device_serial: str
    device_id: str | None
    task_id: str | None
    asked_after: datetime | None
    over: ResetState | None


class ResetOutcome(TypedDict):
    """What came of it, and why in words."""

    device_serial: str
    device_id: str | None
    state: ResetState
    reason: str


class Resetting:
    """The steps of ``DeviceConvergence.request_reset`` and ``see_reset``."""

    def __init__(self, nbi: NbiClient, states: DesiredStates, sessions: Sessions) -> None:
        self._nbi = nbi
        self._states = states
        self._sessions = sessions

    async def request(self, device_serial: str, *, within: timedelta) -> ResetRequest:
        """Queue the reset; one that is queued already is replaced. After ``within`` the ACS drops it by itself.

        Raises: SerialMalformed, SerialAmbiguous, NbiError.
        """
        serial = canonical_serial(device_serial)
        past = await self._states.last_or_none(serial)
        seen = await find_known(
            self._nbi, past.serial_as_given if past else serial, past.device_id if past is not None else None
        )
        over: ResetState | None = None
        if past is not None and past.state != "withdrawn":
            over = "in_use"
        elif seen is None:
            over = "not_known"
        device_id = seen["device_id"] if seen is not None else None
        if over is not None or seen is None:
            return ResetRequest(device_serial=serial, device_id=device_id, task_id=None, asked_after=None, over=over)
        outcome = await self._nbi.queue_task(
            seen["device_id"],
            {"name": "factoryReset"},
            unique_key=RESET_KEY,
            expiry_seconds=int(within.total_seconds()),
        )
        if isinstance(outcome, Rejected) and outcome.status != 404:
            raise NbiRejected(f"the reset of CPE {serial}", status=outcome.status, said=outcome.said)
        if isinstance(outcome, Unknown):
            raise NbiTimedOut(f"The ACS did not say whether it took the reset of CPE {serial}; once more.")
        log.info("reset of a cpe queued", serial=serial, device_id=device_id)
        return ResetRequest(
            device_serial=serial,
            device_id=device_id,
            task_id=outcome.task_id if not isinstance(outcome, Rejected) else None,
            asked_after=seen["last_inform"] or seen["registered"],
            over="not_known" if isinstance(outcome, Rejected) else None,
        )

    async def see(self, request: ResetRequest, *, last_look: bool) -> ResetOutcome:
        """Call the CPE and wait a bounded time for the proof. With ``last_look`` it is given up, and the answer says
        how far it came; nothing is left at the ACS then.

        Raises: NotYet (with the reason), unless it is the last look; NbiError.
        """
        serial, device_id = request["device_serial"], request["device_id"]
        if request["over"] is not None or device_id is None:
            return _outcome(request, request["over"] or "not_known")
        if await self._states.live_or_none(serial) is not None:
            await self._take_back(device_id)
            return _outcome(request, "in_use")
        seen = await self._look(request, device_id)
        unreached: NotReached | None = None
        if seen is None:
            if await self._is_queued(device_id):
                unreached = await self._sessions.call(serial, device_id)
            found: list[ResetOutcome] = []

            async def is_over() -> bool:
                looked = await self._look(request, device_id)
                found.extend([looked] if looked is not None else [])
                return looked is not None

            if await self._sessions.until(is_over, reached=unreached is None):
                seen = found[0]
        if seen is not None:
            log.info("reset of a cpe has ended", serial=serial, state=seen["state"])
            return seen
        queued = await self._is_queued(device_id)
        if not last_look:
            raise _not_over_yet(serial, unreached, queued=queued)
        if queued:
            await self._take_back(device_id)
        return _outcome(request, "not_reached" if queued else "unproven")

    async def _look(self, request: ResetRequest, device_id: str) -> ResetOutcome | None:
        seen = await look_again(self._nbi, device_id)
        if seen is None:
            return _outcome(request, "not_known")
        after, bootstrap = request["asked_after"], seen["last_bootstrap"]
        if bootstrap is not None and (after is None or bootstrap > after):
            return _outcome(request, "reset")
        for task in await self._nbi.tasks(device_id, unique_key=RESET_KEY):
            fault = await self._nbi.fault_of_task(device_id, task.id)
            if fault is not None and not is_passing(fault):
                await self._take_back(device_id)
                return _outcome(request, "refused", in_words(fault))
        return None

    async def _is_queued(self, device_id: str) -> bool:
        return bool(await self._nbi.tasks(device_id, unique_key=RESET_KEY))

    async def _take_back(self, device_id: str) -> None:
        """Or it would reach whoever plugs the CPE in next."""
        for task in await self._nbi.tasks(device_id, unique_key=RESET_KEY):
            await take_back(self._nbi, device_id, task.id)


def _not_over_yet(serial: str, unreached: NotReached | None, *, queued: bool) -> NotYet:
    if queued:
        return not_yet(serial, unreached, what="it is reset")
    return NotYet(
        serial,
        reason="not_seen_since_reset",
        message=f"CPE {serial} was sent the reset and has not reported to the ACS since.",
    )


def _outcome(request: ResetRequest, state: ResetState, said: str = "") -> ResetOutcome:
    serial = request["device_serial"]
    words: dict[ResetState, str] = {
        "reset": f"CPE {serial} was reset: it has reported as a new one.",
        "unproven": f"CPE {serial} was sent the reset and has not reported since: whether it took it is not known.",
        "not_reached": f"CPE {serial} could not be reached and was not reset; nothing waits for it at the ACS now.",
        "refused": f"CPE {serial} refused to be reset: {said}",
        "not_known": f"CPE {serial} is not known to the ACS and was not reset.",
        "in_use": f"CPE {serial} serves somebody else by now and was left alone.",
    }
    return ResetOutcome(device_serial=serial, device_id=request["device_id"], state=state, reason=words[state])
