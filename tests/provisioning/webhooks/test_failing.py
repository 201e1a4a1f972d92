"""Webhooks that don't hear what they should, as a person is told of them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from provisioning.webhooks import FailingWebhook, failing_webhooks
from provisioning.webhooks import failing as webhooks_failing
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
        waiting = {"last_error": "HTTP 503", "attempts": 1}
        await db.execute(update(WebhookDelivery).where(WebhookDelivery.webhook_id == hooks[1]).values(**waiting))
    found = await failing(isp)
    until = (now + timedelta(hours=1)).strftime("%Y-%m-%d %H:%M UTC")
    assert [(each.webhook_id, each.reason, each.waiting, each.given_up) for each in found] == [
        (hooks[0], "is disabled: moved", 1, 0),
        (hooks[1], f"has asked to be left alone until {until} (HTTP 503)", 1, 0),
        (hooks[2], "has refused what it was told, until that was given up", 0, 1),
    ]
    assert {each.host for each in found} == {"127.0.0.1"}
    assert [each.since for each in found] == [now, now, now - timedelta(hours=1)]
    assert [each.besides for each in found] == [
        " 1 message waits for it.",
        " 1 message waits for it.",
        " 1 message was given up within a day.",
    ]

    await isp.subscriber("ben")  # nobody has tried to tell of that yet
    refused = next(each for each in await failing(isp) if each.webhook_id == hooks[2])
    assert (refused.reason, refused.since) == (found[2].reason, now - timedelta(hours=1))
    assert refused.besides == " 1 message waits for it. 1 message was given up within a day."


@pytest.mark.both_databases
async def test_one_that_does_not_answer_is_told_once_that_is_no_hiccup_any_more_and_not_only_when_it_was_given_up(
    isp_on_both: Isp, receiver: HttpReceiver
) -> None:
    isp = isp_on_both
    hook = (await isp.add(receiver))["webhook_id"]
    happened = isp.moment.at
    await isp.subscriber("anna")
    await isp.subscriber("ben")
    mine = WebhookDelivery.webhook_id == hook
    for attempts, told in ((3, []), (4, [("does not take what it is told (connection refused)", happened, 2)])):
        tried = {"attempts": attempts, "last_error": "connection refused"}
        async with isp.appliance.database.begin() as db:
            await db.execute(update(WebhookDelivery).where(mine).values(**tried))
        assert [(each.reason, each.since, each.waiting) for each in await failing(isp)] == told


@pytest.mark.both_databases
async def test_what_waits_is_counted_no_further_than_is_said_and_the_oldest_is_found_along_its_index(
    isp_on_both: Isp, receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    isp = isp_on_both
    monkeypatch.setattr(webhooks_failing, "MOST_COUNTED", 2)
    await isp.add(receiver)
    happened = isp.moment.at
    for name in ("anna", "ben", "carl", "dora"):
        await isp.subscriber(name)
    async with isp.appliance.database.begin() as db:
        await db.execute(update(WebhookDelivery).values(attempts=4, last_error="connection refused"))
    [hook] = await failing(isp)
    assert (hook.waiting, hook.since, hook.besides) == (3, happened, " More than 2 messages wait for it.")
