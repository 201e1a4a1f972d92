"""The five ticks of an installation: bound, authorised, informed, configured, online. Each is true when it was seen.

They are read from the journal of the run that waits for the visit: a step is completed there only when the other side
has said so. The ticks of a round that was undone (another ONT was scanned) are gone with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.field import VISIT
from workflows import (
    Definition,
    RunState,
    RunView,
    StepState,
    StepView,
    runs_about,
    show_run,
    states_of_steps,
)

TickName = Literal["bound", "authorised", "informed", "configured", "online"]

Definitions = Mapping[tuple[str, int], Definition[Any]]

STEPS: dict[TickName, tuple[str, str]] = {
    "bound": ("provision_device", "the CPE's settings for this service, under the scanned serial"),
    "authorised": ("confirm_port", "the OLT's answer to the line order"),
    "informed": ("device_informed", "the CPE's Inform, as the ACS has kept it"),
    "configured": ("verify_device", "the CPE's values, read back from it"),
    "online": ("session_started", "the subscriber's own Accounting-Start with the allocated address"),
}
"""By tick: the step that sees it, and what that is seen by."""


class Tick(TypedDict):
    """One tick. ``source``: what it is seen by. ``why``: what stands in its way, None where it is true."""

    name: TickName
    is_true: bool
    at: datetime | None
    source: str
    why: str | None


class Ticks(TypedDict):
    """The ticks of a visit, in the order in which they are to come; ``run_id`` None: no run waits for this visit."""

    visit_id: int
    run_id: int | None
    all_true: bool
    ticks: list[Tick]


async def ticks_of(db: AsyncSession, visit_id: int, *, tenant_id: str, definitions: Definitions) -> Ticks:
    """What has been seen of what the visit is for.

    Raises: CodeMissing if this release has no definition for the run's version.
    """
    runs = await _installations(db, [visit_id], tenant_id=tenant_id, definitions=definitions)
    run_id, view = runs.get(visit_id), None
    if run_id is not None:
        view = await show_run(db, run_id, tenant_id=tenant_id, definitions=definitions)
    ticks = ticks_in(view)
    return Ticks(visit_id=visit_id, run_id=run_id, all_true=all(each["is_true"] for each in ticks), ticks=ticks)


async def seen_ticks(
    db: AsyncSession, visit_ids: Sequence[int], *, tenant_id: str, definitions: Definitions
) -> dict[int, dict[TickName, bool]]:
    """Of many visits at once which ticks are true, in their order; of one that no installation waits for, nothing."""
    runs = await _installations(db, visit_ids, tenant_id=tenant_id, definitions=definitions)
    steps = [step for step, _ in STEPS.values()]
    states = await states_of_steps(db, tenant_id=tenant_id, run_ids=sorted(set(runs.values())), steps=steps)
    return {
        visit_id: {tick: states.get(run_id, {}).get(step) == StepState.COMPLETED for tick, (step, _) in STEPS.items()}
        for visit_id, run_id in runs.items()
    }


def ticks_in(view: RunView | None) -> list[Tick]:
    """What this run's journal says of each; nothing is true where there is no run."""
    return [_tick(name, view) for name in get_args(TickName)]


def has_ticks(view: RunView) -> bool:
    """Whether this run's steps can make them true: whether it is an installation."""
    return all(_named(view.steps, step_name) is not None for step_name, _ in STEPS.values())


async def _installations(
    db: AsyncSession, visit_ids: Sequence[int], *, tenant_id: str, definitions: Definitions
) -> dict[int, int]:
    """By visit: the newest run that waits for it, or has waited, and can make ticks true."""
    needed = {step for step, _ in STEPS.values()}
    journeys = {name for (name, _), each in definitions.items() if needed <= {step.name for step in each.steps}}
    subjects = [str(visit_id) for visit_id in visit_ids]
    runs = await runs_about(db, tenant_id=tenant_id, signal=VISIT, subjects=subjects, journeys=journeys)
    return {int(subject): run_id for subject, run_id in runs.items()}


def _tick(name: TickName, view: RunView | None) -> Tick:
    step_name, source = STEPS[name]
    step = None if view is None else _named(view.steps, step_name)
    is_true = step is not None and step.state == StepState.COMPLETED
    return Tick(
        name=name,
        is_true=is_true,
        at=step.finished_at if step is not None and is_true else None,
        source=source,
        why=None if is_true else _why(view, step),
    )


def _why(view: RunView | None, step: StepView | None) -> str:
    if view is None:
        return "no run waits for this visit"
    if step is None:
        return f"run {view.summary.id} has no such step"
    if step.state == StepState.SKIPPED:
        return f"skipped: {step.note or 'no reason was given'}"
    if view.summary.state == RunState.HELD:
        return f"run {view.summary.id} is held at {view.summary.current_step}: {view.summary.reason}"
    return view.summary.reason or f"run {view.summary.id} is at {view.summary.current_step or 'its end'}"


def _named(steps: Sequence[StepView], name: str) -> StepView | None:
    return next((step for step in steps if step.name == name), None)
