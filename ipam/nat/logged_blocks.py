"""Port blocks that a box without a rule gives out as it likes: as its logs tell, each for its time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import and_, exists, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.addresses import format_address, parse_address, to_bytes
from ipam.errors import EstateRefused, Fault, NameUnknown
from ipam.estate.rows import EstateRows
from ipam.estate.spec import DEFAULT_VRF
from ipam.nat.deterministic import LAST_PORT
from ipam.nat.rule_times import told as told_at
from ipam.tables import NatBlock, NatRule, Vrf, table_of
from ipam.units import Interval
from ipam.upkeep.answers import NatBlockAt

_BLOCK = table_of(NatBlock)
AT_ONCE = 500
CLOCK_AHEAD = timedelta(minutes=5)
"""So far a box's clock may be ahead of ours."""


@dataclass(frozen=True)
class LoggedBlock:
    """One line of a log: ports ``first_port`` to ``last_port`` of ``outside`` were ``inside``'s for a time.

    ``ended_at`` None: they still were when the log was read. ``vrf`` is the inside address's. ``where`` is what it is
    called when it is refused, such as ``line 7`` of a file; None: by its place among the others.
    """

    outside: str
    first_port: int
    last_port: int
    inside: str
    began_at: datetime
    ended_at: datetime | None = None
    vrf: str = DEFAULT_VRF
    where: str | None = field(default=None, compare=False)

    def faults(self) -> Iterator[str]:
        """What of it can't be meant, whatever other lines say."""
        for name in ("outside", "inside"):
            try:
                family, _ = parse_address(getattr(self, name))
                if family != 4:
                    yield f"{name}: {getattr(self, name)} is not IPv4"
            except ValueError as exc:
                yield f"{name}: {exc}"
        if not 1 <= self.first_port <= self.last_port <= LAST_PORT:
            yield f"ports {self.first_port} to {self.last_port} don't lie in 1..{LAST_PORT}"
        if self.began_at.tzinfo is None or (self.ended_at is not None and self.ended_at.tzinfo is None):
            yield "a time has no zone"
        elif self.ended_at is not None and self.ended_at <= self.began_at:
            yield "it ends before it begins"


@dataclass(frozen=True)
class ImportedBlocks:
    """How many blocks are new or have ended since the last import, and how many ended by the next one of their ports:
    their own end no log has told."""

    new: int
    ended_by_next: int


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
    lines, faults = await _read(rows, blocks, source, now)
    known = await _known(rows, {line.outside for line in lines})
    rules = await _rules(rows)
    assumed = _ends_by_next(known, rules)
    new, ended = _compared(_folded(lines), known, assumed)
    closed = {line.row_id: line for line in ended}
    reopened = _reopened(known, assumed, told=lines)
    standing = [*new, *(closed.get(line.row_id, line) for line in reopened)]
    ends = _ends_by_next(standing, rules)
    standing = [replace(line, ended_at=line.ended_at or ends.get(line.key)) for line in standing]
    faults += _clashes(standing)
    if faults:
        raise EstateRefused(faults)
    before = {line.row_id: line.ended_at for line in known}
    for line in standing:
        if line.row_id is not None and line.ended_at != before[line.row_id]:
            await rows.change(NatBlock, line.row_id, ended_at=line.ended_at)
    if new:
        fresh = [_row(rows.tenant_id, line) for line in standing if line.row_id is None]
        await rows.db.execute(insert(_BLOCK), fresh)
    told = {line.key for line in (*new, *ended) if line.ended_at is not None}
    cut = [line for line in standing if line.key not in told and line.ended_at != before.get(line.row_id)]
    return ImportedBlocks(new=len(new) + len(ended), ended_by_next=len(cut))


