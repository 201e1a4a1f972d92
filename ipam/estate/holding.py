"""What is held before any of a description is written, in the order of all who lock any of it: premises, then plans.

Whoever gives something to a service, or moves it, holds its premises and then its plan (``ipam.allocation.places``).
An estate that held them one by one, as it comes to them, would wait for somebody who waits for it, and of the two the
database would take one back. What is described as it is isn't held: nobody waits for an estate that is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from sqlalchemy import select

from ipam.allocation.places import AnySelect
from ipam.bulk import in_parts
from ipam.estate import differing
from ipam.estate.leaving import premises_served_by
from ipam.estate.rows import EstateRows
from ipam.estate.spec import NetworkEstateSpec
from ipam.tables import AddressPlan, IpamBase, Location


async def hold_changed(rows: EstateRows, spec: NetworkEstateSpec) -> None:
    """Nobody is given anything at these premises, or on these plans, until our transaction ends, and who was at it has
    ended: so their services can be counted, and are counted all.

    Premises are held that are described otherwise than they are, be it in what leads to them, that are behind an access
    node whose site, BNG or VLAN model is, or served by a pool that becomes another one or loses its gateway; and plans
    that become other ones.
    """
    await rows.be_alone()  # nobody else changes what is there, so that it is as we see it when it is held
    if not rows.has_other_writers:
        return
    premises = set(await differing.premises(rows, spec.locations))
    premises |= await differing.names(rows, spec.locations)
    premises |= await _at(rows, _behind, await differing.nodes(rows, spec.access_nodes))
    leaving = {
        **await differing.pools(rows, spec.pools),
        **await differing.gateways(rows, spec.pools),
        **await differing.cvlans(rows, spec.svlans),
    }
    premises |= await _at(rows, premises_served_by, leaving)
    await _hold(rows, Location, premises)
    await _hold(rows, AddressPlan, await differing.plans(rows, spec.plans))


def _behind(node_ids: Collection[int]) -> AnySelect:
    return select(Location.id).where(Location.node_id.in_(node_ids))


async def _at(rows: EstateRows, which: Callable[[Collection[int]], AnySelect], ids: Collection[int]) -> set[int]:
    """The ids of the premises that belong to these."""
    return {premise for some in in_parts(sorted(ids)) for premise in await rows.db.scalars(which(some))}


async def _hold(rows: EstateRows, model: type[IpamBase], ids: Collection[int]) -> None:
    """In the order of their ids, however many statements it takes."""
    for some in in_parts(sorted(ids)):
        await rows.hold(model, id=some)
