"""The offer to go on: made to who may renew, written to them, repeated while it is open, until they say yes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from pydantic import AwareDatetime, Field

from workflows.answers import LinkTo, QuoteStanding, RenewalEligibility, RenewalQuote
from workflows.definitions.input_types import Frozen, Line, PositiveId
from workflows.definitions.kit import step
from workflows.definitions.mailing import Letter, mail_steps
from workflows.engine.routes import GoBack, Reject
from workflows.engine.run import Run
from workflows.engine.step_kit import wait_for
from workflows.engine.steps import NothingToUndo
from workflows.errors import WorkflowError
from workflows.services import Services

UNDONE = "the renewal was undone"
TOO_LATE_TO_REMIND = timedelta(hours=1)
"""So shortly before an offer ends, nobody is written to any more."""


class ExpiringSubscription(Frozen):
    """A subscription whose term ends soon: it can go on for another ``renewal_term_months``.

    ``number`` counts how often that was tried for this end.
    """

    subscription_id: PositiveId
    customer_id: PositiveId
    ends_on: date
    renewal_term_months: int = Field(gt=0, le=120, strict=True)
    number: PositiveId = 1


def key_of_end(subscription_id: int, ends_on: date, number: int = 1) -> str:
    """Of the event, and of the run that it starts; ``number`` counts how often this end was told of."""
    return f"subscription/{subscription_id}/ends/{ends_on.isoformat()}" + (f"/{number}" if number > 1 else "")


class QuoteAccepted(Frozen):
    """The customer's yes."""

    quote_id: PositiveId
    customer_id: PositiveId
    accepted_by: Line
    accepted_at: AwareDatetime
    acceptance: PositiveId


class RenewalNotEligible(WorkflowError):
    """This subscription is not to be renewed now."""

    code = "renewal.not_eligible"


class RenewalNotAccepted(WorkflowError):
    """The customer did not accept the renewal in time, or it was taken back; nothing was charged."""

    code = "renewal.not_accepted"


Renewal = Run[ExpiringSubscription]


@step.transactional(
    undo=NothingToUndo("a question changes nothing"),
    leads={RenewalNotEligible: lambda run, reason: Reject(reason)},
)
async def check_renewal_eligibility(services: Services, run: Renewal) -> RenewalEligibility:
    """Raises: RenewalNotEligible with what speaks against it."""
    found = await services.billing_service.check_renewal_eligibility(
        customer_id=run.customer_id, subscription_id=run.input.subscription_id
    )
    if not found["eligible"]:
        raise RenewalNotEligible(found["reason"])
    if found["ends_on"] != run.input.ends_on:
        raise RenewalNotEligible(
            f"Subscription {run.input.subscription_id} ends on {found['ends_on']}, and this renewal is for the end on "
            f"{run.input.ends_on}."
        )
    return found


async def withdraw_renewal_quote(services: Services, run: Renewal, quote: RenewalQuote) -> None:
    await services.crm_service.withdraw_renewal_quote(quote_id=quote["quote_id"], reason=UNDONE)


@step.transactional(undo=withdraw_renewal_quote)
async def create_renewal_quote(services: Services, run: Renewal) -> RenewalQuote:
    return await services.crm_service.create_renewal_quote(
        customer_id=run.customer_id,
        subscription_id=run.input.subscription_id,
        renewal_term=run.input.renewal_term_months,
        request_id=run.key(create_renewal_quote),
    )


async def subscription_renewal(services: Services, run: Renewal) -> Letter:
    """The offer, with a one-time link of its own; a reminder is the same letter."""
    customer = await services.customer_service.customer(run.customer_id)
    quote = run[create_renewal_quote]
    return Letter(
        template="subscription_renewal",
        recipient=customer["email"],
        language=customer["language"],
        variables={
            "customer_name": customer["name"],
            "plan": run[check_renewal_eligibility]["plan"],
            "ends_on": run.input.ends_on - timedelta(days=1),  # a customer is told the last day with it
            "renewal_term_months": quote["renewal_term_months"],
            "total_minor": quote["total_minor"],
            "currency": quote["currency"],
            "accept_link": LinkTo("accept_quote", str(quote["quote_id"]), quote["valid_until"]),
        },
    )


