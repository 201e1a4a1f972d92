"""Looks at every CPE of an ACS: who is new, who has lost its settings, who is silent, who is back.

One projected question a page, by the only index there is (``_id``): sorting and skipping make the ACS look at all
devices again for every page. ``Sweep.recent`` asks for those alone that have reported since the last look.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, cast

import structlog
from sqlalchemy import Table, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from acs.convergence.seen_devices import FIELDS, SeenDevice, leaf_of, seen_of
from acs.convergence.unreached import cause_of
from acs.fleet.judging import INTERVAL, TAKEN, Judgement, inform_interval, is_silent, judge
from acs.fleet.repairing import RepairLimit, Tell, begin_repair, nobody_is_told
from acs.fleet.seen_rows import forget_bound, note_unbound
from acs.nbi.client import NbiClient
from acs.nbi.errors import NbiGarbled
from acs.ports import Begin, Now
from acs.serials import canonical_serial, is_serial
from acs.tables import DEFAULT_ACS, AcsDevice
from acs.templates.rendering import ROOTS

log = structlog.get_logger(__name__)

PAGE = 1_000
LONGEST_PROJECTION = 7_000
"""Characters of the parameters that are asked for, encoded; the rest of a request is ours."""
OVERLAP = timedelta(seconds=5)
"""A session is written down when it ends, with the time when it began."""
_COLUMNS = (
    AcsDevice.id,
    AcsDevice.serial,
    AcsDevice.customer_id,
    AcsDevice.acs_name,
    AcsDevice.state,
    AcsDevice.reason,
    AcsDevice.details,
    AcsDevice.device_id,
    AcsDevice.parameters,
    AcsDevice.revision,
    AcsDevice.applied_revision,
    AcsDevice.written_at,
    AcsDevice.last_inform_at,
    AcsDevice.unreached_why,
    AcsDevice.repair_waits,
    AcsDevice.handed_over_at,
)


@dataclass(slots=True)
class SweepOutcome:
    """What a sweep has found. ``due``: serials whose convergence is to begin; ``handed_over``: those given up."""

    devices: int = 0
    pages: int = 0
    unbound: int = 0
    new_unbound: int = 0
    first_informs: int = 0
    resets: int = 0
    drifted: int = 0
    rebooted: int = 0
    silent: int = 0
    back: int = 0
    ambiguous: int = 0
    due: list[str] = field(default_factory=list)
    handed_over: list[str] = field(default_factory=list)

    def add(self, other: SweepOutcome) -> None:
        """What was found at another ACS."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


InHand = Callable[[], Awaitable[Collection[int]]]
"""Customers whose CPEs a run is busy with: they are left to it."""


async def nobody() -> Collection[int]:
    """No run is busy with anybody."""
    return ()


