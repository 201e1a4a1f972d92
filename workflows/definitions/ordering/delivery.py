"""The technician's visit for an order: booked, told to the team and the customer, and waited for."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from pydantic import Field
from typing_extensions import TypedDict

from workflows.answers import QueuedNotice, ScheduledDeployment
from workflows.definitions.input_types import Frozen, Line, PositiveId
from workflows.definitions.kit import step
from workflows.definitions.mailing import Letter, mail_steps
from workflows.definitions.ordering.acceptance import UNDONE, DayOrMoment, Order
from workflows.definitions.ordering.order import create_order_from_quote
from workflows.definitions.ordering.subscriptions import needs_a_visit, waiting_for_a_line
from workflows.definitions.visiting import (
    BOOKED_ANEW,
    AnnouncedVisit,
    agreement,
    next_wanted,
    visit_letter,
    visit_to,
    with_move_link,
)
from workflows.engine.routes import Hold
from workflows.engine.steps import NothingToUndo
from workflows.services import Outside, Services

MOST_NAMED = 20
"""Subscriptions that a notice names; of more it says how many."""


class DeploymentDate(Frozen):
    """The day or the moment that the customer agrees to, and where, if that is not known yet or has changed."""

    scheduled_date: DayOrMoment
    installation_address: Line | None = None
    visit_id: PositiveId | None = Field(default=None, description="that the installation has then, joined as it stands")


class DeliveredOrder(TypedDict):
    """An order of which everything is delivered."""

    order_id: int


def proposed(run: Order) -> datetime | date | None:
    """The time that is wanted now: at first the acceptance's, after a failed visit the one that its report names."""
    return next_wanted(run.last(visit), first=run.input.scheduled_date, named=lambda again: again.scheduled_date)


deployment_date = agreement(
    "deployment_date",
    DeploymentDate,
    wanted=proposed,
    needed=needs_a_visit,
    says="a day for the technician's visit has to be agreed with the customer",
    deadline=lambda run: run.now + run.patience("dispatch"),
    on_deadline=lambda run: Hold(
        f"no visit for order {run[create_order_from_quote]['order_id']} was agreed within {run.within('dispatch')}: "
        "ask the customer, tell the run deployment_date (`firstlight runs signal`) and retry, or roll back"
    ),
    otherwise="the day of the visit is known already, or nothing that was sold needs a line",
    patience=("dispatch",),
)


async def release_deployment(services: Services, run: Order, scheduled: ScheduledDeployment) -> None:
    """The technician is free again, unless the visit was moved and the run goes back to join it as it is now. An order
    that was found not feasible has failed, it wasn't called off."""
    stays = any(told.visit_id == scheduled["visit_id"] for told in run.unheard(deployment_date))
    reason = BOOKED_ANEW if run.is_going_back else UNDONE
    await services.deployment_service.release_deployment(
        deployment_id=scheduled["deployment_id"], reason=reason, stays=stays
    )
    report = run.last(visit)
    if report is not None and report.outcome == "not_feasible":
        await services.sales_service.fail_order(order_id=scheduled["order_id"], reason=f"not feasible: {report.note}")


def wanted_date(run: Order) -> datetime | date:
    """What was told last, or else what was proposed."""
    wanted = None if run.done(deployment_date) else proposed(run)
    return wanted or run[deployment_date].scheduled_date


async def ways_of_deployment(outside: Outside, run: Order) -> None:
    await outside.ways.to_deployment(
        customer_id=run.customer_id,
        order_id=run[create_order_from_quote]["order_id"],
        scheduled_date=wanted_date(run),
    )


@step.transactional(
    undo=release_deployment,
    first=ways_of_deployment,
    when=needs_a_visit,
    otherwise="nothing that was sold needs a line: nobody has to go there",
)
async def schedule_deployment(services: Services, run: Order) -> ScheduledDeployment:
    """A visit that the installation has already is the order's too; another date that is told moves it."""
    # The calendar tells no address: what dispatch has said of it before still holds.
    addresses = (told.installation_address for told in run.results(deployment_date) if told.installation_address)
    return await services.deployment_service.schedule_deployment(
        order_id=run[create_order_from_quote]["order_id"],
        customer_id=run.customer_id,
        priority=run.input.priority,
        scheduled_date=wanted_date(run),
        installation_address=next(addresses, run.input.installation_address),
        moves_visit=run.done(deployment_date) and run[deployment_date].visit_id is None,
        request_id=run.key(schedule_deployment),
    )


async def withdraw_notice(services: Services, run: Order, notice: QueuedNotice) -> None:
    await services.notifications_service.withdraw_notice(notice_id=notice["notice_id"])


