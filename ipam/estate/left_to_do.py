"""What of a description the network isn't like already: of the rest nothing is asked or written entry by entry.

A network is described again whenever something of it changes, and of thousands of premises nearly all are as they were.
"""

from __future__ import annotations

from ipam.estate import same_numbers, same_places
from ipam.estate.rows import EstateRows
from ipam.estate.spec import NetworkEstateSpec
from ipam.tables import Bng, Site, Vrf


async def left_to_do(rows: EstateRows, spec: NetworkEstateSpec) -> NetworkEstateSpec:
    """The description without what is there just as it says, in as few questions for thousands as for one.

    Nobody else may be changing the network. What is as described stays so whatever else of the description is carried
    out: what is given up for others is none of it.
    """
    same: dict[str, set[str]] = {
        "vrfs": await same_places.there(rows, Vrf, spec.vrfs),
        "bngs": await same_places.there(rows, Bng, spec.bngs),
        "sites": await same_places.there(rows, Site, spec.sites),
        "plans": await same_places.plans(rows, spec.plans),
        "access_nodes": await same_places.nodes(rows, spec.access_nodes),
        "locations": await same_places.premises(rows, spec.locations),
        "prefixes": await same_numbers.prefixes(rows, spec.prefixes),
        "pools": await same_numbers.pools(rows, spec.pools),
        "nat_rules": await same_numbers.rules(rows, spec.nat_rules),
        "vlan_groups": await same_numbers.groups(rows, spec.vlan_groups),
        "svlans": await same_numbers.svlans(rows, spec.svlans),
    }
    left = {kind: tuple(each for each in getattr(spec, kind) if each.name not in names) for kind, names in same.items()}
    return spec.model_copy(update=left)