class Sweep:
    """Looks at one ACS for one tenant; keeps the time of its last look in memory, and begins with a whole sweep."""

    def __init__(
        self,
        begin: Begin,
        nbi: NbiClient,
        *,
        tenant_id: str,
        now: Now,
        limit: RepairLimit | None = None,
        inform_interval: timedelta = timedelta(minutes=5),
        tell: Tell = nobody_is_told,
        in_hand: InHand = nobody,
        acs_name: str = DEFAULT_ACS,
    ) -> None:
        """``inform_interval``: of CPEs of which neither their settings nor the ACS's record say it."""
        self._begin = begin
        self._nbi = nbi
        self._tenant_id = tenant_id
        self._now = now
        self._limit = limit or RepairLimit()
        self._inform_interval = inform_interval
        self._tell = tell
        self._in_hand = in_hand
        self._acs_name = acs_name
        self._latest: datetime | None = None

    async def everything(self) -> SweepOutcome:
        """All CPEs of the ACS, each once. Raises: NbiError."""
        outcome = SweepOutcome()
        plain = await self._shown_paths()
        async for documents in self._pages(plain):
            outcome.pages += 1
            await self._take(documents, plain, outcome, whole=True)
        return outcome

    async def recent(self) -> SweepOutcome:
        """Those that have reported since the last look; all of them at the first one. Raises: NbiError."""
        if self._latest is None:
            return await self.everything()
        outcome = SweepOutcome()
        plain = await self._shown_paths()
        after = (self._latest - OVERLAP).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        page: list[dict[str, Any]] = []
        outcome.pages = 1
        async for document in self._nbi.stream("devices", {"_lastInform": {"$gt": after}}, _fields(plain)):
            page.append(document)
            if len(page) == PAGE:
                await self._take(page, plain, outcome, whole=False)
                page = []
        await self._take(page, plain, outcome, whole=False)
        return outcome

    async def _pages(self, plain: Sequence[str]) -> AsyncIterator[list[dict[str, Any]]]:
        after = ""
        while True:
            found = await self._nbi.find("devices", {"_id": {"$gt": after}}, _fields(plain), limit=PAGE)
            documents = list(found.documents)
            ids = [str(document.get("_id")) for document in documents]
            if ids != sorted(ids) or (ids and ids[0] <= after):
                raise NbiGarbled("The ACS does not list its devices in the order of their ids; some would be missed.")
            if documents:
                yield documents
                after = ids[-1]
            if len(documents) < PAGE:
                return

    async def _shown_paths(self) -> list[str]:
        """The parameters that are looked at: those of one CPE of each template, as many as a request can name."""
        async with self._begin() as db:
            some = (
                select(func.max(AcsDevice.id))
                .where(AcsDevice.tenant_id == self._tenant_id, AcsDevice.state != "withdrawn")
                .group_by(AcsDevice.template)
            )
            rows = list(await db.scalars(select(AcsDevice.parameters).where(AcsDevice.id.in_(some))))
        # A path that leaves open which row of a table the CPE chooses is not looked at here.
        paths = list(
            dict.fromkeys(
                str(row[0]) for parameters in rows for row in parameters if not row[3] and "{" not in str(row[0])
            )
        )
        shown: list[str] = []
        length = 0
        for path in paths:
            length += len(path) + 3
            if length > LONGEST_PROJECTION:
                break
            shown.append(path)
        return shown

    async def _take(
        self, documents: Sequence[Mapping[str, Any]], plain: Sequence[str], outcome: SweepOutcome, *, whole: bool
    ) -> None:
        """Judge one page; what is found is one transaction."""
        seen_by_serial: dict[str, list[tuple[SeenDevice, Mapping[str, Any]]]] = {}
        nameless: list[SeenDevice] = []
        for document in documents:
            seen = seen_of(document)
            if is_serial(seen["serial"]):
                seen_by_serial.setdefault(canonical_serial(seen["serial"]), []).append((seen, document))
            else:
                nameless.append(seen)
            if seen["last_inform"] is not None and (self._latest is None or seen["last_inform"] > self._latest):
                self._latest = seen["last_inform"]
        outcome.devices += len(documents)
        if not documents:
            return
        in_hand = frozenset(await self._in_hand())
        async with self._begin() as db:
            rows = {row.serial: row for row in await db.execute(self._rows(list(seen_by_serial)))}
            unbound = nameless + [
                seen for serial, them in seen_by_serial.items() if serial not in rows for seen, _ in them
            ]
            outcome.unbound += len(unbound)
            outcome.new_unbound += await note_unbound(db, unbound, tenant_id=self._tenant_id, now=self._now())
            await forget_bound(
                db,
                [seen["device_id"] for serial in rows for seen, _ in seen_by_serial[serial]],
                tenant_id=self._tenant_id,
            )
            page = _Page(self._limit, self._inform_interval, self._now(), frozenset(plain), outcome)
            for serial, row in rows.items():
                if row.acs_name != self._acs_name:
                    outcome.ambiguous += 1
                    continue
                page.look(row, seen_by_serial[serial], in_hand=row.customer_id in in_hand, whole=whole)
            await page.write(db, self._tell)

    def _rows(self, serials: Sequence[str]) -> Any:
        return select(*_COLUMNS).where(
            AcsDevice.tenant_id == self._tenant_id, AcsDevice.serial.in_(serials), AcsDevice.state != "withdrawn"
        )


