"""``/webhooks``: which systems are told of changes, what they were told, and telling it again."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Query, Response
from pydantic import Field

from provisioning.act_previews import Touches, WebhookVerb, previewed_webhook
from provisioning.api.calls import Call, InCall, etag_of
from provisioning.api.pages import After, Limit, Moment, Number, Page, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish, WithReason
from provisioning.webhooks import DeliveryRecord, WebhookRecord, Webhooks, WebhookWithSecret, impersonal_webhook
from provisioning.webhooks.tables import DeliveryState

doors = Doors(prefix="/webhooks", tags=["webhooks"])


class ShownSecret(WebhookRecord):
    """``secret``: shown this once; null where the same request is answered again."""

    secret: str | None


class NewWebhook(Wish):
    """Where it takes messages (https), and what it is told of."""

    url: str
    event_types: list[str] = Field(max_length=100)


class WebhookSecretRotation(WithReason):
    """For how many hours the secret before this one signs as well."""

    keep_hours: int = Field(default=24, ge=0, le=720)


class Disable(Wish):
    """Why."""

    reason: str


class Replay(WithReason):
    """One message, or all from ``since`` to before ``until`` (now); ``only_failed``: of these what it didn't take."""

    message_id: str | None = Field(default=None, max_length=64)
    since: Moment | None = None
    until: Moment | None = None
    only_failed: bool = False


class Replayed(Wish):
    """How many messages are sent by that."""

    webhook_id: int
    queued: int


@doors.get("", permission="webhooks.read")
async def list_(call: InCall, after: After = None, limit: Limit = 50) -> Page[WebhookRecord]:
    """Webhooks by their numbers; never their secrets."""
    found = await _webhooks(call).webhooks(after_id=row_of(after) or 0, limit=limit + 1)
    return page_of(call, found, [webhook["webhook_id"] for webhook in found], limit)


@doors.post("", permission="webhooks.write", status_code=201)
async def add(call: InCall, wish: NewWebhook, response: Response) -> ShownSecret:
    """Tells a system of what happens from now on; its secret is shown this once."""
    added = await _webhooks(call).add(url=wish.url, event_types=wish.event_types, by=call.by)
    response.headers["Location"] = call.address(f"webhooks/{added['webhook_id']}")
    return await _shown(call, added, response)


@doors.get("/{webhook_id}", permission="webhooks.read")
async def show(call: InCall, webhook_id: Number, response: Response) -> WebhookRecord:
    """One webhook; its ETag goes with a change of it."""
    found = await _webhooks(call).webhook(webhook_id=webhook_id)
    response.headers["ETag"] = await _etag(call, found)
    return found


@doors.get("/{webhook_id}/preview", permission="webhooks.read")
async def preview(
    call: InCall,
    webhook_id: Number,
    verb: Annotated[WebhookVerb, Query(description="What is to be done with it")],
    since: Annotated[Moment | None, Query(description="Of a replay: from when; without it the last day")] = None,
    only_failed: Annotated[bool, Query(description="Of a replay: only what it didn't take")] = False,
) -> Touches:
    """What this would touch, in sentences, or why it can't be done now; nothing is changed."""
    return await previewed_webhook(
        _webhooks(call), webhook_id, verb, since=since, only_failed=only_failed, now=call.appliance.clock()
    )


@doors.post("/{webhook_id}/rotate-secret", permission="webhooks.write", if_match=True)
async def rotate_secret(
    call: InCall, webhook_id: Number, wish: WebhookSecretRotation, response: Response
) -> ShownSecret:
    """Gives it a new secret, which is shown this once."""
    await _seen(call, webhook_id)
    call.tells(reason=wish.reason)
    rotated = await _webhooks(call).rotate(webhook_id=webhook_id, keep=timedelta(hours=wish.keep_hours))
    return await _shown(call, rotated, response)


@doors.post("/{webhook_id}/disable", permission="webhooks.write", if_match=True)
async def disable(call: InCall, webhook_id: Number, wish: Disable, response: Response) -> WebhookRecord:
    """Sends it nothing from now on; what it is not told is kept for `FIRSTLIGHT_WEBHOOK_KEEP_DAYS`."""
    await _seen(call, webhook_id)
    call.tells(reason=wish.reason)
    return await _told(call, await _webhooks(call).disable(webhook_id=webhook_id, reason=wish.reason), response)


@doors.post("/{webhook_id}/enable", permission="webhooks.write", if_match=True)
async def enable(call: InCall, webhook_id: Number, wish: WithReason, response: Response) -> WebhookRecord:
    """Sends it what waits for it, and what happens from now on; what happened meanwhile can be replayed."""
    await _seen(call, webhook_id)
    call.tells(reason=wish.reason)
    return await _told(call, await _webhooks(call).enable(webhook_id=webhook_id), response)


@doors.get("/{webhook_id}/deliveries", permission="webhooks.read")
async def deliveries(
    call: InCall,
    webhook_id: Number,
    state: Annotated[list[DeliveryState] | None, Query(description="Only deliveries in these states")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[DeliveryRecord]:
    """What it was told, the newest first, and why it was not taken."""
    await _webhooks(call).webhook(webhook_id=webhook_id)
    found = await _webhooks(call).deliveries(
        webhook_id=webhook_id, states=state or (), before=row_of(after), limit=limit + 1
    )
    return page_of(call, found, [delivery["delivery_id"] for delivery in found], limit)


@doors.post("/{webhook_id}/replay", permission="webhooks.write")
async def replay(call: InCall, webhook_id: Number, wish: Replay) -> Replayed:
    """Sends it once more what it was told, and what it missed while it was disabled."""
    before, said = await _webhooks(call).webhook(webhook_id=webhook_id), wish.model_dump(exclude={"reason"})
    queued = await _webhooks(call).replay(webhook_id=webhook_id, **said)
    call.tells(subject=f"webhook/{webhook_id}", reason=wish.reason, before=impersonal_webhook(before))
    return Replayed(webhook_id=webhook_id, queued=queued)


async def _seen(call: Call, webhook_id: int) -> None:
    """Nobody changes it from here on, and it is as the caller has seen it."""
    before = await _webhooks(call).webhook(webhook_id=webhook_id, hold=True)
    call.require_match(await _etag(call, before))
    call.tells(before=impersonal_webhook(before))


async def _shown(call: Call, webhook: WebhookWithSecret, response: Response) -> ShownSecret:
    call.shows_once("secret")
    await _told(call, webhook, response)
    return ShownSecret(**webhook)


async def _told(call: Call, webhook: WebhookRecord, response: Response) -> WebhookRecord:
    call.tells(subject=f"webhook/{webhook['webhook_id']}", after=impersonal_webhook(webhook))
    response.headers["ETag"] = await _etag(call, webhook)
    return webhook


async def _etag(call: Call, webhook: WebhookRecord) -> str:
    number = webhook["webhook_id"]
    standing = (webhook["state"], webhook["disabled_at"], webhook["disable_reason"])
    return etag_of("webhook", number, *standing, await _webhooks(call).secret_mark(webhook_id=number))


def _webhooks(call: Call) -> Webhooks:
    return call.appliance.webhooks(call.db)
