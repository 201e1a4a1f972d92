"""The technician's door: what is done at a visit comes act by act, perhaps long after, and counts once.

A scan, or that nobody was there, is a report (``provisioning.visits``) and moves the run; a record is written down;
what is taken back from the customer comes into the van's stock; another time that was agreed on moves the visit, if it
is still when its technician has seen it; and *done* is refused while the five ticks are not all true, unless it is said
why; a repair with nothing to scan has no ticks to wait for. Where a run waits for the visit, the visit ends with the
run's own activation; a visit that no run waits for ends here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.dispatch import DispatchDesk
from provisioning.field import (
    ActKind,
    NotDone,
    SheetRecord,
    Sheets,
    VanStock,
    VisitChanged,
    VisitOver,
    VisitRecord,
    Visits,
    read_made_at,
)
from provisioning.field.reports import LONGEST_NOTE
from provisioning.intake import Clock, Faults
from provisioning.ticks import TickName, Ticks, seen_ticks, ticks_of
from provisioning.visits import Outcome, VisitDesk
from workflows import NO_MOMENT, Definition
from workflows.services import VisitState

LONGEST_REASON = 500
NOBODY_WAS_THERE: frozenset[VisitState] = frozenset({"cancelled", "no_access"})
REPORTED: frozenset[ActKind] = frozenset({"scanned", "no_access", "not_feasible"})
CONTENT: dict[ActKind, frozenset[str]] = {
    "record": frozenset({"changes", "seen"}),
    "scanned": frozenset({"serial", "port", "note"}),
    "no_access": frozenset({"note"}),
    "not_feasible": frozenset({"note"}),
    "rescheduled": frozenset({"starts_at", "seen_at", "reason"}),
    "returned": frozenset({"serial", "note"}),
    "done": frozenset({"reason"}),
}


class TakenAct(TypedDict):
    """What the visit is after an act. ``is_new``: False if the act was taken before."""

    is_new: bool
    visit: VisitRecord
    sheet: SheetRecord
    runs: list[int]


class FieldDesk:
    """Takes acts within the caller's transaction."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        visit_desk: VisitDesk,
        dispatch: DispatchDesk,
        definitions: Mapping[tuple[str, int], Definition[Any]],
        tenant_id: str,
        now: Clock,
    ) -> None:
        self._db = db
        self._desk = visit_desk
        self._dispatch = dispatch
        self._definitions = definitions
        self._tenant_id = tenant_id
        self._now = now
        self._visits = Visits(db, tenant_id=tenant_id, now=now)
        self._sheets = Sheets(db, tenant_id=tenant_id, now=now)
        self._stock = VanStock(db, tenant_id=tenant_id, now=now)

    async def ticks(self, visit_id: int) -> Ticks:
        """Raises: VisitUnknown, CodeMissing."""
        await self._visits.visit(visit_id)
        return await ticks_of(self._db, visit_id, tenant_id=self._tenant_id, definitions=self._definitions)

    async def seen_ticks(self, visit_ids: Sequence[int]) -> dict[int, dict[TickName, bool]]:
        """Of many visits at once; of one that no installation waits for, nothing."""
        return await seen_ticks(self._db, visit_ids, tenant_id=self._tenant_id, definitions=self._definitions)

    async def sheet(self, visit_id: int) -> SheetRecord:
        """Raises: VisitUnknown."""
        await self._visits.visit(visit_id)
        return await self._sheets.sheet(visit_id)

    async def act(
        self, *, visit_id: int, key: str, kind: ActKind, content: Mapping[str, Any], made_at: datetime, by: str
    ) -> TakenAct:
        """Takes one act. The same one again, by its key, changes nothing more and has the same answer.

        Raises: InvalidRequest (all faults), VisitUnknown, RequestConflict (another act has this key), VisitOver (what
        the visit's state doesn't allow: it was called off, say, or waits for a scan), VisitNotBegun, SheetChanged
        (somebody else has written what this act hasn't seen), StockElsewhere, NotDone, ChangeRaced; of another time
        what ``DispatchDesk.reschedule`` refuses, and VisitChanged (the visit was moved since it was seen).
        """
        faults = Faults("The act")
        plain_key = faults.line("key", key, longest=200)
        moment = read_made_at(faults, made_at, self._now())
        _read_content(faults, kind, content)
        faults.refuse_if_any()
        if await self._sheets.known(visit_id=visit_id, key=plain_key, kind=kind, content=content):
            return await self._taken(visit_id, [], is_new=False)
        told: list[int] = []
        if kind in REPORTED:
            outcome = cast(Outcome, kind)
            _, told = await self._desk.report(visit_id=visit_id, outcome=outcome, made_at=moment, by=by, **content)
        elif kind == "rescheduled":
            await self._rescheduled(visit_id, content, by)
        else:
            visit = await self._visits.visit(visit_id, lock=True)
            if visit["state"] in NOBODY_WAS_THERE:
                raise VisitOver(visit_id, visit["state"], "done" if kind == "done" else "written down")
            if kind == "record":
                await self._sheets.write(visit_id, content["changes"], content.get("seen") or {})
            elif kind == "returned":
                note = content.get("note")
                await self._stock.take_back(content["serial"], visit, note=note, made_at=moment, by=by)
            else:
                await self._done(visit, content.get("reason"), by)
        await self._sheets.keep(visit_id=visit_id, key=plain_key, kind=kind, content=content, made_at=moment, by=by)
        return await self._taken(visit_id, told, is_new=True)

    async def _rescheduled(self, visit_id: int, content: Mapping[str, Any], by: str) -> None:
        """Its technician keeps it. Before the visit its runs are held, so it isn't held here."""
        visit = await self._visits.visit(visit_id)
        if "seen_at" in content and visit["starts_at"] != moment_of(content["seen_at"]):
            raise VisitChanged(visit_id)
        starts_at = moment_of(content["starts_at"])
        assert starts_at is not None, "what is no moment has left a fault"
        technician_id, reason = visit["technician_id"], content["reason"]
        await self._dispatch.reschedule(
            visit_id=visit_id, technician_id=technician_id, starts_at=starts_at, reason=reason, seen=visit, by=by
        )

    async def _done(self, visit: VisitRecord, reason: str | None, by: str) -> None:
        visit_id = visit["visit_id"]
        ticks = await self.ticks(visit_id)
        is_dispatchs = await self._visits.is_dispatchs_alone(visit_id)
        is_repair = is_dispatchs and visit["state"] == "booked"  # nothing was scanned, so no tick is ever to come
        if not ticks["all_true"] and reason is None and not is_repair:
            raise NotDone(visit_id, {each["name"]: each["why"] or "" for each in ticks["ticks"] if not each["is_true"]})
        if visit["state"] == "not_feasible" or (visit["state"] == "booked" and not is_dispatchs):
            raise VisitOver(visit_id, visit["state"], "done")  # what waits for the scan would wait on
        await self._sheets.done(visit_id, by=by, reason=None if ticks["all_true"] else reason)
        if is_dispatchs or ticks["run_id"] is None:
            await self._visits.finish(visit_id=visit_id, purpose="dispatch")

    async def _taken(self, visit_id: int, runs: list[int], *, is_new: bool) -> TakenAct:
        visit = await self._visits.visit(visit_id)
        return TakenAct(is_new=is_new, visit=visit, sheet=await self._sheets.sheet(visit_id), runs=runs)


