"""The end itself: until its day nothing has happened, and then bill and account end in one commit, for good."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import AwareDatetime
from typing_extensions import TypedDict

from workflows.definitions.input_types import Frozen, Identifier, Note, PositiveId
from workflows.definitions.kit import step
from workflows.engine.run import Run
from workflows.engine.step_kit import wait_until
from workflows.engine.steps import NothingToUndo, RetryPolicy
from workflows.errors import WorkflowError
from workflows.services import Services

FOR_GOOD = NothingToUndo("the service has ended, and what is left of it can only be taken away")

# There is no way back by now, so the other sides get some hours before a person has to look.
PATIENT = RetryPolicy(attempts=40, first_delay_seconds=1.0, factor=2.0, longest_delay_seconds=600.0)


class Termination(Frozen):
    """A service that is to be ended. ``number`` counts how often that was asked for, since it may be taken back.

    ``ends_on`` is the last day that is served and billed, ``ends_at`` the moment at which it is over where the ISP is;
    None: at once. ``ticket_team`` sees to what of it needs a person; a run that began before that was asked for has
    none in its input, and goes on with the team that there was then.
    """

    customer_id: PositiveId
    service_id: PositiveId
    number: PositiveId
    subscriber_id: PositiveId
    username: str
    ends_on: date
    ends_at: AwareDatetime | None
    reason: Note
    ticket_team: Identifier = "noc"


Leaving = Run[Termination]


class EndedService(TypedDict):
    """What has ended, and what of it is still to be taken away. ``subscription_id``: of the bill, if one ran."""

    service_id: int
    subscriber_id: int
    username: str
    plan: str
    ended_at: datetime
    subscription_id: int | None
    device_serials: list[str]
    line_order_id: int | None


class ServiceEndedAlready(WorkflowError):
    """Somebody else has ended the service."""

    code = "termination.ended_already"

    def __init__(self, username: str) -> None:
        super().__init__(f"{username} was ended by somebody else meanwhile: nothing was done; cancel this run")
        self.username = username


until_its_day = wait_until(
    "until_its_day",
    at=lambda run: run.input.ends_at or run.started_at,
    says="the service goes on until its last day is over; until then its end can be taken back",
)


@step.transactional(undo=FOR_GOOD)
async def end_service(services: Services, run: Leaving) -> EndedService:
    """The bill ends on its day, however late this comes to it; from now on nobody logs in to this account."""
    service_id, ended_at = run.input.service_id, run.input.ends_at or run.now
    subscriber = await services.radius_service.subscriber(subscriber_id=run.input.subscriber_id)
    if subscriber["state"] == "terminated":
        raise ServiceEndedAlready(subscriber["username"])
    await services.radius_service.terminate(subscriber_id=subscriber["subscriber_id"])
    bill = await services.billing_service.end_billing(service_id=service_id, ended_at=ended_at, reason=run.input.reason)
    devices = await services.genieacs_service.devices_of_service(service_id=service_id)
    line = await services.line_service.find_live_line_order(service_id=service_id)
    return EndedService(
        service_id=service_id,
        subscriber_id=subscriber["subscriber_id"],
        username=subscriber["username"],
        plan=subscriber["plan"],
        ended_at=ended_at,
        subscription_id=bill["subscription_id"] if bill is not None else None,
        device_serials=[device["device_serial"] for device in devices],
        line_order_id=line["line_order_id"] if line is not None else None,
    )
