"""Decisions about runs: what one would touch, then the decision itself. For one run, or for all of the same reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, cast
from urllib.parse import urlencode

from fastapi import Query, Response
from starlette.exceptions import HTTPException

from provisioning.access import Deed, keep_deed, subject_of
from provisioning.amounts import summary_without_amounts
from provisioning.api import Call, InCall
from provisioning.api.own import own_runs
from provisioning.api.pages import RunNumber
from provisioning.console.doors import ConsoleDoors, Form, form_of
from provisioning.console.lists import names_of
from provisioning.console.pages import show
from provisioning.console.run_pages import leads_to_run
from provisioning.errors import Fault, InvalidRequest
from provisioning.run_desk import MOST_AT_ONCE, Decided, Decision, RunDesk, mark_of
from provisioning.run_previews import NEEDS_REASON, Preview, Verb, steps_to_go_back_to
from provisioning.sight import sees_money
from workflows import HeldFor, RunSummary, RunView, held_runs

FOR_MANY: tuple[Verb, ...] = ("retry", "skip", "roll-back", "hand-over", "note")
FOR_ONE: tuple[Verb, ...] = (*FOR_MANY, "retry-from", "cancel")
TITLES: dict[Verb, str] = {
    "retry": "Retry",
    "retry-from": "Retry from a step",
    "skip": "Skip the step",
    "roll-back": "Roll back",
    "cancel": "Cancel",
    "hand-over": "Hand over",
    "note": "Note",
}
doors = ConsoleDoors(name="runs")

Word = Annotated[str, Query(max_length=200)]


@doors.page("/runs/{run_id}/acts/{verb}", permission="runs.operate")
async def look(call: InCall, run_id: RunNumber, verb: str, from_step: Word = "") -> Response:
    """What this decision about the run would touch, and the form that takes it."""
    known = _known(verb, FOR_ONE)
    amounts = sees_money(call.caller)
    view, seen = await _desk(call).preview(run_id, known, from_step=from_step or None, with_money=amounts)
    return await _form_of_one(call, view, seen, from_step=from_step)


@doors.act("/runs/{run_id}/acts/{verb}", permission="runs.operate")
async def decide(call: InCall, run_id: RunNumber, verb: str) -> Response:
    """Takes the decision, if the run still stands as it was seen; leads to the run, where what comes of it shows."""
    form, known = form_of(call), _known(verb, FOR_ONE)
    decision = _decision(call, known, form)
    decided = await _desk(call).decide(run_id, decision, by=call.by, seen=form.text("seen"))
    call.tells(action=f"runs {known}", **_told(decided, decision))
    return leads_to_run(call, run_id, known)


@doors.page("/queue/acts/{verb}", permission="runs.operate")
async def look_at_many(call: InCall, verb: str, journey: Word, step: Word, code: Word = "") -> Response:
    """What this decision about all runs that are held for this reason would touch: of each, and of no other."""
    known, held_for = _known(verb, FOR_MANY), HeldFor(journey, step, code)
    found = await _held_for(call, held_for)
    previews = await _desk(call).preview_each(found, known, with_money=sees_money(call.caller))
    open_ = [(run, preview) for run, preview in previews if preview.refused is None]
    return show(
        call,
        "act_many.html.j2",
        f"{TITLES[known]}: all of the same reason",
        verb=known,
        held_for=held_for,
        found=len(found),
        alike=alike(open_),
        refused=[(run, preview) for run, preview in previews if preview.refused is not None],
        marks=[f"{run.id}:{mark_of(run)}" for run, _ in open_],
        most=MOST_AT_ONCE,
        names=await names_of(call, [run.customer_id for run in found]),
        **await _choices(call, known),
    )


@doors.act("/queue/acts/{verb}", permission="runs.operate")
async def decide_many(call: InCall, verb: str) -> Response:
    """Takes the decision for each run by itself, and says of each what came of it."""
    form, known = form_of(call), _known(verb, FOR_MANY)
    decision = _decision(call, known, form)
    decided = await _desk(call).decide_each(_marks(form), decision, by=call.by)
    for one in decided:
        if one.refused is None:
            deed = Deed(action=f"runs {known}", actor=call.by, door="console", **_told(one, decision))
            await keep_deed(call.db, deed, tenant_id=call.tenant_id, at=call.appliance.clock())
    call.changes_nothing()  # each run has its own entry by now
    return show(
        call,
        "acted_many.html.j2",
        f"{TITLES[known]}: what came of it",
        verb=known,
        decided=decided,
        done=sum(one.refused is None for one in decided),
        back="/queue?" + urlencode({name: form.text(name) for name in ("journey", "step", "code")}),
    )


def alike(previews: Sequence[tuple[RunSummary, Preview]]) -> list[list[tuple[RunSummary, Preview]]]:
    """Runs of which a decision touches the same, together; what each gives back is its own."""
    groups: dict[str, list[tuple[RunSummary, Preview]]] = {}
    for run, preview in previews:
        said = repr(replace(preview, run_id=0, given_back=()))
        groups.setdefault(said, []).append((run, preview))
    return list(groups.values())


async def _form_of_one(call: Call, view: RunView, seen: Preview, *, from_step: str) -> Response:
    return show(
        call,
        "act.html.j2",
        f"{TITLES[seen.verb]}: run {view.summary.id}",
        verb=seen.verb,
        names=await names_of(call, [view.summary.customer_id]),
        run=view.summary if sees_money(call.caller) else summary_without_amounts(view.summary),
        preview=seen,
        mark=mark_of(view.summary),
        steps=steps_to_go_back_to(view) if seen.verb == "retry-from" else [],
        from_step=from_step or seen.step or "",
        **await _choices(call, seen.verb),
    )


async def _choices(call: Call, verb: Verb) -> dict[str, Any]:
    """What the form asks for besides."""
    teams: Sequence[str] = []
    if verb == "hand-over":
        call.caller.require("tickets.write")
        teams = [team["team"] for team in await call.appliance.teams(call.db).teams()]
    return {"teams": teams, "titles": TITLES, "needs_reason": verb in NEEDS_REASON}


async def _held_for(call: Call, held_for: HeldFor) -> list[RunSummary]:
    return await held_runs(
        call.db, tenant_id=call.tenant_id, held_for=held_for, among=own_runs(call), limit=MOST_AT_ONCE
    )


def _decision(call: Call, verb: Verb, form: Form) -> Decision:
    """Raises: InvalidRequest if there is no reason where one is needed; Forbidden."""
    if verb == "hand-over":
        call.caller.require("tickets.write")
    reason = form.text("reason")
    faults = [Fault("reason", "is missing")] if verb in NEEDS_REASON and not reason else []
    if verb == "hand-over" and not form.text("team"):
        faults.append(Fault("team", "is missing"))
    if faults:
        raise InvalidRequest("The decision", faults)
    return Decision(
        verb=verb,
        reason=reason,
        from_step=form.text("from_step") or None,
        team=form.text("team"),
        priority=form.text("priority") or "normal",
    )


def _told(decided: Decided, decision: Decision) -> dict[str, Any]:
    """What the audit keeps of one run's decision."""
    assert decided.before is not None, "of what was refused nothing is kept"
    after = _standing(decided.after) if decided.after else {}
    if decided.ticket_id is not None:
        after["ticket_id"] = decided.ticket_id
    return {
        "subject": subject_of("run", decided.run_id),
        "run_id": decided.run_id,
        "customer_id": decided.before.customer_id,
        "reason": decision.reason or None,
        "before": _standing(decided.before),
        "after": after,
    }


def _standing(run: RunSummary) -> dict[str, Any]:
    return {"state": run.state, "current_step": run.current_step, "reason": run.reason}


def _marks(form: Form) -> Mapping[int, str]:
    """The runs that the form is about, each with what it looked like. Raises: InvalidRequest."""
    marks = {}
    for name, value in form.all:
        if name != "seen":
            continue
        number, _, mark = value.partition(":")
        if not (number.isascii() and number.isdigit() and mark):
            raise InvalidRequest("The decision", [Fault("seen", f"is no run: {value[:40]}")])
        marks[int(number)] = mark
    if len(marks) > MOST_AT_ONCE:
        raise InvalidRequest("The decision", [Fault("seen", f"names more than {MOST_AT_ONCE} runs")])
    if not marks:
        raise InvalidRequest("The decision", [Fault("seen", "names no run")])
    return marks


def _known(verb: str, verbs: Sequence[Verb]) -> Verb:
    if verb not in verbs:
        raise HTTPException(404)
    return cast(Verb, verb)


def _desk(call: Call) -> RunDesk:
    return call.appliance.run_desk(call.db)
