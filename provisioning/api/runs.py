"""``/runs``: start, look, and decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import Field

from provisioning.amounts import run_without_amounts, summary_without_amounts
from provisioning.api.calls import Call, InCall
from provisioning.api.causes import body_of, input_by_journey, require_to_cause
from provisioning.api.own import own_runs, require_own_run
from provisioning.api.pages import LARGEST_RUN, After, Limit, Moment, Page, RunNumber, Wanted, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish, WithReason
from provisioning.errors import ProvisioningError
from provisioning.keeps import Kept, kept
from provisioning.logs import mask_secrets
from provisioning.run_desk import Decision, mark_of
from provisioning.run_previews import Preview, Verb
from provisioning.sight import sees_money
from workflows import EventRefused, NoteView, RunState, RunSummary, RunView, StepView, list_runs, show_run
from workflows.answers import TicketPriority

doors = Doors(prefix="/runs", tags=["runs"])


@dataclass(frozen=True)
class RunDocument:
    """A run, whole: how it stands and why, its input, its plan of steps with their times, its log, what it keeps."""

    run: RunSummary
    input: Any
    steps: Sequence[StepView]
    notes: Sequence[NoteView]
    kept: Sequence[Kept]


class StartedRun(Wish):
    """The run's number; ``new`` is false if the same had started it before."""

    run_id: int
    new: bool


class Start(Wish):
    """A journey by its name, and what it is told."""

    journey: str = Field(min_length=1, max_length=100)
    input: dict[str, Any]


class Told(Wish):
    """Something a run waits for, or will wait for.

    The same ``key`` again is the same signal. It is kept as `told/<key>`: no key from outside is ever one of ours.
    """

    name: str = Field(min_length=1, max_length=100)
    payload: dict[str, Any]
    key: str | None = Field(default=None, min_length=1, max_length=200)


class ToldRun(Wish):
    """``new`` is false if the run knew it."""

    run_id: int
    signal: str
    new: bool


class Retry(WithReason):
    """``from_step``: undo back to and with this step first."""

    from_step: str | None = Field(default=None, max_length=100)


class Skip(Wish):
    """Why; ``result``: the step's, if later steps need it."""

    reason: str = Field(max_length=1000)
    result: Any = None


class Because(Wish):
    """Why."""

    reason: str = Field(max_length=1000)


class Note(Wish):
    """One line for the run's log."""

    text: str = Field(min_length=1, max_length=1000)


class HandOver(Wish):
    """To which team, why, and how much it hurries."""

    team: str = Field(min_length=1, max_length=64)
    reason: str = Field(min_length=1, max_length=1000)
    priority: TicketPriority = "normal"


class HandedOver(Wish):
    """The team's ticket; the run stays as it is."""

    run_id: int
    ticket_id: int