send_template_email, deliver_email = mail_steps(subscription_renewal, undone_because=UNDONE)


def no_longer_open(run: Renewal, standing: QuoteStanding) -> str | None:
    """Why nobody can accept the quote any more; None while somebody can, or has."""
    quote = run[create_renewal_quote]
    until = f"{quote['valid_until'].astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    name = f"customer {run.customer_id} has not accepted quote {quote['quote_id']}"
    match standing["state"]:
        case "accepted":
            return None
        case "withdrawn":
            return f"{name}, and it was withdrawn ({standing['reason']}); nothing was charged"
        case _ if run.now >= quote["valid_until"]:
            return f"{name} by {until}; nothing was charged"
        case _:
            return None


async def refuse_who_leaves(services: Services, run: Renewal) -> None:
    """Neither written to nor charged any more; who owes something is, since it may be this very renewal.

    Raises: RenewalNotEligible.
    """
    found = await services.billing_service.check_renewal_eligibility(
        customer_id=run.customer_id, subscription_id=run.input.subscription_id
    )
    if found["reason_code"] not in (None, "open_debt"):
        raise RenewalNotEligible(found["reason"])


@step.transactional(
    undo=NothingToUndo("a look changes nothing"),
    leads={
        RenewalNotAccepted: lambda run, reason: Reject(reason),
        RenewalNotEligible: lambda run, reason: Reject(reason),
    },
)
async def see_acceptance(services: Services, run: Renewal) -> QuoteStanding:
    """The quote itself is asked: it may have been accepted before anybody waited for that, or taken back since.

    Raises: RenewalNotAccepted once nobody can accept it any more, RenewalNotEligible if the customer leaves.
    """
    await refuse_who_leaves(services, run)
    standing = await services.crm_service.quote_standing(quote_id=run[create_renewal_quote]["quote_id"])
    if (reason := no_longer_open(run, standing)) is not None:
        raise RenewalNotAccepted(reason)
    return standing


def last_written_at(run: Renewal) -> datetime:
    """When the customer was last written to, or an operator decided that they aren't; the run's beginning before."""
    rows = [*run.rounds.get(send_template_email.name, []), *run.rounds.get(send_reminder.name, [])]
    return max(
        (row.started_at for row in rows if row.result is not None or row.skipped_by is not None), default=run.started_at
    )


def reminder_at(run: Renewal) -> datetime | None:
    """When the customer is written to the next time; None: not any more."""
    due = last_written_at(run) + run.patience("reminder")
    return due if due < run[create_renewal_quote]["valid_until"] - TOO_LATE_TO_REMIND else None


def is_to_be_reminded(run: Renewal) -> bool:
    if run[see_acceptance]["state"] == "accepted" or run.is_told("quote_accepted"):
        return False
    due, last_chance = reminder_at(run), run[create_renewal_quote]["valid_until"] - TOO_LATE_TO_REMIND
    return due is not None and due <= run.now < last_chance


send_reminder, deliver_reminder = mail_steps(
    subscription_renewal,
    undone_because=UNDONE,
    send="send_reminder",
    deliver="deliver_reminder",
    when=is_to_be_reminded,
    otherwise="it is not the time for a reminder",
    patience=("reminder",),
)


def next_look_at(run: Renewal) -> datetime:
    """The next reminder's time, or the end of the offer."""
    due = reminder_at(run)
    return due if due is not None and due > run.now else run[create_renewal_quote]["valid_until"]


acceptance = wait_for(
    "acceptance",
    signal="quote_accepted",
    payload=QuoteAccepted,
    says="the renewal is offered: waiting for the customer to accept it",
    subject=lambda run: str(run[create_renewal_quote]["quote_id"]),
    deadline=next_look_at,
    on_deadline=lambda run: GoBack(see_acceptance, "it is time for a reminder, or the offer's time is over"),
    when=lambda run: run[see_acceptance]["state"] != "accepted",
    otherwise="the customer had accepted already",
    again_from=(see_acceptance,),
    patience=("reminder",),
)
