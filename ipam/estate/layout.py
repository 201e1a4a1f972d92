"""Which units a pool has, which of them are never handed out and why, and which are free on its first day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ipam.addresses import LAST_VID, Network, parse_address, parse_network, parse_span, parse_vids
from ipam.estate.spec import HandedOut, PoolSpec, SvlanSpec
from ipam.units import MOST_STRIPES, VLAN_STRIPES, Interval, count, merge, subtract

MOST_UNITS = 2**62
VLAN_SPAN = LAST_VID + 2
"""All values of the tag's 12 bits, so that a C-VLAN's unit is its number."""
_ROLES = {
    "ipv4": ("public", "cgnat", "infra"),
    "ipv6_wan": ("wan6", "infra"),
    "ipv6_pd": ("pd",),
    "ipv4_routed": ("public",),
    "ipv6_routed": ("pd",),
}
_FAMILY = {"ipv4": 4, "ipv6_wan": 6, "ipv6_pd": 6, "ipv4_routed": 4, "ipv6_routed": 6}
_LONGEST = {"ipv4": 32, "ipv6_wan": 127, "ipv6_pd": 64, "ipv4_routed": 32, "ipv6_routed": 64}

_OF_NO_LINE = (
    ("0.0.0.0/8", "this network"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("::/128", "the unspecified address"),
    ("::1/128", "loopback"),
    ("fe80::/10", "link-local"),
    ("ff00::/8", "multicast"),
)
"""What no router forwards to a line (RFC 6890 s2.2.2, s2.2.3; RFC 5771 and RFC 4291 s2.7 of multicast)."""


@dataclass(frozen=True)
class LeftOut:
    """Units that are never handed out, and why."""

    first: int
    last: int
    reason: str


@dataclass(frozen=True)
class Layout:
    """The units of a pool on its first day: ``span`` in all, counted from 0, less what is excluded."""

    span: int
    excluded: tuple[LeftOut, ...]
    stripes: int = MOST_STRIPES

    @property
    def free(self) -> list[Interval]:
        return subtract([(0, self.span - 1)], [(each.first, each.last) for each in self.excluded])

    @property
    def size(self) -> int:
        return count(self.free)


def pool_faults(pool: PoolSpec) -> list[str]:
    """All that is wrong with a pool by itself."""
    network = parse_network(pool.network)
    faults: list[str] = []
    if network.family != _FAMILY[pool.kind]:
        return [f"{pool.network} is IPv{network.family}, but a pool of kind {pool.kind} needs IPv{_FAMILY[pool.kind]}"]
    if pool.its_role not in _ROLES[pool.kind]:
        faults.append(f"role {pool.its_role} doesn't fit kind {pool.kind}; it takes {' or '.join(_ROLES[pool.kind])}")
    if pool.framed_pool and pool.kind != "ipv4":
        faults.append("framed_pool is for IPv4 pools only")
    faults.extend(_of_no_line(network))
    faults.extend(_unit_length_faults(pool, network))
    faults.extend(gateway_faults(pool.kind, pool.gateway, network))
    for field in ("ranges", "exclude"):
        for text in getattr(pool, field):
            family, first, last = parse_span(text)
            if not (network.holds(family, first) and network.holds(family, last)):
                faults.append(f"{field}: {text} is not inside {pool.network}")
    if faults:
        return faults
    size = pool_layout(pool).size
    return [*threshold_faults(pool, size)] if size else [f"nothing is left of {pool.network} to hand out"]


def _of_no_line(network: Network) -> Iterator[str]:
    for text, what in _OF_NO_LINE:
        other = parse_network(text)
        if network.holds(other.family, other.first) or other.holds(network.family, network.first):
            yield f"{network} can't be handed out to lines: {text} is {what} (RFC 6890)"


def threshold_faults(pool: HandedOut, size: int) -> Iterator[str]:
    """What is wrong with the thresholds of a pool of that size."""
    if pool.crit_percent < pool.warn_percent:
        yield f"crit_percent {pool.crit_percent} is below warn_percent {pool.warn_percent}"
    if pool.minimum_free > size:
        yield f"minimum_free {pool.minimum_free} is more than the {size} that it has"


def _unit_length_faults(pool: PoolSpec, network: Network) -> Iterator[str]:
    length, longest = pool.its_unit_length, _LONGEST[pool.kind]
    if pool.kind == "ipv4" and length != 32:
        yield f"unit_length {length}: IPv4 is handed out as single addresses (32)"
    elif pool.kind == "ipv6_wan" and length == 128:
        yield (
            "unit_length 128: RADIUS tells of a line's prefix, not of a single address (Framed-IPv6-Prefix, RFC 3162"
            " s2.3); write a network of /64 or shorter and leave unit_length out: each line has a /64 of it"
        )
    elif network.length > longest:
        yield f"{pool.network} is too small: {pool.kind} is handed out as /{longest} or shorter"
    elif not network.length <= length <= longest:
        yield f"unit_length {length}: {pool.network} can be handed out as /{network.length} to /{longest}"
    elif 1 << (length - network.length) > MOST_UNITS:
        yield f"{pool.network} has more than 2^62 units of /{length}; use a smaller prefix"


def gateway_faults(kind: str, gateway: str | None, network: Network) -> Iterator[str]:
    """What is wrong with the gateway of a pool of that kind on that prefix."""
    if gateway is None:
        return
    family, address = parse_address(gateway)
    if kind != "ipv4":
        yield "gateway is for IPv4 pools only; an IPv6 router announces itself"
    elif not network.holds(family, address):
        yield f"gateway {gateway} is not inside {network}"
    elif network.length < 31 and address in (network.first, network.last):
        yield f"gateway {gateway} is the network's own or its broadcast address"


def pool_layout(pool: PoolSpec) -> Layout:
    """The units of a faultless pool. Reasons don't overlap: the first one that applies stands."""
    network = parse_network(pool.network)
    shift = network.bits - pool.its_unit_length
    span = 1 << (pool.its_unit_length - network.length)

    def units(text: str) -> Interval:
        """Every unit that the span touches: what is taken out is taken out whole."""
        _, first, last = parse_span(text)
        return (first - network.first) >> shift, (last - network.first) >> shift

    def whole_units(text: str) -> Interval:
        """The units that lie in the span wholly: what is let in must not reach beyond what was allowed."""
        _, first, last = parse_span(text)
        return -(-(first - network.first) >> shift), ((last + 1 - network.first) >> shift) - 1

    reasons: list[tuple[list[Interval], str]] = []
    if pool.kind == "ipv4" and network.length < 31:
        reasons += [([(0, 0)], "network address"), ([(span - 1, span - 1)], "broadcast address")]
    if pool.gateway:
        reasons.append(([units(pool.gateway)], "gateway"))
    reasons.append(([units(text) for text in pool.exclude], "reserved"))
    if pool.ranges:
        allowed = [span_in for text in pool.ranges if (span_in := whole_units(text))[0] <= span_in[1]]
        reasons.append((subtract([(0, span - 1)], allowed), "outside the ranges"))
    return Layout(span, _without_overlap(reasons))


