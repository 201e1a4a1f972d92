"""What ``ipam`` answers: plain JSON-able records, built in one place whether just allocated or read back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, NotRequired

from typing_extensions import TypedDict

from ipam.addresses import BITS, format_address, format_span, format_unit, from_bytes, prefix_of_unit
from ipam.allocation.places import Place, Plan
from ipam.errors import ServiceIncomplete
from ipam.kinds import KIND_IN_WORDS, Kind, wanted


class AllocatedResources(TypedDict):
    """All that one service holds.

    ``ip_address`` is empty when the BNG picks the address (``framed_pool`` names its pool) or the plan wants no IPv4.
    ``prefix_length`` is 32 for PPPoE, since a longer reach would route a whole network to one line, and the network's
    mask for IPoE, where ``gateway`` is given too. ``vlan_id`` is the S-VLAN in an N:1 network and the C-VLAN in 1:1.
    ``framed_routes`` and ``framed_ipv6_routes`` are the prefixes that are routed to the line besides, as RADIUS writes
    them (RFC 2865 s5.22, RFC 3162 s2.5); the gateway 0.0.0.0 or :: stands for the line's own address.
    """

    service_id: int
    ip_address: str
    framed_pool: str | None
    prefix_length: int | None
    gateway: str | None
    vlan_id: int
    svlan: int
    cvlan: int | None
    cpe_vlan_id: int | None
    management_vlan: int | None
    ipv6_wan_prefix: str | None
    delegated_prefix: str | None
    username: str
    access: str
    access_node: str
    port: str | None
    bng: str
    framed_routes: NotRequired[list[str]]
    """Missing only from what was recorded before there were any."""
    framed_ipv6_routes: NotRequired[list[str]]


HowAllocated = Literal["new", "held", "back"]
"""Of a request that was made before, its service ``held`` all of it, or comes ``back`` after it was released."""


class Allocated(NamedTuple):
    """What a service holds, how it came to that, and the name of its premise, by whatever alias it was asked for."""

    resources: AllocatedResources
    how: HowAllocated
    location: str


class ReleasedResources(TypedDict):
    """What a service gave back. Each may go to somebody else after its pool's quarantine."""

    service_id: int
    released_at: datetime
    released: list[ReleasedUnit]


class ReleasedUnit(TypedDict):
    """One address, prefix or C-VLAN (``value``), and when it may go to somebody else; None: it lies in a part of the
    pool that is being drained, so nobody is given it."""

    pool: str
    value: str
    available_at: datetime | None


class LocationFacts(TypedDict):
    """Where a premise terminates. ``port`` is None until it is known."""

    location: str
    access_node: str
    access_node_kind: str
    port: str | None
    site: str
    bng: str
    vlan_model: str
    cpe_vlan_id: int | None
    management_vlan: int | None


class PlanFacts(TypedDict):
    """What a commercial plan needs from the network."""

    plan: str
    access: str
    addressing: str
    ipv4: bool
    ipv6_wan: bool
    ipv6_pd: bool
    cvlan: str


class PoolUsage(TypedDict):
    """How full a pool is. What cools off in quarantine counts as used, or planning would lie; what has rested is free.

    ``used_percent`` is of ``size``, the units that may be handed out at all; ``draining`` are those of them that nobody
    has and nobody gets, since their part of the pool is being emptied. They count as used, too. ``role`` is the
    prefix's (public, cgnat, wan6, pd, infra), and ``vrf`` the routing table it is in: two VRFs may have the same
    network. C-VLANs stand on none. Events name the pool by ``pool_id``.
    """

    pool_id: int
    pool: str
    kind: str
    role: str | None
    network: str
    vrf: str | None
    size: int
    assigned: int
    quarantined: int
    reserved: int
    draining: int
    free: int
    used_percent: float
    next_available_at: datetime | None


class ServiceAt(TypedDict):
    """Who held an address at some time; ``until`` is None while it is still held."""

    service_id: int
    customer_id: int
    username: str
    location: str
    pool: str
    value: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True)
class Held:
    """One thing that a service holds, as the tables have it."""

    kind: Kind
    unit: int | None = None
    base: bytes | None = None
    unit_length: int | None = None
    prefix_length: int | None = None
    gateway: bytes | None = None
    svlan_vid: int | None = None
    framed_pool: str | None = None

    @property
    def value(self) -> str:
        """The unit as the world knows it."""
        return value_of(self.base, self.unit_length, self.unit or 0)

    @property
    def prefix(self) -> str:
        """The same with its length, also where it is a single address: without one a NAS would take a route's length
        from the class of its address (RFC 2865 s5.22)."""
        assert self.base is not None and self.unit_length is not None, "only what stands on a prefix is routed"
        return str(prefix_of_unit(self.base, self.unit_length, self.unit or 0))


