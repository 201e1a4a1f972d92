"""Van stock by serial: what a technician has to install, what was installed, what was taken back from customers.

    it was            booked in              scanned at a visit    taken back at a visit    booked out
    unknown           owned                  unknown               returned                 refused
    owned             owned                  installed             returned                 out
    returned          owned                  installed             returned                 out
    installed         owned, with a reason   installed there       returned                 refused
    out               owned                  installed             returned                 refused

Dispatch books in and out. A scan is believed, whatever was known: it takes a serial out of the van that has it, whoever
drives that; the one that was scanned at the same visit before (a swap) is in the van of that visit's technician again.
A serial that no van ever had is none of the stock's affair: work in a cellar is never kept up by it. What is in another
van is neither booked in nor taken back. Each serial is one row, by unique index. What is told late, of before its row's
``since``, is kept among the movements and undoes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, insert, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from acs import canonical_serial
from provisioning.errors import ChangeRaced
from provisioning.field.records import VisitRecord
from provisioning.field.serials import normalise_serial
from provisioning.field.stock_records import StockHistory, StockItem, as_item, as_movement
from provisioning.field.stock_tables import IN_A_VAN, StockState, VanItem, VanMovement
from provisioning.field.technicians import hold_technician
from provisioning.field.work_errors import StockElsewhere, StockInstalled, StockMissing, StockUnknown
from provisioning.intake import Clock, Faults

LONGEST_REASON = 500
MOST_AT_ONCE = 500


class VanStock:
    """The stock of one ISP's vans. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def book_in(
        self, *, technician_id: int, serials: Sequence[str], reason: str | None = None, by: str
    ) -> list[StockItem]:
        """From now on these are in this technician's van, to be installed. What is there already stays.

        ``reason``: must be said where one is installed at a customer's by what is known.

        Raises: InvalidRequest (all faults), TechnicianUnknown, StockElsewhere (names all), StockInstalled (names all),
        ChangeRaced.
        """
        plain, why = _read(serials, reason)
        await hold_technician(self._db, technician_id, tenant_id=self._tenant_id)
        known = await self._rows(plain)
        elsewhere = {each.serial: each.technician_id for each in known.values() if _is_elsewhere(each, technician_id)}
        if elsewhere:
            raise StockElsewhere(elsewhere)
        installed = {each.serial: each.visit_id for each in known.values() if each.state == "installed"}
        if installed and why is None:
            raise StockInstalled(installed)
        for serial in sorted(plain):  # two who insert the same ones wait for each other in one order
            if serial not in known or known[serial].state != "owned":
                await self._put(serial, known.get(serial), "owned", technician_id=technician_id, by=by, reason=why)
        return await self._items(plain)

    async def book_out(self, *, technician_id: int, serials: Sequence[str], reason: str, by: str) -> list[StockItem]:
        """These are handed back, and in no van any more.

        Raises: InvalidRequest (all faults), TechnicianUnknown, StockMissing (names all that aren't in this van).
        """
        plain, why = _read(serials, reason)
        await hold_technician(self._db, technician_id, tenant_id=self._tenant_id)
        known = await self._rows(plain)
        theirs = {name for name, row in known.items() if _is_in_van_of(row, technician_id)}
        if missing := [serial for serial in plain if serial not in theirs]:
            raise StockMissing(technician_id, missing)
        for serial in plain:
            await self._put(serial, known[serial], "out", technician_id=technician_id, by=by, reason=why)
        return await self._items(plain)

    async def install(self, serial: str, visit: VisitRecord, *, made_at: datetime | None = None, by: str) -> None:
        """It was scanned at this visit, and is there now, whatever was known of it; what was scanned there before is
        in its technician's van. One that no van ever had stays unknown to the stock. ``made_at``: when, if not now.
        """
        plain, where = canonical_serial(serial), visit["visit_id"]
        here = and_(VanItem.visit_id == where, VanItem.state == "installed")
        for row in (await self._locked(or_(VanItem.serial == plain, here))).values():
            if row.serial != plain:
                whose = visit["technician_id"]
                await self._put(row.serial, row, "returned", technician_id=whose, came_from=where, at=made_at, by=by)
            elif (row.state, row.visit_id) != ("installed", where):
                whose = row.technician_id
                await self._put(row.serial, row, "installed", technician_id=whose, visit_id=where, at=made_at, by=by)

    async def take_back(
        self, serial: str, visit: VisitRecord, *, note: str | None, made_at: datetime | None = None, by: str
    ) -> None:
        """It has come from this visit into its technician's van. ``made_at``: when, if not now; where more is known
        since, that stays so.

        Raises: InvalidRequest (all faults, by their names in the act), StockElsewhere, ChangeRaced.
        """
        faults = Faults("The act")
        plain = _read_serial(faults, "content.serial", serial)
        why = faults.optional_line("content.note", note, longest=LONGEST_REASON)
        faults.refuse_if_any()
        row = (await self._rows([plain])).get(plain)
        where, whose = visit["visit_id"], visit["technician_id"]
        if row is not None and _is_elsewhere(row, whose):
            raise StockElsewhere({plain: row.technician_id})
        told: dict[str, Any] = {"technician_id": whose, "at": made_at, "by": by, "reason": why}
        if row is not None and made_at is not None and made_at < row.since:
            await self._keep(plain, "returned", visit_id=where, **told)
        else:
            await self._put(plain, row, "returned", came_from=where, **told)

    async def stock(
        self,
        technician_id: int,
        *,
        states: Sequence[StockState] = IN_A_VAN,
        after: int | None = None,
        limit: int | None = None,
    ) -> list[StockItem]:
        """What is in this technician's van, or of these states was last in it, in the order of becoming known; nothing
        where there is no such technician."""
        query = select(VanItem).where(
            VanItem.tenant_id == self._tenant_id,
            VanItem.technician_id == technician_id,
            VanItem.state.in_(states),
            VanItem.id > (after or 0),
        )
        return [as_item(row) for row in await self._db.scalars(query.order_by(VanItem.id).limit(limit))]

    async def history(self, serial: str) -> StockHistory:
        """Raises: InvalidRequest, StockUnknown."""
        faults = Faults("The stock")
        plain = _read_serial(faults, "serial", serial)
        faults.refuse_if_any()
        found = await self._items([plain])
        if not found:
            raise StockUnknown(plain)
        moves = await self._db.scalars(self._moves(plain).order_by(VanMovement.at, VanMovement.id))
        return StockHistory(item=found[0], movements=[as_movement(row) for row in moves])

    async def is_from_van(self, visit: VisitRecord) -> bool | None:
        """Whether what was scanned at this visit was in its technician's van then, wherever it is by now. None: nothing
        was scanned, or no stock is kept of this van."""
        if visit["scanned_serial"] is None:
            return None
        moves = await self._db.scalars(self._moves(canonical_serial(visit["scanned_serial"])).order_by(VanMovement.id))
        whose, where = visit["technician_id"], visit["visit_id"]
        for before, then in pairwise(moves):
            if (then.state, then.visit_id) == ("installed", where) and _is_in_van_of(before, whose):
                return True
        is_kept = await self._db.scalar(
            select(VanItem.id)
            .where(VanItem.tenant_id == self._tenant_id, VanItem.technician_id == visit["technician_id"])
            .limit(1)
        )
        return False if is_kept is not None else None

    async def _put(
        self,
        serial: str,
        row: VanItem | None,
        state: StockState,
        *,
        technician_id: int,
        by: str,
        visit_id: int | None = None,
        came_from: int | None = None,
        at: datetime | None = None,
        reason: str | None = None,
    ) -> None:
        """``visit_id``: where it is now; ``came_from``: the visit it was taken from."""
        since = self._when(at)
        values = {"technician_id": technician_id, "state": state, "visit_id": visit_id, "since": since}
        if row is None:
            try:
                async with self._db.begin_nested():
                    await self._db.execute(insert(VanItem).values(tenant_id=self._tenant_id, serial=serial, **values))
            except IntegrityError as exc:
                raise ChangeRaced from exc
        else:
            for name, value in values.items():
                setattr(row, name, value)
        where = visit_id or came_from
        await self._keep(serial, state, technician_id=technician_id, visit_id=where, at=since, by=by, reason=reason)

    async def _keep(
        self,
        serial: str,
        state: StockState,
        *,
        technician_id: int,
        visit_id: int | None,
        at: datetime | None,
        by: str,
        reason: str | None,
    ) -> None:
        self._db.add(
            VanMovement(
                tenant_id=self._tenant_id,
                serial=serial,
                technician_id=technician_id,
                state=state,
                visit_id=visit_id,
                reason=reason,
                by=by,
                at=self._when(at),
            )
        )
        await self._db.flush()  # a later question in this transaction must find it moved

    def _when(self, told: datetime | None) -> datetime:
        """A device's clock may be ahead; nothing that is done later may seem to be before that."""
        return self._now() if told is None else min(told, self._now())

    async def _rows(self, serials: Sequence[str]) -> dict[str, VanItem]:
        return await self._locked(VanItem.serial.in_(serials))

    async def _locked(self, which: ColumnElement[bool]) -> dict[str, VanItem]:
        """Locked in the order of their numbers, as everybody does."""
        return {row.serial: row for row in await self._db.scalars(self._query(which).with_for_update())}

    def _query(self, which: ColumnElement[bool]) -> Select[VanItem]:
        query = select(VanItem).where(VanItem.tenant_id == self._tenant_id, which)
        return query.order_by(VanItem.id).execution_options(populate_existing=True)

    def _moves(self, serial: str) -> Select[VanMovement]:
        return select(VanMovement).where(VanMovement.tenant_id == self._tenant_id, VanMovement.serial == serial)

    async def _items(self, serials: Sequence[str]) -> list[StockItem]:
        return [as_item(row) for row in await self._db.scalars(self._query(VanItem.serial.in_(serials)))]


