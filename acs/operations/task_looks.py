"""One task of an operation, look by look: sent, found in the queue, refused or taken back, and its effect awaited.

A reboot, factory reset or firmware is sent again only when it certainly never arrived: the queue does not have it and
the CPE has had no session since.
"""

from __future__ import annotations

from datetime import timedelta

import structlog

from acs.convergence.device_convergence import DeviceConvergence
from acs.convergence.script_task import PROVISION
from acs.convergence.seen_devices import SeenDevice, find_known, look_again
from acs.convergence.sessions import Sessions
from acs.errors import AcsError
from acs.nbi.client import NbiClient
from acs.nbi.errors import NbiDeviceInSession, NbiError, NbiPoisoned, NbiRequestInvalid, NbiUnreachable
from acs.nbi.outcomes import Fault, Rejected, Unknown, require_done
from acs.operations.ledger import Operation, OperationLedger
from acs.operations.steps import Again, Next, Over, Send, TaskStep, Wait
from acs.operations.task_facts import (
    ACS_MARGIN_SECONDS,
    had_session,
    heard_at_sending,
    heard_while_queued,
    pause,
    ran_by,
    reason_to_stop,
    told_of,
)
from acs.ports import Now

ATTEMPTS = 3
IN_FLIGHT = timedelta(seconds=90)
"""A request that a process sent before it died has arrived by then, or never will."""
CALLED_EVERY_LOOKS = 6
CUT_OFF = ("timeout", "session_terminated")

log = structlog.get_logger(__name__)


