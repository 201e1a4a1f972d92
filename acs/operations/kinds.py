"""Of which steps each kind of operation consists, in order. To add a kind: here, in ``records.KINDS``, and its verb in
``service``."""

from __future__ import annotations

from acs.operations.commands import FirmwareStep, RebootStep, ResetStep
from acs.operations.diagnostics import ReadTestStep, RequestTestStep
from acs.operations.ledger import Operation
from acs.operations.parameters import ReadBackStep, ReadStep, RefreshStep, WriteStep
from acs.operations.records import ALWAYS_OURS
from acs.operations.settling import ClearingStep, ConvergenceOf, LeavingStep, SettingsStep, SettledThereStep
from acs.operations.steps import Step


def gives_settings(operation: Operation) -> bool:
    """Whether its present step brings the CPE to what it is to have, rather than sends it a task of its own."""
    return operation.kind in ALWAYS_OURS or (operation.kind == "factory_reset" and operation.step > 0)


def steps_of(operation: Operation, convergence_of: ConvergenceOf) -> tuple[Step, ...]:
    """The steps of that operation. Raises: AcsUnknown."""
    convergence = convergence_of(operation.acs_name)
    nbi, settings = convergence.nbi, SettingsStep(convergence)
    steps: dict[str, tuple[Step, ...]] = {
        "refresh": (RefreshStep(nbi),),
        "get": (ReadStep(nbi),),
        "set": (WriteStep(nbi), ReadBackStep(nbi)),
        "reboot": (RebootStep(nbi),),
        "factory_reset": (ResetStep(nbi), settings),
        "firmware": (FirmwareStep(nbi),),
        "ping": (RequestTestStep("ping"), ReadTestStep("ping", nbi)),
        "download": (RequestTestStep("download"), ReadTestStep("download", nbi)),
        "wifi": (settings,),
        "swap": (ClearingStep(convergence, convergence_of), settings),
        "move": (SettledThereStep(convergence), LeavingStep(convergence, convergence_of)),
    }
    return steps[operation.kind]
