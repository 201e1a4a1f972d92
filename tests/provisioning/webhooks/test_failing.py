"""Webhooks that don't hear what they should, as a person is told of them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from provisioning.webhooks import FailingWebhook, failing_webhooks
from provisioning.webhooks.tables import Webhook, WebhookDelivery
from tests.provisioning.webhooks.conftest import Isp
from tests.support.http_receiver import HttpReceiver


async def failing(isp: Isp) -> list[FailingWebhook]:
    async with isp.appliance.database.read() as db:
        return await failing_webhooks(db, tenant_id=isp.appliance.tenant_id, now=isp.moment.at)


@pytest.mark.both_databases
async def test_what_is_disabled_at_rest_or_was_given_up_is_told_and_what_is_old_is_not(
    isp_on_both: Isp, receiver: HttpReceiver
) -> None:
    isp = isp_on_both
    hooks = [(await isp.add(receiver, path=f"/{number}"))["webhook_id"] for number in range(4)]
    await isp.subscriber("anna")
    assert await failing(isp) == []
    now = isp.moment.at
    async with isp.appliance.database.begin() as db:
        await isp.appliance.webhooks(db).disable(webhook_id=hooks[0], reason="moved")
        resting = {"resting_until": now + timedelta(hours=1)}
        await db.execute(update(Webhook).where(Webhook.id == hooks[1]).values(**resting))
        for number, at in ((hooks[2], now - timedelta(hours=1)), (hooks[3], now - timedelta(days=2))):
            given_up = {"state": "failed", "next_try_at": at}
            await db.execute(update(WebhookDelivery).where(WebhookDelivery.webhook_id == number).values(**given_up))
    found = await failing(isp)
    assert [(each.webhook_id, each.reason, each.given_up) for each in found] == [
        (hooks[0], "is disabled: moved", 0),
        (hooks[1], "does not answer, and is left alone for a while", 0),
        (hooks[2], "has refused what it was told, until that was given up", 1),
    ]
    assert {each.host for each in found} == {"127.0.0.1"}
    assert found[2].since == now - timedelta(hours=1)