class TaskLooks:
    """The looks of ``OperationCarrier`` at what an operation has at the ACS.

    Each gives the operation when there is more to do at once, None when it rests or has ended.
    """

    def __init__(
        self,
        nbi: NbiClient,
        convergence: DeviceConvergence,
        ledger: OperationLedger,
        sessions: Sessions,
        *,
        now: Now,
    ) -> None:
        self._nbi = nbi
        self._convergence = convergence
        self._ledger = ledger
        self._sessions = sessions
        self._now = now

    async def look_at_task(self, operation: Operation, step: TaskStep) -> Operation | None:
        seen = await find_known(self._nbi, operation.serial_as_given, operation.device_id)
        if operation.stage == "new":
            return await self._begin(operation, step, seen)
        if seen is None:
            await self.rest(operation, "The ACS does not know the CPE any more.", pause(operation, 5.0))
            return None
        if operation.stage == "sending":
            return await self._reconcile(operation, step, seen)
        if operation.stage == "queued":
            return await self._look_at_queue(operation, step, seen)
        if operation.stage == "withdrawing":
            return await self._withdraw(operation, seen)
        if operation.stage == "refused":
            return await self._conclude_refusal(operation, step)
        return await self._look_for_effect(operation, step, seen)

    async def _begin(self, operation: Operation, step: TaskStep, seen: SeenDevice | None) -> Operation | None:
        ending = reason_to_stop(operation)
        if ending is not None and operation.step == 0:
            await self._ledger.end(operation, "cancelled", f"{ending} Nothing was sent.")
            return None
        if self._now() >= operation.expires_at:
            await self._ledger.end(operation, "expired", "Its time is over, and nothing more was sent.")
            return None
        if seen is None:
            waiting = "The CPE has never reported to the ACS; it waits for its first Inform."
            await self.rest(operation, waiting, pause(operation, 5.0))
            return None
        wish = await step.begin(operation, seen)
        if not isinstance(wish, Send):
            return await self.follow(operation, wish)
        return await self._send(operation, seen, wish)

    async def _send(self, operation: Operation, seen: SeenDevice, wish: Send) -> Operation | None:
        before = operation
        if any(each[0] == PROVISION for each in wish.task.get("provisions", ())):
            await self._convergence.prepare()
        operation = await self._ledger.note(
            operation,
            stage="sending",
            looks=0,
            device_id=seen["device_id"],
            task_id=None,
            sent_at=self._now(),
            baseline={**operation.baseline, **wish.baseline, **heard_at_sending(seen)},
        )
        remaining = (operation.expires_at - self._now()).total_seconds()
        try:
            outcome = await self._nbi.queue_task(
                seen["device_id"],
                wish.task,
                unique_key=operation.unique_key,
                expiry_seconds=max(1, int(remaining)) + ACS_MARGIN_SECONDS,
            )
        except (NbiUnreachable, NbiDeviceInSession) as error:  # the ACS did not take the request
            unsent = await self._ledger.note(operation, stage="new", looks=before.looks)
            await self.rest(unsent, str(error), pause(before, 2.0))
            return None
        except NbiRequestInvalid as error:
            await self._ledger.end(operation, "faulted", str(error), {"code": error.code})
            return None
        except NbiPoisoned as error:
            poisoned = await self._ledger.note(operation, baseline={**operation.baseline, "poisoned": str(error)})
            await self.rest(poisoned, str(error), IN_FLIGHT.total_seconds(), state="unknown")
            return None
        if isinstance(outcome, Rejected):
            return await self._rejected(operation, outcome)
        if isinstance(outcome, Unknown):
            reason = f"Whether the ACS took it is not known, and is looked for: {outcome.why}"
            await self.rest(operation, reason, 1.0, state="unknown")
            return None
        await self._call(await self._note_queued(operation, outcome.task_id))
        return None

    async def _rejected(self, operation: Operation, outcome: Rejected) -> Operation | None:
        if outcome.status == 404:  # forgotten between the look and the task: it comes back at its next Inform
            unsent = await self._ledger.note(operation, stage="new", device_id=None)
            await self.rest(unsent, "The ACS does not know the CPE any more; it waits for its next Inform.", 10.0)
            return None
        said = f"The ACS rejected it: {outcome.status} {outcome.said}."
        await self._ledger.end(operation, "faulted", said)
        return None

    async def _note_queued(self, operation: Operation, task_id: str | None) -> Operation:
        return await self._ledger.note(
            operation,
            stage="queued",
            state="queued",
            looks=0,
            task_id=task_id,
            queued_at=self._now(),
            baseline={**operation.baseline, "gone": False},
            reason="It waits at the ACS for the CPE's session.",
        )

    async def _call(self, operation: Operation) -> None:
        """A connection request; a CPE that cannot be called takes its task at its next Inform."""
        reason = "It waits at the ACS for the CPE's session."
        try:
            unreached = await self._sessions.call(operation.serial, operation.device_id or "")
        except AcsError as error:
            reason = f"It waits at the ACS for the CPE's next Inform; the CPE could not be called: {error}"
        else:
            if unreached is not None:
                reason = f"It waits at the ACS for the CPE's next Inform: {unreached.why.words}."
        await self.rest(operation, reason, pause(operation, 0.5))

    async def _reconcile(self, operation: Operation, step: TaskStep, seen: SeenDevice) -> Operation | None:
        """No answer came, or nobody was left to hear it: has the ACS taken the task?"""
        queued = await self._nbi.tasks(seen["device_id"], unique_key=operation.unique_key)
        if queued:
            return await self._note_queued(operation, queued[-1].id)
        in_flight = operation.sent_at is not None and self._now() < operation.sent_at + IN_FLIGHT
        if "poisoned" in operation.baseline and not in_flight:
            await self._ledger.end(operation, "faulted", str(operation.baseline["poisoned"]))
            return None
        if step.repeatable and "poisoned" not in operation.baseline:
            return await self._ledger.note(operation, stage="new", state="requested", looks=0)
        latest = await look_again(self._nbi, seen["device_id"]) or seen  # the first was before the one at the queue
        if had_session(operation, latest):  # if it ran the task, the effect will tell
            return await self._ledger.note(
                operation,
                stage="ran",
                state="unknown",
                looks=0,
                expires_at=self._now(),  # what it did, if it did, shows within the time that its kind settles in
                reason="Whether the CPE was sent it is not known; it is not sent again, and its effect is looked for.",
            )
        if in_flight:
            waiting = "Whether the ACS took it is not known yet; it is not sent again before that is."
            await self.rest(operation, waiting, 5.0, state="unknown")
            return None
        if not operation.baseline.get("gone"):
            await self._look_for_session(operation)
            return None
        return await self._ledger.note(operation, stage="new", state="requested", looks=0)  # it never arrived

    async def _look_at_queue(self, operation: Operation, step: TaskStep, seen: SeenDevice) -> Operation | None:
        queued = await self._nbi.tasks(seen["device_id"], unique_key=operation.unique_key)
        if not queued:
            return await self._left_queue(operation, step, seen)
        if (heard := heard_while_queued(operation, seen)) != operation.baseline:
            operation = await self._ledger.note(operation, baseline=heard)
        fault = await self._nbi.fault_of_task(seen["device_id"], queued[-1].id)
        if fault is not None:
            return await self._refused(operation, fault)
        if reason_to_stop(operation) is not None or self._now() >= operation.expires_at:
            return await self._ledger.note(operation, stage="withdrawing", looks=0)
        if operation.looks and operation.looks % CALLED_EVERY_LOOKS == 0:
            await self._call(operation)
            return None
        await self.rest(operation, None, pause(operation, 0.5))
        return None

    async def _left_queue(self, operation: Operation, step: TaskStep, seen: SeenDevice) -> Operation | None:
        """Without an Inform since one that is known to have left it there no session has taken it along."""
        baseline = {**operation.baseline, "late": self._now() >= operation.expires_at}
        if step.repeatable:
            return await self._ledger.note(operation, stage="ran", looks=0, baseline=baseline)
        latest = await look_again(self._nbi, seen["device_id"]) or seen  # the first was before the one at the queue
        if had_session(operation, latest):
            baseline |= ran_by(operation, latest, now=self._now())
            return await self._ledger.note(operation, stage="ran", looks=0, baseline=baseline)
        if not operation.baseline.get("gone"):
            await self._look_for_session(operation)
            return None
        taken_away = "Somebody has taken it away at the ACS, and the CPE had no session in between: it was not sent."
        await self._ledger.end(operation, "faulted", taken_away)
        return None

    async def _look_for_session(self, operation: Operation) -> None:
        """The ACS writes a session's end into several records, which a look may come between."""
        gone = await self._ledger.note(operation, baseline={**operation.baseline, "gone": True})
        await self.rest(gone, "It is not in the queue of the ACS; a session that took it is looked for.", 5.0)

    async def _withdraw(self, operation: Operation, seen: SeenDevice) -> Operation | None:
        """Take the task back. If that is not what made it go, it ran."""
        was_deleted = False
        for task in await self._nbi.tasks(seen["device_id"], unique_key=operation.unique_key):
            gone = await self._nbi.delete_task(task.id)
            if not (isinstance(gone, Rejected) and gone.status == 404):
                require_done(gone, "the deletion of a task")
                was_deleted = True
        if not was_deleted:
            latest = await look_again(self._nbi, seen["device_id"]) or seen  # as it is since the task was not there
            if had_session(operation, latest):
                baseline = {**operation.baseline, **ran_by(operation, latest, now=self._now())}
                return await self._ledger.note(operation, stage="ran", looks=0, baseline=baseline)
            if not operation.baseline.get("gone"):
                await self._look_for_session(operation)
                return None
        why = reason_to_stop(operation)
        if why is not None:
            await self._ledger.end(operation, "cancelled", f"{why} Nothing waits at the ACS any more.")
        else:
            late = "The CPE did not come for it in time; nothing waits at the ACS any more."
            await self._ledger.end(operation, "expired", late)
        return None

    async def _refused(self, operation: Operation, fault: Fault) -> Operation:
        """Written down before the task is taken back: else the ACS would try it again by itself, in five minutes."""
        told = told_of(fault)
        return await self._ledger.note(
            operation,
            stage="refused",
            looks=0,
            reason=f"The CPE refused it: {told['words']}",
            baseline={**operation.baseline, "fault": told},
        )

    async def _conclude_refusal(self, operation: Operation, step: TaskStep) -> Operation | None:
        fault = operation.baseline["fault"]
        # The fault's deletion takes its task along, and is done as well when there is none.
        fault_id = f"{operation.device_id}:task_{fault['task_id']}"
        require_done(await self._nbi.delete_fault(fault_id), "the deletion of a fault")
        result = {"fault_code": fault["fault_code"], "refusals": fault["refusals"]}
        if not step.repeatable and fault["fault_code"] in CUT_OFF:
            reason = f"The CPE was sent it and its session broke off: {fault['words']} Its effect is looked for."
            baseline = {**operation.baseline, "broke_off": fault.get("at")}
            return await self._ledger.note(
                operation, stage="ran", state="unknown", looks=0, reason=reason, baseline=baseline
            )
        if step.repeatable and fault["passing"]:
            return await self.follow(operation, Again(f"The CPE failed: {fault['words']}", 2.0))
        await self._ledger.end(operation, "faulted", f"The CPE refused it: {fault['words']}", result)
        return None

    async def _look_for_effect(self, operation: Operation, step: TaskStep, seen: SeenDevice) -> Operation | None:
        if operation.task_id is not None:
            fault = await self._nbi.fault_of_task(seen["device_id"], operation.task_id)
            if fault is not None:
                return await self._refused(operation, fault)
        outcome = await step.effect(operation, seen)
        if operation.baseline.get("late") and step.repeatable and not isinstance(outcome, Over | Next):
            dropped = "The ACS has dropped it: the CPE did not come for it in time."
            await self._ledger.end(operation, "expired", dropped)
            return None
        return await self.follow(operation, outcome)

    async def follow(self, operation: Operation, outcome: Wait | Again | Next | Over) -> Operation | None:
        if isinstance(outcome, Over):
            await self._ledger.end(
                operation, outcome.state, outcome.reason, outcome.result, disproven=outcome.disproven
            )
            return None
        if isinstance(outcome, Next):
            return await self._next(operation, outcome)
        if isinstance(outcome, Wait):
            await self.rest(operation, outcome.reason, outcome.seconds)
            return None
        attempts = operation.attempts + outcome.counts
        if attempts >= ATTEMPTS:
            await self._ledger.end(operation, "faulted", f"{outcome.reason} It was tried {attempts} times.")
            return None
        due_at = self._now() + timedelta(seconds=outcome.seconds)
        await self._ledger.note(
            operation,
            stage="new",
            looks=0,
            attempts=attempts,
            task_id=None,
            reason=outcome.reason,
            due_at=due_at,
            leased_until=None,
            leased_by=None,
        )
        return None

    async def _next(self, operation: Operation, outcome: Next) -> Operation:
        operation = await self._ledger.note(
            operation,
            step=operation.step + 1,
            stage="new",
            looks=0,
            attempts=0,
            task_id=None,
            reason=outcome.reason,
            baseline={
                **operation.baseline,
                **outcome.baseline,
                "found": {**operation.found, **outcome.result},
                "proven": outcome.proven or operation.proven,
            },
        )
        if outcome.forget_tag is not None and operation.device_id is not None:
            try:  # it has told what it had to; one that stays is taken away by the next settings
                require_done(
                    await self._nbi.remove_tag(operation.device_id, outcome.forget_tag), "the removal of a tag"
                )
            except NbiError as error:
                log.warning("a tag stays at the acs", device_id=operation.device_id, why=str(error))
        return operation

    async def rest(self, operation: Operation, reason: str | None, seconds: float, *, state: str | None = None) -> None:
        facts = {"reason": reason} if reason is not None else {}
        facts |= {"state": state} if state is not None else {}
        await self._ledger.rest(operation, seconds=seconds, looks=operation.looks + 1, **facts)
