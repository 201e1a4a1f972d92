"""CGNAT's question, "who had 203.0.113.7:40112 at 21:14?", and its inverse; by rule, or by what the box has logged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.addresses import format_address, to_bytes
from ipam.errors import Fault, RequestInvalid
from ipam.estate.rows import EstateRows
from ipam.estate.spec import DEFAULT_VRF
from ipam.lookup import history
from ipam.lookup.asked import by_then, ipv4
from ipam.nat import known_blocks, logged_blocks, rule_changes
from ipam.nat.deterministic import FIRST_PORT, LAST_PORT, Algorithm
from ipam.nat.logged_blocks import ImportedBlocks, LoggedBlock
from ipam.nat.rule_rows import first_rule, held_at, mapping_of, rules_of
from ipam.request_faults import RequestFaults
from ipam.tables import NatRule, Prefix, Vrf, table_of
from ipam.units import subtract
from ipam.upkeep.answers import NatBlockAt, NatHolder, NatRuleInForce, PortsKnown


class PortBlocks:
    """Which ports of which outside address one tenant's subscribers have, within the caller's transaction."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Callable[[], datetime]) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._rows = EstateRows(db, tenant_id)
        self._now = now

    async def define_rule(  # noqa: PLR0913 - each is a term of the rule
        self,
        *,
        pool: str,
        outside: str,
        ports_per_subscriber: int,
        algorithm: Algorithm = "by_address",
        first_port: int = FIRST_PORT,
        last_port: int = LAST_PORT,
        vrf: str = DEFAULT_VRF,
        since: datetime | None = None,
        reason: str | None = None,
        described: bool = False,
    ) -> bool:
        """From ``since`` on (None: now) the box maps the pool's addresses onto ``outside`` (in ``vrf``) like this.

        What was so before stays known for its time; the same rule may be said again with an earlier ``since``. False:
        it is so already. The reason is for whoever audits it. ``described``: the description of the network says it;
        else it is said by hand, and the description doesn't undo it.

        Raises:
            NameUnknown: no such pool or VRF.
            RequestInvalid: with all that is wrong with the rule; or ``since`` is still to come, or of that time
                something else is known.
            OutsideShared: another rule has part of the outside prefix, be it in another VRF: who asks for the holder of
                a port has seen it on the Internet, and knows of none.
            Overlap: the outside prefix is in use otherwise.
            EstateInUse: it is described as it was before it was changed or ended by hand.
        """
        said: dict[str, Any] = {"pool": pool, "vrf": vrf, "outside": outside, "algorithm": algorithm}
        said |= {"ports_per_subscriber": ports_per_subscriber, "first_port": first_port, "last_port": last_port}
        said |= {name: value for name, value in (("since", since), ("reason", reason)) if value is not None}
        await self._rows.be_alone()  # so that its pool stays as it is looked at
        rule = await rule_changes.meant(self._rows, said, self._now)
        return await rule_changes.define(self._rows, rule, since=since, described=described, now=self._now)

    async def make_room(self, said: Mapping[str, Any]) -> bool:
        """The pool's rule in force ends if the description says another one, in these terms of ``define_rule``. So all
        that it changes end before the first of the others begins. False: none had to.

        Raises:
            NameUnknown, RequestInvalid, EstateInUse: as for ``define_rule``.
        """
        return await rule_changes.make_room(self._rows, said, self._now)

    async def end_rule(self, *, pool: str, reason: str | None = None) -> bool:
        """The box maps the pool's addresses by this rule no longer; the outside prefix is free for something else.
        False: it has ended already.

        Raises:
            NameUnknown: no such pool, or it never had a rule.
            RequestInvalid: the BNG hands the pool out, or the reason says nothing or too much; with all that is wrong.
        """
        return await rule_changes.end(self._rows, pool=pool, reason=reason, now=self._now)

    async def rules(self) -> list[NatRuleInForce]:
        """The rules in force, by the names of their pools."""
        found = await self._db.execute(
            rules_of(self._tenant_id)
            .add_columns(Prefix.network.label("inside"))
            .where(NatRule.until.is_(None))
            .order_by(NatRule.name)
        )
        outside = table_of(Prefix).alias("outside")
        networks = {
            row.id: row.network
            for row in await self._db.execute(
                select(NatRule.id, outside.c.network).join(outside, outside.c.id == NatRule.prefix_id)
            )
        }
        return [
            NatRuleInForce(
                pool=rule.name,
                inside=rule.inside,
                outside=networks[rule.id],
                ports_per_subscriber=rule.ports_per_subscriber,
                algorithm=rule.algorithm,
                first_port=rule.first_port,
                last_port=rule.last_port,
                since=rule.since,
            )
            for rule in found
        ]

    async def import_blocks(self, blocks: Sequence[LoggedBlock], *, source: str) -> ImportedBlocks:
        """Blocks from a box's logs, all or nothing.

        A block without an end is ended by the next one of the same outside ports from the same source, when that began
        (or a rule before it): a box has one subscriber at a time on them, so the line that ended it was lost. Where a
        log tells the end after all, that counts. One that contradicts a rule is believed (the box did it), and told.

        Raises:
            RequestInvalid: with all that is wrong: what can't be meant (also by its VRF, or by the pools that there are
                and were), is still to come, or contradicts another block.
        """
        return await logged_blocks.import_blocks(self._rows, blocks, source=source, now=self._now())

    async def faults_in_rule(self, said: Mapping[str, Any]) -> tuple[Fault, ...]:
        """All that speaks against a rule of which these parts are known, named as for ``define_rule``."""
        return (await rule_changes.looked_at(self._rows, said, self._now))[0].all

    async def faults_in_log(self, source: str | None, blocks: Sequence[Mapping[str, Any]]) -> tuple[Fault, ...]:
        """All that speaks against a log of which these parts are known, named as in ``LoggedBlock``."""
        return tuple(await logged_blocks.faults_in(self._rows, source, blocks, self._now()))

    async def holder(
        self, *, outside: str, port: int, at: datetime | None = None, vrf: str | None = None
    ) -> NatHolder | None:
        """Who had this port of this outside address then (or now). None: nobody had, or nobody of that VRF, or nobody
        knows, as ``is_known`` tells.

        Raises:
            RequestInvalid: no IPv4 address (which whoever asks calls ``address``), or no port.
            NameUnknown: there is no such VRF.
        """
        number, when = await self._address("address", outside, vrf, port, at=at), at or self._now()
        stored = to_bytes(4, number)
        its = (NatRule.first_outside <= stored, NatRule.last_outside >= stored)
        rule = await first_rule(self._db, self._tenant_id, *its, *held_at(when))
        logged = await known_blocks.covering(self._db, self._tenant_id, stored, port, when)
        if logged is not None:  # it is surer than what a rule says
            return None if vrf not in (None, logged[1]) else await self._held(*logged, when)
        if rule is None or vrf not in (None, rule.vrf):
            return None
        mapping = mapping_of(rule)
        inside = mapping.inside_of(number, port)
        block = None if inside is None else mapping.block_of(inside)
        if inside is None or block is None:
            return None
        return await self._held(_block(block, inside, f"rule of pool {rule.name}"), rule.vrf, when)

    async def is_known(self, *, outside: str, at: datetime | None = None) -> PortsKnown:
        """Whether it is known who had the ports of this outside address then (or now), so that who had none had none.

        Raises:
            RequestInvalid: as for ``holder``.
        """
        number = await self._address("address", outside, None, at=at)
        return await known_blocks.is_told(self._db, self._tenant_id, to_bytes(4, number), at or self._now())

    async def blocks_of(self, *, inside: str, at: datetime | None = None, vrf: str | None = None) -> list[NatBlockAt]:
        """The outside address and ports that an inside address had then (or has now).

        Raises:
            RequestInvalid: no IPv4 address, or one that several VRFs have and ``vrf`` doesn't say which.
            NameUnknown: there is no such VRF.
        """
        number, when = await self._address("inside", inside, vrf, at=at), at or self._now()
        found: dict[str, list[NatBlockAt]] = {}
        in_vrf = [Vrf.name == vrf] if vrf else []
        rules = (await self._db.execute(rules_of(self._tenant_id).where(*held_at(when), *in_vrf))).all()
        for rule in rules:
            if (block := mapping_of(rule).block_of(number)) is None:
                continue
            address, *ports = block
            logged = await known_blocks.ports_of(self._db, self._tenant_id, to_bytes(4, address), when)
            left = subtract([(ports[0], ports[1])], logged)  # what was logged is surer than what a rule says
            blocks = [_block((address, *part), number, f"rule of pool {rule.name}") for part in left]
            found.update({rule.vrf: [*found.get(rule.vrf, []), *blocks]} if blocks else {})
        for block_at, name in await known_blocks.of_inside(self._db, self._tenant_id, to_bytes(4, number), when, vrf):
            found.setdefault(name, []).append(block_at)
        if len(found) > 1:
            raise RequestInvalid("inside", f"{inside} exists in the VRFs {', '.join(sorted(found))}: say which one")
        return next(iter(found.values()), [])

    async def _address(
        self, field: str, text: str, vrf: str | None, port: int | None = None, *, at: datetime | None
    ) -> int:
        """An IPv4 address that is asked for; when nothing speaks against its VRF, port and time either."""
        faults = RequestFaults()
        number = faults.check(field, partial(ipv4, field, text))
        if port is not None and not 1 <= port <= LAST_PORT:
            faults.note("port", RequestInvalid("port", f"is {port}; it takes 1 to {LAST_PORT}"))
        faults.check("at", partial(by_then, at, self._now()))
        await faults.look("vrf", history.must_be_known(self._db, self._tenant_id, vrf))
        faults.refuse_if_any()
        assert number is not None, "what is none has left a fault"
        return number

    async def _held(self, block: NatBlockAt, vrf: str, at: datetime) -> NatHolder:
        service = await history.service_at(self._db, tenant_id=self._tenant_id, address=block["inside"], at=at, vrf=vrf)
        return NatHolder(block=block, holder=service)


def _block(block: tuple[int, int, int], inside: int, source: str) -> NatBlockAt:
    outside, first, last = block
    return NatBlockAt(
        outside=format_address(to_bytes(4, outside)),
        first_port=first,
        last_port=last,
        inside=format_address(to_bytes(4, inside)),
        source=source,
    )
