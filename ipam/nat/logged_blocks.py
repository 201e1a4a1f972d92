"""Port blocks that a box without a rule gives out as it likes: as its logs tell, each for its time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import delete

from ipam.addresses import parse_address, to_bytes
from ipam.bulk import in_parts, insert_many, update_many
from ipam.errors import Fault, RequestInvalid
from ipam.estate.rows import EstateRows
from ipam.estate.spec import DEFAULT_VRF
from ipam.nat import log_faults
from ipam.nat.contradictions import told_against
from ipam.nat.known_lines import known_around
from ipam.nat.log_lines import (
    Before,
    BlockLine,
    clashes,
    compared,
    ends_by_next,
    folded,
    lengthened,
    nobodys,
    reopened,
    with_ends,
)
from ipam.nat.rule_rows import HAS_HELD, rules_of
from ipam.tables import NatBlock, NatRule, table_of
from ipam.upkeep.answers import NatContradiction

_BLOCK = table_of(NatBlock)
MOST_TOLD = 5
"""Of the blocks that contradict a rule so many are named."""

_Wrong = tuple[int, Fault]
"""The number of a block, and what is wrong with it."""


@dataclass(frozen=True)
class LoggedBlock:
    """One line of a log: ports ``first_port`` to ``last_port`` of ``outside`` were ``inside``'s for a time.

    ``ended_at`` None: they still were when the log was read. ``vrf`` is the inside address's. ``where`` is what it is
    called when it is refused, such as ``line 7`` of a file; None: ``blocks.6``, by its place among the others.
    """

    outside: str
    first_port: int
    last_port: int
    inside: str
    began_at: datetime
    ended_at: datetime | None = None
    vrf: str = DEFAULT_VRF
    where: str | None = field(default=None, compare=False)

    def faults(self) -> Iterator[Fault]:
        """What of it can't be meant, whatever other lines say."""
        return log_faults.faults_of(vars(self))


@dataclass(frozen=True)
class ImportedBlocks:
    """How many blocks are new or have ended since the last import, and how many ended by the next one of their ports:
    their own end no log has told. How many of those that were read contradict a rule that held then, and the first. How
    many ended when they began, and so were nobody's at any time: of these nothing is kept."""

    new: int
    ended_by_next: int
    contradicts_rule: int = 0
    first_contradicting: tuple[NatContradiction, ...] = ()
    for_no_time: int = 0


@dataclass(frozen=True)
class _Weighed:
    """What a log comes to: who has which ports when, with all that speaks against it."""

    faults: list[Fault]
    new: list[BlockLine]
    ended: list[BlockLine]
    """Those that were known, and of which now an end is told; but for those of which it may have been before."""
    standing: list[BlockLine]
    """Those that are new and those that are known, with the ends that they have now."""
    gone: list[BlockLine]
    """Those that were known without an end and, as is told now, were for no time."""
    before: Before
    against: list[NatContradiction]
    for_no_time: int


async def import_blocks(
    rows: EstateRows, blocks: Sequence[LoggedBlock], *, source: str, now: datetime
) -> ImportedBlocks:
    """As ``PortBlocks.import_blocks`` says."""
    await rows.be_alone()
    log = await _weighed(rows, source, [vars(block) for block in blocks], now)
    if log.faults:
        (where, what), *others = log.faults
        raise RequestInvalid(where, what, *others)
    moved = await _write(rows, log)
    return ImportedBlocks(
        new=len(log.new) + len(log.ended) + len(log.gone),
        ended_by_next=sum(line.end_told is False for line in moved),
        contradicts_rule=len(log.against),
        first_contradicting=tuple(log.against[:MOST_TOLD]),
        for_no_time=log.for_no_time,
    )


async def faults_in(
    rows: EstateRows, source: str | None, blocks: Sequence[Mapping[str, Any]], now: datetime
) -> list[Fault]:
    """All that speaks against a log of which this is known: of a block its parts, named as in ``LoggedBlock``."""
    return (await _weighed(rows, source, blocks, now)).faults


async def _weighed(
    rows: EstateRows, source: str | None, blocks: Sequence[Mapping[str, Any]], now: datetime
) -> _Weighed:
    """A log may have a hundred thousand lines: what is only thought is thought in a thread, while others want to be
    answered."""
    network = await log_faults.network_of(rows, blocks, now)
    lines, wrong = await asyncio.to_thread(_read, network, blocks, source or "")
    rules = (await rows.db.execute(rules_of(rows.tenant_id).where(HAS_HELD).order_by(NatRule.since))).all()
    known = await known_around(rows.db, rows.tenant_id, list(lines.values()), rules)

    def weighed() -> _Weighed:
        said_before = {line.block for line in known}
        wrong.extend(_off_pools(network, lines, blocks, said_before))
        log = _held_against(lines, known, rules)
        numbers = {line.where: number for number, line in lines.items()}
        if source is not None:  # else it isn't known which blocks ended with the next of their ports
            wrong.extend((numbers.get(clash.where, len(blocks)), clash) for clash in log.faults)
        of_source = [] if source is None else log_faults.source_faults(source)
        return replace(log, faults=[*of_source, *(fault for _, fault in sorted(wrong, key=itemgetter(0)))])

    return await asyncio.to_thread(weighed)


