"""What an order is told when it begins, and the customer's yes that it rests on."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator, model_validator

from workflows.answers import AcceptedQuote, DeploymentPriority, PaymentMethod
from workflows.definitions.input_types import Day, Frozen, Identifier, Line, Moment, PositiveId
from workflows.definitions.kit import step
from workflows.engine.run import Run
from workflows.faults import A_DAY, A_MOMENT
from workflows.services import Services


def _as_a_person_says_it(said: Any, read: ValidatorFunctionWrapHandler) -> date | datetime:
    """What is neither is one fault, not one for each that it might have been."""
    try:
        read_as: date | datetime = read(said)
    except ValidationError as error:
        ours = [str(fault["ctx"]["error"]) for fault in error.errors() if fault["type"] == "value_error"]
        neither = f"is neither a day, such as {A_DAY}, nor a moment with its zone, such as {A_MOMENT}"
        raise ValueError(ours[0] if ours else neither) from error
    return read_as


DayOrMoment = Annotated[Moment | Day, Field(union_mode="left_to_right"), WrapValidator(_as_a_person_says_it)]
"""A day, on which any free time will do, or a moment."""

UNDONE = "the order was undone"


class OrderWishes(Frozen):
    """How an order is to be carried out; what isn't said is settled by the ISP, or asked for on the way."""

    payment_method: PaymentMethod | None = Field(default=None, description="without one, whoever sells says which")
    scheduled_date: DayOrMoment | None = Field(default=None, description="without one, dispatch says when")
    installation_address: Line | None = Field(default=None, description="without one, the place of the survey")
    priority: DeploymentPriority | None = None
    team: Identifier | None = Field(default=None, description="who is told of the order, by this channel")
    channel: Identifier | None = None

    @model_validator(mode="after")
    def _team_has_a_channel(self) -> Self:
        if (self.team is None) != (self.channel is None):
            raise ValueError("a team is told by a channel: name both, or neither")
        return self


class AcceptedOffer(OrderWishes):
    """A quote that its customer has accepted, for the ``acceptance``-th time: an acceptance that was taken back and
    given again sets things going again. The wishes are those that it came with, and what the ISP has settled."""

    quote_id: PositiveId
    customer_id: PositiveId
    accepted_by: Line
    accepted_at: Moment
    acceptance: PositiveId
    priority: DeploymentPriority


Order = Run[AcceptedOffer]


def acceptance_key(quote_id: int, acceptance: int) -> str:
    """Of a quote's first acceptance, or a later one: its event's key and its run's."""
    return f"quote/{quote_id}/accepted" + (f"/{acceptance}" if acceptance > 1 else "")


async def take_acceptance_back(services: Services, run: Order, accepted: AcceptedQuote) -> None:
    await services.crm_service.withdraw_acceptance(quote_id=accepted["quote_id"], reason=UNDONE)


@step.transactional(undo=take_acceptance_back)
async def accept_quote(services: Services, run: Order) -> AcceptedQuote:
    """Where the yes was kept at the door, this is the same acceptance."""
    return await services.crm_service.accept_quote(
        quote_id=run.input.quote_id, accepted_by=run.input.accepted_by, request_id=run.key(accept_quote)
    )
