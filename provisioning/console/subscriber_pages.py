"""``/subscribers``: the list, one subscriber from four sides with what differs, and all that has happened to it."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query, Response

from provisioning.api import Call, InCall
from provisioning.api.own import own_sight
from provisioning.api.pages import After, Number, page_of, row_of
from provisioning.console.doors import ConsoleDoors
from provisioning.console.lists import names_of
from provisioning.console.pages import show
from provisioning.console.run_pages import read_customer
from provisioning.console.topics import subscriber_topic
from provisioning.errors import Fault, InvalidRequest
from provisioning.subscriber_looks import SubscriberNumber
from provisioning.truth import Outcome, Truth, acts_of
from radius import State

ON_A_PAGE = 50
NEWEST_SHOWN = 10
STATES: Final[tuple[State, ...]] = ("pending", "testing", "active", "suspended", "terminated")
CONVERGING = "converge"

doors = ConsoleDoors(name="subscribers")

Word = Annotated[str, Query(max_length=200)]


@doors.page("/subscribers", permission="subscribers.read")
async def subscribers(
    call: InCall,
    state: Word = "",
    plan: Word = "",
    customer: Word = "",
    only_hash: bool = False,
    after: After = None,
) -> Response:
    """Subscribers, the newest first."""
    wanted = next((each for each in STATES if each == state), None)
    if state and wanted is None:
        raise InvalidRequest("The list", [Fault("state", f"is none of {', '.join(STATES)}: {state}")])
    radius = call.appliance.services(call.db).radius_service
    found = await radius.subscribers(
        plan=plan.strip() or None,
        customer_id=read_customer(customer),
        state=wanted,
        only_hash=only_hash,
        before_id=row_of(after),
        limit=ON_A_PAGE + 1,
    )
    page = page_of(call, found, [each["subscriber_id"] for each in found], ON_A_PAGE)
    return show(
        call,
        "subscribers.html.j2",
        "Subscribers",
        subscribers=page.items,
        names=await names_of(call, [each["customer_id"] for each in page.items]),
        next=page.next,
        states=STATES,
        wanted={"state": state, "plan": plan, "customer": customer, "only_hash": only_hash},
    )


@doors.page("/subscribers/{subscriber_id}", permission="subscribers.read")
async def subscriber(call: InCall, subscriber_id: Number, done: Word = "") -> Response:
    """One subscriber: what we want, what RADIUS has, what the session shows, what the CPE reports."""
    return await _subscriber(call, "subscriber.html.j2", subscriber_id, done)


@doors.page("/subscribers/{subscriber_id}/now", permission="subscribers.read")
async def subscriber_now(call: InCall, subscriber_id: Number, done: Word = "") -> Response:
    """The same without its frame, as it is now."""
    return await _subscriber(call, "subscriber_now.html.j2", subscriber_id, done)


@doors.page("/subscribers/{subscriber_id}/timeline", permission="subscribers.read")
async def timeline(
    call: InCall, subscriber_id: Number, after: Annotated[str | None, Query(max_length=1000)] = None
) -> Response:
    """All that has happened to it, the newest first, as far as the role may see."""
    found = await call.appliance.timeline(call.db, own_sight(call)).page(
        SubscriberNumber(subscriber_id), after=after, limit=ON_A_PAGE
    )
    return show(
        call,
        "timeline.html.j2",
        f"What has happened to {found.subscriber['username']}",
        subscriber=found.subscriber,
        entries=found.entries,
        unread=found.unread,
        after=found.after,
    )


async def _subscriber(call: Call, template: str, subscriber_id: int, done: str) -> Response:
    who, sight = SubscriberNumber(subscriber_id), own_sight(call)
    truth = await call.appliance.truth_desk(call.db, sight).look(who)
    newest = await call.appliance.timeline(call.db, sight).page(who, limit=NEWEST_SHOWN)
    may = call.caller.permissions
    return show(
        call,
        template,
        truth.subscriber["username"],
        topics=[subscriber_topic(subscriber_id)],
        topic=subscriber_topic(subscriber_id),
        truth=truth,
        subscriber=truth.subscriber,
        names=await names_of(call, [truth.subscriber["customer_id"]]),
        acts=acts_of(truth) if "subscribers.write" in may else [],
        operates="devices.operate" in may,
        newest=newest,
        asked_converge=done == CONVERGING,
        outcome=_outcome(truth, done),
        done=done,
    )


def _outcome(truth: Truth, done: str) -> Outcome | None:
    """What has come by now of the act that led here."""
    return next((each for each in truth.asked if each.target == done), None)