def _held_against(lines: Mapping[int, BlockLine], known: Sequence[BlockLine], rules: Sequence[Any]) -> _Weighed:
    assumed = ends_by_next(known, rules)
    told_now, for_no_time = folded(lines.values())
    new, ending = compared(told_now, known, assumed)
    gone = nobodys(for_no_time, told_now, known, assumed)
    closed = {line.row_id: line for line in ending}
    gone_ids = {line.row_id for line in gone}
    others = (line for line in reopened(known, assumed) if line.row_id not in gone_ids)
    standing = [*new, *(closed.get(line.row_id, line) for line in others)]
    before = {line.row_id: line for line in known}
    standing = with_ends(standing, ends_by_next(standing, rules), before, assumed)
    return _Weighed(
        faults=clashes(lengthened(standing, before, gone)),
        new=new,
        ended=[
            line for line in ending if line.ended_at != (was := before[line.row_id]).ended_at or was.end_told is False
        ],
        standing=standing,
        gone=gone,
        before=before,
        against=told_against(told_now, rules),
        for_no_time=len(for_no_time),
    )


async def _write(rows: EstateRows, log: _Weighed) -> list[BlockLine]:
    """Those of which something else is known than before. What is gone makes way first: others may begin just then."""
    for line in log.gone:
        await rows.db.execute(delete(_BLOCK).where(_BLOCK.c.id == line.row_id))
    moved = [line for line in log.standing if _end(line) != _end(log.before.get(line.row_id))]
    changed = [
        {"id": line.row_id, "ended_at": line.ended_at, "end_told": line.end_told}
        for line in moved
        if line.row_id is not None
    ]
    for part in in_parts(changed):
        await update_many(rows.db, _BLOCK, ("id",), part)
    fresh = [line for line in log.standing if line.row_id is None]
    for some in in_parts(fresh):
        await insert_many(rows.db, _BLOCK, [_row(rows.tenant_id, line) for line in some])
    return moved


def _end(line: BlockLine | None) -> tuple[datetime | None, bool | None]:
    return (None, None) if line is None else (line.ended_at, line.end_told)


def _read(
    network: log_faults.HeldAgainst, blocks: Sequence[Mapping[str, Any]], source: str
) -> tuple[dict[int, BlockLine], list[_Wrong]]:
    """What can be meant, by its number, and what is wrong with the rest."""
    lines, wrong = dict[int, BlockLine](), list[_Wrong]()
    for number, said in enumerate(blocks):
        found = network.faults(said)
        if not found and said.keys() >= log_faults.PARTS:
            lines[number] = _line(_where(number, said), said, network, source)
        elif not found:
            found = list(network.pool_faults(said))
        wrong += _at(number, said, found)
    return lines, wrong


def _off_pools(
    network: log_faults.HeldAgainst,
    lines: Mapping[int, BlockLine],
    blocks: Sequence[Mapping[str, Any]],
    known: Collection[tuple[object, ...]],
) -> Iterator[_Wrong]:
    """What the pools say against the lines. What was read before may be said again, whatever has become of them."""
    for number, line in lines.items():
        if line.block not in known:
            yield from _at(number, blocks[number], network.pool_faults(blocks[number]))


def _at(number: int, said: Mapping[str, Any], faults: Iterable[Fault]) -> Iterator[_Wrong]:
    joint = ": " if said.get("where") else "."
    for fault in faults:
        yield number, Fault(f"{_where(number, said)}{joint}{fault.where}", fault.what)


def _where(number: int, said: Mapping[str, Any]) -> str:
    return said.get("where") or f"blocks.{number}"


def _line(where: str, said: Mapping[str, Any], network: log_faults.HeldAgainst, source: str) -> BlockLine:
    outside, inside = (to_bytes(*parse_address(said[name])) for name in ("outside", "inside"))
    vrf_id = network.vrfs[said["vrf"]]
    assert isinstance(vrf_id, int), "else it is a fault"
    ports = (said["first_port"], said["last_port"])
    ended_at = said["ended_at"]
    return BlockLine(
        where, source, outside, *ports, inside, vrf_id, said["began_at"], ended_at, None if ended_at is None else True
    )


def _row(tenant_id: str, line: BlockLine) -> dict[str, Any]:
    columns = ("source", "outside", "first_port", "last_port", "inside", "vrf_id", "began_at", "ended_at", "end_told")
    return {"tenant_id": tenant_id, **{name: getattr(line, name) for name in columns}}