def svlan_faults(svlan: SvlanSpec) -> list[str]:
    """All that is wrong with an S-VLAN by itself."""
    if not svlan.cvlans:
        given = {"reserved C-VLANs": svlan.reserved, "a cvlan_formula": svlan.cvlan_formula}
        return [f"{what} without any cvlans" for what, value in given.items() if value]
    size = cvlan_layout(svlan).size
    return [*threshold_faults(svlan, size)] if size else ["no C-VLAN is left to hand out"]


def cvlan_layout(svlan: SvlanSpec) -> Layout:
    """The C-VLANs inside an S-VLAN; the unit is the VLAN number, and 0, 1 and 4095 are never free."""
    usable = parse_vids(svlan.cvlans)
    reserved = parse_vids(svlan.reserved)
    return Layout(
        VLAN_SPAN,
        _without_overlap(
            [
                ([(0, 1), (LAST_VID + 1, LAST_VID + 1)], "priority tag, default VLAN, reserved (IEEE 802.1Q)"),
                (reserved, "reserved"),
                (subtract([(0, VLAN_SPAN - 1)], usable), "outside the ranges"),
            ]
        ),
        VLAN_STRIPES,
    )


def _without_overlap(reasons: list[tuple[list[Interval], str]]) -> tuple[LeftOut, ...]:
    seen: list[Interval] = []
    excluded: list[LeftOut] = []
    for intervals, reason in reasons:
        excluded += [LeftOut(first, last, reason) for first, last in subtract(intervals, seen)]
        seen = merge([*seen, *intervals])
    return tuple(sorted(excluded, key=lambda each: each.first))
