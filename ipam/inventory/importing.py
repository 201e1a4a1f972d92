"""Writing what a file of existing allocations says: all of it or nothing, in a handful of statements by the thousand.

What is wrong with a file is found before anything of a pool is locked, and its services and their history are written
before that, too: allocations wait for the rest alone, and only where nothing is left of the pool but ranges of which
the file takes something. Then what is to be taken is looked at once more; if others have had some of it meanwhile, all
is undone and done again behind the locks.

Free ranges are cut once a pool, by a scan over what the file takes. What is left between stays free ranges, however
short: a hole that became a row of a rested unit would need a story of its own, and takes more room than the range does.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Table, bindparam, delete, select, update

from ipam.allocation.patience import OthersWereQuicker, patiently
from ipam.bulk import count_anew, in_parts, insert_many
from ipam.errors import ImportRefused
from ipam.estate.ranges import cut_only, lock_with
from ipam.estate.rows import EstateRows
from ipam.inventory.answers import CheckedImport, ImportCounts
from ipam.inventory.draft import Draft, WantedUnit
from ipam.inventory.files import ImportFile
from ipam.inventory.lines import ImportSource, as_note
from ipam.inventory.new_services import write_moves, write_services
from ipam.inventory.reading import Standing, known_network, numbers_by_pool, standing, used_units
from ipam.inventory.services import complete_all
from ipam.inventory.standing import Settled, settle
from ipam.kinds import ROUTED
from ipam.tables import IN_QUARANTINE, RESERVED, Allocation, AllocationEvent, FreeRange, Service, table_of
from ipam.units import UnitKey, merge
from ipam.upkeep.reserving import NOBODY
from ipam.usage.looks import begin_rates_anew

_ALLOCATION = table_of(Allocation)
_EVENT = table_of(AllocationEvent)
_RANGE = table_of(FreeRange)
_SERVICE = table_of(Service)
MOST_NAMED = 5
"""Of rows that lie outside of every pool, and of what a mapping has too much."""
MANY = 1_000
"""Fewer units leave the planner's idea of the tables as it is."""


async def check(rows: EstateRows, file: ImportFile, *, at: datetime) -> CheckedImport:
    """What the file would come to now; nothing is written or locked."""
    draft = await _drafted(rows, file, at)
    settled = settle(draft, await standing(rows, draft.units), file.source)
    return CheckedImport(
        {line: faults for line, faults in draft.faults.items() if faults}, _counts(file, draft, settled)
    )


async def bring_in(rows: EstateRows, file: ImportFile, *, at: datetime, realm: str) -> ImportCounts:
    """
    Raises:
        ImportRefused: lines are wrong; also where another ISP's service on the same database has a username.
        PoolBusy: somebody was at one of the units for too long.
    """
    await rows.be_alone()

    async def attempt(taken_by_others: frozenset[str]) -> ImportCounts:
        draft = await _drafted(rows, file, at)
        if taken_by_others:
            await _hold(rows, draft.units)
        now = await standing(rows, draft.units)
        settled = settle(draft, now, file.source)
        if any(draft.faults.values()):
            if not taken_by_others:  # else it is told what was half seen
                await _see_unchanged(rows, draft.units.values(), now)
            raise ImportRefused(draft.faults, file.places)
        services = settled.services()
        await write_services(rows, services, at=at, realm=realm, places=file.places)
        await write_moves(rows, services, file.source, at=at)
        await _write_history(rows, settled, file.source, at)
        values = _allocations(rows, settled, at)
        if not taken_by_others:
            await _hold(rows, [unit.key for unit in settled.new])
        await _hold_used(rows, settled)
        await _see_unchanged(rows, settled.new, now)
        await _write(rows, settled, values, at)
        return _counts(file, draft, settled)

    return await patiently(rows.db, attempt)


async def _hold(rows: EstateRows, units: Iterable[UnitKey]) -> None:
    """Who was about to take something where they lie has been waited for, and is seen from here on."""
    for pool_id, numbers in sorted(numbers_by_pool(units).items()):
        await lock_with(rows, pool_id, merge((unit, unit) for unit in numbers))


async def _see_unchanged(rows: EstateRows, units: Collection[WantedUnit], then: Standing) -> None:
    """Whether nothing has become of these units. Other than by its row it shows in no way: whoever has had it
    meanwhile and has given it back has left it cooling, and where nothing rests nobody is given anything.

    Raises:
        OthersWereQuicker: something has.
    """
    now = await used_units(rows.db, (unit.key for unit in units))
    if taken := {unit.pool.name for unit in units if now.get(unit.key) != then.used.get(unit.key)}:
        raise OthersWereQuicker(taken)


async def _drafted(rows: EstateRows, file: ImportFile, at: datetime) -> Draft:
    known = await known_network(rows.db, rows.tenant_id, file.lines)

    def drafted() -> Draft:
        draft = Draft(known, at, is_live=file.is_live)
        draft.add_all(file.lines)
        complete_all(draft)
        return draft

    return await asyncio.to_thread(drafted)  # seconds of work for a large file, while others want to be answered


def _counts(file: ImportFile, draft: Draft, settled: Settled) -> ImportCounts:
    states = Counter(unit.line.state for unit in settled.new)
    return ImportCounts(
        lines=len(file.lines),
        services=len(settled.services()),
        assigned=states["assigned"],
        reserved=states["reserved"],
        quarantine=states["quarantine"],
        updated=len(settled.updated),
        unchanged=settled.unchanged,
        skipped=draft.skipped,
        outside_pools=len(draft.outside),
        first_outside=[f"{line.username} {line.value}" for line in draft.outside[:MOST_NAMED]],
        mapping_unused=len(file.unused),
        first_unused=list(file.unused[:MOST_NAMED]),
    )


