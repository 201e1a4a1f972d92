"""The operator's side: whom to tell, which secret, what again, and for how long it is kept."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from provisioning.errors import InvalidRequest
from provisioning.vault import SealedSecret
from provisioning.webhooks import EVENT_TYPES, MessageUnknown, Retention, WebhookDisabled, WebhookUnknown
from provisioning.webhooks.tables import WebhookMessage
from tests.provisioning.webhooks.conftest import Isp
from tests.support.http_receiver import HttpReceiver

WEEK = timedelta(days=7)


def bytes_in(folder: Path) -> bytes:
    """All that the database has written down."""
    return b"".join(file.read_bytes() for file in folder.glob("firstlight.db*"))


def retention(isp: Isp) -> Retention:
    appliance = isp.appliance
    return Retention(
        appliance.database.begin,
        tenant_id=appliance.tenant_id,
        now=appliance.clock,
        vault=appliance.vault,
        keep=WEEK,
    )


async def test_a_webhook_is_refused_with_every_fault_at_once(isp: Isp) -> None:
    async with isp.appliance.database.begin() as db:
        with pytest.raises(InvalidRequest) as refused:
            await isp.appliance.webhooks(db).add(url="https://10.0.0.1/", event_types=["run.started"], by=" ")
        assert [fault.field for fault in refused.value.faults] == ["url", "event_types", "by"]
        assert await isp.appliance.webhooks(db).webhooks() == []


async def test_a_secret_is_told_once_and_kept_sealed(isp: Isp, receiver: HttpReceiver, tmp_path: Path) -> None:
    added = await isp.add(receiver)
    async with isp.appliance.database.read() as db:
        (kept,) = await isp.appliance.webhooks(db).webhooks()
    assert kept == {name: value for name, value in added.items() if name != "secret"}
    assert added["secret"].startswith("whsec_")
    assert added["secret"].removeprefix("whsec_").encode() not in bytes_in(tmp_path)


async def test_a_span_of_time_is_told_again(isp: Isp, receiver: HttpReceiver, other: HttpReceiver) -> None:
    webhook_id = (await isp.add(receiver))["webhook_id"]
    await isp.add(other)
    times = []
    for name in ("ada", "bob", "cy"):
        times.append(isp.moment())
        await isp.subscriber(name)
        isp.moment.pass_(minutes=1)
    async with isp.worker() as worker:
        await worker.deliver_due()
        async with isp.appliance.database.begin() as db:
            webhooks = isp.appliance.webhooks(db)
            assert await webhooks.replay(webhook_id=webhook_id, since=times[1], until=times[2]) == 1
            assert await webhooks.replay(webhook_id=webhook_id, since=times[0], only_failed=True) == 0
        await worker.deliver_due()
    numbers = [each.headers["webhook-id"] for each in receiver.received]
    assert (len(numbers), numbers.count(numbers[3])) == (4, 2)  # messages of one moment arrive in any order
    assert receiver.received[3].body["data"]["subscriber_id"] == 2  # bob
    assert len(other.received) == 3


async def test_what_cannot_be_told_again_is_refused(isp: Isp, receiver: HttpReceiver) -> None:
    webhook_id = (await isp.add(receiver))["webhook_id"]
    async with isp.appliance.database.begin() as db:
        webhooks = isp.appliance.webhooks(db)
        with pytest.raises(MessageUnknown):
            await webhooks.replay(webhook_id=webhook_id, message_id="msg_0")
        with pytest.raises(InvalidRequest, match="a message is needed, and not both"):
            await webhooks.replay(webhook_id=webhook_id)
        with pytest.raises(WebhookUnknown):
            await webhooks.replay(webhook_id=99, since=isp.moment())
        await webhooks.disable(webhook_id=webhook_id, reason="moved")
        with pytest.raises(WebhookDisabled, match="moved"):
            await webhooks.replay(webhook_id=webhook_id, since=isp.moment())


async def test_what_is_old_is_forgotten_unless_it_is_still_to_be_delivered(
    isp_on_both: Isp, receiver: HttpReceiver
) -> None:
    isp = isp_on_both
    webhook_id = (await isp.add(receiver))["webhook_id"]
    await isp.subscriber("ada")
    async with isp.worker() as worker:
        await worker.deliver_due()
    await isp.subscriber("bob")
    isp.moment.at += WEEK + timedelta(seconds=1)
    await isp.subscriber("cy")
    assert await retention(isp).purge() == 1
    assert [each["state"] for each in await isp.deliveries()] == ["queued", "queued"]
    async with isp.appliance.database.begin() as db:
        await isp.appliance.webhooks(db).disable(webhook_id=webhook_id, reason="moved")
    assert await retention(isp).purge() == 1
    async with isp.appliance.database.read() as db:
        assert await db.scalar(select(func.count()).select_from(WebhookMessage)) == 1


async def test_a_secret_whose_time_is_over_is_forgotten(isp: Isp, receiver: HttpReceiver) -> None:
    webhook_id = (await isp.add(receiver, *EVENT_TYPES))["webhook_id"]
    async with isp.appliance.database.begin() as db:
        await isp.appliance.webhooks(db).rotate(webhook_id=webhook_id, keep=timedelta(hours=1))
    for passed, kept in ((timedelta(minutes=59), 2), (timedelta(minutes=1), 1)):
        isp.moment.at += passed
        await retention(isp).purge()
        async with isp.appliance.database.read() as db:
            refs = await db.scalars(select(SealedSecret.ref).where(SealedSecret.ref.like("secret:webhook/%")))
            assert len(refs.all()) == kept
