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
        pause = min(2.0 * 1.5 ** min(operation.looks, 20), LONGEST_PAUSE_SECONDS)
        convergence = self._convergence.with_patience(BRIEF)
        try:
            await convergence.apply(operation.serial)
            seen = await convergence.verify(operation.serial)
        except (NotYet, DesiredStateChanged) as waiting:
            return Wait(str(waiting), pause)
        except SettingsFailed as failed:
            return Again(str(failed), pause)
        except AcsError as error:
            if error.transient:
                return Wait(str(error), pause)
            return Over("faulted", str(error), {"code": error.code})
        result = {"revision": seen["revision"], "settings": seen["state"]}
        if seen["state"] == "drifted":
            return Again(f"The CPE took its settings and does not have them: {seen['reason']}", pause)
        return Over("done", seen["reason"], result)


class ClearingStep:
    """What was queued for the CPE that was replaced is taken back, so that it reaches nobody who plugs it in."""

    def __init__(self, convergence: DeviceConvergence) -> None:
        self._convergence = convergence

    async def call(self, operation: Operation) -> Wait | Again | Next | Over:
        old = str(operation.arguments["old_serial"])
        cleared = await self._convergence.withdraw(old)
        cleared_away = f"Nothing of CPE {old} is left at the ACS"
        return Next(
            f"{cleared_away}; CPE {operation.serial} gets its settings.",
            result={"old_cleared": cleared["cleared"]},
            proven=(cleared_away, f"CPE {operation.serial} was not seen to have its settings"),
        )


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
    """What the ACS that a CPE was moved away from still holds of it is taken back there."""

    def __init__(self, convergence_of: ConvergenceOf) -> None:
        self._convergence_of = convergence_of

    async def call(self, operation: Operation) -> Wait | Again | Next | Over:
        former, here = str(operation.arguments["from"]), operation.arguments["to"]
        has_them = f"CPE {operation.serial} has its settings through ACS {here}"
        try:
            place = self._convergence_of(former)
        except AcsUnknown:
            left = f"ACS {former} is not configured any more, and what it holds of the CPE stays there"
            return Over("done", f"{has_them}. {left}.", {"former_cleared": False})
        await place.withdraw(operation.serial)
        return Over("done", f"{has_them}, and nothing of it is left at ACS {former}.", {"former_cleared": True})
