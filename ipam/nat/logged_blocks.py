"""Port blocks that a box without a rule gives out as it likes: as its logs tell, each for its time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from operator import itemgetter
from typing import Any

from sqlalchemy import insert, select

from ipam.addresses import format_address, parse_address, to_bytes
from ipam.errors import Fault, RequestInvalid
from ipam.estate.rows import EstateRows
from ipam.estate.spec import DEFAULT_VRF
from ipam.nat import log_faults
from ipam.nat.contradictions import told_against
from ipam.nat.rule_rows import HAS_HELD, rules_of
from ipam.nat.rule_rows import told as told_at
from ipam.tables import NatBlock, NatRule, table_of
from ipam.upkeep.answers import NatContradiction

_BLOCK = table_of(NatBlock)
AT_ONCE = 500
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
    their own end no log has told. How many of those that were read contradict a rule that held then, and the first."""

    new: int
    ended_by_next: int
    contradicts_rule: int = 0
    first_contradicting: tuple[NatContradiction, ...] = ()


@dataclass(frozen=True)
class _Line:
    where: str
    source: str
    outside: bytes
    first_port: int
    last_port: int
    inside: bytes
    vrf_id: int
    began_at: datetime
    ended_at: datetime | None
    row_id: int | None = None

    @property
    def key(self) -> tuple[bytes, int, datetime]:
        return self.outside, self.first_port, self.began_at

    @property
    def block(self) -> tuple[object, ...]:
        """All that is said of it but when it ended."""
        return *self.key, self.last_port, self.inside, self.vrf_id

    def in_words(self) -> str:
        until = "on" if self.ended_at is None else f"to {told_at(self.ended_at)}"
        return f"{format_address(self.inside)}'s from {told_at(self.began_at)} {until} ({self.where})"

    def meets(self, other: _Line) -> bool:
        """Whether both had one port at one time."""
        in_ports = self.first_port <= other.last_port and other.first_port <= self.last_port
        ends_before = self.ended_at is not None and self.ended_at <= other.began_at
        begins_after = other.ended_at is not None and other.ended_at <= self.began_at
        return in_ports and not ends_before and not begins_after


async def import_blocks(
    rows: EstateRows, blocks: Sequence[LoggedBlock], *, source: str, now: datetime
) -> ImportedBlocks:
    """As ``PortBlocks.import_blocks`` says."""
    await rows.be_alone()
    network = await log_faults.network_of(rows, [vars(block) for block in blocks], now)
    lines, wrong = _read(network, blocks, source)
    known = await _known(rows, {line.outside for line in lines.values()})
    wrong += _off_pools(network, lines, blocks, {line.block for line in known})
    rules = (await rows.db.execute(rules_of(rows.tenant_id).where(HAS_HELD).order_by(NatRule.since))).all()
    assumed, told_now = _ends_by_next(known, rules), list(_folded(lines.values()))
    new, ended = _compared(told_now, known, assumed)
    closed = {line.row_id: line for line in ended}
    reopened = _reopened(known, assumed, told=lines.values())
    standing = [*new, *(closed.get(line.row_id, line) for line in reopened)]
    ends = _ends_by_next(standing, rules)
    standing = [replace(line, ended_at=line.ended_at or ends.get(line.key)) for line in standing]
    numbers = {line.where: number for number, line in lines.items()}
    wrong += ((numbers.get(clash.where, len(blocks)), clash) for clash in _clashes(standing))
    faults = [*log_faults.source_faults(source), *(fault for _, fault in sorted(wrong, key=itemgetter(0)))]
    if faults:
        (where, what), *others = faults
        raise RequestInvalid(where, what, *others)
    new_ends = await _write(rows, standing, {line.row_id: line.ended_at for line in known})
    told = {line.key for line in (*new, *ended) if line.ended_at is not None}
    against = told_against(told_now, rules)
    return ImportedBlocks(
        new=len(new) + len(ended),
        ended_by_next=sum(line.key not in told for line in new_ends),
        contradicts_rule=len(against),
        first_contradicting=tuple(against[:MOST_TOLD]),
    )


async def _write(
    rows: EstateRows, standing: Sequence[_Line], before: Mapping[int | None, datetime | None]
) -> list[_Line]:
    """Those with another end than they had ``before``."""
    for line in standing:
        if line.row_id is not None and line.ended_at != before[line.row_id]:
            await rows.change(NatBlock, line.row_id, ended_at=line.ended_at)
    fresh = [_row(rows.tenant_id, line) for line in standing if line.row_id is None]
    if fresh:
        await rows.db.execute(insert(_BLOCK), fresh)
    return [line for line in standing if line.ended_at != before.get(line.row_id)]


def _read(
    network: log_faults.KnownNetwork, blocks: Sequence[LoggedBlock], source: str
) -> tuple[dict[int, _Line], list[_Wrong]]:
    """What can be meant, by its number, and what is wrong with the rest."""
    lines, wrong = dict[int, _Line](), list[_Wrong]()
    for number, block in enumerate(blocks):
        found, vrf = network.faults(vars(block)), network.vrfs[block.vrf]
        if isinstance(vrf, int) and not found:
            lines[number] = _line(_where(number, block), block, vrf, source)
        wrong += _at(number, block, found)
    return lines, wrong


