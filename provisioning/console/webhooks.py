"""``/webhooks``: which systems are told of changes, which of them don't hear it, and what they were told last."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Response

from provisioning.act_previews import WebhookVerb, webhook_verbs
from provisioning.api import InCall
from provisioning.api.pages import After, Number, page_of, row_of
from provisioning.console.doors import ConsoleDoors
from provisioning.console.pages import show
from provisioning.webhooks import WebhookRecord, failing_webhooks

ON_A_PAGE = 50
TITLES: dict[WebhookVerb, str] = {
    "enable": "Enable the webhook",
    "disable": "Disable the webhook",
    "replay": "Tell it again",
}

doors = ConsoleDoors(name="webhooks")


@doors.page("/webhooks", permission="webhooks.read")
async def webhooks(call: InCall, after: After = None) -> Response:
    """Webhooks by their numbers, with what is wrong with each."""
    desk = call.appliance.webhooks(call.db)
    found = await desk.webhooks(after_id=row_of(after) or 0, limit=ON_A_PAGE + 1)
    page = page_of(call, found, [webhook["webhook_id"] for webhook in found], ON_A_PAGE)
    failing = await failing_webhooks(call.db, tenant_id=call.tenant_id, now=call.appliance.clock())
    return show(
        call,
        "webhooks.html.j2",
        "Webhooks",
        webhooks=[(webhook, host_of(webhook)) for webhook in page.items],
        failing={each.webhook_id: each for each in failing},
        next=page.next,
    )


@doors.page("/webhooks/{webhook_id}", permission="webhooks.read")
async def webhook(call: InCall, webhook_id: Number, after: After = None) -> Response:
    """One webhook, and what it was told, the newest first."""
    desk = call.appliance.webhooks(call.db)
    shown = await desk.webhook(webhook_id=webhook_id)
    found = await desk.deliveries(webhook_id=webhook_id, before=row_of(after), limit=ON_A_PAGE + 1)
    page = page_of(call, found, [each["delivery_id"] for each in found], ON_A_PAGE)
    failing = await failing_webhooks(call.db, tenant_id=call.tenant_id, now=call.appliance.clock())
    return show(
        call,
        "webhook.html.j2",
        f"Webhook {webhook_id}",
        webhook=shown,
        host=host_of(shown),
        failing=next((each for each in failing if each.webhook_id == webhook_id), None),
        deliveries=page.items,
        verbs=webhook_verbs(shown) if "webhooks.write" in call.caller.permissions else [],
        titles=TITLES,
        next=page.next,
    )


def host_of(webhook: WebhookRecord) -> str:
    """Whom it tells. The rest of its address may hold a token of the other side, and is nobody's business here."""
    return urlsplit(webhook["url"]).hostname or ""