async def _read(
    rows: EstateRows, blocks: Sequence[LoggedBlock], source: str, now: datetime
) -> tuple[list[_Line], list[Fault]]:
    """What can be meant, and what is wrong with the rest."""
    vrfs, faults = dict[str, int | str](), list[Fault]()
    for name in sorted({block.vrf for block in blocks}):
        try:
            vrfs[name] = await rows.id_of("vrf", name)
        except NameUnknown as unknown:
            vrfs[name] = str(unknown)
    lines: list[_Line] = []
    for number, block in enumerate(blocks, start=1):
        where = block.where or f"line {number}"
        wrong, vrf = list(block.faults()), vrfs[block.vrf]
        if block.began_at.tzinfo is not None and block.began_at > now + CLOCK_AHEAD:
            wrong.append(f"it begins at {told_at(block.began_at)}, which is still to come")
        elif block.ended_at is not None and block.ended_at.tzinfo is not None and block.ended_at > now + CLOCK_AHEAD:
            wrong.append(f"it ends at {told_at(block.ended_at)}, which is still to come")
        if isinstance(vrf, str):
            wrong.append(vrf)
        elif not wrong:
            lines.append(_line(where, block, vrf, source))
        faults += [Fault(where, fault) for fault in wrong]
    return lines, faults


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


async def _rules(rows: EstateRows) -> Sequence[Any]:
    """Over which outside addresses a rule began when."""
    return (
        await rows.db.execute(
            select(NatRule.first_outside, NatRule.last_outside, NatRule.since)
            .where(NatRule.tenant_id == rows.tenant_id, or_(NatRule.until.is_(None), NatRule.until > NatRule.since))
            .order_by(NatRule.since)
        )
    ).all()


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


async def covering(
    db: AsyncSession, tenant_id: str, outside: bytes, port: int, at: datetime
) -> tuple[NatBlockAt, str] | None:
    """The block that a port lay in then, and the VRF of its inside address."""
    of_port = (NatBlock.outside == outside, NatBlock.first_port <= port, NatBlock.last_port >= port)
    row = (await db.execute(_at(tenant_id, at).where(*of_port))).first()
    return None if row is None else (_told(row), row.vrf)


async def ports_of(db: AsyncSession, tenant_id: str, outside: bytes, at: datetime) -> list[Interval]:
    """The ports of an outside address that lay in a block then."""
    return [
        (row.first_port, row.last_port)
        for row in await db.execute(_at(tenant_id, at).where(NatBlock.outside == outside))
    ]


async def of_inside(
    db: AsyncSession, tenant_id: str, inside: bytes, at: datetime, vrf: str | None
) -> list[tuple[NatBlockAt, str]]:
    """All blocks that an inside address had then, and the VRF of each."""
    in_vrf = [Vrf.name == vrf] if vrf else []
    rows = await db.execute(_at(tenant_id, at).where(NatBlock.inside == inside, *in_vrf))
    return [(_told(row), row.vrf) for row in rows]


def _at(tenant_id: str, at: datetime) -> Any:
    """The blocks of that time. One whose end no log has told ended at the latest when a rule began over its address."""
    ended_by_a_rule = exists().where(
        NatRule.tenant_id == tenant_id,
        NatRule.first_outside <= NatBlock.outside,
        NatRule.last_outside >= NatBlock.outside,
        NatRule.since > NatBlock.began_at,
        NatRule.since <= at,
        or_(NatRule.until.is_(None), NatRule.until > NatRule.since),  # one that was replaced at once has never held
    )
    return (
        select(*_BLOCK.columns, Vrf.name.label("vrf"))
        .join(Vrf, Vrf.id == NatBlock.vrf_id)
        .where(
            NatBlock.tenant_id == tenant_id,
            NatBlock.began_at <= at,
            or_(and_(NatBlock.ended_at.is_(None), ~ended_by_a_rule), NatBlock.ended_at > at),
        )
        .order_by(NatBlock.outside, NatBlock.first_port)
    )


def _told(row: Any) -> NatBlockAt:
    return NatBlockAt(
        outside=format_address(row.outside),
        first_port=row.first_port,
        last_port=row.last_port,
        inside=format_address(row.inside),
        source=f"log {row.source}",
    )
