"""What of our own work needs a person: runs that are held, visits at risk, what the last check has found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.attention.items import Item, Target, several
from provisioning.check import every_invariant
from provisioning.check_records import RecordedCheck
from provisioning.days import day_of, end_of, minute
from provisioning.field import LIVE_STATES, VisitRecord, Visits
from provisioning.intake import Clock
from provisioning.keeps import MONEY_STEPS, kept
from provisioning.sight import Sight
from workflows import CodeMissing, Definition, RunSummary, list_runs, show_run

MOST_HELD, SHOWN_WHOLE = 500, 12
"""Of held runs so many are counted, and of so many it is read what they keep."""
MOST_VISITS = 500
LOOK_BACK = timedelta(days=14)
TOLD_ONE_BY_ONE = 3
CHECK_TOO_OLD = timedelta(days=1)
ABOUT_MONEY = ("billing.", "license.", "partner.", "payment.", "selling.")
"""Invariants whose findings tell of bills and amounts."""


class Work:
    """Looks at runs and visits, within the caller's transaction; of what may be seen."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        tenant_id: str,
        now: Clock,
        zone: ZoneInfo,
        definitions: Mapping[tuple[str, int], Definition[Any]],
        sight: Sight,
    ) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._zone = zone
        self._definitions = definitions
        self._sight = sight
        self._visits = Visits(db, tenant_id=tenant_id, now=now)

    async def held_runs(self) -> list[RunSummary]:
        """Those that may be seen, the newest first."""
        if not self._sight.may("runs.read"):
            return []
        return await list_runs(
            self._db, tenant_id=self._tenant_id, states=["held"], among=self._sight.runs, limit=MOST_HELD
        )

    async def todays_visits(self) -> list[VisitRecord]:
        """Those of today that have not ended, and those of late that should have; a technician's own alone."""
        if not self._sight.may("visits.read"):
            return []
        now = self._now()
        return await self._visits.visits(
            starts_at=now - LOOK_BACK,
            ends_at=end_of(day_of(now, self._zone), self._zone),
            technician_id=self._sight.technician_id,
            states=LIVE_STATES,
            limit=MOST_VISITS,
        )

    async def of_runs(self, held: Sequence[RunSummary]) -> list[Item]:
        """Runs that are held for the same reason at the same step are one item, if there are several."""
        groups: dict[tuple[str, str | None, str | None], list[RunSummary]] = {}
        for run in held:
            groups.setdefault((run.journey, run.current_step, run.reason_code), []).append(run)
        items: list[Item] = []
        shown = 0
        for runs in groups.values():
            if len(runs) > TOLD_ONE_BY_ONE:
                items.append(self._of_several(runs))
                continue
            for run in runs:
                shown += 1
                items.append(await self._of_one(run, whole=shown <= SHOWN_WHOLE))
        return items

    def of_visits(self, visits: Sequence[VisitRecord], held: Collection[RunSummary]) -> list[Item]:
        """Visits that nobody has reported though they are over, and those whose run is held."""
        now, runs = self._now(), {run.customer_id: run for run in held if run.customer_id is not None}
        over = [visit for visit in visits if visit["ends_at"] < now]
        items = [_overdue(over)] if len(over) > TOLD_ONE_BY_ONE else [_overdue([visit]) for visit in over]
        for visit in visits:
            run = runs.get(visit["customer_id"])
            if run is not None and visit["ends_at"] >= now:
                items.append(_without_its_run(visit, run))
        return items

    async def _of_one(self, run: RunSummary, *, whole: bool) -> Item:
        keeps = await self._kept(run.id) if whole else []
        whom = f" for customer {run.customer_id}" if run.customer_id is not None else ""
        return Item(
            kind="run_held",
            urgency="now",
            sentence=f"Run {run.id} ({run.business_key}){whom} is held in {run.current_step}: {self._why(run)}",
            target=Target("run", str(run.id)),
            since=run.updated_at,
            customers=[] if run.customer_id is None else [run.customer_id],
            held_meanwhile=keeps,
        )

    async def _kept(self, run_id: int) -> list[str]:
        try:
            view = await show_run(self._db, run_id, tenant_id=self._tenant_id, definitions=self._definitions)
        except CodeMissing:
            return ["what it keeps can't be read: this release has no code for it"]
        things = kept(view, with_money=self._sight.sees_money)
        return [f"{each.what}: {each.particulars}" if each.particulars else each.what for each in things]

    def _of_several(self, runs: Sequence[RunSummary]) -> Item:
        oldest = min(runs, key=lambda run: run.updated_at)
        many = f"{len(runs)} or more" if len(runs) == MOST_HELD else str(len(runs))
        return Item(
            kind="run_held",
            urgency="now",
            sentence=f"{many} runs of {oldest.journey} are held in {oldest.current_step}; the one that is held longest,"
            f" run {oldest.id}: {self._why(oldest)}",
            target=Target("runs", oldest.reason_code or ""),
            since=oldest.updated_at,
            count=len(runs),
            customers=sorted({run.customer_id for run in runs if run.customer_id is not None}),
        )

    def _why(self, run: RunSummary) -> str:
        """A payment's reason may tell an amount."""
        if run.current_step in MONEY_STEPS and not self._sight.sees_money:
            return "whoever settles payments is told why."
        return run.reason or "no reason was told."