ROUTE_METRIC = 1


def value_of(base: bytes | None, unit_length: int | None, unit: int) -> str:
    """An address or prefix; the unit of a C-VLAN pool (which has no base) is its number."""
    if base is None or unit_length is None:
        return str(unit)
    return format_unit(base, unit_length, unit)


def span_of(base: bytes | None, unit_length: int | None, first: int, last: int) -> str:
    """All from the one unit to the other, as it is said to a command that takes a part of a pool."""
    if first == last:
        return value_of(base, unit_length, first)
    if base is None or unit_length is None:
        return f"{first}-{last}"
    lowest, highest = (prefix_of_unit(base, unit_length, unit) for unit in (first, last))
    return format_span(lowest.family, lowest.first, highest.last)


def describe(*, service_id: int, username: str, place: Place, plan: Plan, held: Sequence[Held]) -> AllocatedResources:
    """The contract's answer for a service.

    Raises:
        ServiceIncomplete: it doesn't hold all that its plan needs; a part of an answer is none.
    """
    by_kind = {each.kind: each for each in held}
    missing = [KIND_IN_WORDS[kind] for kind in wanted(plan, place) if kind not in by_kind]
    ipv4, wan, delegated = by_kind.get("ipv4"), by_kind.get("ipv6_wan"), by_kind.get("ipv6_pd")
    framed, inner = by_kind.get("framed_pool"), by_kind.get("cvlan")
    outer = inner or by_kind.get("svlan")
    if missing or outer is None or outer.svlan_vid is None:
        raise ServiceIncomplete(service_id, missing or [KIND_IN_WORDS["svlan"]])
    svlan, cvlan = outer.svlan_vid, inner.unit if inner else None
    return AllocatedResources(
        service_id=service_id,
        ip_address=ipv4.value if ipv4 else "",
        framed_pool=framed.framed_pool if framed else None,
        prefix_length=_prefix_length(ipv4, plan),
        gateway=format_address(ipv4.gateway) if ipv4 and ipv4.gateway and plan.access == "ipoe" else None,
        vlan_id=svlan if cvlan is None else cvlan,
        svlan=svlan,
        cvlan=cvlan,
        cpe_vlan_id=place.cpe_vlan_id,
        management_vlan=place.management_vlan,
        ipv6_wan_prefix=wan.value if wan else None,
        delegated_prefix=delegated.value if delegated else None,
        username=username,
        access=plan.access,
        access_node=place.access_node,
        port=place.port,
        bng=place.bng,
        framed_routes=_routes(held, "ipv4_routed", "0.0.0.0"),  # noqa: S104 - it is no address to listen at
        framed_ipv6_routes=_routes(held, "ipv6_routed", "::"),
    )


def _routes(held: Sequence[Held], kind: Kind, gateway: str) -> list[str]:
    """Each prefix by the line's own address, at the same cost; always in one order, or RADIUS would take another one
    for a change."""
    routed = sorted((each for each in held if each.kind == kind), key=lambda each: (each.base or b"", each.unit or 0))
    return [f"{each.prefix} {gateway} {ROUTE_METRIC}" for each in routed]


def _prefix_length(ipv4: Held | None, plan: Plan) -> int | None:
    if ipv4 is None or ipv4.base is None:
        return None
    return ipv4.prefix_length if plan.access == "ipoe" else BITS[from_bytes(ipv4.base)[0]]


def location_facts(place: Place) -> LocationFacts:
    return LocationFacts(
        location=place.location,
        access_node=place.access_node,
        access_node_kind=place.access_node_kind,
        port=place.port,
        site=place.site,
        bng=place.bng,
        vlan_model=place.vlan_model,
        cpe_vlan_id=place.cpe_vlan_id,
        management_vlan=place.management_vlan,
    )


def plan_facts(plan: Plan) -> PlanFacts:
    return PlanFacts(
        plan=plan.name,
        access=plan.access,
        addressing=plan.addressing,
        ipv4=plan.ipv4,
        ipv6_wan=plan.ipv6_wan,
        ipv6_pd=plan.ipv6_pd,
        cvlan=plan.cvlan,
    )
