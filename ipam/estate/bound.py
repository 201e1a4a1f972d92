"""What a pool or a shared S-VLAN is bound to, by names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ipam.estate.spec import BindingSpec


class Bound(NamedTuple):
    """A binding by names. ``port_of``: the access node of the port that it is to, which is no binding to the node."""

    bng: str | None
    site: str | None
    access_node: str | None
    port_of: str | None
    port: str | None
    plan: str | None
    priority: int


def as_said(bindings: Iterable[BindingSpec]) -> dict[Bound, BindingSpec]:
    """Each once, in the order of the description."""
    said: dict[Bound, BindingSpec] = {}
    for each in bindings:
        node, of_port = (each.access_node, None) if each.port is None else (None, each.access_node)
        said[Bound(each.bng, each.site, node, of_port, each.port, each.plan, each.priority)] = each
    return said