def _off_pools(
    network: log_faults.KnownNetwork,
    lines: Mapping[int, _Line],
    blocks: Sequence[LoggedBlock],
    known: Collection[tuple[object, ...]],
) -> Iterator[_Wrong]:
    """What the pools say against the lines. What was read before may be said again, whatever has become of them."""
    for number, line in lines.items():
        if line.block not in known:
            yield from _at(number, blocks[number], network.pool_faults(vars(blocks[number])))


def _at(number: int, block: LoggedBlock, faults: Iterable[Fault]) -> Iterator[_Wrong]:
    joint = ": " if block.where else "."
    for fault in faults:
        yield number, Fault(f"{_where(number, block)}{joint}{fault.where}", fault.what)


def _where(number: int, block: LoggedBlock) -> str:
    return block.where or f"blocks.{number}"


def _line(where: str, block: LoggedBlock, vrf_id: int, source: str) -> _Line:
    outside, inside = (to_bytes(*parse_address(text)) for text in (block.outside, block.inside))
    ports = (block.first_port, block.last_port)
    return _Line(where, source, outside, *ports, inside, vrf_id, block.began_at, block.ended_at)


async def _known(rows: EstateRows, outside: set[bytes]) -> list[_Line]:
    found: list[_Line] = []
    addresses = sorted(outside)
    for start in range(0, len(addresses), AT_ONCE):
        of_these = select(_BLOCK).where(
            _BLOCK.c.tenant_id == rows.tenant_id, _BLOCK.c.outside.in_(addresses[start : start + AT_ONCE])
        )
        for row in await rows.db.execute(of_these):
            where = f"a block imported from {row.source}"
            bounds = (row.first_port, row.last_port, row.inside, row.vrf_id, row.began_at, row.ended_at)
            found.append(_Line(where, row.source, row.outside, *bounds, row_id=row.id))
    return found


def _folded(lines: Iterable[_Line]) -> Iterator[_Line]:
    """Each block once, and with its end where a line says it; one that ended twice is left as it is."""
    by_block: dict[tuple[object, ...], dict[datetime | None, _Line]] = defaultdict(dict)
    for line in lines:
        by_block[line.block].setdefault(line.ended_at, line)
    for by_end in by_block.values():
        if len(by_end) > 1:
            by_end.pop(None, None)
        yield from by_end.values()


def _ends_by_next(lines: Iterable[_Line], rules: Sequence[Any]) -> dict[tuple[bytes, int, datetime], datetime]:
    """When a block had ended at the latest: its box gave its ports out anew, or a rule over them began before that."""
    of_ports: dict[tuple[str, bytes, int, int], set[datetime]] = defaultdict(set)
    for line in lines:
        of_ports[line.source, line.outside, line.first_port, line.last_port].add(line.began_at)
    ends: dict[tuple[bytes, int, datetime], datetime] = {}
    for (_, outside, first_port, _), begins in of_ports.items():
        over = [rule.since for rule in rules if rule.first_outside <= outside <= rule.last_outside]
        for began_at, next_at in pairwise(sorted(begins)):
            ends[outside, first_port, began_at] = next((at for at in over if began_at < at < next_at), next_at)
    return ends


def _compared(
    lines: Iterable[_Line], known: Sequence[_Line], assumed: dict[tuple[bytes, int, datetime], datetime]
) -> tuple[list[_Line], list[_Line]]:
    """What is new, and what was open and has ended; what was said before isn't said again. An end that was only
    ``assumed`` gives way to the one that is told."""
    before_by_key = {line.key: line for line in known}
    new: list[_Line] = []
    ended: list[_Line] = []
    for line in lines:
        before = before_by_key.get(line.key)
        if before is None or before.block != line.block:
            new.append(line)
        elif line.ended_at is None or line.ended_at == before.ended_at:
            continue
        elif before.ended_at is None or line.ended_at < before.ended_at == assumed.get(line.key):
            ended.append(replace(line, source=before.source, row_id=before.row_id))
        else:
            new.append(line)
    return new, ended


def _reopened(
    known: Iterable[_Line], assumed: dict[tuple[bytes, int, datetime], datetime], *, told: Iterable[_Line]
) -> list[_Line]:
    """What is known, without the ends that were only assumed: a delayed line may say who had the ports before that."""
    said = {(line.block, line.ended_at) for line in told}
    return [
        replace(line, ended_at=None)
        if line.ended_at == assumed.get(line.key) and (line.block, line.ended_at) not in said
        else line
        for line in known
    ]


def _clashes(lines: Iterable[_Line]) -> list[Fault]:
    """Two who had one port at one time: one of the logs is wrong."""
    by_outside: dict[bytes, list[_Line]] = defaultdict(list)
    for line in sorted(lines, key=lambda each: each.began_at):
        by_outside[line.outside].append(line)
    faults: list[Fault] = []
    for of_address in by_outside.values():
        current: list[_Line] = []
        for line in of_address:
            current = [each for each in current if each.ended_at is None or each.ended_at > line.began_at]
            for other in current:
                if line.meets(other):
                    told, before = (line, other) if line.row_id is None else (other, line)
                    ports = f"{format_address(told.outside)}:{told.first_port}-{told.last_port}"
                    faults.append(Fault(told.where, f"{ports} was {before.in_words()}"))
            current.append(line)
    return faults


def _row(tenant_id: str, line: _Line) -> dict[str, Any]:
    columns = ("source", "outside", "first_port", "last_port", "inside", "vrf_id", "began_at", "ended_at")
    return {"tenant_id": tenant_id, **{name: getattr(line, name) for name in columns}}
