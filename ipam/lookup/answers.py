"""What looking at addresses answers: one address, a service that was or is, a pool's occupation, places."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from ipam.answers import ServiceAt
from ipam.holdings import Line
from ipam.upkeep.answers import LeftBehind, NatBlockAt, UnitEvent

KnownElsewhere = Literal["bng", "port"]
"""What knows who has an address that no service of ours has: the BNG, which hands it out, or its port on a CGNAT."""

PlaceKind = Literal["bng", "site", "access_node"]


class PoolWithin(TypedDict):
    """A pool that lies in a larger prefix, and its own."""

    pool: str
    kind: str
    network: str
    vrf: str


class AddressFacts(TypedDict):
    """What an address or prefix is, and who has it.

    ``value`` is what a pool hands out: the address, the delegated prefix around it, or the prefix that was asked for.
    ``state``: *assigned*, *reserved*, *cooling* (in quarantine), *free*, *draining* (nobody has it and nobody gets it),
    *excluded*, *lost* (by the tables of its pool: neither anybody's nor free); a prefix of several units is *several*,
    with what is held in it; *by the BNG* is handed out by the BNG; of what no pool has, *unpooled*. ``available_at``:
    until when it cools off, also where nobody is given it after that (*draining*, *excluded*). ``drained``: why its
    part of the pool is being drained, so that nobody is given it after whoever has it. ``role`` and ``network`` are the
    smallest known prefix around it. ``outside``: the ports that an inside address of the CGNAT has; ``cgnat_of``: the
    pool whose subscribers the CGNAT now has behind this outside address or prefix; ``cgnat_logged``: the log of a CGNAT
    has had this address outside. ``within`` are the first that hold something in a prefix, of ``within_total``;
    ``pools`` are those that lie in one which is larger than they are.
    """

    value: str
    state: str
    pool: str | None
    kind: str | None
    role: str | None
    network: str | None
    vrf: str | None
    note: Annotated[
        str | None,
        Field(description="Why it is as it is; of what is *unpooled*: which pool had it last, until when and why then"),
    ]
    drained: str | None
    drained_since: datetime | None
    available_at: datetime | None
    holder: ServiceAt | None
    outside: list[NatBlockAt]
    cgnat_of: str | None
    cgnat_logged: bool
    within: list[LeftBehind]
    within_total: int
    pools: list[PoolWithin]
    history: list[UnitEvent]


class UnitState(TypedDict):
    """How something stands that a pool handed out once: ``state`` as in ``AddressFacts``, or *gone*: it is no longer in
    the network. ``service_id``: who has it; ``available_at``: until when it cools off."""

    pool: str
    value: str
    state: str
    service_id: int | None
    available_at: datetime | None


class ServiceFacts(TypedDict):
    """A service as it was last: active or released."""

    service_id: int
    customer_id: int
    username: str
    location: str
    plan: str
    state: str
    released_at: datetime | None


def service_facts(line: Line) -> ServiceFacts:
    """What is told of a service that was found."""
    return ServiceFacts(
        service_id=line.service_id,
        customer_id=line.customer_id,
        username=line.username,
        location=line.place.location,
        plan=line.plan.name,
        state=line.state,
        released_at=line.released_at,
    )


class OccupationCell(TypedDict):
    """How many of some neighbouring units are in which state; ``first`` and ``last`` are what they hand out."""

    first: str
    last: str
    assigned: int
    cooling: int
    reserved: int
    draining: int
    excluded: int
    free: int


class Occupation(TypedDict):
    """A pool from its first unit to its last, in cells of ``units_per_cell`` neighbours each."""

    pool: str
    kind: str
    role: str | None
    network: str
    units: int
    units_per_cell: int
    cells: list[OccupationCell]


class PlaceUsage(TypedDict):
    """How full the pools are that are bound to a place, or to something inside of it, one kind at a time.

    Of units of several lengths or families there is no sum, so each ``kind`` has a line of its own. A pool that is
    bound to several places counts in each of them.
    """

    place: str
    kind: str
    pools: list[str]
    size: int
    assigned: int
    quarantined: int
    reserved: int
    draining: int
    free: int
    used_percent: float
