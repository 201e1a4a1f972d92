"""Whether a rule of port blocks can be meant, whatever else is wrong with the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipam.addresses import Network, parse_network
from ipam.errors import Fault, RequestInvalid
from ipam.nat.deterministic import LAST_PORT, PortMapping, RuleTerms, rule_faults
from ipam.upkeep.pool_units import KnownPool

_OF_NO_POOL = Network(4, 0, 32)
"""Stands for the network of a pool that nobody knows: no rule has too few blocks for it."""
_ALL = Network(4, 0, 0)
"""Stands for an outside that nobody can read: it has blocks enough."""
_ANY_PORTS = {"ports_per_subscriber": 1, "first_port": 1, "last_port": LAST_PORT}
"""Stand for the ports where they aren't known; nothing speaks against these."""


def checked_rule(pool: KnownPool | None, said: Mapping[str, Any]) -> PortMapping | None:
    """How it maps the pool's addresses; of a pool that nobody knows None, and its rule is looked at all the same.

    ``said``: the terms by their names, each of a fitting type. Without ``ports_per_subscriber`` what is said of ports
    isn't looked at, and without ``outside`` not whether it is enough.

    Raises:
        RequestInvalid: with all that is wrong with it.
    """
    inside = _OF_NO_POOL if pool is None else None if pool.network is None else parse_network(pool.network)
    of_pool: dict[str, Any] = {"pool": "", "kind": "ipv4", "role": "cgnat"}
    if pool is not None:
        of_pool = {"pool": pool.name, "kind": pool.kind, "role": pool.role}
    ports = {name: said[name] for name in _ANY_PORTS if name in said} if "ports_per_subscriber" in said else _ANY_PORTS
    algorithm = {"algorithm": said["algorithm"]} if "algorithm" in said else {}
    outside, unread = _ALL, list[Fault]()
    try:
        outside = parse_network(said["outside"]) if "outside" in said else _ALL
    except ValueError as exc:
        unread.append(Fault("outside", str(exc)))
    terms = RuleTerms(outside, **ports, **algorithm)
    found = rule_faults(terms, **of_pool, inside=inside)
    # What is said of a term stands behind its name anyway.
    faults = [*(Fault(where, what.removeprefix(f"{where} ")) for where, what in found), *unread]
    if faults:
        (where, what), *others = faults
        raise RequestInvalid(where, what, *others)
    return None if pool is None or inside is None else terms.mapping(inside)
