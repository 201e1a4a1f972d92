"""Taking one unit by its number: out of the free range it lies in, or out of quarantine.

No lock is waited for. What a lock protects is found by its key and read from the locked row, so a range that others
have moved meanwhile is met as it is now.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, delete, exists, func, insert, literal, not_, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.allocation.patience import OthersWereQuicker
from ipam.tables import IN_THE_NETWORK, Allocation, Drain, Exclusion, FreeRange, Pool, table_of
from ipam.unit_errors import UnitCooling, UnitDraining, UnitExcluded, UnitLost, UnitReserved, UnitTaken

_ALLOCATION = table_of(Allocation)
_RANGE = table_of(FreeRange)
BY_HAND = "excluded by hand"
"""The reason of an exclusion that no description has."""
MOST_LOOKS = 3
"""Who only looks is told *free* of what is in others' hands at each of them, as of what is locked."""
LONGEST_STEP = 8
"""Two who split ranges of a pool at once would wait for one another over the next number: so each draws its own."""


@dataclass(frozen=True)
class Unit:
    """One unit of a pool; ``value`` and ``pool`` are for people, and so is what it was ``computed_from``: nobody has
    chosen it."""

    tenant_id: str
    pool_id: int
    unit: int
    pool: str
    value: str
    computed_from: str | None = None


async def claim(
    db: AsyncSession,
    wanted: Unit,
    row: Mapping[str, Any],
    *,
    subject: str | None,
    at: datetime,
    takes_reserved: bool | None = None,
) -> bool:
    """Makes the unit's row be ``row``: a new one, or the one it had when it was last used. Whether it was reserved.

    ``subject``: who may have it back before its quarantine is over. ``takes_reserved``: whether whoever asks has said
    that it may be reserved; None: that can't be said where they ask.

    Raises:
        UnitTaken, UnitReserved, UnitCooling, UnitExcluded, UnitDraining, UnitLost: why it can't be had.
        OthersWereQuicker: somebody is at it just now.
    """
    used = await _locked_row(db, wanted)
    if used is None:
        await _carve(db, wanted)
        of_unit = {"tenant_id": wanted.tenant_id, "pool_id": wanted.pool_id, "unit": wanted.unit}
        await db.execute(insert(_ALLOCATION).values(**of_unit, **row))
        return False
    refuse_used(used, wanted, subject, at, takes_reserved)
    await _refuse_drained(db, used, wanted)
    again = {"available_at": None, "sticky_until": None, "note": None, **row}
    await db.execute(update(_ALLOCATION).where(_ALLOCATION.c.id == used.id).values(**again))
    return bool(used.state == "reserved")


def refuse_used(
    used: Row[Any], wanted: Unit, subject: str | None, at: datetime, takes_reserved: bool | None = None
) -> None:
    """
    Raises:
        UnitTaken, UnitReserved, UnitCooling: what its row says against it.
    """
    if used.state == "assigned":
        raise held_by_another(wanted, used.service_id)
    if used.state == "reserved":
        if takes_reserved:
            return
        raise UnitReserved(
            wanted.value,
            pool=wanted.pool,
            note=used.note,
            follows_from=wanted.computed_from,
            may_be_taken=takes_reserved is False,
        )
    if used.available_at > at and used.subject != subject:
        raise UnitCooling(wanted.value, pool=wanted.pool, available_at=used.available_at)


async def _refuse_drained(db: AsyncSession, used: Row[Any], wanted: Unit) -> None:
    """What is reserved stays so in a part that is drained, where it would go to nobody if it weren't.

    Raises:
        UnitDraining
    """
    if used.state == "reserved" and (note := await db.scalar(_covering(Drain, Drain.note, wanted))) is not None:
        raise UnitDraining(wanted.value, pool=wanted.pool, note=note)


def held_by_another(wanted: Unit, service_id: int) -> UnitTaken:
    """The refusal of a unit that a service has."""
    return UnitTaken(wanted.value, pool=wanted.pool, service_id=service_id, follows_from=wanted.computed_from)


async def why_not(
    db: AsyncSession, wanted: Unit, *, subject: str | None, at: datetime, takes_reserved: bool | None = None
) -> None:
    """Looks without locking anything, and again when others have changed it between one look and the next.

    Raises:
        UnitTaken, UnitReserved, UnitCooling, UnitExcluded, UnitDraining, UnitLost: what ``claim`` would.
    """
    around = _around(wanted)
    for _ in range(MOST_LOOKS):
        used = (await db.execute(_of_unit(wanted))).first()
        if used is not None:
            refuse_used(used, wanted, subject, at, takes_reserved)
            await _refuse_drained(db, used, wanted)
            return
        if (await db.execute(around)).first() is not None:
            return
        refusal = await _why_not_free(db, wanted, around)
        if not isinstance(refusal, OthersWereQuicker):
            raise refusal


def _of_unit(wanted: Unit) -> Select[Any]:
    return select(_ALLOCATION).where(_ALLOCATION.c.pool_id == wanted.pool_id, _ALLOCATION.c.unit == wanted.unit)


