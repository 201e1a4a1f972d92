"""Facts are written with the change itself, or not at all, and hold numbers and states alone."""

from __future__ import annotations

import pytest

from provisioning.estate import import_estate
from provisioning.tickets import read_ticket
from provisioning.webhooks.messages import EVENT_TYPES, RUN_CHANGED, SUBSCRIBER_CHANGED
from tests.provisioning.webhooks.conftest import Isp
from tests.support.appliances import ESTATE, TICKET
from tests.support.http_receiver import HttpReceiver


class Lost(Exception):
    """The transaction doesn't come to its end."""


async def test_a_change_and_its_message_are_one_commit(isp_on_both: Isp, receiver: HttpReceiver) -> None:
    isp = isp_on_both
    await isp.add(receiver)
    subscriber_id = await isp.subscriber("ada")
    with pytest.raises(Lost):
        async with isp.appliance.database.begin() as db:
            await isp.appliance.services(db).radius_service.activate(subscriber_id=subscriber_id)
            raise Lost
    async with isp.appliance.database.begin() as db:
        radius = isp.appliance.services(db).radius_service
        with pytest.raises(Lost):
            async with db.begin_nested():
                await radius.activate(subscriber_id=subscriber_id)
                raise Lost
    assert len(await isp.deliveries()) == 1
    await isp.activate(subscriber_id)
    told = await isp.deliveries()
    assert [(each["subject"], each["data"]) for each in told] == [
        (
            f"subscriber/{subscriber_id}",
            {
                "subscriber_id": subscriber_id,
                "customer_id": 1001,
                "service_id": None,
                "state": state,
                "previous_state": previous,
            },
        )
        for state, previous in (("pending", None), ("active", "pending"))
    ]


async def test_a_run_and_the_event_that_starts_it_are_told(isp_on_both: Isp, receiver: HttpReceiver) -> None:
    isp = isp_on_both
    await import_estate(isp.appliance, ESTATE)
    await isp.add(receiver, *EVENT_TYPES)
    ticket = read_ticket(TICKET)
    async with isp.appliance.database.begin() as db:
        event_id, _ = await isp.appliance.events.publish(
            db, "ticket.installation_approved", subject="ticket/T-1", data=ticket, key="ticket/T-1", by="nora"
        )
    await isp.appliance.events.take_up(isp.appliance.database.begin)
    event, run = await isp.deliveries()
    assert (event["type"], event["subject"]) == ("ticket.installation_approved", "ticket/T-1")
    assert event["data"] == {
        "event_id": event_id,
        **{name: value for name, value in ticket.items() if name.endswith("_id") and isinstance(value, int)},
    }
    assert (run["type"], run["data"]) == (
        RUN_CHANGED,
        {
            "run_id": 1,
            "journey": "isp_ticket_to_deployment",
            "customer_id": ticket["customer_id"],
            "state": "acknowledged",
            "previous_state": None,
            "step": None,
            "reason_code": None,
        },
    )


async def test_only_what_somebody_is_told_of_is_written(isp: Isp, receiver: HttpReceiver, other: HttpReceiver) -> None:
    await isp.add(receiver, RUN_CHANGED)
    await isp.subscriber("ada")
    assert await isp.deliveries() == []
    told = await isp.add(other)
    await isp.subscriber("bob")
    assert [each["webhook_id"] for each in await isp.deliveries()] == [told["webhook_id"]]


async def test_what_happens_while_a_webhook_is_disabled_can_be_replayed(isp: Isp, receiver: HttpReceiver) -> None:
    webhook_id = (await isp.add(receiver))["webhook_id"]
    async with isp.appliance.database.begin() as db:
        await isp.appliance.webhooks(db).disable(webhook_id=webhook_id, reason="it is being moved")
    since = isp.moment()
    await isp.subscriber("ada")
    assert await isp.deliveries() == []
    isp.moment.pass_(minutes=1)
    async with isp.appliance.database.begin() as db:
        webhooks = isp.appliance.webhooks(db)
        await webhooks.enable(webhook_id=webhook_id)
        assert await webhooks.replay(webhook_id=webhook_id, since=since) == 1
    assert [(each["type"], each["state"]) for each in await isp.deliveries()] == [(SUBSCRIBER_CHANGED, "queued")]


async def test_every_event_that_starts_a_journey_can_be_told(isp: Isp) -> None:
    assert set(isp.appliance.events.types) <= set(EVENT_TYPES)