def _is_in_van_of(told: VanItem | VanMovement, technician_id: int) -> bool:
    return told.state in IN_A_VAN and told.technician_id == technician_id


def _is_elsewhere(row: VanItem, technician_id: int) -> bool:
    return row.state in IN_A_VAN and row.technician_id != technician_id


def _read(serials: Sequence[str], reason: str | None) -> tuple[list[str], str | None]:
    """Each once, in the one spelling that is kept. Raises: InvalidRequest (all faults)."""
    faults = Faults("The stock")
    if not 0 < len(serials) <= MOST_AT_ONCE:
        faults.add("serials", f"are {len(serials)}; from 1 to {MOST_AT_ONCE} are taken at once")
    plain = [_read_serial(faults, f"serials[{number}]", serial) for number, serial in enumerate(serials[:MOST_AT_ONCE])]
    why = faults.optional_line("reason", reason, longest=LONGEST_REASON)
    faults.refuse_if_any()
    return list(dict.fromkeys(plain)), why


def _read_serial(faults: Faults, field: str, serial: str) -> str:
    """In the one spelling that is kept; empty where that is a fault."""
    text = faults.line(field, serial)
    found = normalise_serial(text) if text else None
    if text and found is None:
        faults.add(field, f"is no serial number: {text}")
    return canonical_serial(found) if found is not None else ""
