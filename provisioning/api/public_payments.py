"""``POST /webhooks/payments/<provider>``: what a payment gateway tells by itself.

Whether it is the gateway's word, its own reader decides by the signature over the very bytes that came. An event about
somebody else's payment, or about none, is taken and changes nothing: a gateway that is refused sends it for days.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import HTTPException, Path
from typing_extensions import TypedDict

from provisioning.access import subject_of
from provisioning.api.calls import Call, InCall
from provisioning.api.openapi import WORDS, problem
from provisioning.api.routes import PUBLIC, Doors
from provisioning.commercial.payments import GatewayEvent

MOST_BYTES = 256 * 1024

doors = Doors(prefix="/webhooks/payments", tags=["payments"])

Provider = Annotated[str, Path(pattern="^[a-z][a-z0-9_]{0,31}$", description="The gateway's name, `stripe`")]


class EventHeard(TypedDict):
    """The event is taken, now or when it came first."""

    received: bool


async def _believed(call: Call) -> None:
    """Raises: HTTPException for a gateway that isn't set up here, WebhookRefused."""
    await _event(call, call.request.path_params["provider"])


@doors.post(
    "/{provider}",
    permission=PUBLIC,
    first=_believed,
    most_bytes=MOST_BYTES,
    responses={status: problem(WORDS[status]) for status in (400, 404, 409, 413, 422, 503)},
)
async def hear(call: InCall, provider: Provider) -> EventHeard:
    """The gateway tells what has become of a payment; the runs that wait for it go on."""
    event = await _event(call, provider)
    if event is None:
        call.changes_nothing()
    else:
        desk = call.appliance.payment_desk(call.db)
        payment = await desk.about(event)
        told = await desk.hear(event)
        call.tells(actor=provider, after={"event": event.event_id, "runs": told}, run_id=told[0] if told else None)
        if payment is not None:
            payment_id, customer_id, state = payment
            call.tells(subject=subject_of("payment", payment_id), customer_id=customer_id, before={"state": state})
    return EventHeard(received=True)


async def _event(call: Call, provider: str) -> GatewayEvent | None:
    """What the gateway says, if it is about a payment."""
    reader = call.appliance.webhook_readers.get(provider)
    if reader is None:
        raise HTTPException(404, f"No payment gateway {provider} is set up here.")
    return reader.parse_webhook(await call.request.body(), call.request.headers)
