"""Rules of port blocks begin, change and end; what was so before stays known for its time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from sqlalchemy import delete, select, update

from ipam.addresses import parse_network
from ipam.errors import NameUnknown, OutsideShared
from ipam.estate.pools import add_prefix
from ipam.estate.rows import EstateRows
from ipam.nat import described_rules, rule_times
from ipam.nat.deterministic import PortMapping
from ipam.nat.rule_checks import checked_rule
from ipam.nat.rule_rows import columns_of, first_rule
from ipam.request_faults import RequestFaults
from ipam.tables import NatRule, Prefix, Vrf
from ipam.upkeep.pool_units import KnownPool, checked_note, find_pool

log = structlog.get_logger(__name__)

Now = Callable[[], datetime]


@dataclass(frozen=True)
class Meant:
    """A rule as it is said, when nothing speaks against any of it: whose it is, and how it maps."""

    inside: KnownPool
    outside: str
    vrf: str
    """That of the outside."""
    vrf_id: int
    mapping: PortMapping

    @property
    def columns(self) -> dict[str, Any]:
        """Those of its row."""
        return columns_of(self.mapping)


async def looked_at(
    rows: EstateRows, said: Mapping[str, Any], now: Now, *, may_get_role: bool = False
) -> tuple[RequestFaults, KnownPool | None, int | None, PortMapping | None]:
    """What speaks against a rule of which these parts are known, and its pool, VRF and mapping where they can be
    meant. ``may_get_role``: the pool's is said with the rule, and hasn't been written yet."""
    faults, inside, vrf_id = RequestFaults(), None, None
    if "pool" in said:
        inside = await faults.look("pool", find_pool(rows.db, rows.tenant_id, said["pool"]))
    if inside is not None and may_get_role:
        inside = replace(inside, role="cgnat")
    if "vrf" in said:
        vrf_id = await faults.look("vrf", rows.id_of("vrf", said["vrf"]))
    if "reason" in said:
        faults.check("reason", partial(checked_note, said["reason"]))
    mapping = faults.check("outside", partial(checked_rule, inside, said))
    if "since" in said:
        faults.check("since", partial(rule_times.past, said["since"], now()))
    return faults, inside, vrf_id, mapping


async def meant(rows: EstateRows, said: Mapping[str, Any], now: Now, *, may_get_role: bool = False) -> Meant:
    """``may_get_role``: see ``looked_at``.

    Raises:
        NameUnknown, RequestInvalid: with all that is wrong with it.
    """
    faults, inside, vrf_id, mapping = await looked_at(rows, said, now, may_get_role=may_get_role)
    faults.refuse_if_any()
    assert inside is not None, "what is missing has left a fault"
    assert vrf_id is not None, "so has a VRF"
    assert mapping is not None, "and a rule"
    return Meant(inside, said["outside"], said["vrf"], vrf_id, mapping)


async def define(rows: EstateRows, rule: Meant, *, since: datetime | None, described: bool, now: Now) -> bool:
    """It is the pool's rule from ``since`` on (None: now). False: it is so already. Whoever asks is alone
    (``EstateRows.be_alone``), since before the rule was looked at.

    Raises:
        RequestInvalid, OutsideShared, Overlap, EstateInUse: as ``PortBlocks.define_rule`` says.
    """
    await _refuse_shared(rows, rule)
    begins = since or now()
    async with rows.db.begin_nested():
        old = await in_force(rows, NatRule.pool_id == rule.inside.pool_id)
        same = old is not None and await _is(rows, old, rule)
        if described:
            await _describe(rows, rule, old, same=same)
        if same and (since is None or since >= old.since):
            return False
        if since is not None:
            await _refuse_false(rows, rule, since, old, same=same)
        if same:
            await rows.change(NatRule, old.id, since=since)
            return True
        await _replace(rows, rule, old, begins, described=described)
    log.debug("port blocks follow a rule", pool=rule.inside.name, outside=rule.outside)
    return True


async def make_room(rows: EstateRows, said: Mapping[str, Any], now: Now) -> bool:
    """The pool's rule in force ends if it is another one than is said. False: it hadn't to.

    Raises:
        NameUnknown, RequestInvalid, EstateInUse: as for ``define``.
    """
    await rows.be_alone()
    old = await in_force(rows, NatRule.name == said["pool"])
    if old is None:
        return False
    rule = await meant(rows, said, now, may_get_role=True)
    if await _is(rows, old, rule):
        return False
    await described_rules.refuse_former(rows, rule.inside, rule.columns, rule.vrf_id)
    await _end(rows, old, now())
    return True


async def end(rows: EstateRows, *, pool: str, reason: str | None, now: Now) -> bool:
    """The pool has no rule any more. False: it had none by then.

    Raises:
        NameUnknown: no such pool, or it never had a rule.
        RequestInvalid: the reason is none.
    """
    await rows.be_alone()
    faults = RequestFaults()
    inside = await faults.look("pool", find_pool(rows.db, rows.tenant_id, pool))
    if reason is not None:
        faults.check("reason", partial(checked_note, reason))
    faults.refuse_if_any()
    assert inside is not None, "what is missing has left a fault"
    old = await in_force(rows, NatRule.pool_id == inside.pool_id)
    if old is not None:
        await _end(rows, old, now())
    elif await rows.find(NatRule, pool_id=inside.pool_id) is None:
        raise NameUnknown("rule of port blocks for pool", pool)
    return old is not None


async def in_force(rows: EstateRows, *which: Any) -> Any:
    """The first rule in force that ``which`` says; None: there is none."""
    return await first_rule(rows.db, rows.tenant_id, NatRule.until.is_(None), *which)


async def _refuse_shared(rows: EstateRows, rule: Meant) -> None:
    columns = rule.columns
    other = await in_force(
        rows,
        NatRule.pool_id != rule.inside.pool_id,
        NatRule.first_outside <= columns["last_outside"],
        NatRule.last_outside >= columns["first_outside"],
    )
    if other is None:
        return
    its = select(Prefix.network, Vrf.name).join(Vrf, Vrf.id == Prefix.vrf_id).where(Prefix.id == other.prefix_id)
    outside, its_vrf = (await rows.db.execute(its)).one()
    network = str(parse_network(rule.outside))
    raise OutsideShared(network, vrf=rule.vrf, other_outside=outside, other_vrf=its_vrf, other_pool=other.name)


async def _is(rows: EstateRows, old: Any, rule: Meant) -> bool:
    of_prefix = await rows.db.scalar(select(Prefix.vrf_id).where(Prefix.id == old.prefix_id))
    return of_prefix == rule.vrf_id and all(getattr(old, name) == value for name, value in rule.columns.items())


async def _describe(rows: EstateRows, rule: Meant, old: Any, *, same: bool) -> None:
    """The description of the network says it; the one that is in force already is the description's from now on.

    Raises:
        EstateInUse: by hand it was made another one.
    """
    if not same:
        await described_rules.refuse_former(rows, rule.inside, rule.columns, rule.vrf_id)
    elif not old.described:
        await rows.change(NatRule, old.id, described=True)


async def _refuse_false(rows: EstateRows, rule: Meant, since: datetime, old: Any, *, same: bool) -> None:
    """Nothing else is known of the time since then; what was only assumed of it is so no longer.

    Raises:
        RequestInvalid: something else is known.
    """
    inside = rule.inside
    assert inside.vrf_id is not None, "it has IPv4 addresses"
    dated = rule_times.Dated(rows.tenant_id, inside.pool_id, inside.vrf_id, rule.mapping, rule.columns, since)
    await rule_times.refuse_false(rows.db, dated, old=old, is_same=same)
    await rule_times.end_assumed(rows.db, dated)


async def _replace(rows: EstateRows, rule: Meant, old: Any, begins: datetime, *, described: bool) -> None:
    """It begins when the old one, if there is any, ends.

    Raises:
        Overlap: its outside prefix is in use otherwise.
    """
    if old is not None:
        await _end(rows, old, begins)
    prefix_id = await add_prefix(rows, parse_network(rule.outside), rule.vrf, rule.vrf_id, role="public")
    of_rule = {"name": rule.inside.name, "pool_id": rule.inside.pool_id, "prefix_id": prefix_id, "since": begins}
    await rows.add(NatRule, **of_rule, **rule.columns, described=described)


async def _end(rows: EstateRows, rule: Any, at: datetime) -> None:
    """Its prefix stands for nothing any more, but stays for the rule's sake."""
    await rows.change(NatRule, rule.id, until=max(rule.since, at))
    prefix = await rows.find(Prefix, id=rule.prefix_id)
    assert prefix is not None
    same = await rows.find(Prefix, vrf_id=prefix["vrf_id"], network=prefix["network"], role="container")
    if same is None:
        await rows.change(Prefix, prefix["id"], role="container")
        return
    await rows.db.execute(update(NatRule).where(NatRule.prefix_id == prefix["id"]).values(prefix_id=same["id"]))
    await rows.db.execute(delete(Prefix).where(Prefix.id == prefix["id"]))