@doors.get("", permission="runs.read")
async def list_(
    call: InCall,
    state: Annotated[list[RunState] | None, Query(description="Only runs in these states")] = None,
    journey: Annotated[str | None, Query(max_length=100)] = None,
    customer: Wanted = None,
    created_since: Annotated[Moment | None, Query(description="Not started before this moment")] = None,
    created_before: Annotated[Moment | None, Query(description="Started before this moment")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[RunSummary]:
    """Runs, the newest first: how each stands, for whom and why."""
    found = await list_runs(
        call.db,
        tenant_id=call.tenant_id,
        states=state or (),
        journey=journey,
        customer_id=customer,
        created=(created_since, created_before),
        among=own_runs(call),
        before_id=row_of(after, most=LARGEST_RUN),
        limit=limit + 1,
    )
    if not sees_money(call.caller):
        found = [summary_without_amounts(run) for run in found]
    return page_of(call, found, [run.id for run in found], limit)


@doors.post("", permission="runs.start", status_code=201, openapi_extra=body_of(input_by_journey()))
async def start(call: InCall, wish: Start, response: Response) -> StartedRun:
    """Starts a run through its journey's door, which is told what the event would tell; the same is the same run.

    The permission of what that event tells is asked for as well.
    """
    events = call.appliance.events
    if (event_type := events.type_of(wish.journey)) is not None:
        require_to_cause(call, event_type)
    try:
        run_id, is_new = await events.start(call.db, wish.journey, wish.input, by=call.by)
    except EventRefused as refusal:  # a door's own words name every fault
        raise (refusal.__cause__ if isinstance(refusal.__cause__, ProvisioningError) else refusal) from refusal
    return await started(call, response, run_id, is_new)


@doors.get("/{run_id}", permission="runs.read")
async def show(call: InCall, run_id: RunNumber, response: Response) -> RunDocument:
    """One run, with its steps and what it keeps; its ETag goes with a decision about it."""
    await require_own_run(call, run_id)
    view = await _view(call, run_id)
    response.headers["ETag"] = _etag(view.summary)
    return _document(call, view)


@doors.get("/{run_id}/preview", permission="runs.read")
async def preview(
    call: InCall,
    run_id: RunNumber,
    verb: Annotated[Verb, Query(description="The decision")],
    from_step: Annotated[str | None, Query(max_length=100, description="Of `retry-from`: the step")] = None,
) -> Preview:
    """What a decision about this run would touch; nothing is changed."""
    await require_own_run(call, run_id)
    desk, amounts = call.appliance.run_desk(call.db), sees_money(call.caller)
    _, seen = await desk.preview(run_id, verb, from_step=from_step, with_money=amounts)
    return seen


@doors.post("/{run_id}/notes", permission="runs.operate", status_code=201)
async def note(call: InCall, run_id: RunNumber, wish: Note) -> RunDocument:
    """Writes a line into the run's log, whatever its state; nothing else of it changes."""
    before = (await _view(call, run_id)).summary
    await call.appliance.runs.note(call.db, run_id, by=call.by, text=wish.text)
    standing = _standing(before)
    call.tells(subject=f"run/{run_id}", run_id=run_id, customer_id=before.customer_id, before=standing, after=standing)
    call.tells(reason=wish.text)
    await call.db.flush()
    return _document(call, await _view(call, run_id))


@doors.post("/{run_id}/hand-over", permission="runs.operate", status_code=201, if_match=True)
async def hand_over(call: InCall, run_id: RunNumber, wish: HandOver) -> HandedOver:
    """Opens a ticket for a team with what is held and why; tickets.write is asked for as well. The run stays held."""
    call.caller.require("tickets.write")
    await _seen(call, run_id, reason=wish.reason)
    decision = Decision("hand-over", reason=wish.reason, team=wish.team, priority=wish.priority)
    decided = await call.appliance.run_desk(call.db).decide(run_id, decision, by=call.by)
    assert decided.ticket_id is not None, "handing over opens one"
    return HandedOver(run_id=run_id, ticket_id=decided.ticket_id)


@doors.post("/{run_id}/signals", permission="runs.signal", status_code=201)
async def signal(call: InCall, run_id: RunNumber, wish: Told) -> ToldRun:
    """Tells a run something. What has a record (visits, lines) is told there; what a watcher sees is told by no one."""
    before = (await _view(call, run_id)).summary
    new = await call.appliance.signal_desk(call.db).tell(run_id, wish.name, wish.payload, key=wish.key, by=call.by)
    told = {"signal": wish.name, "new": new, "told": mask_secrets(None, "", dict(wish.payload))}
    call.tells(subject=f"run/{run_id}", run_id=run_id, customer_id=before.customer_id, before=_standing(before))
    call.tells(after=told)
    return ToldRun(run_id=run_id, signal=wish.name, new=new)


@doors.post("/{run_id}/retry", permission="runs.operate", if_match=True)
async def retry(call: InCall, run_id: RunNumber, wish: Retry, response: Response) -> RunDocument:
    """Tries a held run again, or at once one that waits for its next try."""
    await _seen(call, run_id, reason=wish.reason)
    await call.appliance.runs.retry(call.db, run_id, by=call.by, from_step=wish.from_step)
    return await _decided(call, run_id, response)


@doors.post("/{run_id}/skip", permission="runs.operate", if_match=True)
async def skip(call: InCall, run_id: RunNumber, wish: Skip, response: Response) -> RunDocument:
    """Passes over the held step; the run will end as partial."""
    await _seen(call, run_id, reason=wish.reason)
    await call.appliance.runs.skip(call.db, run_id, by=call.by, reason=wish.reason, result=wish.result)
    return await _decided(call, run_id, response)


@doors.post("/{run_id}/roll-back", permission="runs.operate", if_match=True)
async def roll_back(call: InCall, run_id: RunNumber, wish: Because, response: Response) -> RunDocument:
    """Undoes a held run, newest step first; it ends as failed."""
    await _seen(call, run_id, reason=wish.reason)
    await call.appliance.runs.roll_back(call.db, run_id, by=call.by, reason=wish.reason)
    return await _decided(call, run_id, response)


@doors.post("/{run_id}/cancel", permission="runs.operate", if_match=True)
async def cancel(call: InCall, run_id: RunNumber, wish: Because, response: Response) -> RunDocument:
    """Asks a run to undo itself; a step under way is finished first."""
    await _seen(call, run_id, reason=wish.reason)
    await call.appliance.runs.cancel(call.db, run_id, by=call.by, reason=wish.reason)
    return await _decided(call, run_id, response)


async def started(call: Call, response: Response, run_id: int, is_new: bool) -> StartedRun:
    """The answer of whatever starts a run."""
    run = (await _view(call, run_id)).summary
    response.headers["Location"] = call.address(f"runs/{run_id}")
    after = {"journey": run.journey, "new": is_new, **_standing(run)}
    call.tells(subject=f"run/{run_id}", run_id=run_id, customer_id=run.customer_id, after=after)
    return StartedRun(run_id=run_id, new=is_new)


async def _seen(call: Call, run_id: int, *, reason: str | None = None) -> None:
    """Nobody changes the run from here on, and it is as the caller has seen it."""
    await call.appliance.runs.lock(call.db, [run_id])
    before = (await _view(call, run_id)).summary
    call.require_match(_etag(before))
    call.tells(
        subject=f"run/{run_id}", run_id=run_id, customer_id=before.customer_id, reason=reason, before=_standing(before)
    )


async def _decided(call: Call, run_id: int, response: Response) -> RunDocument:
    await call.db.flush()
    view = await _view(call, run_id)
    call.tells(after=_standing(view.summary))
    response.headers["ETag"] = _etag(view.summary)
    return _document(call, view)


async def _view(call: Call, run_id: int) -> RunView:
    """The run as it is: what its ETag and the audit are made of."""
    return await show_run(call.db, run_id, tenant_id=call.tenant_id, definitions=call.appliance.definitions)


def _document(call: Call, view: RunView) -> RunDocument:
    """The run as its caller may see it."""
    amounts = sees_money(call.caller)
    shown = view if amounts else run_without_amounts(view)
    return RunDocument(shown.summary, shown.input, shown.steps, shown.notes, kept(view, with_money=amounts))


def _standing(run: RunSummary) -> dict[str, Any]:
    return {"state": run.state, "current_step": run.current_step, "reason": run.reason}


def _etag(run: RunSummary) -> str:
    return f'"{mark_of(run)}"'
