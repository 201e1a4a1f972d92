"""Rules of port blocks as a description says them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

from ipam.errors import EstateRefused, Fault, RequestInvalid
from ipam.estate.rows import Outcome
from ipam.estate.spec import NatRuleSpec
from ipam.nat.port_blocks import PortBlocks


async def give_up(blocks: PortBlocks, rules: Iterable[NatRuleSpec]) -> set[str]:
    """Those in force that are described otherwise end, before any of these begins: their outsides may change places.
    Returned are the pools that they were of.

    Raises:
        EstateRefused, EstateInUse: as ``NetworkEstate.define_nat_rule`` says.
    """
    ended: set[str] = set()
    for rule in rules:
        with _faults_of(rule):
            if await blocks.make_room(rule.model_dump()):
                ended.add(rule.pool)
    return ended


async def define_rule(blocks: PortBlocks, rule: NatRuleSpec, *, given_up: Collection[str]) -> Outcome:
    """Let it be in force. ``given_up``: the pools whose rules have ended for such ones.

    Raises:
        EstateRefused, OutsideShared, Overlap, EstateInUse: as ``NetworkEstate.define_nat_rule`` says.
    """
    with _faults_of(rule):
        begins = await blocks.define_rule(**rule.model_dump(), described=True)
    if not begins:
        return "unchanged"
    return "changed" if rule.pool in given_up else "created"


@contextmanager
def _faults_of(rule: NatRuleSpec) -> Iterator[None]:
    """
    Raises:
        EstateRefused: with all that is wrong with the rule.
    """
    try:
        yield
    except RequestInvalid as refused:
        where = f"nat_rule {rule.pool}"
        raise EstateRefused([Fault(where, f"{fault.where}: {fault.what}") for fault in refused.faults]) from refused
