"""Van stock by serial: what a technician has to install, what was installed, what was taken back from customers.

          in                scan at a visit
    out ------> owned --------------------> installed
     ^            |                             |
     |  out       v       taken back            v
     +--------- (van) <---------------------- returned

Dispatch books in and out; a scan takes a serial out of the van that has it, whoever drives that, and one that no van
has is none of the stock's affair: work in a cellar is never kept up by it. Each serial is one row, by unique index.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from acs import canonical_serial
from provisioning.errors import ChangeRaced
from provisioning.field.errors import StockElsewhere, StockMissing, StockUnknown
from provisioning.field.records import VisitRecord
from provisioning.field.serials import normalise_serial
from provisioning.field.stock_tables import IN_A_VAN, StockState, VanItem, VanMovement
from provisioning.field.technicians import hold_technician
from provisioning.intake import Clock, Faults

LONGEST_REASON = 500
MOST_AT_ONCE = 500


class StockItem(TypedDict):
    """One CPE or ONT. ``technician_id``: whose van it is in, or was in last."""

    item_id: int
    serial: str
    technician_id: int
    state: StockState
    visit_id: int | None
    since: datetime


class StockMovement(TypedDict):
    """What became of it once, by whom, and why, where that was said."""

    technician_id: int
    state: StockState
    visit_id: int | None
    reason: str | None
    by: str
    at: datetime


class StockHistory(TypedDict):
    """One serial, and its movements, the oldest first."""

    item: StockItem
    movements: list[StockMovement]


class VanStock:
    """The stock of one ISP's vans. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def book_in(self, *, technician_id: int, serials: Sequence[str], by: str) -> list[StockItem]:
        """From now on these are in this technician's van, to be installed. What is there already stays.

        Raises: InvalidRequest (all faults), TechnicianUnknown, StockElsewhere (names all), ChangeRaced.
        """
        plain = _read(serials, None)[0]
        await hold_technician(self._db, technician_id, tenant_id=self._tenant_id)
        known = await self._rows(plain)
        elsewhere = {
            each.serial: each.technician_id
            for each in known.values()
            if each.state in IN_A_VAN and each.technician_id != technician_id
        }
        if elsewhere:
            raise StockElsewhere(elsewhere)
        for serial in plain:
            if serial not in known or known[serial].state != "owned":
                await self._put(serial, known.get(serial), "owned", technician_id=technician_id, by=by)
        return await self._items(plain)

    async def book_out(self, *, technician_id: int, serials: Sequence[str], reason: str, by: str) -> list[StockItem]:
        """These are handed back, and in no van any more.

        Raises: InvalidRequest (all faults), TechnicianUnknown, StockMissing (names all that aren't in this van).
        """
        plain, why = _read(serials, reason)
        await hold_technician(self._db, technician_id, tenant_id=self._tenant_id)
        known = await self._rows(plain)
        theirs = {name for name, row in known.items() if row.state in IN_A_VAN and row.technician_id == technician_id}
        if missing := [serial for serial in plain if serial not in theirs]:
            raise StockMissing(technician_id, missing)
        for serial in plain:
            await self._put(serial, known[serial], "out", technician_id=technician_id, by=by, reason=why)
        return await self._items(plain)

    async def install(self, serial: str, visit: VisitRecord, *, by: str) -> None:
        """It was scanned at this visit: out of the van that has it. One that no van has stays unknown to the stock."""
        row = (await self._rows([canonical_serial(serial)])).get(canonical_serial(serial))
        if row is not None and row.state in IN_A_VAN:
            whose, where = row.technician_id, visit["visit_id"]
            await self._put(row.serial, row, "installed", technician_id=whose, visit_id=where, by=by)

    async def take_back(self, serial: str, visit: VisitRecord, *, note: str | None, by: str) -> None:
        """It comes from this visit into its technician's van, whatever was known of it before.

        Raises: InvalidRequest (all faults), ChangeRaced.
        """
        [plain], why = _read([serial], note)
        row = (await self._rows([plain])).get(plain)
        where, whose = visit["visit_id"], visit["technician_id"]
        await self._put(plain, row, "returned", technician_id=whose, came_from=where, by=by, reason=why)

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
        return [_item(row) for row in await self._db.scalars(query.order_by(VanItem.id).limit(limit))]

    async def history(self, serial: str) -> StockHistory:
        """Raises: InvalidRequest, StockUnknown."""
        [plain], _ = _read([serial], None)
        found = await self._items([plain])
        if not found:
            raise StockUnknown(plain)
        moves = await self._db.scalars(
            select(VanMovement)
            .where(VanMovement.tenant_id == self._tenant_id, VanMovement.serial == plain)
            .order_by(VanMovement.id)
        )
        return StockHistory(item=found[0], movements=[_movement(row) for row in moves])

    async def is_from_van(self, visit: VisitRecord) -> bool | None:
        """Whether what was scanned at this visit was in its technician's van. None: nothing was scanned, or no stock
        is kept of this van."""
        if visit["scanned_serial"] is None:
            return None
        row = (await self._rows([canonical_serial(visit["scanned_serial"])], lock=False)).values()
        if any((each.technician_id, each.visit_id) == (visit["technician_id"], visit["visit_id"]) for each in row):
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
        reason: str | None = None,
    ) -> None:
        """``visit_id``: where it is now; ``came_from``: the visit it was taken from."""
        values = {"technician_id": technician_id, "state": state, "visit_id": visit_id, "since": self._now()}
        if row is None:
            try:
                async with self._db.begin_nested():
                    await self._db.execute(insert(VanItem).values(tenant_id=self._tenant_id, serial=serial, **values))
            except IntegrityError as exc:
                raise ChangeRaced from exc
        else:
            for name, value in values.items():
                setattr(row, name, value)
        self._db.add(
            VanMovement(
                tenant_id=self._tenant_id,
                serial=serial,
                technician_id=technician_id,
                state=state,
                visit_id=visit_id or came_from,
                reason=reason,
                by=by,
                at=self._now(),
            )
        )
        await self._db.flush()  # a later question in this transaction must find it moved

    async def _rows(self, serials: Sequence[str], *, lock: bool = True) -> dict[str, VanItem]:
        """Locked in the order of their numbers, as everybody does."""
        query = select(VanItem).where(VanItem.tenant_id == self._tenant_id, VanItem.serial.in_(serials))
        query = query.order_by(VanItem.id).execution_options(populate_existing=True)
        rows = await self._db.scalars(query.with_for_update() if lock else query)
        return {row.serial: row for row in rows}

    async def _items(self, serials: Sequence[str]) -> list[StockItem]:
        return [_item(row) for row in (await self._rows(serials, lock=False)).values()]


