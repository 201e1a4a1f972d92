"""A walled garden over a plan: what of the plan's addressing a line keeps in it.

A garden that has a pool gives addresses itself. In another one a line goes on being addressed as its plan says: with
its pools, in its VRF, by its name servers, unless the garden says something else of just that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from radius.plans.terms import PlanTerms

PIECES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "pools": ("ipv4_pool", "ipv6_pool", "ipv6_delegated_pool"),
        "vrf": ("vrf",),
        "dns": ("dns_ipv4", "dns_ipv6"),
    }
)
"""What is kept as a whole or not at all: name servers of the garden beside those of the plan would lead out of it."""


def withholds_addresses(garden: PlanTerms) -> bool:
    """True for a garden that gives addresses itself."""
    return _says(garden, "pools")


def pieces_of(terms: PlanTerms) -> tuple[str, ...]:
    """What a plan says of addressing."""
    return tuple(piece for piece in PIECES if _says(terms, piece))


def kept_pieces(plan: PlanTerms, garden: PlanTerms) -> tuple[str, ...]:
    """What of its plan's addressing a line keeps in a garden."""
    if withholds_addresses(garden):
        return ()
    return tuple(piece for piece in pieces_of(plan) if not _says(garden, piece))


def in_garden(plan: PlanTerms, garden: PlanTerms) -> PlanTerms:
    """What a line on that plan is served by in that garden."""
    return replace(garden, **_said(plan, kept_pieces(plan, garden)))


def only(terms: PlanTerms, *pieces: str) -> PlanTerms:
    """A plan that says no more than these pieces of it, and a rate that every NAS can be told."""
    return replace(PlanTerms(1000, 1000), **_said(terms, pieces))


def _says(terms: PlanTerms, piece: str) -> bool:
    return any(getattr(terms, name) for name in PIECES[piece])


def _said(terms: PlanTerms, pieces: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(terms, name) for piece in pieces for name in PIECES[piece]}
