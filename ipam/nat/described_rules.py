"""Rules of port blocks in the description of the network, which isn't told what is changed by hand later on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from ipam.errors import EstateInUse
from ipam.estate.rows import EstateRows
from ipam.nat.rule_rows import told
from ipam.tables import NatRule, Prefix
from ipam.upkeep.pool_units import KnownPool

_WORDING = ("first_outside", "last_outside", "first_port", "last_port", "ports_per_subscriber", "algorithm")
"""What a description says of a rule, besides its pool and VRF."""


async def refuse_former(rows: EstateRows, pool: KnownPool, columns: Mapping[str, Any], vrf_id: int) -> None:
    """``columns`` are those of the row of a rule that is described, and not in force.

    What the description said before, too, isn't meant when the rule was changed or ended by hand since then. Another
    wording is.

    Raises:
        EstateInUse: it would undo that.
    """
    of_pool = (
        select(NatRule, Prefix.vrf_id, Prefix.network)
        .join(Prefix, Prefix.id == NatRule.prefix_id)
        .where(NatRule.tenant_id == rows.tenant_id, NatRule.pool_id == pool.pool_id)
        .order_by(NatRule.id.desc())
        .limit(1)
    )
    before = (await rows.db.execute(of_pool.where(NatRule.described.is_(True)))).first()
    if before is None or before.vrf_id != vrf_id:
        return
    if any(getattr(before.NatRule, name) != columns[name] for name in _WORDING):
        return
    newest = (await rows.db.execute(of_pool)).one()
    rule: NatRule = newest.NatRule
    if rule.until is not None:
        raise EstateInUse(
            f"The rule of port blocks of pool {pool.name}",
            change=f"it was ended by hand (nat-end-rule) at {told(rule.until)}, and the description is as before",
            instead="Take it out of the description; if the box maps by it again, say so by hand (nat-rule).",
        )
    in_force = f"{rule.ports_per_subscriber} ports each of {newest.network} since {told(rule.since)}"
    raise EstateInUse(
        f"The rule of port blocks of pool {pool.name}",
        change=f"the one in force, {in_force}, was said by hand (nat-rule), and the description is as before",
        instead="Write the one in force in the description, or take the rule out of there.",
    )
