"""What becomes of the bound CPEs of one page of a sweep: noted first, then written in the order of their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from acs.convergence.seen_devices import SeenDevice
from acs.convergence.unreached import AMBIGUOUS, cause_of
from acs.fleet.judging import TAKEN, Judgement, inform_interval, is_silent, judge
from acs.fleet.repairing import RepairLimit, Tell, begin_repair
from acs.tables import AcsDevice

ROWS_AT_ONCE = 500
COLUMNS = (
    AcsDevice.id,
    AcsDevice.serial,
    AcsDevice.acs_name,
    AcsDevice.state,
    AcsDevice.reason,
    AcsDevice.details,
    AcsDevice.device_id,
    AcsDevice.parameters,
    AcsDevice.delivery,
    AcsDevice.rows,
    AcsDevice.revision,
    AcsDevice.applied_revision,
    AcsDevice.written_at,
    AcsDevice.reading_after,
    AcsDevice.last_inform_at,
    AcsDevice.unreached_why,
    AcsDevice.repair_waits,
    AcsDevice.inform_slowed_at,
    AcsDevice.inform_settled_at,
    AcsDevice.handed_over_at,
)
"""What is judged of a row."""


@dataclass(slots=True)
class SweepOutcome:
    """What a sweep has found. ``due``: serials whose convergence is to begin; ``handed_over``: those given up;
    ``left``: those with news that somebody else is busy with, each a sentence that names who; ``elsewhere``: those that
    are bound to another ACS."""

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
    elsewhere: int = 0
    due: list[str] = field(default_factory=list)
    handed_over: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def add(self, other: SweepOutcome) -> None:
        """What was found at another ACS."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


class JudgedPage:
    """``looked_at``: the parameters that the ACS was asked for."""

    def __init__(
        self,
        limit: RepairLimit,
        interval: timedelta,
        now: datetime,
        looked_at: frozenset[str],
        outcome: SweepOutcome,
    ) -> None:
        self._limit = limit
        self._interval = interval
        self._now = now
        self._looked_at = looked_at
        self._outcome = outcome
        self._informs: list[dict[str, Any]] = []
        self._rows: dict[int, Any] = {}
        """What was judged, of those that something is to be written of."""
        self._facts: dict[int, dict[str, Any]] = {}
        self._repairs: dict[int, Judgement] = {}
        self.suspects: dict[str, bool] = {}
        """Serials that another CPE than ours reports, or several do; and whether that was known."""

    def look(
        self, row: Any, them: Sequence[tuple[SeenDevice, Mapping[str, Any]]], *, holder: str | None, whole: bool
    ) -> None:
        """``holder``: who is busy with it."""
        ids = {seen["device_id"] for seen, _ in them} | ({row.device_id} if row.device_id is not None else set())
        if len(ids) > 1:
            self.suspects[row.serial] = row.unreached_why == AMBIGUOUS
            return
        seen, document = them[0]
        interval = inform_interval(row, document, self._interval)
        self._hear(row, seen, interval, whole=whole)
        if row.handed_over_at is not None:
            return
        judgement = judge(row, seen, document, self._looked_at)
        if holder is None:
            self._act(row, seen, judgement)
        elif judgement.news != "none":
            self._outcome.left.append(f"CPE {row.serial} is left to {holder}.")

    def _hear(self, row: Any, seen: SeenDevice, interval: timedelta, *, whole: bool) -> None:
        """Whether it is silent, or back, or behind NAT."""
        last_inform = seen["last_inform"]
        if whole and is_silent(last_inform, interval, self._now):
            self._outcome.silent += 1
            if row.unreached_why is None:
                self._note(row, unreached_why="silent", unreached_since=last_inform)
            elif row.unreached_why == "nat":  # it reported by itself, and does so no more
                self._note(row, unreached_why="offline")
            return
        if row.unreached_why == "silent":
            self._outcome.back += 1
            self._note(row, unreached_why=None, unreached_since=None)
        elif row.unreached_why in ("offline", "nat"):
            why = cause_of("offline", last_inform_at=last_inform, inform_interval=interval, now=self._now)
            if why != row.unreached_why:
                self._note(row, unreached_why=why)

    def _act(self, row: Any, seen: SeenDevice, judgement: Judgement) -> None:
        outcome = self._outcome
        known = {"device_id": seen["device_id"], "last_inform_at": seen["last_inform"]}
        if judgement.news == "none":
            if row.state in TAKEN and seen["last_inform"] not in (None, row.last_inform_at):
                self._informs.append({"row": row.id, "heard": seen["last_inform"]})
        elif judgement.news in ("reset", "drifted"):
            outcome.resets += judgement.news == "reset"
            outcome.drifted += judgement.news == "drifted"
            self._rows[row.id], self._repairs[row.id] = row, judgement
        else:
            outcome.first_informs += judgement.news == "first_inform"
            outcome.rebooted += judgement.news == "rebooted"
            if judgement.news == "first_inform":
                reason = "The CPE has reported; its settings are next."
                self._note(row, **known, state="queued", reason=reason)
            outcome.due.append(row.serial)

    def _note(self, row: Any, **facts: Any) -> None:
        self._rows[row.id] = row
        self._facts.setdefault(row.id, {}).update(facts)

    async def write(self, db: AsyncSession, tell: Tell) -> None:
        """All of it, within the caller's transaction; but nothing of a CPE that has come further since it was judged:
        the next sweep judges it anew. Rows are taken in the order of their ids: who looks beside us takes them so too.
        """
        if self._informs:
            table = cast(Table, AcsDevice.__table__)
            connection = await db.connection()
            await connection.execute(
                update(table).where(table.c.id == bindparam("row")).values({"last_inform_at": bindparam("heard")}),
                sorted(self._informs, key=itemgetter("row")),
            )
        touched = sorted(self._rows)
        for start in range(0, len(touched), ROWS_AT_ONCE):
            found = await db.scalars(
                select(AcsDevice)
                .where(AcsDevice.id.in_(touched[start : start + ROWS_AT_ONCE]), AcsDevice.state != "withdrawn")
                .order_by(AcsDevice.id)
                .with_for_update()
            )
            for device in found:
                row = self._rows[device.id]
                before = (row.revision, row.state, row.written_at, row.repair_waits)
                if (device.revision, device.state, device.written_at, device.repair_waits) != before:
                    continue
                for column, value in self._facts.get(device.id, {}).items():
                    setattr(device, column, value)
                if device.id in self._repairs:
                    await self._repair(db, device, self._repairs[device.id], tell)

    async def _repair(self, db: AsyncSession, device: AcsDevice, judgement: Judgement, tell: Tell) -> None:
        drift = [dict(each) for each in judgement.drift]
        if begin_repair(device, why=judgement.why, details=drift, limit=self._limit, now=self._now):
            self._outcome.due.append(device.serial)
        else:
            self._outcome.handed_over.append(device.serial)
            await tell(db, device)
