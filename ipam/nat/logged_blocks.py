"""Port blocks that a box without a rule gives out as it likes: as its logs tell, each for its time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import and_, exists, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.addresses import format_address, parse_address, to_bytes
from ipam.errors import EstateRefused, Fault, NameUnknown
from ipam.estate.rows import EstateRows
from ipam.estate.spec import DEFAULT_VRF
from ipam.nat.deterministic import LAST_PORT
from ipam.tables import NatBlock, NatRule, Vrf, table_of
from ipam.units import Interval
from ipam.upkeep.answers import NatBlockAt

_BLOCK = table_of(NatBlock)
AT_ONCE = 500


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
class _Line:
    where: str
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

    def meets(self, other: _Line) -> bool:
        """Whether both had one port at one time."""
        in_ports = self.first_port <= other.last_port and other.first_port <= self.last_port
        ends_before = self.ended_at is not None and self.ended_at <= other.began_at
        begins_after = other.ended_at is not None and other.ended_at <= self.began_at
        return in_ports and not ends_before and not begins_after


async def import_blocks(rows: EstateRows, blocks: Sequence[LoggedBlock], *, source: str) -> int:
    """As ``PortBlocks.import_blocks`` says."""
    await rows.be_alone()
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
        if isinstance(vrf, str):
            wrong.append(vrf)
        elif not wrong:
            lines.append(_line(where, block, vrf))
        faults += [Fault(where, fault) for fault in wrong]
    known = await _known(rows, {line.outside for line in lines})
    new, ended = _compared(lines, {line.key: line for line in known})
    closed = {line.row_id: line for line in ended}
    faults += _clashes([*new, *(closed.get(line.row_id, line) for line in known)])
    if faults:
        raise EstateRefused(faults)
    for line in ended:
        assert line.row_id is not None
        await rows.change(NatBlock, line.row_id, ended_at=line.ended_at)
    if new:
        await rows.db.execute(insert(_BLOCK), [_row(rows.tenant_id, line, source) for line in new])
    return len(new) + len(ended)


def _line(where: str, block: LoggedBlock, vrf_id: int) -> _Line:
    outside, inside = (to_bytes(*parse_address(text)) for text in (block.outside, block.inside))
    return _Line(where, outside, block.first_port, block.last_port, inside, vrf_id, block.began_at, block.ended_at)


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
            found.append(_Line(where, row.outside, *bounds, row_id=row.id))
    return found


def _compared(
    lines: Sequence[_Line], known: dict[tuple[bytes, int, datetime], _Line]
) -> tuple[list[_Line], list[_Line]]:
    """What is new, and what was open and has ended; what was said before isn't said again."""
    new: list[_Line] = []
    ended: list[_Line] = []
    for line in lines:
        before = known.get(line.key)
        if before is None or (before.last_port, before.inside, before.vrf_id) != (
            line.last_port,
            line.inside,
            line.vrf_id,
        ):
            new.append(line)
        elif before.ended_at is None and line.ended_at is not None:
            ended.append(_Line(**{**line.__dict__, "row_id": before.row_id}))
        elif line.ended_at is not None and line.ended_at != before.ended_at:
            new.append(line)
    return new, ended


def _clashes(lines: Sequence[_Line]) -> list[Fault]:
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
                    ports = f"{format_address(line.outside)}:{line.first_port}-{line.last_port}"
                    faults.append(Fault(line.where, f"{ports} was somebody else's at that time ({other.where})"))
            current.append(line)
    return faults


def _row(tenant_id: str, line: _Line, source: str) -> dict[str, Any]:
    columns = ("outside", "first_port", "last_port", "inside", "vrf_id", "began_at", "ended_at")
    return {"tenant_id": tenant_id, "source": source, **{name: getattr(line, name) for name in columns}}


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
