"""The CPE: unbound at once, and reset while its line still carries it; one that can't be reached is left as it is."""

from __future__ import annotations

from acs import ResetOutcome, ResetRequest, WithdrawOutcome
from workflows.answers import CreatedTicket
from workflows.definitions.kit import step
from workflows.definitions.termination.ending import FOR_GOOD, PATIENT, Leaving, end_service
from workflows.engine.steps import RetryPolicy
from workflows.services import Outside, Services

# More often than its patience lasts: that is what ends the waiting.
UNTIL_IT_COMES = RetryPolicy(attempts=10_000, first_delay_seconds=1.0, factor=2.0, longest_delay_seconds=600.0)
NO_CPE = "no CPE was bound to the service"


def has_cpe(run: Leaving) -> bool:
    return bool(run[end_service]["device_serials"])


@step.keyed(undo=FOR_GOOD, retry=PATIENT, when=has_cpe, otherwise=NO_CPE)
async def release_devices(outside: Outside, run: Leaving) -> list[WithdrawOutcome]:
    ended = run[end_service]
    return [await outside.acs.release(serial, service_id=ended["service_id"]) for serial in ended["device_serials"]]


@step.keyed(undo=FOR_GOOD, retry=PATIENT, when=has_cpe, otherwise=NO_CPE, patience=("reset",))
async def request_resets(outside: Outside, run: Leaving) -> list[ResetRequest]:
    within = 2 * run.patience("reset")  # what nobody took back must not wait for whoever plugs it in next
    return [await outside.acs.request_reset(serial, within=within) for serial in run[end_service]["device_serials"]]


@step.keyed(
    undo=FOR_GOOD,
    retry=UNTIL_IT_COMES,
    timeout_seconds=240,
    when=lambda run: run.done(request_resets),
    otherwise="no CPE was asked to reset itself",
    patience=("reset",),
)
async def see_resets(outside: Outside, run: Leaving) -> list[ResetOutcome]:
    """Waits for a CPE as long as it may be waited for, and says then that it was not reset."""
    given_up = run.now >= run.started(request_resets) + run.patience("reset")
    return [await outside.acs.see_reset(request, last_look=given_up) for request in run[request_resets]]


def not_reset(run: Leaving) -> list[str]:
    """Of every CPE that may still have the subscriber's settings, why."""
    if not run.done(see_resets):
        return []
    return [outcome["reason"] for outcome in run[see_resets] if outcome["state"] not in ("reset", "in_use")]


@step.transactional(undo=FOR_GOOD, when=lambda run: bool(not_reset(run)), otherwise="every CPE of it was reset")
async def ticket_for_cpe(services: Services, run: Leaving) -> CreatedTicket:
    """A person sees to what could not be reset, when all the rest is done."""
    return await services.ticketing_service.create_ticket(
        title=f"Reset the CPE of {run.input.username}",
        description="\n".join(["Its service has ended, and its settings may still be on it.", *not_reset(run)]),
        customer_id=run.customer_id,
        priority="normal",
        assigned_team=run.input.ticket_team,
        request_id=run.key(ticket_for_cpe),
    )
