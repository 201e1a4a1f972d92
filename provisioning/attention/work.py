"""What of our own work needs a person: held runs, visits at risk, host names, what the last check has found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.amounts import words_without_amounts
from provisioning.attention.hand_overs import HandOvers, with_hand_overs
from provisioning.attention.host_names import of_host_names
from provisioning.attention.items import AttentionKind, Item, Target, several
from provisioning.attention.outages import LINE_STEPS
from provisioning.check import every_invariant
from provisioning.check_records import RecordedCheck
from provisioning.commercial import PartnerDomains, TicketRecord
from provisioning.days import day_of, end_of, minute
from provisioning.field import LIVE_STATES, VisitRecord, Visits
from provisioning.intake import Clock
from provisioning.keeps import kept
from provisioning.sight import Sight
from workflows import (
    CodeMissing,
    Definition,
    HeldFor,
    HeldGroup,
    Overdue,
    RefusedEvents,
    RunSummary,
    held_groups,
    held_runs,
    refused_events,
    show_run,
    what_is_overdue,
)

SHOWN_WHOLE = 12
"""Of so many held runs it is read what they keep."""
AT_ONCE = 500
LOOK_BACK = timedelta(days=14)
TOLD_ONE_BY_ONE, NAMED_ALL = 3, 50
"""So many runs that are held for one reason are an item each; of so many it is read for whom they are."""
CHECK_TOO_OLD = timedelta(days=1)
ABOUT_MONEY = ("billing.", "license.", "partner.", "payment.", "selling.")
"""Invariants whose findings tell of bills and amounts."""


class Work:
    """Looks at runs, visits and partners' host names, within the caller's transaction; of what may be seen."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        tenant_id: str,
        now: Clock,
        zone: ZoneInfo,
        definitions: Mapping[tuple[str, int], Definition[Any]],
        sight: Sight,
        host_names: PartnerDomains,
        hand_overs: HandOvers,
    ) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._zone = zone
        self._definitions = definitions
        self._sight = sight
        self._host_names = host_names
        self._hand_overs = hand_overs
        self._visits = Visits(db, tenant_id=tenant_id, now=now)

    async def held_groups(self) -> list[HeldGroup]:
        """All held runs that may be seen, by their reason."""
        if not self._sight.may("runs.read"):
            return []
        return await held_groups(self._db, tenant_id=self._tenant_id, among=self._sight.runs)

    async def held_at_lines(self, groups: Sequence[HeldGroup]) -> list[RunSummary]:
        """Every run of these groups that is held where the line is needed."""
        at_lines = [group.held_for for group in groups if group.held_for.step in LINE_STEPS]
        return [run for held_for in at_lines for run in await self._every_held(held_for=held_for)]

    async def todays_visits(self) -> list[VisitRecord]:
        """Those of today that have not ended, and those of late that should have; a technician's own alone."""
        if not self._sight.may("visits.read"):
            return []
        now, visits = self._now(), list[VisitRecord]()
        while True:
            some = await self._visits.visits(
                starts_at=now - LOOK_BACK,
                ends_at=end_of(day_of(now, self._zone), self._zone),
                technician_id=self._sight.technician_id,
                states=LIVE_STATES,
                after=visits[-1]["visit_id"] if visits else None,
                limit=AT_ONCE,
            )
            visits += some
            if len(some) < AT_ONCE:
                return visits

    async def of_runs(self, groups: Sequence[HeldGroup], folded: Collection[RunSummary]) -> list[Item]:
        """Runs that are held for the same reason at the same step are one item, if there are several; without those
        that are told elsewhere."""
        told = {run.id for run in folded}
        less = Counter(_held_for(run) for run in folded)
        items: list[Item] = []
        shown = 0
        for group in groups:
            if not less[group.held_for] and group.count > NAMED_ALL:
                newest = await self._held(held_for=group.held_for)
                tickets = await self._handed_over(newest)
                items.append(with_hand_overs(self._of_many(group), tickets, looked_at=len(newest)))
                continue
            runs = [run for run in await self._every_held(held_for=group.held_for) if run.id not in told]
            tickets = await self._handed_over(runs)
            if len(runs) > TOLD_ONE_BY_ONE:
                items.append(with_hand_overs(self._of_several(runs), tickets, looked_at=len(runs)))
                continue
            for run in runs:
                shown += 1
                item = await self._of_one(run, whole=shown <= SHOWN_WHOLE)
                its = {run.id: tickets[run.id]} if run.id in tickets else {}
                items.append(with_hand_overs(item, its, looked_at=1))
        return items

    async def _handed_over(self, runs: Sequence[RunSummary]) -> Mapping[int, TicketRecord]:
        return await self._hand_overs(runs) if runs and self._sight.may("tickets.read") else {}

    async def of_overdue(self) -> list[Item]:
        """What no worker carries on."""
        if not self._sight.may("runs.operate"):
            return []
        now = self._now()
        overdue = await what_is_overdue(self._db, tenant_id=self._tenant_id, now=now)
        return [] if overdue.since is None else [_overdue_work(overdue, overdue.since)]

    async def of_events(self) -> list[Item]:
        """What has happened and started no journey, since its journey does not take it."""
        if not self._sight.may("events.read"):
            return []
        since = self._now() - LOOK_BACK
        return [self._refused(some) for some in await refused_events(self._db, tenant_id=self._tenant_id, since=since)]

    def _refused(self, events: RefusedEvents) -> Item:
        newest = f"event {events.newest_id} about {events.newest_subject}"
        reason = events.reason or "no reason was told."
        if not self._sight.sees_money:
            reason = words_without_amounts(reason)
        told = f"{newest} ({events.type}) was refused: {reason}"
        if events.count > 1:
            told = f"{events.count} events of {events.type} were refused; the newest, {newest}: {reason}"
        return Item(
            kind="event_refused",
            urgency="today",
            sentence=f"No journey was started: {told}",
            target=Target("events", events.type),
            since=events.since,
            count=events.count,
        )

    async def of_visits(self, visits: Sequence[VisitRecord]) -> list[Item]:
        """Visits that nobody has reported though they are over, and those whose run is held."""
        now = self._now()
        over = [visit for visit in visits if visit["ends_at"] < now]
        items = [_overdue(over)] if len(over) > TOLD_ONE_BY_ONE else [_overdue([visit]) for visit in over]
        to_come = [visit for visit in visits if visit["ends_at"] >= now]
        runs = await self._held_for_customers({visit["customer_id"] for visit in to_come})
        return items + [
            _without_its_run(visit, runs[visit["customer_id"]]) for visit in to_come if visit["customer_id"] in runs
        ]

    async def of_visits_in_vain(self) -> list[Item]:
        """Visits of late that came to nothing, after which no run goes on and nobody comes again; a technician's own
        alone."""
        if not self._sight.may("visits.read"):
            return []
        since, whose = self._now() - LOOK_BACK, self._sight.technician_id
        visits = await self._visits.in_vain(since=since, technician_id=whose)
        return [_in_vain(visits)] if len(visits) > TOLD_ONE_BY_ONE else [_in_vain([visit]) for visit in visits]

    async def of_host_names(self) -> list[Item]:
        """Partners' names whose DNS doesn't say any more that they are theirs."""
        if not self._sight.may("partners.read"):
            return []
        return of_host_names(await self._host_names.in_trouble(partner_id=self._sight.partner_id))

    async def _held_for_customers(self, customers: Collection[int]) -> dict[int, RunSummary]:
        if not self._sight.may("runs.read"):
            return {}
        numbers, found = sorted(customers), list[RunSummary]()
        for start in range(0, len(numbers), AT_ONCE):
            found += await self._every_held(customer_ids=numbers[start : start + AT_ONCE])
        return {run.customer_id: run for run in found if run.customer_id is not None}

    async def _every_held(
        self, *, held_for: HeldFor | None = None, customer_ids: Collection[int] | None = None
    ) -> list[RunSummary]:
        """All of them that may be seen, the newest first."""
        runs: list[RunSummary] = []
        while True:
            before_id = runs[-1].id if runs else None
            some = await self._held(held_for=held_for, customer_ids=customer_ids, before_id=before_id)
            runs += some
            if len(some) < AT_ONCE:
                return runs

    async def _held(self, **which: Any) -> list[RunSummary]:
        """The newest of them that may be seen, ``AT_ONCE`` at most."""
        return await held_runs(self._db, tenant_id=self._tenant_id, among=self._sight.runs, limit=AT_ONCE, **which)

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
        return Item(
            kind="run_held",
            urgency="now",
            sentence=f"{len(runs)} runs of {oldest.journey} are held in {oldest.current_step}; the one that is held"
            f" longest, run {oldest.id}: {self._why(oldest)}",
            target=Target("runs", oldest.reason_code or ""),
            since=oldest.updated_at,
            count=len(runs),
            customers=sorted({run.customer_id for run in runs if run.customer_id is not None}),
        )

    def _of_many(self, group: HeldGroup) -> Item:
        """So many that for whom they are is no help any more."""
        held_for = group.held_for
        return Item(
            kind="run_held",
            urgency="now",
            sentence=f"{group.count} runs of {held_for.journey} are held in {held_for.step}, the first of them since"
            f" {minute(group.oldest_since)}; the newest, run {group.newest_id}:"
            f" {self._reason(held_for.step, group.reason)}",
            target=Target("runs", held_for.reason_code),
            since=group.oldest_since,
            count=group.count,
        )

    def _why(self, run: RunSummary) -> str:
        return self._reason(run.current_step, run.reason)

    def _reason(self, step: str | None, reason: str | None) -> str:
        """A payment's reason may tell an amount."""
        if reason and not self._sight.sees_money:
            reason = words_without_amounts(reason, step)
        return reason or "no reason was told."