def _read(serials: Sequence[str], reason: str | None) -> tuple[list[str], str | None]:
    """Each once, in the one spelling that is kept. Raises: InvalidRequest (all faults)."""
    faults, plain = Faults("The stock"), list[str]()
    if not 0 < len(serials) <= MOST_AT_ONCE:
        faults.add("serials", f"are {len(serials)}; from 1 to {MOST_AT_ONCE} are taken at once")
    for number, serial in enumerate(serials[:MOST_AT_ONCE]):
        text = faults.line(f"serials[{number}]", serial)
        found = normalise_serial(text) if text else None
        if text and found is None:
            faults.add(f"serials[{number}]", f"is no serial number: {text}")
        elif found is not None:
            plain.append(canonical_serial(found))
    why = faults.optional_line("reason", reason, longest=LONGEST_REASON)
    faults.refuse_if_any()
    return list(dict.fromkeys(plain)), why


def _item(row: VanItem) -> StockItem:
    return StockItem(
        item_id=row.id,
        serial=row.serial,
        technician_id=row.technician_id,
        state=row.state,
        visit_id=row.visit_id,
        since=row.since,
    )


def _movement(row: VanMovement) -> StockMovement:
    return StockMovement(
        technician_id=row.technician_id,
        state=row.state,
        visit_id=row.visit_id,
        reason=row.reason,
        by=row.by,
        at=row.at,
    )