@step.transactional(
    undo=withdraw_notice,
    when=lambda run: run.input.team is not None,
    otherwise="its acceptance says that no team is told of it",
)
async def notify_team(services: Services, run: Order) -> QueuedNotice:
    order = run[create_order_from_quote]
    customer = await services.customer_service.customer(run.customer_id)
    scheduled = run[schedule_deployment] if run.done(schedule_deployment) else None
    visit_at = f"visit on {scheduled['starts_at'].astimezone(UTC):%Y-%m-%d %H:%M} UTC" if scheduled else "no visit"
    visits = {"visit_id": scheduled["visit_id"]} if scheduled else {}
    return await services.notifications_service.notify_team(
        team=run.input.team or "",
        channel=run.input.channel or "",
        subject=f"Order {order['order_id']}: {visit_at}",
        message=(
            f"Order {order['order_id']} of customer {run.customer_id} ({customer['name']}) comes to "
            f"{order['total_amount']} {order['currency']}, {order['payment_terms']}. {_what_to_do(run, scheduled)}"
        ),
        metadata={"order_id": order["order_id"], "quote_id": order["quote_id"], **visits},
        request_id=run.key(notify_team),
    )


def _what_to_do(run: Order, scheduled: ScheduledDeployment | None) -> str:
    if scheduled is None:
        return "Nobody has to go there: nothing that was sold needs a line."
    starts_at = scheduled["starts_at"].astimezone(UTC)
    visits = (
        f"Technician {scheduled['technician_id']} visits them on {starts_at:%Y-%m-%d %H:%M} UTC (visit "
        f"{scheduled['visit_id']}, priority {scheduled['priority']})."
    )
    waiting = waiting_for_a_line(run)
    named = ", ".join(f"{one['subscription_id']} ({one['plan']})" for one in waiting[:MOST_NAMED])
    more = f" and {len(waiting) - MOST_NAMED} more" if len(waiting) > MOST_NAMED else ""
    tickets = f" Hand in an installation ticket for each that waits for its line: {named}{more}." if waiting else ""
    return visits + tickets


async def order_confirmation(services: Services, run: Order) -> Letter:
    order = run[create_order_from_quote]
    customer = await services.customer_service.customer(run.customer_id)
    lines = await services.sales_service.order_lines(order_id=order["order_id"])
    visits: dict[str, Any] = {}
    if run.done(schedule_deployment):
        scheduled = run[schedule_deployment]
        visits = {"starts_at": scheduled["starts_at"], **await with_move_link(services, scheduled["visit_id"])}
    return Letter(
        template="order_confirmation",
        recipient=order["customer_email"],
        language=customer["language"],
        variables={
            "customer_name": customer["name"],
            "order_id": order["order_id"],
            "currency": order["currency"],
            "total_minor": order["total_minor"],
            "payment_terms": order["payment_terms"],
            "lines": [
                {"description": line["description"], "quantity": line["quantity"], "total_minor": line["amount_minor"]}
                for line in lines
            ],
            **visits,
        },
    )


def is_confirmed(run: Order) -> bool:
    return run.last(deliver_email) is not None


def is_news(run: Order) -> bool:
    """Whether the customer has yet to read of the order, or of its visit as it is now."""
    if not is_confirmed(run):
        return True
    return run.done(schedule_deployment) and not run[schedule_deployment].get("is_announced", True)


async def order_letter(services: Services, run: Order) -> Letter:
    """The confirmation; once the customer has that, when and who comes now."""
    if not is_confirmed(run):
        return await order_confirmation(services, run)
    scheduled = run[schedule_deployment]
    booked = AnnouncedVisit(
        visit_id=scheduled["visit_id"],
        technician_id=scheduled["technician_id"],
        technician_name=scheduled["technician_name"],
        starts_at=scheduled["starts_at"],
        ends_at=scheduled["ends_at"],
    )
    return await visit_letter(services, booked, customer_id=run.customer_id, address=scheduled["address"])


send_template_email, deliver_email = mail_steps(
    order_letter,
    undone_because=UNDONE,
    when=is_news,
    otherwise="the customer has the confirmation, and has read of this visit or is written of it by the installation",
)


def is_made(run: Order) -> bool:
    """Whether somebody had been there for the installation before the order was scheduled."""
    return run.done(schedule_deployment) and run[schedule_deployment].get("is_made", False)


visit = visit_to(
    "order",
    schedule_deployment,
    agreed=deployment_date,
    says="the order is confirmed: waiting for the technician's visit",
    deadline=lambda run: run[schedule_deployment]["ends_at"] + run.patience("report"),
    on_deadline=lambda run: Hold(
        f"nobody has reported within {run.within('report')} what came of visit "
        f"{run[schedule_deployment]['visit_id']}: ask technician {run[schedule_deployment]['technician_id']}, report "
        "it by `firstlight visits report` and retry"
    ),
    when=lambda run: run.done(schedule_deployment) and not is_made(run),
    otherwise="no visit is to come: nobody has to go there, or somebody has been there for the installation",
    patience=("report",),
)


@step.transactional(undo=NothingToUndo("the technician has been there and the order is over: nothing comes after it"))
async def complete_order(services: Services, run: Order) -> DeliveredOrder:
    """The end of the visit and of the order are one commit."""
    order_id = run[create_order_from_quote]["order_id"]
    if run.done(visit) or is_made(run):
        await services.deployment_service.complete_deployment(
            deployment_id=run[schedule_deployment]["deployment_id"], request_id=f"{run.key(complete_order)}/visit"
        )
    await services.sales_service.complete_order(order_id=order_id)
    return {"order_id": order_id}