def _held_for(run: RunSummary) -> HeldFor:
    return HeldFor(run.journey, run.current_step or "", run.reason_code or "")


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
    meanings, first = dict(every_invariant()), dict[str, str]()
    for finding in last.findings:
        first.setdefault(finding.invariant, finding.message)
    items = []
    for name, count in last.counts.items():
        found = _finding(name, first.get(name, ""), count, sight)
        sentence = f"It does not hold that {meanings.get(name, name)} ({name}): {found}"
        items.append(_broken_item(last, sentence, name, count))
    if last.failed > len(items):  # kept by an earlier release, which told of the first findings alone
        others = several(last.failed - len(items), "invariant does", "invariants do")
        sentence = f"{others} not hold besides, and it was not kept which: `firstlight check` tells them."
        items.append(_broken_item(last, sentence, "", last.failed - len(items)))
    return items


def _finding(name: str, first: str, count: int, sight: Sight) -> str:
    if name.startswith(ABOUT_MONEY) and not sight.sees_money:
        return f"{several(count, 'finding')}, of which whoever settles payments is told."
    others = f" And {several(count - 1, 'other')}." if count > 1 else ""
    return f"{first}{others}"


def _broken_item(last: RecordedCheck, sentence: str, name: str, count: int) -> Item:
    return Item(
        kind="invariant_broken",
        urgency="today",
        sentence=sentence,
        target=Target("check", name),
        since=last.checked_at,
        count=count,
    )


