"""From a qualified lead to a customer who has what was sold: subscription, licence, a page that answers, mail, ticket.

A sold network plan waits for its installation; the ticket at the end tells the team what is to be done next.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import Field

from workflows.answers import (
    CreatedSubscription,
    CreatedTicket,
    CustomerFromLead,
    IssuedLicense,
    ProvisionedTenant,
    TicketPriority,
)
from workflows.definitions.input_types import Frozen, Identifier, PositiveId
from workflows.definitions.kit import rejected, step
from workflows.definitions.mailing import Letter, mail_steps
from workflows.definitions.pages import page_answers, page_step
from workflows.engine.definition import Definition
from workflows.engine.run import Run
from workflows.refusals import BusinessRefusal
from workflows.services import Services

LONGEST_TITLE = 200
UNDONE = "the onboarding was undone"


class LeadQualified(Frozen):
    """The event: somebody has looked at a lead and found it worth a customer."""

    lead_id: PositiveId
    offer_id: PositiveId | None = Field(default=None, description="what they want; without one, what the lead names")
    round: PositiveId | None = Field(default=None, description="which try it is; without one, the one that is due")


class QualifiedLead(Frozen):
    """A qualified lead, and what its customer gets. ``plan_id`` is the number of the offer; ``round`` counts on when
    an onboarding has come to nothing and is begun anew."""

    lead_id: PositiveId
    round: PositiveId = 1
    plan_id: PositiveId
    license_template_id: PositiveId
    deployment_type: Literal["hosted"] = "hosted"
    ticket_team: Identifier
    ticket_priority: TicketPriority = "normal"


Onboarding = Run[QualifiedLead]


async def withdraw_customer(services: Services, run: Onboarding, made: CustomerFromLead) -> None:
    await services.customer_service.withdraw_from_lead(
        customer_id=made["customer_id"], lead_id=made["lead_id"], reason=UNDONE
    )


@step.transactional(undo=withdraw_customer, leads={BusinessRefusal: rejected})
async def create_from_lead(services: Services, run: Onboarding) -> CustomerFromLead:
    return await services.customer_service.create_from_lead(
        lead_id=run.input.lead_id, tenant_id=run.tenant_id, request_id=run.key(create_from_lead)
    )


async def cancel_subscription(services: Services, run: Onboarding, sold: CreatedSubscription) -> None:
    await services.billing_service.cancel_subscription(subscription_id=sold["subscription_id"], reason=UNDONE)


@step.transactional(undo=cancel_subscription)
async def create_subscription(services: Services, run: Onboarding) -> CreatedSubscription:
    return await services.billing_service.create_subscription(
        customer_id=run[create_from_lead]["customer_id"],
        plan_id=run.input.plan_id,
        tenant_id=run.tenant_id,
        request_id=run.key(create_subscription),
    )


async def revoke_license(services: Services, run: Onboarding, issued: IssuedLicense) -> None:
    await services.license_service.revoke_license(license_id=issued["license_id"], reason=UNDONE)


@step.transactional(undo=revoke_license)
async def issue_license(services: Services, run: Onboarding) -> IssuedLicense:
    return await services.license_service.issue_license(
        customer_id=run[create_from_lead]["customer_id"],
        license_template_id=run.input.license_template_id,
        tenant_id=run.tenant_id,
        request_id=run.key(issue_license),
    )


@page_step(undone_because=UNDONE)
async def provision_tenant(services: Services, run: Onboarding) -> ProvisionedTenant:
    return await services.deployment_service.provision_tenant(
        customer_id=run[create_from_lead]["customer_id"],
        license_key=run[issue_license]["license_key"],
        deployment_type=run.input.deployment_type,
        request_id=run.key(provision_tenant),
    )


tenant_answers = page_answers(provision_tenant)


async def customer_welcome(services: Services, run: Onboarding) -> Letter:
    customer = await services.customer_service.customer(run[create_from_lead]["customer_id"])
    sold = run[create_subscription]
    ends_on = sold["ends_on"]  # the first day without it; a customer is told the last one with it
    term = {"starts_on": sold["starts_on"], "ends_on": ends_on and ends_on - timedelta(days=1)}
    return Letter(
        template="customer_welcome",
        recipient=customer["email"],
        language=customer["language"],
        variables={
            "customer_name": customer["name"],
            "plan": sold["plan"],
            "tenant_url": run[provision_tenant]["tenant_url"],
            **{name: day for name, day in term.items() if day is not None},  # neither is known before there is a line
        },
    )


send_template_email, deliver_email = mail_steps(customer_welcome, undone_because=UNDONE)


async def close_ticket(services: Services, run: Onboarding, ticket: CreatedTicket) -> None:
    await services.ticketing_service.close_ticket(ticket_id=ticket["ticket_id"], reason=UNDONE)


@step.transactional(undo=close_ticket)
async def create_ticket(services: Services, run: Onboarding) -> CreatedTicket:
    customer, sold = run[create_from_lead], run[create_subscription]
    return await services.ticketing_service.create_ticket(
        title=f"New customer {customer['customer_id']}: {sold['plan']}"[:LONGEST_TITLE],
        description=_what_to_do(run),
        customer_id=customer["customer_id"],
        priority=run.input.ticket_priority,
        assigned_team=run.input.ticket_team,
        request_id=run.key(create_ticket),
    )


def _what_to_do(run: Onboarding) -> str:
    customer, sold, issued = run[create_from_lead], run[create_subscription], run[issue_license]
    number, waits = sold["subscription_id"], sold["state"] == "pending_installation"
    lines = [
        f"{customer['name']} has become customer {customer['customer_id']}, out of lead {customer['lead_id']}.",
        f"Mail: {customer['email']}",
        f"Telephone: {customer['phone'] or 'not known'}",
        f"Subscription {number}: {sold['plan']}, "
        + ("waiting for the installation of its line" if waits else f"running since {sold['starts_on']}"),
        f"Licence {issued['license_id']}: {issued['seats']} seats, "
        + (f"until {issued['valid_until']}" if issued["valid_until"] else "without end"),
        f"Customer page: {run[provision_tenant]['tenant_url']}",
        "",
        "To do: survey the premise, then hand in the installation ticket."
        if waits
        else "To do: ask the customer whether everything works. Nothing has to be installed.",
    ]
    return "\n".join(lines)


def _customer(run: Run[Any]) -> int | None:
    made = run.last(create_from_lead)
    return made["customer_id"] if made is not None else None


def onboarding_key(lead_id: int, round_: int) -> str:
    """The key of a lead's onboarding; from the second round on, with its number."""
    return f"lead/{lead_id}" + (f"/{round_}" if round_ > 1 else "")


LEAD_TO_CUSTOMER_ONBOARDING = Definition(
    name="lead_to_customer_onboarding",
    version=1,
    input=QualifiedLead,
    steps=(
        create_from_lead,
        create_subscription,
        issue_license,
        provision_tenant,
        tenant_answers,
        send_template_email,
        deliver_email,
        create_ticket,
    ),
    key=lambda lead: onboarding_key(lead.lead_id, lead.round),
    customer_id=lambda _lead: None,
    customer_of=_customer,
    started_by="lead.qualified",
    back_with={deliver_email: send_template_email},
)
