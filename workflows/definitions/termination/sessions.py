"""The subscriber goes offline: first nobody lets it in again, then the session that it still has is ended."""

from __future__ import annotations

from radius import Disconnection, ProjectedSubscriber, SessionsEnded
from workflows.definitions.kit import step
from workflows.definitions.termination.ending import FOR_GOOD, PATIENT, Leaving, end_service
from workflows.engine.steps import RetryPolicy
from workflows.services import Outside

# A NAS that takes no Disconnect-Request is waited for until the session has timed out: about two days.
SESSION_PATIENCE = RetryPolicy(attempts=300, first_delay_seconds=1.0, factor=2.0, longest_delay_seconds=600.0)


@step.keyed(undo=FOR_GOOD, retry=PATIENT)
async def remove_from_radius(outside: Outside, run: Leaving) -> ProjectedSubscriber:
    """Before the session is ended, or the CPE would be back a second later."""
    return await outside.radius.project_subscriber(run[end_service]["subscriber_id"])


async def already_offline(outside: Outside, run: Leaving) -> Disconnection | None:
    return await outside.sessions_control.ended(run[end_service]["subscriber_id"])


@step.probeable(probe=already_offline, undo=FOR_GOOD, retry=PATIENT)
async def disconnect_sessions(outside: Outside, run: Leaving) -> Disconnection:
    """What each NAS says. One that says nothing holds nobody up here: the session ends with the line as well."""
    return await outside.sessions_control.disconnect(run[end_service]["subscriber_id"])


@step.keyed(undo=FOR_GOOD, retry=SESSION_PATIENCE)
async def see_sessions_ended(outside: Outside, run: Leaving) -> SessionsEnded:
    """Nobody else is given an address that somebody is still online with."""
    return await outside.sessions_control.require_ended(run[end_service]["subscriber_id"])
