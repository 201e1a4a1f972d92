"""What the audit keeps of what is said of a CGNAT by hand: the same, through whichever door it came."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from ipam import ImportedBlocks, NatRuleInForce, PortBlocks
from provisioning.access import subject_of


async def deed_of_rule(blocks: PortBlocks, pool: str, change: Awaitable[bool]) -> tuple[bool, dict[str, Any]]:
    """Carries out a change of the pool's rule, and answers as it does; besides, as fields of ``Deed``, which rule stood
    before, and which stands since.

    Raises: as the change does.
    """
    before = await _in_force(blocks, pool)
    changed = await change
    after = await _in_force(blocks, pool)
    return changed, {"subject": subject_of("pool", pool), "before": {"rule": before}, "after": {"rule": after}}


def deed_of_log(source: str, lines: int, done: ImportedBlocks) -> dict[str, Any]:
    """Of a log with so many blocks, as fields of ``Deed``: whose it is, and what it brought, in numbers."""
    counts = {name: value for name, value in vars(done).items() if isinstance(value, int)}
    return {"subject": subject_of("nat_log", source), "after": {"blocks": lines, **counts}}


async def _in_force(blocks: PortBlocks, pool: str) -> NatRuleInForce | None:
    return next((rule for rule in await blocks.rules() if rule["pool"] == pool), None)
