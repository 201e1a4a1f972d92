"""Why a live service's addresses stay as they are: others rest on them.

ProvisioningError
`-- AddressError
    |-- ServiceServed       a subscriber is served with them: the service must end first
    |-- LineOnOlt           the OLT carries the line in VLANs, or at a port, that would be others
    |-- LinesOnOlt          the same of several lines, all of them at once
    `-- ServicesInTheWay    of several services runs go on with some, and OLTs carry the lines of others
"""

from __future__ import annotations

from collections.abc import Sequence

from provisioning.errors import Fault, ProvisioningError
from provisioning.under_way import ServiceUnderWay


class AddressError(ProvisioningError):
    """What a service holds can't be changed like this."""

    code = "addresses.error"


class ServiceServed(AddressError):
    """The service is in use, and its addresses with it."""

    code = "addresses.service_served"

    def __init__(self, service_id: int, *, username: str, state: str) -> None:
        self.service_id = service_id
        self.username = username
        super().__init__(
            f"Service {service_id} keeps its addresses: {username} is {state}. End the service with"
            f" `firstlight subscribers terminate {username}`; its bill, account, session, CPE and line end before its"
            " addresses are released."
        )


class LineOnOlt(AddressError):
    """The OLT carries this line as it was handed over."""

    code = "addresses.line_on_olt"

    def __init__(self, service_id: int, *, line_order_id: int, carried: str, wanted: str, instead: str) -> None:
        self.service_id = service_id
        self.line_order_id = line_order_id
        super().__init__(
            f"Line order {line_order_id} carries service {service_id} {carried} on its OLT, and {wanted}; nothing was"
            f" changed. {instead}"
        )


class LinesOnOlt(AddressError):
    """OLTs carry these lines as they were handed over."""

    code = "addresses.lines_on_olt"
    what = "The move"
    left = "nothing was changed"

    def __init__(self, lines: Sequence[LineOnOlt]) -> None:
        self.faults = tuple(Fault(f"service {line.service_id}", str(line)) for line in lines)
        super().__init__(f"OLTs carry {len(lines)} lines as they were handed over, {self.left}: {lines[0]} ...")


class ServicesInTheWay(AddressError):
    """Runs go on with some of these services, and OLTs carry the lines of others as they were handed over."""

    code = "addresses.services_in_the_way"
    what = "The move"
    left = "nothing was changed"

    def __init__(self, under_way: ServiceUnderWay, lines: Sequence[LineOnOlt]) -> None:
        runs = [Fault(f"service {service}", f"Run {run} goes on with it.") for service, run in under_way.runs.items()]
        self.faults = (*runs, *(Fault(f"service {line.service_id}", str(line)) for line in lines))
        super().__init__(f"{under_way} And: {lines[0]}{' ...' if len(lines) > 1 else ''}")
