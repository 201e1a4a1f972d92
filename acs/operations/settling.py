"""Steps that bring a CPE to what it is to have: convergence does it, and says how far it has come."""

from __future__ import annotations

from collections.abc import Callable

from acs.convergence.device_convergence import DeviceConvergence
from acs.convergence.sessions import Patience
from acs.errors import AcsError, AcsUnknown, DesiredStateChanged, NotYet, SettingsFailed
from acs.operations.ledger import Operation
from acs.operations.steps import Again, Next, Over, Wait

ConvergenceOf = Callable[[str], DeviceConvergence]
"""What brings CPEs to their settings through the ACS of that name. Raises: AcsUnknown."""

LONGEST_PAUSE_SECONDS = 120.0
BRIEF = Patience(reached_seconds=5.0, unreached_seconds=1.0)
"""One look. Whoever carries an operation comes back, and others wait for their turn."""


class SettingsStep:
    """The CPE gets what it is to have, and it is read back."""

    def __init__(self, convergence: DeviceConvergence) -> None:
        self._convergence = convergence

    async def call(self, operation: Operation) -> Wait | Again | Next | Over:
        if operation.handed_over is not None:
            return Over("faulted", operation.handed_over)
        if operation.tried_again_in is not None:
            return Wait(operation.reason, operation.tried_again_in.total_seconds())
        pause = min(2.0 * 1.5 ** min(operation.looks, 20), LONGEST_PAUSE_SECONDS)
        convergence = self._convergence.with_patience(BRIEF)
        try:
            await convergence.apply(operation.serial)
            seen = await convergence.verify(operation.serial)
        except AcsError as error:
            return _after(error, pause)
        result = {"revision": seen["revision"], "settings": seen["state"]}
        if seen["state"] == "drifted":
            return Again(f"The CPE took its settings and does not have them: {seen['reason']}", pause)
        return Over("done", seen["reason"], result)


def _after(error: AcsError, pause: float) -> Wait | Again | Over:
    """What is next when a CPE has not come to its settings."""
    if isinstance(error, SettingsFailed):  # the attempts are the row's, and few; the fleet makes them as well
        if error.again_after is None:
            return Over("faulted", f"{error} A person has to look.", {"code": error.code})
        return Wait(str(error), error.again_after.total_seconds())
    if isinstance(error, NotYet) and error.reason == "reset_meanwhile":
        return Again(str(error), pause)  # one that resets itself when it is configured would do so for ever
    if error.transient or isinstance(error, DesiredStateChanged):
        return Wait(str(error), pause)
    return Over("faulted", str(error), {"code": error.code})


class ClearingStep:
    """What was queued for the CPE that was replaced is taken back, so that it reaches nobody who plugs it in."""

    def __init__(self, convergence: DeviceConvergence, convergence_of: ConvergenceOf) -> None:
        self._convergence = convergence
        self._convergence_of = convergence_of

    async def call(self, operation: Operation) -> Wait | Again | Next | Over:
        old = str(operation.arguments["old_serial"])
        # The new CPE may have been moved meanwhile; the old one has left its traces where it was bound.
        lost = await _cleared(self._convergence, self._convergence_of, old)
        if lost:
            cleared_away = (
                f"What ACS {', '.join(lost)} holds of CPE {old} stays there, as it is not configured any more"
            )
        else:
            cleared_away = f"Nothing of CPE {old} is left at the ACS"
        return Next(
            f"{cleared_away}; CPE {operation.serial} gets its settings.",
            result={"old_cleared": not lost},
            proven=(cleared_away, f"CPE {operation.serial} was not seen to have its settings"),
        )


async def _cleared(convergence: DeviceConvergence, convergence_of: ConvergenceOf, serial: str) -> list[str]:
    """Take back what withdrawn bindings of that serial left, each at its own ACS; the names of those that are not
    configured any more, where it stays.

    Raises: as ``DeviceConvergence.withdraw``.
    """
    lost: list[str] = []
    for acs_name in await convergence.left_at(serial):
        try:
            place = convergence_of(acs_name)
        except AcsUnknown:
            lost.append(acs_name)
        else:
            await place.withdraw(serial)
    return lost


class SettledThereStep:
    """A CPE that was moved has its settings through the ACS that it was moved to."""

    def __init__(self, convergence: DeviceConvergence) -> None:
        self._settings = SettingsStep(convergence)

    async def call(self, operation: Operation) -> Wait | Again | Next | Over:
        outcome = await self._settings.call(operation)
        if not isinstance(outcome, Over) or outcome.state != "done":
            return outcome
        has_them = f"CPE {operation.serial} has its settings through ACS {operation.arguments['to']}"
        return Next(
            f"{has_them}. {outcome.reason}",
            result=outcome.result or {},
            proven=(has_them, f"what ACS {operation.arguments['from']} holds of it was not taken back"),
        )


class LeavingStep:
    """What ACSes that a CPE was moved away from still hold of it is taken back there."""

    def __init__(self, convergence: DeviceConvergence, convergence_of: ConvergenceOf) -> None:
        self._convergence = convergence
        self._convergence_of = convergence_of

    async def call(self, operation: Operation) -> Wait | Again | Next | Over:
        former, here = str(operation.arguments["from"]), operation.arguments["to"]
        has_them = f"CPE {operation.serial} has its settings through ACS {here}"
        lost = await _cleared(self._convergence, self._convergence_of, operation.serial)
        if lost:
            left = f"ACS {', '.join(lost)} is not configured any more, and what it holds of the CPE stays there"
            return Over("done", f"{has_them}. {left}.", {"former_cleared": False})
        return Over("done", f"{has_them}, and nothing of it is left at ACS {former}.", {"former_cleared": True})