def _read_content(faults: Faults, kind: ActKind, content: Mapping[str, Any]) -> None:
    for name in content:
        if name not in CONTENT[kind]:
            faults.add(f"content.{name}", f"belongs to no act of kind {kind}")
    match kind:
        case "record":
            _read_record(faults, content)
        case "rescheduled":
            _read_another_time(faults, content)
        case "returned":
            faults.line("content.serial", content.get("serial"))
            faults.optional_line("content.note", content.get("note"), longest=LONGEST_REASON)
        case "done":
            faults.optional_line("content.reason", content.get("reason"), longest=LONGEST_REASON)


def _read_record(faults: Faults, content: Mapping[str, Any]) -> None:
    for name in ("changes", "seen"):
        if not isinstance(content.get(name, {}), Mapping):
            faults.add(f"content.{name}", "is not a table of fields")
    if not content.get("changes"):
        faults.add("content.changes", "is missing")


def _read_another_time(faults: Faults, content: Mapping[str, Any]) -> None:
    faults.line("content.reason", content.get("reason"), longest=LONGEST_NOTE)
    for name in ("starts_at", "seen_at") if "seen_at" in content else ("starts_at",):
        if moment_of(content.get(name)) is None:
            faults.add(f"content.{name}", NO_MOMENT)


def moment_of(told: object) -> datetime | None:
    """A moment as a page's script writes it (ISO 8601, with its zone); None for anything else."""
    try:
        moment = datetime.fromisoformat(told) if isinstance(told, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
