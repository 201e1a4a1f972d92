"""The line: taken off the OLT by whoever drives it, and then the addresses go into quarantine."""

from __future__ import annotations

from ipam import ReleasedResources
from workflows.definitions.kit import step
from workflows.definitions.termination.ending import FOR_GOOD, PATIENT, Leaving, end_service
from workflows.engine.step_kit import wait_for
from workflows.services import LineRemoval, Outside, Services


@step.keyed(
    undo=FOR_GOOD,
    retry=PATIENT,
    when=lambda run: run[end_service]["line_order_id"] is not None,
    otherwise="the service had no line on an OLT",
)
async def take_line_off(outside: Outside, run: Leaving) -> LineRemoval:
    order = run[end_service]["line_order_id"]
    assert order is not None, "else this step is skipped"
    return await outside.line.withdraw(order)


line_removed = wait_for(
    "line_removed",
    signal="line_removed",
    payload=LineRemoval,
    says="the line has to be taken off the OLT by hand: waiting for the word that it is",
    subject=lambda run: str(run[end_service]["line_order_id"]),
    deadline=lambda run: run.now + run.patience("line"),
    patience=("line",),
    when=lambda run: run.done(take_line_off) and not run[take_line_off]["answered"],
    otherwise="nobody has to take it off by hand",
)


@step.transactional(undo=FOR_GOOD)
async def release_resources(services: Services, run: Leaving) -> ReleasedResources:
    """The line order and what the service holds end in one commit: its VLAN is free only when the OLT has let go."""
    ended = run[end_service]
    if ended["line_order_id"] is not None:
        await services.line_service.withdraw_line(line_order_id=ended["line_order_id"])
    return await services.network_service.release_resources(service_id=ended["service_id"])
