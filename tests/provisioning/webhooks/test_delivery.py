"""Delivery over real HTTP: signed, again until it is taken, in order, and no webhook waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks import Webhook

from provisioning.signatures import SignatureRefused, verified_id
from provisioning.webhooks import WebhookSender
from provisioning.webhooks.delivery import CLAIM
from provisioning.webhooks.retrying import MOST_ATTEMPTS, Outcome
from tests.provisioning.webhooks.conftest import Isp, open_isp
from tests.support.appliances import Original
from tests.support.http_receiver import SILENCE, HttpReceiver
from tests.support.postgres import WHO_WAITS_FOR_US


async def test_a_message_is_a_signed_cloud_event(isp_on_both: Isp, receiver: HttpReceiver) -> None:
    isp = isp_on_both
    webhook = await isp.add(receiver, path="/hooks?tenant=north")
    subscriber_id = await isp.subscriber("ada")
    async with isp.worker() as worker:
        await worker.deliver_due()
    (told,) = receiver.received
    assert (told.method, told.target) == ("POST", "/hooks?tenant=north")
    assert told.headers["content-type"] == "application/cloudevents+json"
    Webhook(webhook["secret"]).verify(told.raw, told.headers)
    (delivery,) = await isp.deliveries()
    event = from_structured(HTTPMessage(told.headers, told.raw), JSONFormat())
    assert event.get_attributes() == {
        "specversion": "1.0",
        "id": delivery["message_id"],
        "source": "urn:firstlight:default",
        "type": "subscriber.state_changed",
        "subject": f"subscriber/{subscriber_id}",
        "time": isp.moment(),
        "datacontenttype": "application/json",
        "sequence": "00000000000000000001",
    }
    assert event.get_data() == delivery["data"]
    assert told.headers["webhook-id"] == delivery["message_id"]
    assert (delivery["state"], delivery["attempts"], delivery["last_status"]) == ("delivered", 1, 200)


async def test_what_is_not_taken_comes_again_as_the_same_message(isp: Isp, receiver: HttpReceiver) -> None:
    await isp.add(receiver)
    await isp.subscriber("ada")
    receiver.answer(500, 404)
    async with isp.worker() as worker:
        await worker.deliver_due()
        await worker.deliver_due()
        assert len(receiver.received) == 1
        (waiting,) = await isp.deliveries()
        assert (waiting["state"], waiting["last_error"]) == ("queued", "HTTP 500")
        assert waiting["next_try_at"] - isp.moment() == timedelta(seconds=10)
        for wait in (10, 30):
            isp.moment.pass_(seconds=wait)
            await worker.deliver_due()
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 1
    assert len({each.raw for each in receiver.received}) == 1
    first, *_, last = (int(each.headers["webhook-timestamp"]) for each in receiver.received)
    assert last - first == 40
    assert await isp.states() == ["delivered"]


async def test_after_three_days_it_is_given_up_and_can_be_replayed(isp: Isp, receiver: HttpReceiver) -> None:
    webhook = await isp.add(receiver)
    await isp.subscriber("ada")
    begun = isp.moment()
    receiver.answer(*[500] * MOST_ATTEMPTS)
    async with isp.worker() as worker:
        while (await isp.states()) == ["queued"]:
            isp.moment.at = max(isp.moment.at, (await isp.deliveries())[0]["next_try_at"])
            await worker.deliver_due()
        assert await isp.states() == ["failed"]
        assert timedelta(days=2.5) < isp.moment() - begun < timedelta(days=3.5)
        assert len(receiver.received) == MOST_ATTEMPTS
        async with isp.appliance.database.begin() as db:
            message_id = (await isp.deliveries())[0]["message_id"]
            replayed = await isp.appliance.webhooks(db).replay(
                webhook_id=webhook["webhook_id"], message_id=message_id, only_failed=True
            )
        await worker.deliver_due()
    assert (replayed, await isp.states()) == (1, ["delivered"])
    assert receiver.received[-1].headers["webhook-id"] == message_id


async def test_of_one_subject_one_message_follows_the_other(isp_on_both: Isp, receiver: HttpReceiver) -> None:
    isp = isp_on_both
    await isp.add(receiver)
    ada = await isp.subscriber("ada")
    await isp.activate(ada)
    receiver.answer(500)
    async with isp.worker() as worker:
        await worker.deliver_due()
        await isp.subscriber("bob")
        await worker.deliver_due()
        assert [each.body["data"]["state"] for each in receiver.received] == ["pending", "pending"]
        assert receiver.received[1].body["subject"] != f"subscriber/{ada}"
        isp.moment.pass_(seconds=10)
        await worker.deliver_due()
    of_ada = [each.body["data"]["state"] for each in receiver.received if each.body["subject"] == f"subscriber/{ada}"]
    assert of_ada == ["pending", "pending", "active"]
    assert await isp.states() == ["delivered"] * 3


async def test_a_silent_webhook_holds_up_no_other(isp: Isp, receiver: HttpReceiver, other: HttpReceiver) -> None:
    silent = await isp.add(receiver)
    await isp.add(other)
    receiver.answer(SILENCE)
    await isp.subscriber("ada")
    async with isp.worker(timeout_seconds=2.0) as worker:
        await worker.start_due()
        await receiver.until_received(1)
        await other.until_received(1)
        await isp.subscriber("bob")
        await worker.start_due()
        while len(other.received) < 2:
            await worker.start_due()
            await asyncio.sleep(0.01)
        assert await isp.states(webhook_id=silent["webhook_id"]) == ["queued", "queued"]
        await worker.deliver_due()
    assert (await isp.deliveries(webhook_id=silent["webhook_id"]))[0]["last_error"] == (
        "no answer within 2 s; it may have arrived"
    )


async def test_a_farewell_disables_the_webhook(isp: Isp, receiver: HttpReceiver) -> None:
    webhook_id = (await isp.add(receiver))["webhook_id"]
    await isp.subscriber("ada")
    receiver.answer(410)
    async with isp.worker() as worker:
        await worker.deliver_due()
        await isp.subscriber("bob")
        isp.moment.pass_(days=1)
        await worker.deliver_due()
    assert len(receiver.received) == 1
    async with isp.appliance.database.read() as db:
        webhook = await isp.appliance.webhooks(db).webhook(webhook_id=webhook_id)
    assert (webhook["state"], webhook["disable_reason"]) == ("disabled", "HTTP 410: it wants nothing any more")
    assert await isp.states() == ["failed"]


@pytest.mark.parametrize("status", [429, 503])
async def test_who_asks_for_a_rest_is_sent_nothing_until_then(isp: Isp, receiver: HttpReceiver, status: int) -> None:
    await isp.add(receiver)
    await isp.subscriber("ada")
    receiver.answer(status)
    receiver.retry_after = "120"
    async with isp.worker() as worker:
        await worker.deliver_due()
        await isp.subscriber("bob")
        isp.moment.pass_(seconds=119)
        await worker.deliver_due()
        assert len(receiver.received) == 1
        isp.moment.pass_(seconds=1)
        await worker.deliver_due()
    assert await isp.states() == ["delivered", "delivered"]


async def test_a_redirect_is_not_followed(isp: Isp, receiver: HttpReceiver, other: HttpReceiver) -> None:
    await isp.add(receiver)
    await isp.subscriber("ada")
    receiver.location = f"http://127.0.0.1:{other.port}/"
    receiver.answer(307)
    async with isp.worker() as worker:
        await worker.deliver_due()
    assert other.received == []
    assert "redirects are not followed" in str((await isp.deliveries())[0]["last_error"])


class Dying(WebhookSender):
    """The process ends after the message went out and before that is written down."""

    def __init__(self, sender: WebhookSender) -> None:
        self._sender = sender

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        await self._sender.send(url, body, headers)
        raise SystemError("killed")


async def test_a_process_that_dies_after_sending_leaves_it_to_another(isp_on_both: Isp, receiver: HttpReceiver) -> None:
    isp = isp_on_both
    await isp.add(receiver)
    await isp.subscriber("ada")
    async with isp.worker(sender=Dying) as dying:
        with pytest.raises(ExceptionGroup):
            await dying.deliver_due()
    async with isp.worker() as worker:
        await worker.deliver_due()
        assert (len(receiver.received), await isp.states()) == (1, ["queued"])
        isp.moment.pass_(seconds=CLAIM.total_seconds())
        await worker.deliver_due()
    first, again = receiver.received
    assert first.headers["webhook-id"] == again.headers["webhook-id"] and first.raw == again.raw
    (delivery,) = await isp.deliveries()
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 2)


async def test_a_late_failure_counts_for_no_attempt_after_a_replay(isp: Isp, receiver: HttpReceiver) -> None:
    webhook_id = (await isp.add(receiver))["webhook_id"]
    await isp.subscriber("ada")
    late_ends, new_ends = asyncio.Event(), asyncio.Event()
    async with (
        isp.worker(sender=lambda _: Refusing(late_ends)) as late,
        isp.worker() as other,
        isp.worker(sender=lambda _: Refusing(new_ends)) as new,
    ):
        await late.start_due()
        await until(isp, attempts=1)
        isp.moment.pass_(seconds=CLAIM.total_seconds())
        await other.deliver_due()
        async with isp.appliance.database.begin() as db:
            since = isp.moment() - timedelta(hours=1)
            assert await isp.appliance.webhooks(db).replay(webhook_id=webhook_id, since=since) == 1
        await new.start_due()
        await until(isp, attempts=1)
        late_ends.set()
        await late.deliver_due()
        (delivery,) = await isp.deliveries()
        assert (delivery["state"], delivery["attempts"], delivery["last_error"]) == ("queued", 1, None)
        new_ends.set()
        await new.deliver_due()
    assert (await isp.deliveries())[0]["last_error"] == "HTTP 500"


async def test_an_operator_and_a_farewell_do_not_wait_for_each_other(
    migrated_postgresql: Original, tmp_path: Path, receiver: HttpReceiver
) -> None:
    async with open_isp(migrated_postgresql, tmp_path) as isp, isp.worker() as worker:
        webhook_id = (await isp.add(receiver))["webhook_id"]
        await isp.subscriber("ada")
        receiver.answer(410)
        async with isp.appliance.database.begin() as db:
            webhooks = isp.appliance.webhooks(db)
            await webhooks.disable(webhook_id=webhook_id, reason="moving")
            await worker.start_due()
            async with asyncio.timeout(10):
                while not await db.scalar(WHO_WAITS_FOR_US):
                    pass
            await webhooks.enable(webhook_id=webhook_id)
        await worker.deliver_due()
        assert await isp.states() == ["failed"]
        async with isp.appliance.database.read() as db:
            assert (await isp.appliance.webhooks(db).webhook(webhook_id=webhook_id))["state"] == "disabled"


async def until(isp: Isp, *, attempts: int) -> None:
    """A worker has its hands on the only delivery."""
    async with asyncio.timeout(10):
        while (await isp.deliveries())[0]["attempts"] != attempts:
            pass


class Refusing:
    """A sender whose every sending fails, when it is told so."""

    def __init__(self, ends: asyncio.Event) -> None:
        self._ends = ends

    async def send(self, _url: str, _body: bytes, _headers: Mapping[str, str]) -> Outcome:
        await self._ends.wait()
        return Outcome("HTTP 500", status=500)


async def test_two_workers_send_each_message_once(isp_on_both: Isp, receiver: HttpReceiver) -> None:
    isp = isp_on_both
    await isp.add(receiver)
    for number in range(12):
        await isp.activate(await isp.subscriber(f"u{number}"))
    async with isp.worker() as one, isp.worker() as another:
        await asyncio.gather(one.deliver_due(), another.deliver_due())
        await one.deliver_due()
    numbers = [each.headers["webhook-id"] for each in receiver.received]
    assert (len(numbers), len(set(numbers))) == (24, 24)
    assert await isp.states(limit=100) == ["delivered"] * 24


async def test_while_a_secret_is_replaced_both_sign(isp: Isp, receiver: HttpReceiver) -> None:
    webhook = await isp.add(receiver)
    async with isp.appliance.database.begin() as db:
        rotated = await isp.appliance.webhooks(db).rotate(webhook_id=webhook["webhook_id"], keep=timedelta(hours=24))
    assert rotated["secret"] != webhook["secret"]
    await isp.subscriber("ada")
    async with isp.worker() as worker:
        await worker.deliver_due()
        isp.moment.pass_(hours=24)
        await isp.subscriber("bob")
        await worker.deliver_due()
    both, new = receiver.received
    for secret in (webhook["secret"], rotated["secret"]):
        Webhook(secret).verify(both.raw, both.headers)
    assert verified_id(new.headers, new.raw, [rotated["secret"]], now=isp.moment()) == new.headers["webhook-id"]
    with pytest.raises(SignatureRefused):
        verified_id(new.headers, new.raw, [webhook["secret"]], now=isp.moment())


async def test_a_webhook_whose_secret_is_gone_says_so_and_sends_nothing(isp: Isp, receiver: HttpReceiver) -> None:
    webhook_id = (await isp.add(receiver))["webhook_id"]
    await isp.subscriber("ada")
    async with isp.appliance.database.begin() as db:
        await isp.appliance.vault.discard(db, f"secret:webhook/{webhook_id}/current")
    async with isp.worker() as worker:
        await worker.deliver_due()
    assert receiver.received == []
    assert f"secret:webhook/{webhook_id}/current" in str((await isp.deliveries())[0]["last_error"])
