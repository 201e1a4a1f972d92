"""Everything that can go wrong in ``ipam``, in one tree. (t) marks what a retry may cure by itself.

::

    IpamError
    ├── RequestInvalid          what was given can't be meant; all faults at once
    ├── RequestConflict         a request id came again with other input
    ├── LocationUnknown         no premise of that id or alias
    ├── PlanUnknown             no address plan of that name
    ├── ServiceUnknown          no service of that number
    ├── ServiceReleased         the service holds nothing any more
    ├── ServiceIncomplete       the service is active but lacks part of what its plan needs
    ├── UsernameTaken           another service already has that username
    ├── NoPoolBound             nothing is bound to where the premise terminates
    ├── GatewayMissing          an IPoE plan meets a pool without a gateway
    ├── NotServed               services can't go on elsewhere, for several reasons; all of them at once
    ├── PoolExhausted           every bound pool is full, or has too few; with the numbers
    ├── PoolBusy            (t) somebody held the pool's last free rows for too long
    ├── ImportRefused           lines of a file of allocations are wrong; all faults at once
    ├── UnitError               one address, prefix or VLAN by its number; in ``ipam.unit_errors``
    └── EstateError             the description of the network can't be carried out
        ├── EstateRefused       the description is wrong; all faults at once
        ├── NameUnknown         a description refers to something that doesn't exist
        ├── AliasTaken          an alias already leads to another premise
        ├── Overlap             a prefix overlaps an assignable prefix of the same VRF
        ├── OutsideShared       two rules of port blocks would have an outside address in common
        └── EstateInUse         the change would break what live services hold

``transient`` says whether the same call may succeed later without anybody changing anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, NamedTuple

from ipam.moments import at_second

_PLACE = re.compile(r"#|line \d|\w+\.\d")

MOST_FAULTS, MOST_NAMED = 200, 10
"""So many faults an error carries, and so many its sentence names."""


class Fault(NamedTuple):
    """One thing wrong with what was given: which part of it (a field, ``line 7``, ``pool[2] north``), and what."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class IpamError(Exception):
    """Addresses and VLANs could not be given."""

    code: ClassVar[str] = "ipam.error"
    transient: ClassVar[bool] = False

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or " ".join((type(self).__doc__ or "").split()))


class RequestInvalid(IpamError):
    """Values were given that can't be meant."""

    code = "ipam.request_invalid"
    what = "The request"

    def __init__(self, field: str, why: str, *others: Fault) -> None:
        """``others``: what is wrong besides."""
        self.field = field
        self.faults = (Fault(field, why), *others)
        several = f"The request has {len(self.faults)} faults, nothing was written: {'; '.join(map(str, self.faults))}"
        # A field is the subject of what is said of it; a place (line 7, #/vrf) stands before that.
        alone = str(self.faults[0]) if _PLACE.match(field) else f"{field} {why}"
        super().__init__(_ended(several if others else alone))

    def placed(self, place: Callable[[str], str]) -> RequestInvalid:
        """The same, in which each part is called what whoever asked knows it by."""
        (where, what), *others = [Fault(place(fault.where), fault.what) for fault in self.faults]
        return RequestInvalid(where, what, *others)


class RequestConflict(IpamError):
    """This request id was used before with other input."""

    code = "ipam.request_conflict"

    def __init__(self, request_id: str, *, service_id: int, recorded: str, given: str) -> None:
        self.request_id = request_id
        self.service_id = service_id
        self.recorded = recorded
        self.given = given
        super().__init__(
            f"Request {request_id} already made service {service_id} for {recorded}, and now came for {given};"
            " repeat it unchanged, or use a new request id."
        )


class LocationUnknown(IpamError):
    """No premise has that id or alias."""

    code = "ipam.location_unknown"

    def __init__(self, location: str) -> None:
        self.location = location
        super().__init__(
            f"No premise is known as {location[:120]!r}: it is neither a LOC id nor an alias of one."
            " Register the premise with its access node, or correct the ticket."
        )


class PlanUnknown(IpamError):
    """There is no address plan of that name."""

    code = "ipam.plan_unknown"

    def __init__(self, plan: str) -> None:
        self.plan = plan
        super().__init__(f"There is no address plan {plan[:120]!r}. Define it, or correct the ticket.")


class ServiceUnknown(IpamError):
    """There is no service of that number."""

    code = "ipam.service_unknown"

    def __init__(self, service_id: int) -> None:
        self.service_id = service_id
        super().__init__(f"There is no service {service_id}; nothing is held for it and nothing was released.")


class ServiceReleased(IpamError):
    """The service holds nothing any more."""

    code = "ipam.service_released"

    def __init__(self, service_id: int, released_at: datetime) -> None:
        self.service_id = service_id
        self.released_at = released_at
        when = at_second(released_at)
        super().__init__(f"Service {service_id} holds nothing: its addresses were released at {when}.")


