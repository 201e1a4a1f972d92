"""``/runs``: the list, and one run: its plan of named steps from the first second, what it keeps, its log; live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Query, Response

from provisioning.amounts import run_without_amounts
from provisioning.api import Call, InCall
from provisioning.api.own import own_runs, require_own_run
from provisioning.api.pages import After, RunNumber, page_of, row_of
from provisioning.commercial import TicketRecord
from provisioning.console.destinations import of_kept
from provisioning.console.doors import ConsoleDoors
from provisioning.console.lists import names_of
from provisioning.console.pages import show, to
from provisioning.console.topics import NEWEST, run_topic
from provisioning.errors import Fault, InvalidRequest
from provisioning.field import VISIT
from provisioning.intake import LARGEST_NUMBER
from provisioning.keeps import kept, snippet, ways
from provisioning.run_previews import Verb, what_may_be_decided
from provisioning.run_slots import wanted_visit
from provisioning.sight import sees_money
from provisioning.ticks import has_ticks, ticks_in
from workflows import DEFINITIONS, RoundView, RunState, RunSummary, RunView, StepView, list_runs

ON_A_PAGE = 50
JUST_DONE = "firstlight_done"
"""The cookie that carries what was asked for to the page where it is said."""
DONE = {
    "retry": "Asked for: what it stood at is tried again. What comes of it shows here.",
    "retry-from": "Asked for: the run goes back first, then forward again. What comes of it shows here.",
    "skip": "The step is passed over. What comes of it shows here.",
    "roll-back": "Asked for: everything is undone, newest step first. What comes of it shows here.",
    "cancel": "Asked for: the run undoes itself. What comes of it shows here.",
    "hand-over": "Handed over: the ticket is open, the run stays as it is.",
    "note": "Noted.",
}

doors = ConsoleDoors(name="runs")

State = Annotated[str, Query(max_length=30)]


@dataclass(frozen=True)
class ShownStep:
    """A step as the page shows it."""

    step: StepView
    took: timedelta | None
    result: Any
    is_current: bool


@doors.page("/runs", permission="runs.read")
async def runs(
    call: InCall,
    state: State = "",
    journey: Annotated[str, Query(max_length=100)] = "",
    customer: Annotated[str, Query(max_length=20)] = "",
    after: After = None,
) -> Response:
    """Runs, the newest first."""
    return await _list(call, "runs.html.j2", state, journey, customer, after)


@doors.page("/runs/now", permission="runs.read")
async def runs_now(
    call: InCall,
    state: State = "",
    journey: Annotated[str, Query(max_length=100)] = "",
    customer: Annotated[str, Query(max_length=20)] = "",
    after: After = None,
) -> Response:
    """The list alone, as it is now."""
    return await _list(call, "runs_now.html.j2", state, journey, customer, after)


@doors.page("/runs/{run_id}", permission="runs.read")
async def run(call: InCall, run_id: RunNumber) -> Response:
    """One run, whole; once, what was asked for just before."""
    verb = call.request.cookies.get(JUST_DONE, "")
    page = await _run(call, "run.html.j2", run_id, DONE.get(verb, ""))
    if verb:
        page.delete_cookie(JUST_DONE, path=f"/runs/{run_id}")
    return page


@doors.page("/runs/{run_id}/now", permission="runs.read")
async def run_now(call: InCall, run_id: RunNumber) -> Response:
    """The same without its frame, as it is now."""
    return await _run(call, "run_now.html.j2", run_id, "")


async def _list(call: Call, template: str, state: str, journey: str, customer: str, after: str | None) -> Response:
    if state and state not in list(RunState):
        raise InvalidRequest("The list", [Fault("state", f"is none of {', '.join(RunState)}: {state}")])
    customer_id, among = read_customer(customer), own_runs(call)
    # what moves is told of the newest runs of all: a list of others is as old as it is, and doesn't say that it is live
    is_newest = not (state or journey or customer_id or after) and among is None
    found = await list_runs(
        call.db,
        tenant_id=call.tenant_id,
        states=[state] if state else (),
        journey=journey or None,
        customer_id=customer_id,
        among=among,
        before_id=row_of(after),
        limit=ON_A_PAGE + 1,
    )
    page = page_of(call, found, [one.id for one in found], ON_A_PAGE)
    return show(
        call,
        template,
        "Runs",
        topics=[NEWEST] if is_newest else [],
        runs=page.items,
        names=await names_of(call, [one.customer_id for one in page.items]),
        next=page.next.replace("/runs/now", "/runs") if page.next else None,
        states=list(RunState),
        journeys=sorted({name for name, _ in DEFINITIONS}),
        wanted={"state": state, "journey": journey, "customer": customer},
        query=call.request.url.query,
    )


async def _run(call: Call, template: str, run_id: int, done: str) -> Response:
    await require_own_run(call, run_id)
    desk = call.appliance.run_desk(call.db)
    whole = await desk.run(run_id)
    amounts = sees_money(call.caller)
    view = whole if amounts else run_without_amounts(whole)
    summary = view.summary
    handed = await handed_over(call, [summary]) if summary.state == "held" else {}
    dispatches = "visits.write" in call.caller.permissions
    return show(
        call,
        template,
        f"Run {run_id}",
        topics=[run_topic(run_id)],
        topic=run_topic(run_id),
        run=summary,
        names=await names_of(call, [summary.customer_id]),
        steps=[_shown(view, step, call.appliance.clock()) for step in view.steps],
        notes=list(reversed(view.notes)),
        ticks=ticks_in(view) if has_ticks(view) else [],
        goes_back=view.goes_back,
        keeps=[(each, of_kept(each, call.caller.permissions)) for each in kept(whole, with_money=amounts)],
        snippet=snippet(whole),
        verbs=_verbs(call, view),
        finds_time=dispatches and not view.goes_back and wanted_visit(summary) is not None,
        moves=summary.waiting_on if dispatches and summary.waiting_for == VISIT else None,
        ways=ways(view) if "runs.signal" in call.caller.permissions else [],
        ticket=handed.get(run_id),
        done=done,
    )


def leads_to_run(call: Call, run_id: int, verb: Verb) -> Response:
    """Leads to the run's page, which says once what was asked for: its address says it to nobody who comes again."""
    answer = to(f"/runs/{run_id}")
    secure = call.request.url.scheme == "https"
    path = f"/runs/{run_id}"
    answer.set_cookie(JUST_DONE, verb, path=path, max_age=60, httponly=True, samesite="lax", secure=secure)
    return answer


