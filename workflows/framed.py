"""What a service was allocated, as its RADIUS subscriber is given it."""

from __future__ import annotations

from ipam import AllocatedResources
from radius import FramedAddresses


def framed_addresses(allocated: AllocatedResources) -> FramedAddresses:
    """All of it that FreeRADIUS tells a NAS; the VLANs it needs not know."""
    return FramedAddresses(
        ipv4=allocated["ip_address"] or None,
        ipv4_pool=allocated["framed_pool"],
        ipv6_wan_prefix=allocated["ipv6_wan_prefix"],
        delegated_prefix=allocated["delegated_prefix"],
        routes=tuple(allocated.get("framed_routes", ())),
        ipv6_routes=tuple(allocated.get("framed_ipv6_routes", ())),
    )
