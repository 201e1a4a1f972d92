"""Refusals about one address, prefix or VLAN by its number.

::

    UnitError
    ├── UnitTaken           a service holds it
    ├── UnitReserved        it is kept for something else
    ├── UnitCooling         it is in quarantine, and not this customer's former one
    ├── UnitExcluded        it is never handed out, with the reason
    ├── UnitDraining        its prefix is being emptied
    ├── UnitLost            nobody has it, and yet it isn't free: the tables of its pool have lost it
    ├── UnitElsewhere       no pool that serves the premise has it
    ├── UnitNotHeld         what is to be given back or lifted isn't held or in quarantine
    ├── CvlanNotComputable  the premise lacks what the C-VLAN is computed from
    ├── RouteNotServed      a routed prefix can't follow its service to another place
    ├── PrefixNotEmpty      a prefix can't shrink while something of it is in use
    └── PoolNotEmpty        a pool can't be retired while somebody has something of it
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ipam.errors import IpamError
from ipam.moments import at_second


class UnitError(IpamError):
    """An address, prefix or VLAN by its number can't be given, kept or taken back.

    ``follows_from``, of some of them: nobody has asked for it, it is computed from that.
    """

    code = "ipam.unit_error"


class UnitTaken(UnitError):
    """A service holds this address, prefix or VLAN already."""

    code = "ipam.unit_taken"

    def __init__(self, value: str, *, pool: str, service_id: int, follows_from: str | None = None) -> None:
        self.value = value
        self.pool = pool
        self.service_id = service_id
        super().__init__(
            f"{value} of pool {pool} is held by service {service_id}; nothing was changed."
            f"{_another_one(follows_from)}, or release or move that service first."
        )


class UnitReserved(UnitError):
    """This address, prefix or VLAN is kept for something else."""

    code = "ipam.unit_reserved"

    def __init__(
        self, value: str, *, pool: str, note: str, follows_from: str | None = None, may_be_taken: bool = False
    ) -> None:
        """``may_be_taken``: by who says so."""
        self.value = value
        self.pool = pool
        self.note = note
        ways = "or unreserve it"
        if may_be_taken:
            ways = "or, if it is kept for this service, ask for it with take_reserved (`--take-reserved`)"
        super().__init__(
            f"{value} of pool {pool} is reserved ({note}); nothing was changed.{_another_one(follows_from)}, {ways}."
        )


class UnitCooling(UnitError):
    """This address, prefix or VLAN is in quarantine, and was somebody else's."""

    code = "ipam.unit_cooling"

    def __init__(self, value: str, *, pool: str, available_at: datetime) -> None:
        self.value = value
        self.pool = pool
        self.available_at = available_at
        super().__init__(
            f"{value} of pool {pool} was somebody else's and is in quarantine until"
            f" {at_second(available_at)}; nothing was changed. Wait, or lift its quarantine with a reason."
        )


class UnitExcluded(UnitError):
    """This address, prefix or VLAN is never handed out."""

    code = "ipam.unit_excluded"

    def __init__(self, value: str, *, pool: str, reason: str, follows_from: str | None = None) -> None:
        self.value = value
        self.pool = pool
        self.reason = reason
        super().__init__(f"{value} of pool {pool} is never handed out: {reason}.{_another_one(follows_from)}.")


class UnitDraining(UnitError):
    """The prefix of this address is being emptied."""

    code = "ipam.unit_draining"

    def __init__(self, value: str, *, pool: str, note: str, follows_from: str | None = None) -> None:
        self.value = value
        self.pool = pool
        self.note = note
        super().__init__(
            f"{value} of pool {pool} is in a part that is being drained ({note}), so it goes to nobody."
            f"{_another_one(follows_from)}, or end the drain."
        )


class UnitLost(UnitError):
    """The tables of its pool have lost this address, prefix or VLAN: nobody has it, and it is not free."""

    code = "ipam.unit_lost"

    def __init__(self, value: str, *, pool: str, follows_from: str | None = None) -> None:
        self.value = value
        self.pool = pool
        super().__init__(
            f"{value} of pool {pool} is nobody's and yet not free: somebody has changed the tables by hand, see"
            f" `firstlight check` (ipam.partition); nothing was changed.{_another_one(follows_from)}."
        )


