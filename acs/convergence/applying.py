"""Carries one wish to one CPE, all of it or nothing, and believes only the proof.

The proof is the tag ``cfg_<revision>``: our script at the ACS sets it after the CPE has taken the values, in the same
session. It is removed before the task is queued, so that a tag found later was set by this task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any

import structlog
from typing_extensions import TypedDict

from acs.convergence.desired_states import Desired, DesiredStates
from acs.convergence.first_takings import took_in_first_session
from acs.convergence.script_task import PROVISION, chosen_rows, script_argument, stale_tags
from acs.convergence.seen_devices import Leaf, SeenDevice, look_again, read_leaves
from acs.convergence.sessions import Sessions
from acs.convergence.unreached import REACHED, unreached
from acs.device_records import DeviceState
from acs.errors import (
    AwaitingFirstInform,
    DesiredStateChanged,
    DeviceUnreachable,
    NotYet,
    SettingsFailed,
    SettingsRefused,
    SettingsUnsendable,
)
from acs.nbi.client import NbiClient
from acs.nbi.errors import NbiError, NbiPoisoned, NbiRequestInvalid, NbiTimedOut
from acs.nbi.faults import in_words, is_cut_session, is_passing
from acs.nbi.outcomes import Fault, Rejected, TaskOutcome, Unknown, require_done
from acs.ports import Now, Sleep

log = structlog.get_logger(__name__)

CONFIGURATION_KEY = "firstlight:cfg"
"""A later configuration task of a CPE takes the place of an earlier one."""
CONFIGURATION_EXPIRY_SECONDS = 12 * 3600
"""Settings nobody has taken back and nobody asks for any more must not wait at the ACS for whoever plugs in next."""
TRIED_AGAIN_AFTER = tuple(timedelta(minutes=minutes) for minutes in (1, 4, 16, 64))
"""After each failure in a row that may pass; one more is a person's turn."""


class ApplyOutcome(TypedDict):
    """The CPE has taken its settings, by its own word; whether it has them is for ``verify``."""

    device_serial: str
    device_id: str
    template: str
    revision: str
    state: DeviceState
    applied_at: datetime


@dataclass(slots=True)
class _Watch:
    """What has become of our task so far."""

    task_id: str
    fault: Fault | None = None
    done: SeenDevice | None = None
    looks_since_gone: int = 0
    vanished: bool = False

    @property
    def has_ended(self) -> bool:
        return self.fault is not None or self.done is not None or self.vanished