class ServiceIncomplete(IpamError):
    """The service is active but lacks part of what its plan needs."""

    code = "ipam.service_incomplete"

    def __init__(self, service_id: int, missing: Sequence[str]) -> None:
        self.service_id = service_id
        self.missing = tuple(missing)
        super().__init__(
            f"Service {service_id} is active but holds nothing of {' and '.join(self.missing)}, which its plan needs."
            " Somebody has changed the tables by hand. Release the service and allocate it again."
        )


class UsernameTaken(IpamError):
    """Another service already has that username."""

    code = "ipam.username_taken"

    def __init__(self, username: str, *, customer_id: int) -> None:
        self.username = username
        self.customer_id = customer_id
        super().__init__(
            f"Username {username} for customer {customer_id} already belongs to another service; nothing was"
            " allocated. Release or rename that service first."
        )


class NoPoolBound(IpamError):
    """Nothing that the plan needs is bound to where the premise terminates."""

    code = "ipam.no_pool_bound"

    def __init__(
        self, *, location: str, plan: str, kind: str, access_node: str, bng: str, beside: str | None = None
    ) -> None:
        """``beside``: what is bound there and doesn't fit, and why, as a sentence."""
        self.location = location
        self.plan = plan
        self.kind = kind
        self.access_node = access_node
        self.bng = bng
        super().__init__(
            f"Plan {plan} needs {kind} at {location}, but none is bound to its port, access node {access_node},"
            f" site or BNG {bng} for this plan."
            f"{f' {beside} Bind one that fits, or correct that.' if beside else ' Bind one there.'}"
        )


class GatewayMissing(IpamError):
    """An IPoE plan meets a pool without a gateway."""

    code = "ipam.gateway_missing"

    def __init__(self, *, pool: str, plan: str) -> None:
        self.pool = pool
        self.plan = plan
        super().__init__(
            f"Plan {plan} is IPoE, but the prefix of pool {pool} has no gateway to tell the CPE. Set its gateway."
        )


class NotServed(IpamError):
    """What services need can't be had where they are to go on."""

    code = "ipam.not_served"
    what = "The move"
    left = "nothing was changed"

    def __init__(self, faults: Sequence[Fault], *, exhausted: Sequence[PoolExhausted] = ()) -> None:
        """``faults``: all of them; the error has the first of many, and then how many there are besides. ``exhausted``:
        the pools among them that are full or have too few, with their numbers."""
        self.exhausted = tuple(exhausted)
        self.faults, against = against_the_move(faults, left=self.left)
        super().__init__(against)


class PoolExhausted(IpamError):
    """Every pool bound for this is full, or has fewer than are wanted at once.

    ``pool`` names it (or all ``pools``, in filling order), and the numbers are their sum, as they are now that the
    act is refused. ``next_available_at`` is when the first released address has waited out its quarantine; None when
    nothing is on its way back.
    """

    code = "ipam.pool_exhausted"

    def __init__(
        self,
        *,
        pools: Sequence[str],
        size: int,
        assigned: int,
        quarantined: int,
        next_available_at: datetime | None,
        reserved: int = 0,
        draining: int = 0,
        free: int = 0,
        wanted: int = 1,
    ) -> None:
        self.pools = tuple(pools)
        self.pool = " + ".join(pools)
        self.size = size
        self.assigned = assigned
        self.quarantined = quarantined
        self.reserved = reserved
        self.draining = draining
        self.free = free
        self.wanted = wanted
        self.next_available_at = next_available_at
        kept = "".join(f", {number} {how}" for number, how in ((reserved, "reserved"), (draining, "drained")) if number)
        soon = (
            f"The next one comes out of quarantine at {at_second(next_available_at)}."
            if next_available_at
            else "None is on its way back."
        )
        ends = (", lift a quarantine" if quarantined else "") + (", end the drain" if draining else "")
        short = (
            f"has too few: {wanted} are wanted, {free} of {size} are free, {assigned} assigned"
            if free
            else f"is full: {assigned} of {size} assigned"
        )
        super().__init__(
            f"Pool {self.pool} {short}, {quarantined} in quarantine{kept}. {soon}"
            f" Bind another pool there{ends}, or release what is not used{' and not drained' if draining else ''}."
        )

    @property
    def numbers(self) -> dict[str, str | int | datetime | None]:
        """All of them by their names, for who reads no sentences."""
        counted = ("size", "assigned", "quarantined", "reserved", "draining", "free", "wanted")
        return {name: getattr(self, name) for name in ("pool", *counted, "next_available_at")}