class UnitElsewhere(UnitError):
    """No pool that serves the premise has this address, prefix or VLAN."""

    code = "ipam.unit_elsewhere"

    def __init__(self, value: str, *, location: str, plan: str, why: str, svlan: str | None = None) -> None:
        """``svlan``: in which it would be."""
        self.value = value
        self.location = location
        self.plan = plan
        inside = f", in S-VLAN {svlan}" if svlan is not None else ""
        super().__init__(f"{value} can't be given at {location} on plan {plan}{inside}: {why}.")


class UnitNotHeld(UnitError):
    """What is to be given back, unreserved or lifted isn't in that state."""

    code = "ipam.unit_not_held"

    def __init__(self, value: str, *, pool: str | None, wanted: str, state: str) -> None:
        self.value = value
        self.pool = pool
        self.state = state
        what = f"{value} of pool {pool}" if pool else value
        super().__init__(f"{what} is not {wanted}, it is {state}; nothing was changed.")


class CvlanNotComputable(UnitError):
    """The premise lacks what its C-VLAN is computed from."""

    code = "ipam.cvlan_not_computable"

    def __init__(self, *, location: str, svlan: str, formula: str, missing: Sequence[str]) -> None:
        self.location = location
        self.svlan = svlan
        self.missing = tuple(missing)
        super().__init__(
            f"The C-VLAN of {location} in S-VLAN {svlan} is {formula}, but its {' and '.join(missing)} is not known."
            " Enter the port and ONU of the premise."
        )


class RouteNotServed(UnitError):
    """A routed prefix can't follow its service to another place."""

    code = "ipam.route_not_served"

    def __init__(self, value: str, *, pool: str, service_id: int, location: str) -> None:
        self.value = value
        self.pool = pool
        self.service_id = service_id
        super().__init__(
            f"Service {service_id} can't go on at {location} with {value}: pool {pool} serves no line there."
            " Bind the pool there, or withdraw the prefix from the service first."
        )


class PrefixNotEmpty(UnitError):
    """A prefix can't shrink while something of it is in use."""

    code = "ipam.prefix_not_empty"

    def __init__(self, pool: str, *, network: str, leaving: str, in_use: int, example: str) -> None:
        """``leaving``: what would no longer be handed out, from-to."""
        self.pool = pool
        self.network = network
        self.leaving = leaving
        self.in_use = in_use
        super().__init__(
            f"Pool {pool} can't shrink to {network}: of {leaving} {_in_use(in_use)}, {example} among them;"
            f" nothing was changed. Drain that part, {_EMPTIED}"
        )


class PoolNotEmpty(UnitError):
    """A pool can't be retired while somebody has something of it."""

    code = "ipam.pool_not_empty"

    def __init__(self, pool: str, *, left: Sequence[str], in_use: int, at_bng: str | None = None) -> None:
        """``left``: who has what, of the first of those that are in use; of a pool that the BNG hands out, who may
        have something. ``at_bng``: as which the BNG knows it."""
        self.pool = pool
        self.left = tuple(left)
        self.in_use = in_use
        more = f" and {in_use - len(left)} more" if in_use > len(left) else ""
        if at_bng is not None:
            live = "1 live service" if in_use == 1 else f"{in_use} live services"
            super().__init__(
                f"Pool {pool} can't be retired: to {live} the BNG gives addresses of it, as {at_bng}:"
                f" {', '.join(left)}{more}; nothing was changed. Unbind it in the estate, so that nobody else is given"
                " it, then move (to where they are, too) or release them."
            )
            return
        super().__init__(
            f"Pool {pool} can't be retired: of it {_in_use(in_use)}, {', '.join(left)}{more}; nothing was changed."
            f" Drain it, {_EMPTIED}"
        )


_EMPTIED = (
    "move or release who is left there, and wait until nothing of it is in quarantine, or lift that;"
    " `firstlight addresses left-behind` lists both."
)


def _another_one(follows_from: str | None) -> str:
    if follows_from is None:
        return " Choose another one"
    return (
        f" It is the C-VLAN that follows from {follows_from} there. Correct the port or ONU of the premise, or the"
        " formula; where one can be named (cvlan), name another one"
    )


def _in_use(units: int) -> str:
    return "1 unit is in use" if units == 1 else f"{units} units are in use"