def _around(wanted: Unit) -> Select[Any]:
    return select(_RANGE).where(
        _RANGE.c.pool_id == wanted.pool_id, _RANGE.c.next_unit <= wanted.unit, _RANGE.c.last_unit >= wanted.unit
    )


async def _locked_row(db: AsyncSession, wanted: Unit) -> Row[Any] | None:
    of_unit = _of_unit(wanted)
    row: Row[Any] | None = (await db.execute(of_unit.with_for_update(skip_locked=True))).first()
    if row is None and (seen := (await db.execute(of_unit)).first()) is not None:
        if seen.state == "assigned":  # locked by whoever changes it, or by whoever has passed it over
            raise held_by_another(wanted, seen.service_id)
        raise OthersWereQuicker([wanted.pool])
    return row


async def _carve(db: AsyncSession, wanted: Unit) -> None:
    """Split the free range around the unit: what is before it keeps the row, what is after it gets one of its own."""
    around = _around(wanted)
    found = (await db.execute(around.with_for_update(skip_locked=True))).first()
    if found is None:
        raise await _why_not_free(db, wanted, around)
    this = (_RANGE.c.pool_id == wanted.pool_id, _RANGE.c.seq == found.seq)
    before, after = wanted.unit - found.next_unit, found.last_unit - wanted.unit
    if before:
        await db.execute(update(_RANGE).where(*this).values(last_unit=wanted.unit - 1))
        if after:
            await _add_range(db, wanted, wanted.unit + 1, found.last_unit)
    elif after:
        await db.execute(update(_RANGE).where(*this).values(next_unit=wanted.unit + 1))
    else:
        await db.execute(delete(_RANGE).where(*this))


async def _add_range(db: AsyncSession, wanted: Unit, first: int, last: int) -> None:
    """Under the next number, which nobody else may have taken at the same time: the key decides."""
    step = random.randint(1, LONGEST_STEP)
    highest = select(func.coalesce(func.max(_RANGE.c.seq), -1) + step).where(_RANGE.c.pool_id == wanted.pool_id)
    columns = ("tenant_id", "pool_id", "seq", "next_unit", "last_unit")
    row = select(
        literal(wanted.tenant_id), literal(wanted.pool_id), highest.scalar_subquery(), literal(first), literal(last)
    )
    try:
        async with db.begin_nested():
            await db.execute(insert(_RANGE).from_select(columns, row))
    except IntegrityError as exc:
        raise OthersWereQuicker([wanted.pool]) from exc


async def give_up(db: AsyncSession, wanted: Unit, allocation_id: int) -> None:
    """A unit that is free as if it had never been used; in a part that is being drained it goes to nobody.

    Its range is a new one, and none that others would have to hold: so whoever calls it is alone
    (``EstateRows.be_alone``), as who cuts the pool anew is, and numbers its ranges."""
    await db.execute(delete(_ALLOCATION).where(_ALLOCATION.c.id == allocation_id))
    if await db.scalar(_covering(Drain, Drain.note, wanted)) is None:
        await _add_range(db, wanted, wanted.unit, wanted.unit)


async def _why_not_free(
    db: AsyncSession, wanted: Unit, around: Select[Any]
) -> UnitExcluded | UnitDraining | UnitLost | OthersWereQuicker:
    """Excluded, drained or lost; else somebody holds its range, or has just taken it."""
    excluded = (await db.execute(_covering(Exclusion, Exclusion.reason, wanted).add_columns(Exclusion.note))).first()
    if excluded is not None:
        reason = excluded_because(excluded.reason, excluded.note)
        return UnitExcluded(wanted.value, pool=wanted.pool, reason=reason, follows_from=wanted.computed_from)
    drained = await db.scalar(_covering(Drain, Drain.note, wanted))
    if drained is not None and (await db.execute(around)).first() is None:
        return UnitDraining(wanted.value, pool=wanted.pool, note=drained, follows_from=wanted.computed_from)
    if await _is_lost(db, wanted, around):
        return UnitLost(wanted.value, pool=wanted.pool, follows_from=wanted.computed_from)
    return OthersWereQuicker([wanted.pool])


async def _is_lost(db: AsyncSession, wanted: Unit, around: Select[Any]) -> bool:
    """Whether the pool has it and nothing tells where. By one statement: between two of them others may bring it from
    one place to the other, or the pool be shrunk or retired."""
    out, drained = (_covering(model, model.id, wanted).exists() for model in (Exclusion, Drain))
    of_pool = exists().where(Pool.id == wanted.pool_id, Pool.span > wanted.unit, IN_THE_NETWORK)
    somewhere = or_(_of_unit(wanted).exists(), around.exists(), out, drained)
    return bool(await db.scalar(select(and_(of_pool, not_(somewhere)))))


def excluded_because(reason: str, note: str | None) -> str:
    """Why something is excluded, with the note of who has done it by hand, be it the description's reason as well."""
    if note is None:
        return reason
    return f"{reason} ({note})" if reason == BY_HAND else f"{reason}, and {BY_HAND} ({note})"


def _covering(model: type[Exclusion | Drain], what: Any, wanted: Unit) -> Select[Any]:
    return select(what).where(
        model.pool_id == wanted.pool_id, model.first_unit <= wanted.unit, model.last_unit >= wanted.unit
    )
