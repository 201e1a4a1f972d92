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
from acs.convergence.queueing import Queueing
from acs.convergence.script_task import PROVISION, chosen_rows, stale_tags
from acs.convergence.seen_devices import Leaf, SeenDevice, look_again, read_leaves
from acs.convergence.sessions import Sessions
from acs.convergence.standing import CONFIGURATION_KEY, Standing, take_back
from acs.convergence.unreached import REACHED, unreached
from acs.device_records import DeviceState
from acs.errors import (
    DesiredStateChanged,
    DeviceUnreachable,
    NotYet,
    SettingsFailed,
    SettingsRefused,
)
from acs.nbi.client import NbiClient
from acs.nbi.faults import in_words, is_cut_session, is_passing
from acs.nbi.outcomes import Fault, require_done
from acs.ports import Now, Sleep

log = structlog.get_logger(__name__)

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

    def __init__(
        self,
        nbi: NbiClient,
        states: DesiredStates,
        sessions: Sessions,
        standing: Standing,
        *,
        now: Now,
        sleep: Sleep,
    ) -> None:
        self._nbi = nbi
        self._states = states
        self._sessions = sessions
        self._standing = standing
        self._queueing = Queueing(nbi, states, standing, now=now)
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
            if desired.left_standing:  # of the binding before this one
                await self._standing.take_back([seen["device_id"]])
                await self._states.record(desired, left_standing=await self._states.former_may_arrive(desired))
            return await self._applied(desired, seen)
        await self.install_script()
        device_id = seen["device_id"]
        task_id = await self._queued_before(desired, seen)
        if task_id is not None:
            watch = _Watch(task_id)
            await self._look(desired, device_id, watch)
        else:
            watch = _Watch(await self._queueing.queue(desired, seen))
        try:
            return await self._carried(desired, device_id, watch)
        except DesiredStateChanged:  # nobody wants these any more
            await take_back(self._nbi, device_id, watch.task_id)
            raise

    async def _carried(self, desired: Desired, device_id: str, watch: _Watch) -> ApplyOutcome:
        """Wait for the end of our task. Raises: as ``apply``."""
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
        has_taken = desired.task_id is not None and desired.tag in seen["tags"]
        if (desired.may_be_under_way or desired.left_standing) and not has_taken:
            await self._standing.take_back([seen["device_id"]])
            seen = await look_again(self._nbi, seen["device_id"]) or seen
        if desired.task_id is not None and desired.tag in seen["tags"]:
            return await self.apply(desired, seen)
        message = (
            f"The settings of CPE {desired.serial} wait: its campaign sends them in its window alone, or was stopped."
        )
        facts = {"state": "queued", "reason": message, **await self._standing.nothing_waits(desired)}
        if any(getattr(desired, name) != value for name, value in facts.items()):
            await self._states.record(desired, **facts)
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
