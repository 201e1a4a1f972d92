"""Port blocks of logs that a rule gave to somebody else at that time. The log is believed: the box did it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.addresses import format_address, from_bytes, to_bytes
from ipam.bulk import AT_ONCE
from ipam.invariants import Violation
from ipam.nat.deterministic import PortMapping
from ipam.nat.rule_rows import mapping_of, rules_of, told
from ipam.tables import NatBlock, NatRule
from ipam.upkeep.answers import NatContradiction

BLOCK = (
    NatBlock.id,
    NatBlock.outside,
    NatBlock.first_port,
    NatBlock.last_port,
    NatBlock.inside,
    NatBlock.vrf_id,
    NatBlock.began_at,
    NatBlock.source,
)
"""What ``differs`` looks at, and what is told of it."""


def differs(block: Any, mapping: PortMapping, vrf_id: int) -> bool:
    """Whether a rule whose inside addresses are of that VRF gives a block's ports to somebody else, or to nobody."""
    return block.vrf_id != vrf_id or set(_holders(block, mapping)) != {from_bytes(block.inside)[1]}


def told_against(blocks: Iterable[Any], rules: Sequence[Any]) -> list[NatContradiction]:
    """Those of ``blocks`` that contradict one of ``rules``, as rows of ``rules_of``; each once.

    A block without an end may have ended before a rule began: its log has only not said so.
    """
    mapped = [(rule, mapping_of(rule)) for rule in rules]
    over: dict[bytes, list[tuple[Any, PortMapping]]] = {}
    found: list[NatContradiction] = []
    for block in blocks:
        if block.outside not in over:
            around = [each for each in mapped if each[0].first_outside <= block.outside <= each[0].last_outside]
            over[block.outside] = around
        against = (
            _told(block, rule, mapping)
            for rule, mapping in over[block.outside]
            if _in_its_time(block, rule) and differs(block, mapping, rule.vrf_id)
        )
        found.extend([first] if (first := next(against, None)) else [])
    return found


async def ports_off_rules(db: AsyncSession, *, tenant_id: str) -> list[Violation]:
    """No log says that somebody still has ports which the rule in force gives to somebody else.

    Of what was and is over nothing is said: a log has told it truthfully, and whoever read it in was told.
    """
    of_rule = and_(
        NatBlock.tenant_id == NatRule.tenant_id,
        NatBlock.outside.between(NatRule.first_outside, NatRule.last_outside),
        NatBlock.began_at >= NatRule.since,
        NatBlock.ended_at.is_(None),
    )
    found: list[Violation] = []
    for rule in (await db.execute(rules_of(tenant_id).where(NatRule.until.is_(None)).order_by(NatRule.id))).all():
        mapping, by_source = mapping_of(rule), dict[str, list[Any]]()
        page = select(*BLOCK).join(NatRule, of_rule).where(NatRule.id == rule.id).order_by(NatBlock.id).limit(AT_ONCE)
        rows: Sequence[Any] = ()
        while rows := (await db.execute(page.where(NatBlock.id > (rows[-1].id if rows else 0)))).all():
            for row in rows:
                if differs(row, mapping, rule.vrf_id):
                    by_source.setdefault(row.source, []).append(row)
        found.extend(_violation(rule, mapping, source, off) for source, off in by_source.items())
    return found


def _violation(rule: Any, mapping: PortMapping, source: str, blocks: Sequence[Any]) -> Violation:
    first = _told(blocks[0], rule, mapping)
    more = f", and {len(blocks) - 1} more of its blocks are not the rule's" if len(blocks) > 1 else ""
    whose = f"the rule gives it to {first['by_rule'] or 'nobody'}{more}"
    block = f"{first['outside']}:{first['first_port']}-{first['last_port']} is {first['inside']}'s"
    return Violation(
        f"port blocks of pool {rule.name}",
        f"are not what log {source} says: {block} since {told(first['began_at'])}, {whose}; end the rule that the box"
        " doesn't map by, or read in the rest of its log",
    )


def _in_its_time(block: Any, rule: Any) -> bool:
    began_under_it = block.began_at >= rule.since or (block.ended_at is not None and block.ended_at > rule.since)
    return began_under_it and (rule.until is None or block.began_at < rule.until)


def _told(block: Any, rule: Any, mapping: PortMapping) -> NatContradiction:
    inside = from_bytes(block.inside)[1]
    by_rule = next((each for each in _holders(block, mapping) if each != inside), inside)
    return NatContradiction(
        outside=format_address(block.outside),
        first_port=block.first_port,
        last_port=block.last_port,
        inside=format_address(block.inside),
        began_at=block.began_at,
        pool=rule.name,
        by_rule=None if by_rule is None else format_address(to_bytes(4, by_rule)),
    )


def _holders(block: Any, mapping: PortMapping) -> tuple[int | None, int | None]:
    """Of its first and of its last port by the rule; where these are one's, so are those between them."""
    outside = from_bytes(block.outside)[1]
    return mapping.inside_of(outside, block.first_port), mapping.inside_of(outside, block.last_port)
