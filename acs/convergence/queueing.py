"""Puts settings into the queue of the ACS, in the place of whatever waited there before; or says why they are not.

Where they cannot be queued, nothing is left there of what was queued before (``acs.convergence.standing``).
"""

from __future__ import annotations

import structlog

from acs.convergence.desired_states import Desired, DesiredStates
from acs.convergence.script_task import PROVISION, script_argument
from acs.convergence.seen_devices import SeenDevice
from acs.convergence.standing import CONFIGURATION_KEY, STILL_THERE, Standing, take_back
from acs.errors import AwaitingFirstInform, DesiredStateChanged, SettingsRefused, SettingsUnsendable
from acs.nbi.client import NbiClient
from acs.nbi.errors import NbiError, NbiPoisoned, NbiRequestInvalid, NbiTimedOut
from acs.nbi.outcomes import Rejected, TaskOutcome, Unknown, require_done
from acs.ports import Now

log = structlog.get_logger(__name__)

CONFIGURATION_EXPIRY_SECONDS = 12 * 3600
"""Settings nobody has taken back and nobody asks for any more must not wait at the ACS for whoever plugs in next."""


class Queueing:
    """The steps of ``Applying.apply`` until the ACS has the settings."""

    def __init__(self, nbi: NbiClient, states: DesiredStates, standing: Standing, *, now: Now) -> None:
        self._nbi = nbi
        self._states = states
        self._standing = standing
        self._now = now

    async def queue(self, desired: Desired, seen: SeenDevice) -> str:
        """The id of the task that carries these settings now, in the place of any before it.

        Raises: AwaitingFirstInform, SettingsRefused, DesiredStateChanged, NbiError.
        """
        device_id = seen["device_id"]
        argument = await self._argument(desired, seen)
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
            await self._standing.take_back([device_id])
            raise await self._not_taken_by_the_acs(desired, "rejected", said)
        task_id = None if isinstance(outcome, Unknown) else outcome.task_id
        if task_id is None:
            task_id = await self._reconciled(desired, device_id, before)
        try:
            await self._states.record(
                desired, task_id=task_id, left_standing=await self._states.former_may_arrive(desired)
            )
        except DesiredStateChanged:  # withdrawn or changed this very moment: the old wish must not reach the CPE
            await take_back(self._nbi, device_id, task_id)
            raise
        await self._delete_orphan_faults(device_id)
        return task_id

    async def _argument(self, desired: Desired, seen: SeenDevice) -> str:
        """What the script is told, with the secrets open. Raises: SettingsRefused for what cannot be sent."""
        try:
            return script_argument(desired, await self._states.revealed(desired), seen["tags"])
        except SettingsRefused as error:
            await self._standing.take_back([seen["device_id"]])
            facts = await self._standing.nothing_waits(desired)
            await self._states.record(desired, state="faulted", reason=str(error), details=[], **facts)
            raise

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
        except NbiRequestInvalid as error:
            await self._standing.take_back([device_id])
            why = f"The settings of CPE {desired.serial} are not sent again: {error}"
            raise await self._not_taken_by_the_acs(desired, error.code.removeprefix("acs."), why) from error
        except NbiPoisoned as error:
            why = f"The settings of CPE {desired.serial} are not sent again: {error}"
            raise await self._poisoned(desired, device_id, error.code.removeprefix("acs."), why) from error

    async def _poisoned(self, desired: Desired, device_id: str, fault_code: str, why: str) -> SettingsUnsendable:
        """That is written down first: whoever is killed now, or finds the ACS down, must not send them once more."""
        error = await self._not_taken_by_the_acs(desired, fault_code, f"{why}{STILL_THERE}", left_standing=True)
        try:
            await self._standing.take_back([device_id])
            await self._states.record(desired, reason=why, **await self._standing.nothing_waits(desired))
        except NbiError as trouble:  # ``Standing.go_on`` does it when the ACS answers again
            log.warning("former settings may stand at the acs", serial=desired.serial, why=str(trouble))
            return error
        return SettingsUnsendable(desired.serial, fault_code=fault_code, message=why)

    async def _not_taken_by_the_acs(
        self, desired: Desired, fault_code: str, why: str, *, left_standing: bool = False
    ) -> SettingsUnsendable:
        """Whoever sent them again would have the same answer, at the price of one of its workers: a person looks."""
        facts = await self._standing.nothing_waits(desired) | ({"left_standing": True} if left_standing else {})
        await self._states.record(desired, state="faulted", reason=why, **facts)
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
