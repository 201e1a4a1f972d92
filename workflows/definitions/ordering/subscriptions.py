"""What an order sells for longer than once: a subscription for each piece of an offer, at the price that was quoted."""

from __future__ import annotations

from workflows.answers import CreatedSubscription
from workflows.definitions.kit import step
from workflows.definitions.ordering.acceptance import UNDONE, Order
from workflows.definitions.ordering.order import create_order_from_quote
from workflows.services import Services


async def cancel_subscriptions(services: Services, run: Order, sold: list[CreatedSubscription]) -> None:
    """What is installed by now stands in the way: its service must end first."""
    for one in sold:
        await services.billing_service.cancel_subscription(subscription_id=one["subscription_id"], reason=UNDONE)


@step.transactional(undo=cancel_subscriptions)
async def create_subscriptions(services: Services, run: Order) -> list[CreatedSubscription]:
    """A hosted one runs from today; what needs a line waits for its installation, which takes it up with its term."""
    sold: list[CreatedSubscription] = []
    lines = await services.sales_service.order_lines(order_id=run[create_order_from_quote]["order_id"])
    for line in lines:
        if line["charge"] != "recurring" or line["offer_id"] is None:
            continue
        for _ in range(line["quantity"]):
            one = await services.billing_service.create_subscription(
                customer_id=run.customer_id,
                plan_id=line["offer_id"],
                tenant_id=run.tenant_id,
                price_minor=line["unit_price_minor"],
                request_id=f"{run.key(create_subscriptions)}/{len(sold) + 1}",
            )
            sold.append(one)
    return sold


def needs_a_visit(run: Order) -> bool:
    """Whether an offer with a network plan was sold. Where nobody has said what was, somebody goes there."""
    return run.last(create_subscriptions) is None or bool(waiting_for_a_line(run))


def waiting_for_a_line(run: Order) -> list[CreatedSubscription]:
    """Of what was sold, what has to be installed."""
    return [one for one in run.last(create_subscriptions) or [] if one["state"] == "pending_installation"]
