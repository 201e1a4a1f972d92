"""The kinds of resources a line may need, and which of them a plan needs at a place."""

from __future__ import annotations

from typing import Literal

from ipam.allocation.places import Place, Plan

Kind = Literal["ipv4", "framed_pool", "ipv6_wan", "ipv6_pd", "cvlan", "svlan", "ipv4_routed", "ipv6_routed"]
ROUTED: tuple[Kind, ...] = ("ipv4_routed", "ipv6_routed")
"""What no plan wants and a service may have besides, several of them."""
MOST_ROUTED_OF_A_POOL = 16
"""To one service: each is told to its NAS at every login, in one packet."""
UNITLESS: tuple[Kind, ...] = ("svlan", "framed_pool")
"""What is shared, so that a service only refers to it and takes nothing of it."""

KIND_IN_WORDS: dict[Kind, str] = {
    "ipv4": "an IPv4 pool",
    "framed_pool": "a pool of the BNG's own",
    "ipv6_wan": "an IPv6 WAN pool",
    "ipv6_pd": "a pool of delegated prefixes",
    "cvlan": "a C-VLAN pool",
    "svlan": "an S-VLAN",
    "ipv4_routed": "a pool of routed IPv4 prefixes",
    "ipv6_routed": "a pool of routed IPv6 prefixes",
}

ONE_IN_WORDS: dict[Kind, str] = {
    "ipv4": "an IPv4 address",
    "framed_pool": "a pool of the BNG's own",
    "ipv6_wan": "an IPv6 WAN prefix",
    "ipv6_pd": "a delegated prefix",
    "cvlan": "a C-VLAN",
    "svlan": "an S-VLAN",
    "ipv4_routed": "a routed IPv4 prefix",
    "ipv6_routed": "a routed IPv6 prefix",
}
"""What a service has of such a pool."""


def wanted(plan: Plan, place: Place) -> list[Kind]:
    """What the plan needs here."""
    kinds: list[Kind] = []
    if plan.ipv4:
        kinds.append("framed_pool" if plan.addressing == "framed_pool" else "ipv4")
    if plan.ipv6_wan:
        kinds.append("ipv6_wan")
    if plan.ipv6_pd:
        kinds.append("ipv6_pd")
    own_vlan = plan.cvlan == "always" or (plan.cvlan == "by_node" and place.vlan_model == "one_to_one")
    kinds.append("cvlan" if own_vlan else "svlan")
    return kinds
