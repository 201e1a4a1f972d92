"""Why an operation on a CPE is not begun: a branch of the tree in ``acs.errors``.

::

    OperationError
    ├── OperationRefused     what was asked cannot be done to that CPE; every fault at once
    ├── ParameterOwned       the desired state of the CPE sets that parameter
    ├── OperationUnderWay    another operation is in its way
    ├── OperationOver        it has ended, or has run already
    └── OperationUnknown     no operation of that number
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from acs.errors import AcsError


class OperationError(AcsError):
    """An operation on a CPE was refused."""

    code = "acs.operation_error"


class OperationRefused(OperationError):
    """That cannot be done to the CPE."""

    code = "acs.operation_refused"

    def __init__(self, serial: str, what: str, faults: Sequence[str]) -> None:
        self.serial = serial
        self.faults = tuple(faults)
        self.what = f"{what} of CPE {serial}"
        super().__init__(f"{self.what} is refused, nothing was sent: " + "; ".join(self.faults) + ".")


class ParameterOwned(OperationError):
    """The desired state of the CPE sets that parameter."""

    code = "acs.parameter_owned"

    def __init__(self, serial: str, owners: Mapping[str, str]) -> None:
        self.serial = serial
        self.owners = dict(owners)
        named = "; ".join(f"{path} is set by {owner}" for path, owner in sorted(self.owners.items()))
        super().__init__(
            f"What CPE {serial} is to have would be drifted from, and repaired: {named}. Change it there; nothing was"
            " sent."
        )


class OperationUnderWay(OperationError):
    """Another operation on the CPE is under way."""

    code = "acs.operation_under_way"

    def __init__(self, serial: str, *, operation_id: int, kind: str) -> None:
        self.serial = serial
        self.operation_id = operation_id
        super().__init__(
            f"CPE {serial} is in the middle of operation {operation_id} ({kind.replace('_', ' ')}); let it end, or"
            f" `firstlight devices cancel {operation_id} --reason ...`."
        )


class OperationOver(OperationError):
    """The operation has ended, or has run already."""

    code = "acs.operation_over"

    def __init__(self, operation_id: int, state: str) -> None:
        self.operation_id = operation_id
        super().__init__(f"Operation {operation_id} is {state} and cannot be cancelled any more.")


class OperationUnknown(OperationError):
    """There is no such operation."""

    code = "acs.operation_unknown"

    def __init__(self, operation_id: int) -> None:
        self.operation_id = operation_id
        super().__init__(f"There is no operation {operation_id}.")