def of_check(last: RecordedCheck | None, now: datetime, sight: Sight) -> list[Item]:
    """Invariants that were broken when it was asked last, and that it was too long ago."""
    if not sight.may("runs.operate"):
        return []
    if last is None or now - last.checked_at > CHECK_TOO_OLD:
        since = "ever" if last is None else f"since {minute(last.checked_at)}"
        sentence = f"Nobody has asked {since} whether everything holds that must: does a worker run? `firstlight check`"
        if last is None:
            sentence = "Nobody has ever asked whether everything holds that must: does a worker run? `firstlight check`"
        stale = [Item("not_checked", "today", sentence, Target("check"), None if last is None else last.checked_at)]
        return stale if last is None else stale + _broken(last, sight)
    return _broken(last, sight)


def _broken(last: RecordedCheck, sight: Sight) -> list[Item]:
    meanings, by_name = dict(every_invariant()), dict[str, list[str]]()
    for finding in last.findings:
        if sight.sees_money or not finding.invariant.startswith(ABOUT_MONEY):
            by_name.setdefault(finding.invariant, []).append(finding.message)
    return [
        Item(
            kind="invariant_broken",
            urgency="today",
            sentence=f"It does not hold that {meanings.get(name, name)} ({name}): {messages[0]}",
            target=Target("check", name),
            since=last.checked_at,
            count=len(messages),
        )
        for name, messages in by_name.items()
    ]


def _overdue(visits: Sequence[VisitRecord]) -> Item:
    first = min(visits, key=lambda visit: visit["ends_at"])
    if len(visits) == 1:
        sentence = (
            f"Visit {first['visit_id']} of {first['technician_name']} to customer {first['customer_id']} should have"
            f" ended at {minute(first['ends_at'])}, and nobody has reported what came of it."
        )
        target = Target("visit", str(first["visit_id"]))
    else:
        sentence = (
            f"{several(len(visits), 'visit')} should have ended, the first at {minute(first['ends_at'])}, and nobody"
            " has reported what came of them."
        )
        target = Target("visits")
    return Item(
        kind="visit_at_risk",
        urgency="today",
        sentence=sentence,
        target=target,
        since=first["ends_at"],
        count=len(visits),
        customers=sorted({visit["customer_id"] for visit in visits}),
    )


def _without_its_run(visit: VisitRecord, run: RunSummary) -> Item:
    return Item(
        kind="visit_at_risk",
        urgency="now",
        sentence=f"Visit {visit['visit_id']} of {visit['technician_name']} to customer {visit['customer_id']} begins at"
        f" {minute(visit['starts_at'])}, and run {run.id} for them is held.",
        target=Target("visit", str(visit["visit_id"])),
        since=run.updated_at,
        customers=[visit["customer_id"]],
    )