class Applying:
    """The steps of ``DeviceConvergence.apply`` once the CPE has been found."""

    def __init__(self, nbi: NbiClient, states: DesiredStates, sessions: Sessions, *, now: Now, sleep: Sleep) -> None:
        self._nbi = nbi
        self._states = states
        self._sessions = sessions
        self._now = now
        self._sleep = sleep

    async def install_script(self) -> None:
        """See to it that the ACS has our apply script, exactly as it is here. Raises: NbiError."""
        script = (files("acs") / "provisions" / f"{PROVISION}.js").read_text(encoding="utf-8")
        if await self._nbi.provision(PROVISION) == script:
            return
        require_done(await self._nbi.put_provision(PROVISION, script), "the installation of the apply script")
        log.info("apply script installed at the acs", provision=PROVISION)
        await self._sleep(self._sessions.patience.script_seconds)

    async def apply(self, desired: Desired, seen: SeenDevice) -> ApplyOutcome:
        """Queue the settings (unless they are queued already), call the CPE, wait for the proof.

        Raises: SettingsRefused, SettingsFailed, NotYet, DesiredStateChanged, NbiError.
        """
        if await took_in_first_session(self._nbi, desired, seen):
            return await self._applied(desired, seen)
        await self.install_script()
        device_id = seen["device_id"]
        task_id = await self._queued_before(desired, seen)
        if task_id is not None:
            watch = _Watch(task_id)
            await self._look(desired, device_id, watch)
        else:
            watch = _Watch(await self._queue(desired, seen))
        if not watch.has_ended:
            await self._await_session(desired, device_id, watch)
        if watch.fault is not None and self._is_final(desired, watch.fault):
            watch.done = await self._given_up(desired, device_id, watch.task_id)
        if watch.fault is not None and watch.done is None:
            raise await self._failed(desired, watch.fault)
        if watch.done is None:
            raise await self._vanished(desired)
        return await self._applied(desired, watch.done)

    async def hold_back(self, desired: Desired, seen: SeenDevice) -> ApplyOutcome:
        """Take back what waits at the ACS, since it is not to be sent now; what the CPE has taken already, it has.

        Raises: NotYet (``held_back``), and as ``apply``.
        """
        if desired.may_be_under_way and desired.tag not in seen["tags"]:
            for task in await self._nbi.tasks(seen["device_id"], unique_key=CONFIGURATION_KEY):
                await take_back(self._nbi, seen["device_id"], task.id)
            seen = await look_again(self._nbi, seen["device_id"]) or seen
        if desired.task_id is not None and desired.tag in seen["tags"]:
            return await self.apply(desired, seen)
        message = (
            f"The settings of CPE {desired.serial} wait: its campaign sends them in its window alone, or was stopped."
        )
        if (desired.state, desired.reason, desired.task_id) != ("queued", message, None):
            await self._states.record(desired, state="queued", reason=message, task_id=None)
        raise NotYet(desired.serial, reason="held_back", message=message)

    async def _await_session(self, desired: Desired, device_id: str, watch: _Watch) -> None:
        """Raises: DeviceUnreachable, NotYet."""

        async def has_ended() -> bool:
            await self._look(desired, device_id, watch)
            return watch.has_ended

        waiting = await self._sessions.run(desired.serial, device_id, has_ended, what="it gets its settings")
        if waiting is not None:
            state = "unreachable" if isinstance(waiting, DeviceUnreachable) else "queued"
            await self._states.record(desired, state=state, reason=str(waiting), **unreached(waiting))
            raise waiting

    async def _queued_before(self, desired: Desired, seen: SeenDevice) -> str | None:
        """The task an earlier, interrupted or impatient, call queued for this very revision."""
        if desired.task_id is None or desired.state not in ("queued", "unreachable"):
            return None
        queued = await self._nbi.tasks(seen["device_id"], unique_key=CONFIGURATION_KEY)
        if any(task.id == desired.task_id for task in queued):
            # One that has failed is replaced, which runs it now; by itself the ACS would wait 5 minutes and more.
            fault = await self._nbi.fault_of_task(seen["device_id"], desired.task_id)
            return desired.task_id if fault is None else None
        return desired.task_id if desired.tag in seen["tags"] else None

    async def _queue(self, desired: Desired, seen: SeenDevice) -> str:
        device_id = seen["device_id"]
        argument = script_argument(desired, await self._states.revealed(desired), seen["tags"])
        if desired.tag in seen["tags"]:
            require_done(await self._nbi.remove_tag(device_id, desired.tag), "the removal of a tag")
        before = {task.id for task in await self._nbi.tasks(device_id, unique_key=CONFIGURATION_KEY)}
        await self._states.record(
            desired,
            state="queued",
            reason="Its settings are queued at the ACS.",
            details=[],
            device_id=device_id,
            last_inform_at=seen["last_inform"],
            task_id=None,
            queued_at=self._now(),
            repair_waits=False,
        )
        outcome = await self._sent(desired, device_id, argument, expiry_seconds=self._expiry_seconds(desired))
        if isinstance(outcome, Rejected) and outcome.status == 404:
            raise AwaitingFirstInform(desired.serial)
        if isinstance(outcome, Rejected):
            said = f"The ACS rejected the settings of CPE {desired.serial} ({outcome.status}): {outcome.said}."
            raise await self._not_taken_by_the_acs(desired, "rejected", said)
        task_id = None if isinstance(outcome, Unknown) else outcome.task_id
        if task_id is None:
            task_id = await self._reconciled(desired, device_id, before)
        try:
            await self._states.record(desired, task_id=task_id)
        except DesiredStateChanged:  # withdrawn or changed this very moment: the old wish must not reach the CPE
            await take_back(self._nbi, device_id, task_id)
            raise
        await self._delete_orphan_faults(device_id)
        return task_id

    def _expiry_seconds(self, desired: Desired) -> int:
        if desired.send_until is None:
            return CONFIGURATION_EXPIRY_SECONDS
        left = (desired.send_until - self._now()).total_seconds()
        return max(1, min(int(left), CONFIGURATION_EXPIRY_SECONDS))

    async def _sent(self, desired: Desired, device_id: str, argument: str, *, expiry_seconds: int) -> TaskOutcome:
        """What the ACS says to the settings. Raises: SettingsUnsendable for what it does not survive."""
        try:
            return await self._nbi.queue_task(
                device_id,
                {"name": "provisions", "provisions": [[PROVISION, argument]]},
                unique_key=CONFIGURATION_KEY,
                expiry_seconds=expiry_seconds,
            )
        except (NbiPoisoned, NbiRequestInvalid) as error:
            why = f"The settings of CPE {desired.serial} are not sent again: {error}"
            raise await self._not_taken_by_the_acs(desired, error.code.removeprefix("acs."), why) from error

    async def _not_taken_by_the_acs(self, desired: Desired, fault_code: str, why: str) -> SettingsUnsendable:
        """Whoever sent them again would have the same answer, at the price of one of its workers: a person looks."""
        await self._states.record(desired, state="faulted", reason=why)
        log.error("settings not taken by the acs", serial=desired.serial, fault_code=fault_code, why=why)
        return SettingsUnsendable(desired.serial, fault_code=fault_code, message=why)

    async def _reconciled(self, desired: Desired, device_id: str, before: set[str]) -> str:
        """No answer came: has the ACS taken the task? Sending it once more replaces it, so both ways are safe."""
        for task in await self._nbi.tasks(device_id, unique_key=CONFIGURATION_KEY):
            if task.id not in before:
                return task.id
        raise NbiTimedOut(f"The ACS did not say whether it took the settings of CPE {desired.serial}; once more.")

    async def _delete_orphan_faults(self, device_id: str) -> None:
        """A replaced task leaves its fault behind, which would show the CPE red for ever."""
        try:
            queued = {task.id for task in await self._nbi.tasks(device_id)}
            for fault in await self._nbi.faults(device_id):
                if fault.task_id is not None and fault.task_id not in queued:
                    require_done(await self._nbi.delete_fault(fault.id), "the deletion of a fault")
        except NbiError as error:  # the settings are queued; the next apply tidies up
            log.warning("faults of replaced tasks stay at the acs", device_id=device_id, why=str(error))

    async def _look(self, desired: Desired, device_id: str, watch: _Watch) -> None:
        queued = await self._nbi.tasks(device_id, unique_key=CONFIGURATION_KEY)
        if any(task.id == watch.task_id for task in queued):
            watch.fault = await self._nbi.fault_of_task(device_id, watch.task_id)
            return
        seen = await look_again(self._nbi, device_id)
        if seen is not None and desired.tag in seen["tags"]:
            watch.done = seen
        elif queued:
            raise NotYet(
                desired.serial,
                reason="in_progress",
                message=f"Somebody else is giving CPE {desired.serial} its settings at this moment.",
            )
        watch.looks_since_gone += 1
        watch.vanished = watch.looks_since_gone > self._sessions.patience.grace_polls

    async def _vanished(self, desired: Desired) -> NotYet:
        """The task is gone and its tag is not there: sessions did not know the script yet, or somebody deleted it."""
        message = f"The ACS has dropped the settings of CPE {desired.serial} without applying them; once more."
        await self._states.record(desired, task_id=None, reason=message)
        return NotYet(desired.serial, reason="not_applied", message=message)

    async def _reset_meanwhile(self, desired: Desired) -> NotYet:
        """The tag is the ACS's memory; the CPE has forgotten what it proves. Giving it them again is a repair, and
        counts: a CPE that resets itself whenever it takes its settings would be given them for ever."""
        message = f"CPE {desired.serial} was reset to factory default after it had taken its settings."
        await self._states.record(desired, state="drifted", task_id=None, reason=message, details=[])
        return NotYet(desired.serial, reason="reset_meanwhile", message=message)

    def _is_final(self, desired: Desired, fault: Fault) -> bool:
        """Whether nothing is sent again before a person has looked."""
        if _cuts_itself_off(desired, fault):
            return False
        return not is_passing(fault) or _was_the_last_attempt(desired)

    async def _given_up(self, desired: Desired, device_id: str, task_id: str) -> SeenDevice | None:
        """Nothing waits at the ACS any more: it would try by itself until the task expires, and the CPE might have
        settings that are told to have failed. The CPE, if it took them before that.

        This comes before anything is written down, so whoever is killed in between sends them once more.
        """
        await take_back(self._nbi, device_id, task_id)
        seen = await look_again(self._nbi, device_id)
        return seen if seen is not None and desired.tag in seen["tags"] else None

    async def _failed(self, desired: Desired, fault: Fault) -> SettingsRefused | SettingsFailed:
        secrets = [str(each.value) for each in await self._states.revealed(desired) if each.secret]
        fault = fault.without(secrets)
        refusals, words = fault.refusals, in_words(fault)
        if _cuts_itself_off(desired, fault):
            raise await self._cut_off(desired)
        details = [dict(each) for each in refusals]
        passing = is_passing(fault)
        failed_at = self._now()
        facts: dict[str, Any] = self._after_failure(desired, words, failed_at) if passing else {"reason": words}
        await self._states.record(desired, state="faulted", details=details, **facts)
        log.warning("cpe refused its settings", serial=desired.serial, fault_code=fault.code, why=words)
        if not passing:
            return SettingsRefused(desired.serial, fault_code=fault.code, refusals=refusals, message=words)
        again_at = facts.get("try_again_at")
        return SettingsFailed(
            desired.serial,
            fault_code=fault.code,
            refusals=refusals,
            message=words,
            again_after=None if again_at is None else again_at - failed_at,
        )

    def _after_failure(self, desired: Desired, words: str, failed_at: datetime) -> dict[str, Any]:
        """What is written down of a failure that may pass: when the next attempt is due, if there is one more."""
        failures = desired.failures + 1
        if _was_the_last_attempt(desired):
            reason = f"{words} It went so {failures} times in a row; a person has to look."
            return {"failures": failures, "reason": reason}
        at = failed_at + TRIED_AGAIN_AFTER[failures - 1]
        reason = f"{words} It is given its settings again at {at:%Y-%m-%d %H:%M} UTC."
        return {"failures": failures, "try_again_at": at, "reason": reason}

    async def _cut_off(self, desired: Desired) -> NotYet:
        """What it was given restarts the WAN that the session runs over, so the session's end was to be expected."""
        message = (
            f"CPE {desired.serial} was given its settings over the WAN that they restart, and the session broke off;"
            " its next Inform tells whether it took them."
        )
        await self._states.record(desired, state="queued", reason=message)
        return NotYet(desired.serial, reason="path_restarting", message=message)

    async def _applied(self, desired: Desired, seen: SeenDevice) -> ApplyOutcome:
        located = desired.located(seen["tags"])
        if located is None:
            raise await self._vanished(desired)
        desired = located
        paths = [setting.path for setting in desired.settings]
        leaves = await read_leaves(self._nbi, seen["device_id"], (), paths) or {}
        if was_reset_since_written(desired, seen, leaves):
            raise await self._reset_meanwhile(desired)
        stamps = [leaf.stamp for leaf in leaves.values() if leaf.stamp is not None]
        applied_at = self._now()
        await self._states.record(
            desired,
            state="applied",
            reason="The CPE has taken its settings; they are yet to be read back.",
            details=[],
            task_id=None,
            applied_revision=desired.revision,
            applied_at=applied_at,
            written_at=max(stamps, default=seen["last_inform"]),
            reading_after=None,
            rows=chosen_rows(desired, seen["tags"]),
            inform_slowed_at=None,
            inform_settled_at=None,
            inform_attempts=0,
            failures=0,
            send_until=None,
            last_inform_at=seen["last_inform"],
            **REACHED,
        )
        for tag in stale_tags(desired, seen["tags"]):
            require_done(await self._nbi.remove_tag(seen["device_id"], tag), "the removal of a tag")
        log.info("cpe has taken its settings", serial=desired.serial, revision=desired.revision)
        return ApplyOutcome(
            device_serial=desired.serial,
            device_id=seen["device_id"],
            template=desired.template,
            revision=desired.revision,
            state="applied",
            applied_at=applied_at,
        )


