"""Why a live service's addresses stay as they are: others rest on them.

ProvisioningError
`-- AddressError
    |-- ServiceServed       a subscriber is served with them: the service must end first
    |-- LineOnOlt           the OLT carries the line in VLANs, or at a port, that would be others
    |-- LinesOnOlt          the same of several lines, all of them at once
    `-- ServicesInTheWay    several of: no resources for it there, a run that goes on with it, a line on its OLT
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ipam import Fault as InTheWay
from ipam import NotServed, PoolExhausted, against_the_move
from provisioning.errors import Fault, ProvisioningError
from radius import command_about


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
            f" `{command_about('subscribers terminate', username)}`; its bill, account, session, CPE and line"
            " end before its addresses are released."
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
    """Several things stand against a move: services can't be served there, runs go on with them, OLTs carry their lines
    as they were handed over."""

    code = "addresses.services_in_the_way"
    what = "The move"
    left = "nothing was changed"

    def __init__(
        self,
        not_served: Sequence[InTheWay],
        runs: Mapping[int, int],
        lines: Sequence[LineOnOlt],
        *,
        exhausted: Sequence[PoolExhausted] = (),
    ) -> None:
        """The error has the first of many faults, and then how many there are besides. ``exhausted``: the pools for
        which services can't be served there, with their numbers."""
        self.exhausted = tuple(exhausted)
        found = (
            *not_served,
            *(InTheWay(f"service {service}", f"Run {run} goes on with it.") for service, run in runs.items()),
            *(InTheWay(f"service {line.service_id}", str(line)) for line in lines),
        )
        kept, against = against_the_move(found, left=self.left)
        self.faults = tuple(Fault(*each) for each in kept)
        super().__init__(against)


def pool_numbers(error: Exception) -> dict[str, Any]:
    """Of a refusal for pools that are full or have too few, for who reads no sentences: the numbers of the one that it
    is about, and in ``exhausted`` those of each that is one thing among others."""
    numbers: dict[str, Any] = {**error.numbers} if isinstance(error, PoolExhausted) else {}
    if isinstance(error, (NotServed, ServicesInTheWay)) and error.exhausted:
        numbers["exhausted"] = [pool.numbers for pool in error.exhausted]
    return numbers