async def handed_over(call: Call, runs: Sequence[RunSummary]) -> dict[int, TicketRecord]:
    """The tickets by which these held runs were handed over, for who may read tickets."""
    if "tickets.read" not in call.caller.permissions:
        return {}
    return await call.appliance.run_desk(call.db).handed_over(runs)


def read_customer(text: str) -> int | None:
    """A customer's number in a filter; None if nothing was typed. Raises: InvalidRequest."""
    if not text.strip():
        return None
    if not (text.strip().isascii() and text.strip().isdigit() and 0 < int(text) <= LARGEST_NUMBER):
        raise InvalidRequest("The list", [Fault("customer", f"is no customer's number: {text}")])
    return int(text)


def _verbs(call: Call, view: RunView) -> list[Verb]:
    """What this caller may decide about the run as it stands."""
    if "runs.operate" not in call.caller.permissions:
        return []
    return what_may_be_decided(view)


def _shown(view: RunView, step: StepView, now: datetime) -> ShownStep:
    return ShownStep(
        step=step,
        took=_took(step, now),
        result=step.result,
        is_current=step.name == view.summary.current_step,
    )


def _took(step: StepView | RoundView, now: datetime) -> timedelta | None:
    """How long it took, or has been under way."""
    if step.started_at is None or step.state == "planned":
        return None
    return (step.finished_at or now) - step.started_at
