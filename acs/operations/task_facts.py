"""What is concluded of a task and written down, without asking anybody."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from acs.convergence.seen_devices import SeenDevice
from acs.nbi.faults import in_words, is_passing
from acs.nbi.outcomes import Fault
from acs.operations.ledger import Operation
from acs.operations.steps import is_later, spelt

ACS_MARGIN_SECONDS = 120
"""The ACS drops a task so much later than we take it back: only then is it known which of the two it was."""
SLOWEST_SECONDS = 30.0


def pause(operation: Operation, first_seconds: float) -> float:
    """Seconds until the next look: the longer it waits, the more rarely."""
    return min(float(first_seconds * 1.5 ** min(operation.looks, 20)), SLOWEST_SECONDS)


def reason_to_stop(operation: Operation) -> str | None:
    """Why nothing more is to be sent, if so."""
    if operation.cancel_wanted:
        return "It was cancelled."
    return None if operation.still_bound else "The CPE was withdrawn from its service meanwhile."


def heard_at_sending(seen: SeenDevice) -> dict[str, Any]:
    """For the baseline: the last Inform before a task was sent, whose session can't have taken it along."""
    heard = spelt(seen["last_inform"])
    return {"last_inform": heard, "heard": heard, "gone": False}


def heard_while_queued(operation: Operation, seen: SeenDevice) -> dict[str, Any]:
    """The baseline after a look that found the task in the queue.

    The ACS saves the CPE before it clears the tasks of that session, so an Inform that is new at this look may be of
    the session that has just taken it. That one left it there is known when a later look finds it still queued.
    """
    left_by = operation.baseline.get("heard", operation.baseline.get("last_inform"))
    return {**operation.baseline, "last_inform": left_by, "heard": spelt(seen["last_inform"]), "gone": False}


def had_session(operation: Operation, latest: SeenDevice) -> bool:
    """Whether the CPE has had a session that may have taken the task along."""
    return spelt(latest["last_inform"]) != operation.baseline.get("last_inform")


def ran_by(operation: Operation, latest: SeenDevice, *, now: datetime) -> dict[str, str | None]:
    """The last session that may have taken a task along that has left the queue: a boot that is younger followed it.

    Nothing where it may have gone otherwise: dropped at its expiry, or forgotten with the CPE.
    """
    is_dropped = now >= operation.expires_at + timedelta(seconds=ACS_MARGIN_SECONDS)
    is_forgotten = is_later(latest["registered"], operation.noted("last_inform"))
    return {} if is_dropped or is_forgotten else {"ran_by": spelt(latest["last_inform"])}


def told_of(fault: Fault) -> dict[str, Any]:
    """What is kept of a fault. Its ``provisions`` hold passwords, and are not."""
    return {
        "fault_code": fault.code,
        "refusals": [dict(each) for each in fault.refusals],
        "words": in_words(fault),
        "passing": is_passing(fault),
        "task_id": fault.task_id,
        "at": fault.at,
    }