class PoolBusy(IpamError):
    """Other transactions held the last free rows of the pool for too long; try again."""

    code = "ipam.pool_busy"
    transient = True

    def __init__(self, pool: str, *, waited_seconds: float) -> None:
        """``waited_seconds``: 0 if nobody held it up, but it was another at each look."""
        self.pool = pool
        self.waited_seconds = waited_seconds
        others = "changed its last free rows at each look; nothing was allocated. Try again."
        if waited_seconds:
            others = (
                f"held its last free rows for more than {waited_seconds:g} s; nothing was allocated."
                " Try again; if it stays so, look for a transaction that hangs."
            )
        super().__init__(f"Pool {pool} is not full, but others {others}")


class ImportRefused(IpamError):
    """Lines of a file of allocations are wrong."""

    code = "ipam.import_refused"

    def __init__(self, by_line: Mapping[int, Sequence[str]], places: Mapping[int, str] | None = None) -> None:
        """``by_line``: all that is wrong with each line, by its number; ``places``: where each stands, in words."""
        known = places or {}
        self.by_line = {line: tuple(faults) for line, faults in sorted(by_line.items()) if faults}
        self.faults = tuple(
            Fault(known.get(line, f"line {line}"), what) for line, found in self.by_line.items() for what in found
        )
        listed = "; ".join(map(str, self.faults[:MOST_NAMED]))
        more = "; ..." if len(self.faults) > MOST_NAMED else ""
        super().__init__(
            f"The import has {len(self.faults)} fault(s) in {len(self.by_line)} line(s), nothing was written:"
            f" {listed}{more}."
        )


class EstateError(IpamError):
    """The description of the network can't be carried out."""

    code = "ipam.estate_error"


class EstateRefused(EstateError):
    """The description of the network is wrong."""

    code = "ipam.estate_refused"

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        listed = "; ".join(map(str, self.faults))
        super().__init__(f"The network description has {len(self.faults)} fault(s), nothing was written: {listed}.")


class NameUnknown(EstateError):
    """A description refers to something that doesn't exist."""

    code = "ipam.name_unknown"

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name
        super().__init__(f"There is no {kind} {name[:120]!r}. Define it first, or correct the name.")


class AliasTaken(EstateError):
    """An alias already leads to another premise."""

    code = "ipam.alias_taken"

    def __init__(self, alias: str, *, location: str, held_by: str) -> None:
        self.alias = alias
        self.location = location
        self.held_by = held_by
        super().__init__(f"Alias {alias!r} can't lead to {location}: it already leads to {held_by}.")

    @property
    def fault(self) -> Fault:
        """The same among others."""
        return Fault(f"location {self.location}", f"alias {self.alias!r} already leads to {self.held_by}")


class Overlap(EstateError):
    """A prefix overlaps an assignable prefix of the same VRF."""

    code = "ipam.overlap"

    def __init__(self, network: str, *, vrf: str, other: str | None) -> None:
        self.network = network
        self.vrf = vrf
        self.other = other
        super().__init__(
            f"Prefix {network} overlaps {other or 'another assignable prefix'} in VRF {vrf}; it was not written."
            " Correct one of the two, or make the outer one a container."
        )


class OutsideShared(EstateError):
    """Two rules of port blocks would have an outside address in common."""

    code = "ipam.outside_shared"

    def __init__(self, outside: str, *, vrf: str, other_outside: str, other_vrf: str, other_pool: str) -> None:
        self.outside = outside
        self.vrf = vrf
        self.other_outside = other_outside
        self.other_vrf = other_vrf
        self.other_pool = other_pool
        super().__init__(
            f"Outside {outside} in VRF {vrf} overlaps {other_outside} in VRF {other_vrf}, the outside of pool"
            f" {other_pool}'s rule; it was not written. Whoever asks for the holder of a port knows no VRF: choose"
            f" another outside, or end pool {other_pool}'s rule."
        )


class EstateInUse(EstateError):
    """The change would break what live services hold."""

    code = "ipam.estate_in_use"

    def __init__(self, what: str, *, change: str, instead: str) -> None:
        self.what = what
        self.change = change
        self.instead = instead
        super().__init__(f"{what} can't be changed ({change}); nothing was written. {instead}")

    @property
    def fault(self) -> Fault:
        """The same among others."""
        return Fault(self.what, f"can't be changed ({self.change}). {self.instead}")


def against_the_move(faults: Sequence[Fault], *, left: str) -> tuple[tuple[Fault, ...], str]:
    """What an error keeps of what stands against it, which may be thousands of faults: the first, then how many there
    are besides; and its sentence, which names the very first and what is ``left``."""
    kept = tuple(faults[:MOST_FAULTS])
    if len(faults) > MOST_FAULTS:
        kept += (Fault("others", f"{len(faults) - MOST_FAULTS} more stand against it."),)
    listed = "; ".join(str(fault).removesuffix(".") for fault in kept[:MOST_NAMED])
    end = "; ..." if len(kept) > MOST_NAMED else "."
    things = "1 thing stands" if len(faults) == 1 else f"{len(faults)} things stand"
    return kept, f"{things} against the move, {left}: {listed}{end}"


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith(("?", ".")) else f"{sentence}."