class _Page:
    """What becomes of the bound CPEs of one page."""

    def __init__(
        self,
        limit: RepairLimit,
        interval: timedelta,
        now: datetime,
        projected: frozenset[str],
        outcome: SweepOutcome,
    ) -> None:
        self._limit = limit
        self._interval = interval
        self._now = now
        self._projected = projected
        self._outcome = outcome
        self._informs: list[dict[str, Any]] = []
        self._facts: dict[int, dict[str, Any]] = {}
        self._repairs: dict[int, tuple[Any, Judgement]] = {}

    def look(
        self, row: Any, them: Sequence[tuple[SeenDevice, Mapping[str, Any]]], *, in_hand: bool, whole: bool
    ) -> None:
        if len(them) > 1 or row.device_id not in (None, them[0][0]["device_id"]):
            self._outcome.ambiguous += 1
            return
        seen, document = them[0]
        interval = inform_interval(row, document, self._interval)
        self._hear(row, seen, interval, whole=whole)
        if in_hand or row.handed_over_at is not None:
            return
        leaves = {
            path: leaf
            for path in (str(each[0]) for each in row.parameters)
            if path in self._projected and (leaf := leaf_of(document, path)) is not None
        }
        self._act(row, seen, judge(row, seen, leaves, self._projected))

    def _hear(self, row: Any, seen: SeenDevice, interval: timedelta, *, whole: bool) -> None:
        """Whether it is silent, or back, or behind NAT."""
        last_inform = seen["last_inform"]
        if whole and is_silent(last_inform, interval, self._now):
            self._outcome.silent += 1
            if row.unreached_why is None:
                self._facts.setdefault(row.id, {}).update(unreached_why="silent", unreached_since=last_inform)
            elif row.unreached_why == "nat":  # it reported by itself, and does so no more
                self._facts.setdefault(row.id, {}).update(unreached_why="offline")
            return
        if row.unreached_why == "silent":
            self._outcome.back += 1
            self._facts.setdefault(row.id, {}).update(unreached_why=None, unreached_since=None)
        elif row.unreached_why in ("offline", "nat"):
            why = cause_of("offline", last_inform_at=last_inform, inform_interval=interval, now=self._now)
            if why != row.unreached_why:
                self._facts.setdefault(row.id, {}).update(unreached_why=why)

    def _act(self, row: Any, seen: SeenDevice, judgement: Judgement) -> None:
        outcome = self._outcome
        known = {"device_id": seen["device_id"], "last_inform_at": seen["last_inform"]}
        if judgement.news == "none":
            if row.state in TAKEN and seen["last_inform"] not in (None, row.last_inform_at):
                self._informs.append({"row": row.id, "heard": seen["last_inform"]})
        elif judgement.news in ("reset", "drifted"):
            outcome.resets += judgement.news == "reset"
            outcome.drifted += judgement.news == "drifted"
            self._repairs[row.id] = (row, judgement)
        else:
            outcome.first_informs += judgement.news == "first_inform"
            outcome.rebooted += judgement.news == "rebooted"
            if judgement.news == "first_inform":
                reason = "The CPE has reported; its settings are next."
                self._facts.setdefault(row.id, {}).update(known, state="queued", reason=reason)
            outcome.due.append(row.serial)

    async def write(self, db: AsyncSession, tell: Tell) -> None:
        if self._informs:
            table = cast(Table, AcsDevice.__table__)
            connection = await db.connection()
            await connection.execute(
                update(table).where(table.c.id == bindparam("row")).values({"last_inform_at": bindparam("heard")}),
                self._informs,
            )
        touched = {*self._facts, *self._repairs}
        for some in _chunks(sorted(touched), 500):
            found = await db.scalars(
                select(AcsDevice)
                .where(AcsDevice.id.in_(some), AcsDevice.state != "withdrawn")
                .order_by(AcsDevice.id)
                .with_for_update()
            )
            for device in found:
                for column, value in self._facts.get(device.id, {}).items():
                    setattr(device, column, value)
                if device.id in self._repairs:
                    row, judgement = self._repairs[device.id]
                    before = (row.revision, row.state, row.written_at, row.repair_waits)
                    if (device.revision, device.state, device.written_at, device.repair_waits) == before:
                        await self._repair(db, device, judgement, tell)

    async def _repair(self, db: AsyncSession, device: AcsDevice, judgement: Judgement, tell: Tell) -> None:
        drift = [dict(each) for each in judgement.drift]
        if begin_repair(device, why=judgement.why, details=drift, limit=self._limit, now=self._now):
            self._outcome.due.append(device.serial)
        else:
            self._outcome.handed_over.append(device.serial)
            await tell(db, device)


def _fields(plain: Sequence[str]) -> tuple[str, ...]:
    return (*FIELDS, *(f"{root}.{INTERVAL}" for root in ROOTS.values() if f"{root}.{INTERVAL}" not in plain), *plain)


def _chunks(items: Sequence[int], size: int) -> Sequence[Sequence[int]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
