"""Reads back from a CPE, in a later session, what was applied to it.

The ACS's document proves nothing by itself: after a write it shows the wish, not the CPE. A value counts only when it
was read after the write (by the ACS's own time stamps), and a secret never does, since it reads back blank.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from typing_extensions import TypedDict

from acs.convergence.desired_states import Desired, DesiredStates
from acs.convergence.script_task import PROVISION, choices, chosen_rows, row_tags
from acs.convergence.seen_devices import Leaf, SeenDevice, look_again, read_leaves
from acs.convergence.sessions import Sessions
from acs.convergence.unreached import REACHED, unreached
from acs.device_records import DeviceState
from acs.errors import AwaitingFirstInform, DeviceDrifted, DeviceUnreachable, NotYet
from acs.nbi.client import NbiClient
from acs.nbi.errors import NbiRejected
from acs.nbi.faults import in_words, is_row_choice
from acs.nbi.outcomes import Fault, Rejected
from acs.ports import Now
from acs.templates.rendering import Setting, SettingValue

log = structlog.get_logger(__name__)

VERIFICATION_KEY = "firstlight:verify"
EXPIRY_SECONDS = 86_400
"""A reading that nobody waits for any more is dropped."""
REPORTS_OFTEN: Mapping[str, Any] = {"inform_settled_at": None, "inform_slowed_at": None, "inform_attempts": 0}
"""What is written down of a CPE that was read back and is yet to get its interval of verified ones."""
READINGS = 3
"""A reading served from the ACS's copy is repeated this often in all."""


class Drift(TypedDict):
    """One parameter that is not as it should be. ``reported`` is None when the CPE has no such parameter (any more)."""

    path: str
    wanted: SettingValue
    reported: SettingValue | None


class VerifyOutcome(TypedDict):
    """What the CPE says it has. ``state``: verified, accepted_unverifiable (all but the secrets), or drifted."""

    device_serial: str
    device_id: str
    revision: str
    state: DeviceState
    reason: str
    verified: list[str]
    unverifiable: list[str]
    drift: list[Drift]
    verified_at: datetime


def require_verified(outcome: VerifyOutcome) -> VerifyOutcome:
    """For a caller to whom drift is a failure. Raises: DeviceDrifted."""
    if outcome["state"] == "drifted":
        paths = [drift["path"] for drift in outcome["drift"]]
        raise DeviceDrifted(outcome["device_serial"], paths, outcome["reason"])
    return outcome


