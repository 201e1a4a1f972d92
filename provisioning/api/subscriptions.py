"""``/subscriptions``: what was sold, and until when it is paid for."""

from __future__ import annotations

from dataclasses import asdict, astuple
from datetime import date
from typing import Annotated

from fastapi import Query, Response

from provisioning.api.calls import InCall, etag_of
from provisioning.api.pages import After, Limit, Number, Page, Wanted, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish
from provisioning.commercial.bills.subscriptions import SubscriptionView, list_subscriptions, show_subscription
from provisioning.commercial.bills.term_ends import SubscriptionEnds
from workflows.answers import SubscriptionState

doors = Doors(prefix="/subscriptions", tags=["subscriptions"])


class SubscriptionCancel(Wish):
    """After which day it ends, or that it ends at once, and why."""

    reason: str
    ends_on: date | None = None
    at_once: bool = False


@doors.get("", permission="subscriptions.read")
async def list_(
    call: InCall,
    customer: Wanted = None,
    state: Annotated[SubscriptionState | None, Query()] = None,
    ends_by: Annotated[date | None, Query(description="Only running ones that end by this day")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[SubscriptionView]:
    """Subscriptions, the newest first."""
    found = await list_subscriptions(
        call.db,
        tenant_id=call.tenant_id,
        customer_id=customer,
        state=state,
        ends_by=ends_by,
        before_id=row_of(after),
        limit=limit + 1,
    )
    return page_of(call, found, [each.subscription_id for each in found], limit)


@doors.get("/{subscription_id}", permission="subscriptions.read")
async def show(call: InCall, subscription_id: Number, response: Response) -> SubscriptionView:
    """One subscription: its service, price and term; its ETag goes with a word about its end."""
    found = await show_subscription(call.db, subscription_id, tenant_id=call.tenant_id)
    response.headers["ETag"] = _etag(found)
    return found


@doors.post("/{subscription_id}/cancel", permission="subscriptions.end", if_match=True)
async def cancel(
    call: InCall, subscription_id: Number, wish: SubscriptionCancel, response: Response
) -> SubscriptionView:
    """Ends what needs no line, after its last day or at once; a line ends with its service."""
    before = await show_subscription(call.db, subscription_id, tenant_id=call.tenant_id, hold=True)
    call.require_match(_etag(before))
    subject = f"subscription/{subscription_id}"
    call.tells(before=asdict(before), reason=wish.reason, subject=subject, customer_id=before.customer_id)
    ends = SubscriptionEnds(call.db, tenant_id=call.tenant_id, now=call.appliance.clock, zone=call.appliance.zone)
    ended = await ends.end(subscription_id=subscription_id, **wish.model_dump())
    response.headers["ETag"] = _etag(ended)
    return ended


def _etag(subscription: SubscriptionView) -> str:
    return etag_of("subscription", *astuple(subscription))