def _overdue_work(overdue: Overdue, since: datetime) -> Item:
    counted = ((overdue.runs, "run"), (overdue.events, "event"))
    told = " and ".join(several(count, name) for count, name in counted if count)
    return Item(
        kind="work_overdue",
        urgency="now",
        sentence=f"{told} should have gone on since {minute(since)}, and nobody takes them up: does a worker run?"
        " Start `firstlight worker`, or read in its log what it fails at.",
        target=Target("runs" if overdue.runs else "events"),
        since=since,
        count=overdue.runs + overdue.events,
    )


def _overdue(visits: Sequence[VisitRecord]) -> Item:
    first = min(visits, key=lambda visit: visit["ends_at"])
    ended = minute(first["ends_at"])
    one = f"should have ended at {ended}, and nobody has reported what came of it."
    many = f"should have ended, the first at {ended}, and nobody has reported what came of them."
    return _of_past_visits("visit_at_risk", visits, first, first["ends_at"], one if len(visits) == 1 else many)


def _in_vain(visits: Sequence[VisitRecord]) -> Item:
    first = visits[0]
    began = minute(first["starts_at"])
    why = "nobody was there" if first["state"] == "no_access" else "it was not feasible"
    one = f"at {began} was in vain ({why}), and no later one is booked."
    many = f"were in vain, the first at {began}, and no later ones are booked."
    return _of_past_visits("visit_in_vain", visits, first, first["outcome_at"], one if len(visits) == 1 else many)


def _of_past_visits(
    kind: AttentionKind, visits: Sequence[VisitRecord], first: VisitRecord, since: datetime | None, told: str
) -> Item:
    """Of one visit who went to whom, and where it stands; of several how many."""
    is_one = len(visits) == 1
    whose = f"Visit {first['visit_id']} of {first['technician_name']} to customer {first['customer_id']}"
    return Item(
        kind=kind,
        urgency="today",
        sentence=f"{whose if is_one else several(len(visits), 'visit')} {told}",
        target=Target("visit", str(first["visit_id"])) if is_one else Target("visits"),
        since=since,
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