class Verifying:
    """The steps of ``DeviceConvergence.verify`` once the CPE has been found."""

    def __init__(self, nbi: NbiClient, states: DesiredStates, sessions: Sessions, *, now: Now) -> None:
        self._nbi = nbi
        self._states = states
        self._sessions = sessions
        self._now = now

    async def verify(self, desired: Desired, seen: SeenDevice) -> VerifyOutcome:
        """Raises: NotYet, DesiredStateChanged, NbiError."""
        if was_reset(desired, seen):
            reason = f"it was reset to factory default at {seen['last_bootstrap']:%Y-%m-%d %H:%M} UTC."
            return await self._concluded(desired, seen, state="drifted", reason=reason, drift=[])
        try:
            desired, seen, leaves = await self._read_back(desired, seen)
        except _RowsNotChosen as unclear:
            drift = [Drift(path=each["path"], wanted="one row", reported=None) for each in unclear.fault.refusals]
            return await self._concluded(desired, seen, state="drifted", reason=in_words(unclear.fault), drift=drift)
        plain = [setting for setting in desired.settings if not setting.secret]
        drift = drift_of(plain, leaves)
        if drift:
            shown = "; ".join(f"{each['path']} is {each['reported']!r} instead of {each['wanted']!r}" for each in drift)
            return await self._concluded(desired, seen, state="drifted", reason=f"{shown}.", drift=drift)
        state, reason = _found_right(desired)
        return await self._concluded(desired, seen, state=state, reason=reason, drift=[], leaves=leaves)

    async def _read_back(self, desired: Desired, seen: SeenDevice) -> tuple[Desired, SeenDevice, Mapping[str, Leaf]]:
        """The leaves, each read from the CPE since this verification began. One missing there is missing here.

        With them the wish, in which every row is the one that the CPE's last session chose.
        """
        located = desired.located(seen["tags"])
        leaves = await self._leaves(located or desired, seen["device_id"])
        after = desired.reading_after
        if after is None:
            after = max(
                stamp for stamp in (desired.written_at, *(leaf.stamp for leaf in leaves.values())) if stamp is not None
            )
            await self._states.record(desired, reading_after=after)
            await self._sessions.settle()
        for reading in range(READINGS):
            queued = await self._nbi.tasks(seen["device_id"], unique_key=VERIFICATION_KEY)
            if not queued and located is not None and reading_is_complete(_plain_paths(located), leaves, after):
                return located, seen, leaves
            if reading:
                await self._sessions.settle()
            if not queued:
                await self._ask(desired, seen)
            await self._wait_for_reading(desired, seen)
            if desired.delivery.selectors:
                seen = await look_again(self._nbi, seen["device_id"]) or seen
            located = desired.located(seen["tags"])
            leaves = await self._leaves(located or desired, seen["device_id"])
            # A document without one of them is no reading: the ACS has dropped it, and not the CPE its parameters.
            if located is not None and leaves and all(is_fresh(leaf, after) for leaf in leaves.values()):
                return located, seen, leaves
        raise await self._noted(
            desired,
            NotYet(
                desired.serial,
                reason="not_read_back",
                message=f"The ACS has not read the settings of CPE {desired.serial} back from it; once more later.",
            ),
        )

    async def _leaves(self, desired: Desired, device_id: str) -> Mapping[str, Leaf]:
        """Of those paths that are complete."""
        leaves = await read_leaves(self._nbi, device_id, [path for path in _plain_paths(desired) if "{" not in path])
        if leaves is None:
            raise AwaitingFirstInform(desired.serial)
        return leaves

    async def _ask(self, desired: Desired, seen: SeenDevice) -> None:
        outcome = await self._nbi.queue_task(
            seen["device_id"],
            _reading_of(desired, seen["tags"]),
            unique_key=VERIFICATION_KEY,
            expiry_seconds=EXPIRY_SECONDS,
        )
        # Should no answer have come, the queue and the time stamps tell; asking twice does no harm.
        if isinstance(outcome, Rejected):
            if outcome.status == 404:
                raise AwaitingFirstInform(desired.serial)
            raise NbiRejected(f"a reading of CPE {desired.serial}", status=outcome.status, said=outcome.said)

    async def _wait_for_reading(self, desired: Desired, seen: SeenDevice) -> None:
        device_id = seen["device_id"]

        async def has_ended() -> bool:
            queued = await self._nbi.tasks(device_id, unique_key=VERIFICATION_KEY)
            for task in queued:
                fault = await self._nbi.fault_of_task(device_id, task.id)
                if fault is not None:
                    await self._nbi.delete_fault(fault.id)  # and the task, so that the next reading is a new one
                    if is_row_choice(fault):
                        raise _RowsNotChosen(fault)
                    message = f"CPE {desired.serial} could not be read back: {in_words(fault)}"
                    raise await self._noted(desired, NotYet(desired.serial, reason="not_read_back", message=message))
            return not queued

        waiting = await self._sessions.run(desired.serial, device_id, has_ended, what="it is read back")
        if waiting is not None:
            raise await self._noted(desired, _path_restarting(desired, seen, waiting))

    async def _noted(self, desired: Desired, error: NotYet) -> NotYet:
        await self._states.record(desired, reason=str(error), **unreached(error))
        return error

    async def _concluded(
        self,
        desired: Desired,
        seen: SeenDevice,
        *,
        state: DeviceState,
        reason: str,
        drift: list[Drift],
        leaves: Mapping[str, Leaf] | None = None,
    ) -> VerifyOutcome:
        verified_at = self._now()
        await self._states.record(
            desired,
            state=state,
            reason=reason,
            details=[dict(each) for each in drift],
            reading_after=None,
            verified_at=None if state == "drifted" else verified_at,
            rows=chosen_rows(desired, seen["tags"]),
            **(REPORTS_OFTEN if _reports_often(desired, leaves or {}) else {}),
            last_inform_at=seen["last_inform"],
            **REACHED,
        )
        log.info("cpe read back", serial=desired.serial, state=state, drifted_paths=[each["path"] for each in drift])
        return _outcome(desired, seen["device_id"], state, reason, verified_at, drift)


def _found_right(desired: Desired) -> tuple[DeviceState, str]:
    if any(setting.secret for setting in desired.settings):
        return "accepted_unverifiable", "The CPE has its settings; its secrets it took and does not show."
    return "verified", "The CPE has its settings."


def _reports_often(desired: Desired, leaves: Mapping[str, Leaf]) -> bool:
    """Whether it has what a CPE has only until it was verified; ``acs.convergence.slowing`` goes on from there."""
    return any(
        setting.settled is not None and str(leaves[setting.path].value) != str(setting.settled)
        for setting in desired.settings
        if setting.path in leaves
    )