async def _write_history(rows: EstateRows, settled: Settled, source: ImportSource, at: datetime) -> None:
    """What nobody has to wait for: it refers to no row of what is taken, and is undone with all else."""
    freed = {"what": "unreserved", "service_id": None}
    await _insert(rows, _EVENT, [{**_event(unit, source, at), **freed} for _, unit in settled.taken_over])
    await _insert(rows, _EVENT, [_event(unit, source, at) for unit in settled.new])
    await _update_notes(rows, settled, source, at)
    if len(settled.new) >= MANY:
        await count_anew(rows.db, _SERVICE, _EVENT)


async def _write(rows: EstateRows, settled: Settled, values: Sequence[dict[str, Any]], at: datetime) -> None:
    """``values``: of the rows to be. Allocations wait for this."""
    await _take_out(rows, settled)
    names = {unit.pool.pool_id: unit.pool.name for unit in settled.new}
    for pool_id, units in sorted(numbers_by_pool((each["pool_id"], each["unit"]) for each in values).items()):
        await cut_only(rows, pool_id, names[pool_id], [(unit, unit) for unit in units])
    for some in in_parts(values):
        await insert_many(rows.db, _ALLOCATION, some)
    taken_over = {unit.pool.pool_id for unit in settled.new if unit.line.state != "reserved"}
    await begin_rates_anew(rows.db, taken_over, tenant_id=rows.tenant_id, at=at)
    if len(settled.new) >= MANY:
        await count_anew(rows.db, _RANGE, _ALLOCATION)


async def _hold_used(rows: EstateRows, settled: Settled) -> None:
    """What has rested and what is reserved, and is to be taken, is nobody else's any more: ranges keep nobody from it.

    Raises:
        OthersWereQuicker: somebody is at it.
    """
    for state, row_ids in ((IN_QUARANTINE, settled.rested_rows), (RESERVED, _kept(settled))):
        for some in in_parts(row_ids):
            free = select(Allocation.id).where(state, Allocation.id.in_(some)).with_for_update(skip_locked=True)
            if len((await rows.db.scalars(free)).all()) != len(some):
                raise OthersWereQuicker({unit.pool.name for unit in settled.new})


async def _take_out(rows: EstateRows, settled: Settled) -> None:
    """What has rested goes out of quarantine, and what is somebody's out of its reservation."""
    for some in in_parts([*settled.rested_rows, *_kept(settled)]):
        await rows.db.execute(delete(_ALLOCATION).where(_ALLOCATION.c.id.in_(some)))


def _kept(settled: Settled) -> list[int]:
    return [row_id for row_id, _ in settled.taken_over]


async def _update_notes(rows: EstateRows, settled: Settled, source: ImportSource, at: datetime) -> None:
    said = update(_ALLOCATION).where(_ALLOCATION.c.id == bindparam("row_id")).values(note=bindparam("said"))
    for some in in_parts(settled.updated):
        kept = select(Allocation.id).where(RESERVED, Allocation.id.in_([row_id for row_id, _ in some]))
        if len((await rows.db.scalars(kept.with_for_update(skip_locked=True))).all()) != len(some):
            raise OthersWereQuicker({unit.pool.name for _, unit in some})
        await rows.db.execute(said, [{"row_id": row_id, "said": unit.line.note} for row_id, unit in some])
        await _insert(rows, _EVENT, [{**_event(unit, source, at), "at": at} for _, unit in some])


def _ordinals(units: Iterable[WantedUnit]) -> Iterator[int]:
    """Whether each is the first, the second and so on that its service has of its pool: services of a file have nothing
    but what it says. Of what isn't routed the database is to refuse a second one."""
    counted: Counter[tuple[int, int]] = Counter()
    for unit in units:
        if unit.service is None or unit.line.state != "assigned" or unit.pool.kind not in ROUTED:
            yield 1
            continue
        whose = (unit.pool.pool_id, unit.service.row_id)
        counted[whose] += 1
        yield counted[whose]


def _allocations(rows: EstateRows, settled: Settled, at: datetime) -> list[dict[str, Any]]:
    """The rows of all that is to have one."""
    with_row = [unit for unit in settled.new if unit.key not in settled.rowless]
    each = zip(with_row, _ordinals(with_row), strict=True)
    return [{"tenant_id": rows.tenant_id, **_allocation(unit, ordinal, at)} for unit, ordinal in each]


def _allocation(unit: WantedUnit, ordinal: int, at: datetime) -> dict[str, Any]:
    line = unit.line
    return {
        "pool_id": unit.pool.pool_id,
        "unit": unit.unit,
        "state": line.state,
        "service_id": _service_id(unit) if line.state == "assigned" else None,
        "subject": unit.subject or NOBODY,
        "assigned_at": line.since or at,
        "available_at": line.available_at,
        "sticky_until": line.sticky_until,
        "note": line.note if line.state == "reserved" else None,
        "ordinal": ordinal,
    }


def _event(unit: WantedUnit, source: ImportSource, at: datetime) -> dict[str, Any]:
    line = unit.line
    said = as_note(source, line.note) if source == "csv" and line.state != "reserved" else line.note
    return {
        "pool_id": unit.pool.pool_id,
        "unit": unit.unit,
        "service_id": _service_id(unit),
        "what": {"quarantine": "released"}.get(line.state, line.state),
        "at": line.since or at,
        "available_at": line.available_at,
        "note": said,
    }


def _service_id(unit: WantedUnit) -> int | None:
    return unit.service.row_id if unit.service is not None else None


async def _insert(rows: EstateRows, table: Table, values: Sequence[dict[str, Any]]) -> None:
    for some in in_parts([{"tenant_id": rows.tenant_id, **each} for each in values]):
        await insert_many(rows.db, table, some)
