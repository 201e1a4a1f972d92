"""Whether a rule of port blocks can be meant, whatever else is wrong with the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipam.addresses import Network, parse_network
from ipam.errors import EstateRefused, Fault
from ipam.nat.deterministic import PortMapping, RuleTerms, rule_faults
from ipam.upkeep.pool_units import KnownPool

_OF_NO_POOL = Network(4, 0, 32)
"""Stands for the network of a pool that nobody knows: no rule has too few blocks for it."""


def checked_rule(pool: KnownPool | None, outside: str, said: Mapping[str, Any]) -> PortMapping | None:
    """How it maps the pool's addresses; of a pool that nobody knows None, and its rule is looked at all the same.

    Raises:
        EstateRefused: with all that is wrong with it.
    """
    where = "port blocks" if pool is None else f"port blocks of pool {pool.name}"
    inside = _OF_NO_POOL if pool is None else None if pool.network is None else parse_network(pool.network)
    of_pool: dict[str, Any] = {"pool": "", "kind": "ipv4"} if pool is None else {"pool": pool.name, "kind": pool.kind}
    try:
        terms = RuleTerms(parse_network(outside), **said)
    except ValueError as exc:
        # what else is wrong with it is told as well
        blind = rule_faults(RuleTerms(Network(4, 0, 0), **said), **of_pool, inside=inside)
        raise EstateRefused([Fault(where, fault) for fault in (*blind, f"outside: {exc}")]) from exc
    faults = rule_faults(terms, **of_pool, inside=inside)
    if faults or inside is None:
        raise EstateRefused([Fault(where, fault) for fault in faults])
    return None if pool is None else terms.mapping(inside)
