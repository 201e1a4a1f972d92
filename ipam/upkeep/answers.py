"""What is answered about addresses besides the contract: previews, moves, drains, histories, port blocks, exports."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from ipam.answers import PoolUsage, ServiceAt


class NatBlockAt(TypedDict):
    """Ports of an outside address that an inside address had; ``source`` is a rule (RFC 7422) or a log."""

    outside: str
    first_port: int
    last_port: int
    inside: str
    source: str


class NatContradiction(TypedDict):
    """A block of a log that the rule of ``pool`` gave to somebody else then: its first port, or where that is the same
    its last, to ``by_rule``; None: to nobody."""

    outside: str
    first_port: int
    last_port: int
    inside: str
    began_at: datetime
    pool: str
    by_rule: str | None


class NatHolder(TypedDict):
    """Who had a port of an outside address. ``holder`` None: no service had the inside address then."""

    block: NatBlockAt
    holder: ServiceAt | None


class PortsKnown(TypedDict):
    """Whether anything tells whose the ports of an outside address were at a time: a rule held for the address then, or
    a log gave some port of it to somebody. A port that is nobody's by that was nobody's.

    Else nobody knows; ``known_from`` is when a rule or a log first tells of the address after that, None: nothing does.
    """

    known: bool
    known_from: datetime | None


class NatRuleInForce(TypedDict):
    """How a box maps the addresses of a pool onto blocks of ports of outside addresses, and since when."""

    pool: str
    inside: str
    outside: str
    ports_per_subscriber: int
    algorithm: str
    first_port: int
    last_port: int
    since: datetime


class PreviewedUnit(TypedDict):
    """What a service would be given of one kind.

    ``how``: *former* (it was this customer's there), *named* (asked for by its number), *computed* (from the port),
    *reused* (the one out of quarantine for longest), *fresh* (a never used one), *shared* (an S-VLAN of all lines
    there), *by the BNG* (``value`` is the pool's name there).
    """

    kind: str
    pool: str
    how: str
    value: Annotated[
        str | None,
        Field(
            description="Null: it isn't known yet which. On PostgreSQL a *fresh* one is drawn when it is taken, where"
            " the pool has several ranges of never used ones; `drawn_from` says of how many"
        ),
    ]
    drawn_from: Annotated[
        int | None,
        Field(description="Of how many never used ones one is drawn when it is taken; null: `value` says which it is"),
    ]


class MovedService(TypedDict):
    """A service that went on elsewhere: what it has kept, what it was given there, and what it gave back."""

    service_id: int
    customer_id: int
    username: str
    location: str
    kept: list[str]
    given: list[str]
    given_back: list[str]


class LeftBehind(TypedDict):
    """What is held, reserved or in quarantine in a part of a pool, and by whom; ``available_at``: when that is over.

    Where it is being drained, nobody is given it then either, but its prefix can be made smaller. A service gets out of
    there by a move to where it is; with a routed prefix it is routed another one first, and this one is then withdrawn;
    with a C-VLAN that is computed the move names another one.
    """

    value: str
    state: str
    note: str | None
    available_at: datetime | None
    drained_since: Annotated[datetime | None, Field(description="Since when its part of the pool is being drained")]
    service_id: int | None
    customer_id: int | None
    username: str | None
    location: str | None


class UnitEvent(TypedDict):
    """One thing that has become of an address, prefix or C-VLAN.

    ``what``: assigned, moved (kept by its service at another place), released, lifted (out of quarantine before its
    time), reserved, unreserved.
    """

    pool: str
    value: str
    at: datetime
    what: str
    service_id: int | None
    customer_id: int | None
    username: str | None
    available_at: datetime | None
    note: str | None


class LeftOut(TypedDict):
    """A service that an export leaves out, and why."""

    service_id: int
    location: str
    why: str


class KeaExport(TypedDict):
    """Parts of Kea's configuration: ``dhcp4`` of ``Dhcp4``, ``dhcp6`` of ``Dhcp6``."""

    dhcp4: dict[str, Any]
    dhcp6: dict[str, Any]
    left_out: list[LeftOut]


class PoolCrossing(TypedDict):
    """A pool that has become worse or better for those whom it serves: ok, low, critical, exhausted.

    ``chain``, ``chain_size``, ``chain_free``, ``days_to_exhaustion``: see ``PoolOutlook``.
    """

    pool_id: int
    pool: str
    kind: str
    network: str
    level: str
    previous_level: str
    chain: list[str]
    chain_size: int
    chain_free: int
    at: datetime
    size: int
    free: int
    used_percent: float
    next_available_at: datetime | None
    days_to_exhaustion: float | None


class PoolOutlook(PoolUsage):
    """How full a pool is, how bad that is for those whom it serves (ok, low, critical, exhausted), and until when they
    can be given something.

    Pools that are bound to the same place serve it in turn: ``chain`` names those of them, this one among them, that
    have the least left together (``chain_free`` of ``chain_size``); ``level`` and ``days_to_exhaustion`` are theirs.
    ``units_per_day``: how fast units of this one were used up in the last seven days; less than nothing: they came
    back. None: it is too soon to say. ``days_to_exhaustion`` None: it is too soon to say, or it doesn't come to that.
    """

    level: str
    chain: list[str]
    chain_size: int
    chain_free: int
    units_per_day: float | None
    days_to_exhaustion: float | None


class PoolSampleAt(TypedDict):
    """How full a pool was at one moment, as it was written down then."""

    at: datetime
    free: int
    used_percent: float
