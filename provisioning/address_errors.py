"""Why a live service's addresses stay as they are: others rest on them.

ProvisioningError
`-- AddressError
    |-- ServiceServed       a subscriber is served with them: the service must end first
    |-- ServiceUnderWay     a run goes on with the service
    `-- LineOnOlt           the OLT carries the line in VLANs, or at a port, that would be others
"""

from __future__ import annotations

from collections.abc import Mapping

from provisioning.errors import ProvisioningError

MOST_NAMED = 5


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


class ServiceUnderWay(AddressError):
    """A run goes on with this service."""

    code = "addresses.service_under_way"

    def __init__(self, runs: Mapping[int, int]) -> None:
        self.runs = dict(runs)
        named = [f"service {service_id} (run {run_id})" for service_id, run_id in sorted(runs.items())]
        more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
        super().__init__(
            f"Runs go on with {', '.join(named[:MOST_NAMED])}{more}; nothing was changed. Let them"
            " end, or cancel them: what they took they give back themselves."
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
