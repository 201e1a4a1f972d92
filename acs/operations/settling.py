"""Steps that bring a CPE to what it is to have: convergence does it, and says how far it has come."""

from __future__ import annotations

from acs.convergence.device_convergence import DeviceConvergence
from acs.convergence.sessions import Patience
from acs.errors import AcsError, DesiredStateChanged, NotYet, SettingsFailed
from acs.operations.ledger import Operation
from acs.operations.steps import Again, Next, Over, Wait

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