class _RowsNotChosen(Exception):
    """The CPE had no row, or several, where its settings are to stand in exactly one."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(in_words(fault))


def _plain_paths(desired: Desired) -> list[str]:
    return [setting.path for setting in desired.settings if not setting.secret]


def _reading_of(desired: Desired, tags: Sequence[str]) -> dict[str, object]:
    """The task that reads. Where the CPE chooses rows, our script reads, since it chooses anew as it did to write."""
    if not desired.delivery.selectors:
        return {"name": "getParameterValues", "parameterNames": _plain_paths(desired)}
    argument = {
        "rev": desired.revision,
        "params": [[path, "", "", False] for path in _plain_paths(desired)],
        "stale_tags": row_tags(tags),
        "read": True,
        **choices(desired, with_guard=False),
    }
    return {"name": "provisions", "provisions": [[PROVISION, json.dumps(argument)]]}


def _path_restarting(desired: Desired, seen: SeenDevice, waiting: NotYet) -> NotYet:
    """A CPE whose settings restarted the WAN it is reached over is no alarm until it had the time to come back."""
    informed, written = seen["last_inform"], desired.written_at
    is_back = informed is not None and written is not None and informed > written
    if desired.delivery.management != "same_wan" or is_back or not isinstance(waiting, DeviceUnreachable):
        return waiting
    message = (
        f"CPE {desired.serial} has restarted the WAN that the ACS reaches it over, as was to be expected; it is read"
        " back at its next Inform."
    )
    return NotYet(desired.serial, reason="path_restarting", message=message)


def concluded_since(desired: Desired, since: datetime) -> VerifyOutcome | None:
    """What a verification of exactly this wish has concluded at ``since`` or later, if it found the CPE right."""
    if desired.applied_revision != desired.revision or desired.state not in ("verified", "accepted_unverifiable"):
        return None
    if desired.device_id is None or desired.verified_at is None or desired.verified_at < since:
        return None
    return _outcome(desired.in_its_rows(), desired.device_id, desired.state, desired.reason, desired.verified_at, [])


def _outcome(
    desired: Desired, device_id: str, state: DeviceState, reason: str, verified_at: datetime, drift: list[Drift]
) -> VerifyOutcome:
    differing = {each["path"] for each in drift}
    plain = [] if state == "drifted" and not drift else [each for each in desired.settings if not each.secret]
    return VerifyOutcome(
        device_serial=desired.serial,
        device_id=device_id,
        revision=desired.revision,
        state=state,
        reason=reason,
        verified=[setting.path for setting in plain if setting.path not in differing],
        unverifiable=[setting.path for setting in desired.settings if setting.secret],
        drift=drift,
        verified_at=verified_at,
    )


def was_reset(desired: Desired, seen: SeenDevice) -> bool:
    """Whether the CPE went back to factory default after it had taken its settings; both times are the ACS's."""
    bootstrap, written = seen["last_bootstrap"], desired.written_at
    return bootstrap is not None and written is not None and bootstrap > written


def serves_nobody(desired: Desired, seen: SeenDevice) -> bool:
    """Whether it has no settings of anybody: it never took any, or has lost them in a reset."""
    return desired.written_at is None or was_reset(desired, seen)


def is_fresh(leaf: Leaf, after: datetime) -> bool:
    return leaf.stamp is not None and leaf.stamp > after


def reading_is_complete(paths: Sequence[str], leaves: Mapping[str, Leaf], after: datetime) -> bool:
    return all(path in leaves and is_fresh(leaves[path], after) for path in paths)


def drift_of(settings: Sequence[Setting], leaves: Mapping[str, Leaf]) -> list[Drift]:
    """Every setting whose parameter is missing or has another value."""
    return [
        Drift(path=setting.path, wanted=setting.value, reported=reported)
        for setting in settings
        if not is_same(setting, reported := leaves[setting.path].value if setting.path in leaves else None)
    ]


def is_same(setting: Setting, reported: SettingValue | None) -> bool:
    """Whether a CPE that reports this has the setting. Types are the CPE's: a VLAN may be text, a flag 1 or "true"."""
    if reported is None:
        return False
    if setting.settled is not None and str(reported) == str(setting.settled):
        return True
    if setting.xsd_type == "xsd:boolean":
        flags = {"1": True, "true": True, "0": False, "false": False}
        return flags.get(str(reported).lower()) is setting.value
    return str(reported) == str(setting.value)
