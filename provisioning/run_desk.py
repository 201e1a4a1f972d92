"""The desk for decisions about runs: try again, go back, pass over, undo, hand over, note. One run at a time, or all
that are held for the same reason, each for itself.

A decision is taken on what its decider has seen: `mark_of` a run changes with its standing, and a decision that
carries another mark is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.amounts import summary_without_amounts
from provisioning.commercial import TicketCancelled, TicketDesk, TicketRecord
from provisioning.days import minute
from provisioning.errors import ProvisioningError, RequestConflict
from provisioning.intake import Clock
from provisioning.keeps import kept
from provisioning.run_previews import Preview, Verb, named, preview
from workflows import Definition, RunNotOpenFor, Runs, RunSummary, RunView, WorkflowError, show_run

MOST_AT_ONCE = 50
"""Of the runs that one decision takes together: they are looked at one by one, and are one commit, for which others
wait that want to write."""


class RunMoved(ProvisioningError):
    """The run is not as you have seen it any more; nothing was done."""

    code = "run.moved"

    def __init__(self, run_id: int, state: str) -> None:
        super().__init__(f"Run {run_id} is not as you have seen it any more: it is {state} now. Nothing was done.")


class RunHandedOver(ProvisioningError):
    """The run was handed over as it stands; it is handed over once for each time that it stands still."""

    code = "run.handed_over"

    def __init__(self, run_id: int, ticket: TicketRecord) -> None:
        number = ticket["ticket_id"]
        team, since = ticket["assigned_team"], minute(ticket["created_at"])
        move, state = f"firstlight tickets move {number}", ticket["state"]
        had = f"Team {team} had run {run_id} by ticket {number}, which is {state}:"
        if state == "resolved":
            told = f"{had} `{move} inProgress` takes that up again."
        elif ticket["ended_at"] is not None:
            told = f"{had} open another with `firstlight tickets add`."
        else:
            told = (
                f"Team {team} has run {run_id} already, by ticket {number} since {since}; another team gets it with"
                f" `{move} {state} --team TEAM`."
            )
        super().__init__(told)


@dataclass(frozen=True)
class Decision:
    """What somebody wants of a run. ``team`` and ``priority`` are for a hand-over."""

    verb: Verb
    reason: str = ""
    from_step: str | None = None
    team: str = ""
    priority: str = "normal"


@dataclass(frozen=True)
class Decided:
    """What has come of a decision for one run: ``refused`` says why nothing was done. Then ``before`` is not asked."""

    run_id: int
    before: RunSummary | None
    after: RunSummary | None
    refused: str | None
    ticket_id: int | None = None


class RunDesk:
    """Decisions about runs. Writes only ``db``; the caller commits."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        runs: Runs,
        definitions: Mapping[tuple[str, int], Definition[Any]],
        tickets: TicketDesk,
        tenant_id: str,
        now: Clock,
    ) -> None:
        self._db = db
        self._runs = runs
        self._definitions = definitions
        self._tickets = tickets
        self._tenant_id = tenant_id
        self._now = now

    async def run(self, run_id: int) -> RunView:
        """Raises: RunUnknown, CodeMissing."""
        return await show_run(self._db, run_id, tenant_id=self._tenant_id, definitions=self._definitions)

    async def preview(
        self, run_id: int, verb: Verb, *, from_step: str | None = None, with_money: bool = True
    ) -> tuple[RunView, Preview]:
        """The run as it stands, and what this decision would touch. Without money: for who sees no amounts; the run is
        whole then, too.

        Raises: RunUnknown, StepUnknown, CodeMissing.
        """
        view = await self.run(run_id)
        definition = self.definition_of(view)
        seen = preview(verb, view, definition, from_step=from_step, with_money=with_money)
        if verb == "hand-over" and seen.refused is None:
            seen = await self._unless_handed_over(seen, view.summary)
        return view, seen

    async def preview_each(
        self, runs: Sequence[RunSummary], verb: Verb, *, with_money: bool = True
    ) -> list[tuple[RunSummary, Preview]]:
        """The same for many, each for itself: what can't be read or done of one is said of it."""
        seen = []
        for run in runs[:MOST_AT_ONCE]:
            try:
                view, found = await self.preview(run.id, verb, with_money=with_money)
                seen.append((view.summary, found))
            except WorkflowError as refusal:
                seen.append((run, Preview(verb, run.id, run.current_step, str(refusal))))
        return seen

    def definition_of(self, view: RunView) -> Definition[Any]:
        """The definition that this run goes by."""
        return self._definitions[view.summary.journey, view.version]

    async def decide(self, run_id: int, decision: Decision, *, by: str, seen: str | None = None) -> Decided:
        """Takes the decision if the run still stands as it was ``seen`` (`mark_of`); a note is taken however it stands.

        Raises: RunMoved; RunUnknown, RunNotOpenFor, StepUnknown, InputRefused; for a hand-over also InvalidRequest,
        TeamUnknown, RunHandedOver (otherwise, already).
        """
        await self._runs.lock(self._db, [run_id])
        view = await self.run(run_id)
        before = view.summary
        if seen is not None and decision.verb != "note" and mark_of(before) != seen:
            raise RunMoved(run_id, before.state)
        ticket = await self._act(view, decision, by)
        await self._db.flush()
        after = (await self.run(run_id)).summary
        return Decided(run_id, before, after, None, ticket["ticket_id"] if ticket else None)

    async def decide_each(self, seen: Mapping[int, str], decision: Decision, *, by: str) -> list[Decided]:
        """The same for many, each for itself: what can't be done for one is said of it, and the others are done."""
        done = []
        for run_id, mark in list(seen.items())[:MOST_AT_ONCE]:
            try:
                async with self._db.begin_nested():
                    done.append(await self.decide(run_id, decision, by=by, seen=mark))
            except (WorkflowError, ProvisioningError) as refusal:
                done.append(Decided(run_id, None, None, str(refusal)))
        return done

    async def handed_over(self, runs: Sequence[RunSummary]) -> dict[int, TicketRecord]:
        """Of those of these held runs that were handed over as they stand: the ticket."""
        asked = {_request_of(run): run.id for run in runs}
        found = await self._tickets.of_requests(list(asked))
        return {asked[request]: ticket for request, ticket in found.items() if ticket["state"] != "cancelled"}

    async def _unless_handed_over(self, seen: Preview, run: RunSummary) -> Preview:
        ticket = await self._ticket_of(run)
        if ticket is None:
            return seen
        return Preview(seen.verb, seen.run_id, seen.step, str(RunHandedOver(run.id, ticket)))

    async def _ticket_of(self, run: RunSummary) -> TicketRecord | None:
        """By which this held run was handed over as it stands, whatever became of it since."""
        request = _request_of(run)
        return (await self._tickets.of_requests([request])).get(request)

    async def _act(self, view: RunView, decision: Decision, by: str) -> TicketRecord | None:
        runs, db, run_id = self._runs, self._db, view.summary.id
        match decision.verb:
            case "retry":
                await runs.retry(db, run_id, by=by)
            case "retry-from":
                await runs.retry(db, run_id, by=by, from_step=decision.from_step or view.summary.current_step)
            case "skip":
                await runs.skip(db, run_id, by=by, reason=decision.reason)
            case "roll-back":
                await runs.roll_back(db, run_id, by=by, reason=decision.reason)
            case "cancel":
                await runs.cancel(db, run_id, by=by, reason=decision.reason)
            case "note":
                await runs.note(db, run_id, by=by, text=decision.reason)
            case "hand-over":
                return await self._hand_over(view, decision, by)
        return None

    async def _hand_over(self, view: RunView, decision: Decision, by: str) -> TicketRecord:
        """One ticket for each time that a run stands still; the run itself stays as it is."""
        run = view.summary
        if run.state != "held":
            raise RunNotOpenFor(run.id, "handed over", run.state, "only a held run can be")
        where = f"{'the undo of ' if view.goes_back else ''}{named(run.current_step or '')}"
        earlier = await self._ticket_of(run)
        try:
            ticket = await self._tickets.open(
                title=f"Run {run.id} is held in {where}",
                description=_description(view, decision.reason),
                customer_id=run.customer_id,
                priority=decision.priority,
                assigned_team=decision.team,
                request_id=_request_of(run),
            )
        except (RequestConflict, TicketCancelled) as refusal:
            known = earlier or await self._ticket_of(run)
            assert known is not None, "it is what stands against another one"
            raise RunHandedOver(run.id, known) from refusal
        if earlier is not None:
            if ticket["state"] not in ("open", "inProgress") or ticket["assigned_team"] != decision.team.strip():
                raise RunHandedOver(run.id, ticket)  # the same words as before, but they don't hold any more
            return ticket
        said = f"handed over to {decision.team} as ticket {ticket['ticket_id']}: {decision.reason}"
        await self._runs.note(self._db, run.id, by=by, text=said)
        return ticket


def mark_of(run: RunSummary) -> str:
    """Another one as soon as the run stands otherwise."""
    moments = (run.updated_at, run.finished_at, run.wake_at)
    standing = (run.id, run.state, run.current_step, run.waiting_for, run.waiting_on, run.reason, *moments)
    return hashlib.sha256(repr(standing).encode()).hexdigest()[:32]


def _request_of(run: RunSummary) -> str:
    return f"run/{run.id}/held/{int(run.updated_at.timestamp() * 1_000_000)}"


def _description(view: RunView, reason: str) -> str:
    """Without amounts: whose ticket it becomes may see none. What a person has written stays as it is."""
    run = summary_without_amounts(view.summary)
    lines = [
        reason.strip(),
        "",
        f"Run {run.id}, {run.journey}, {run.business_key}: held in {'the undo of ' if view.goes_back else ''}"
        f"{run.current_step} since"
        f" {run.updated_at:%Y-%m-%d %H:%M} UTC.",
        run.reason or "",
        *(
            f"Held meanwhile: {', '.join(filter(None, (thing.what, thing.particulars)))}"
            for thing in kept(view, with_money=False)
        ),
    ]
    return "\n".join(lines).strip()