def _cuts_itself_off(desired: Desired, fault: Fault) -> bool:
    """Whether the session broke off over the very WAN that the settings restart."""
    return desired.delivery.management == "same_wan" and is_cut_session(fault)


def _was_the_last_attempt(desired: Desired) -> bool:
    """Whether, after a failure that may pass, nothing is sent again by itself."""
    return desired.failures >= len(TRIED_AGAIN_AFTER)


async def take_back(nbi: NbiClient, device_id: str, task_id: str) -> None:
    """Delete a task and its fault, if they are there (still). Raises: NbiError."""
    # The fault's deletion takes the task along, and is done as well when there is no fault.
    require_done(await nbi.delete_fault(f"{device_id}:task_{task_id}"), "the deletion of a fault")
    gone = await nbi.delete_task(task_id)
    if not (isinstance(gone, Rejected) and gone.status == 404):
        require_done(gone, "the deletion of a task")


def was_reset_since_written(desired: Desired, seen: SeenDevice, leaves: Mapping[str, Leaf]) -> bool:
    """Whether the CPE went back to factory default after our script had run; all times are the ACS's.

    The script writes every secret in every run, and nobody else reads or writes those: their stamps are its time. A
    template without secrets has the stamps of all its parameters, which the script reads in every run.
    """
    bootstrap = seen["last_bootstrap"]
    secret = [setting.path for setting in desired.settings if setting.secret]
    stamps = [leaves[path].stamp for path in secret or leaves if path in leaves]
    written = max((stamp for stamp in stamps if stamp is not None), default=None)
    return bootstrap is not None and (written is None or bootstrap > written)
