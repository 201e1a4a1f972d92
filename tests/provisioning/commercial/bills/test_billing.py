"""Bills: started once per service, taken back with their history kept."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import (
    BillingService,
    CustomerService,
    CustomerUnknown,
    ServiceBilledAlready,
    SubscriptionStopped,
    SubscriptionUnknown,
)
from provisioning.commercial.mails.delivery import Begin
from provisioning.commercial.tables import Subscription
from provisioning.errors import InvalidRequest, RequestConflict
from tests.provisioning.commercial.conftest import NOW, TENANT

LATER = NOW + timedelta(hours=3)


async def billing(db: AsyncSession, *, later: bool = False) -> BillingService:
    for customer_id in (42, 43):
        await CustomerService(db, tenant_id=TENANT, now=lambda: NOW).register(
            name="Ada", email="ada@example.com", customer_id=customer_id
        )
    return BillingService(db, tenant_id=TENANT, now=lambda: LATER if later else NOW)


async def test_activation_starts_the_bill_now(begin: Begin) -> None:
    async with begin() as db:
        activated = await (await billing(db)).activate_service(customer_id=42, service_id=7, plan="fiber-300")
    assert activated == {
        "service_id": 7,
        "customer_id": 42,
        "subscription_id": activated["subscription_id"],
        "state": "active",
        "billing_started_at": NOW,
    }
    async with begin() as db:
        row = await db.get(Subscription, activated["subscription_id"])
    assert row is not None
    assert (row.state, row.plan, row.billing_started_at, row.billing_stopped_at) == ("active", "fiber-300", NOW, None)


@pytest.mark.parametrize("request_id", [None, "order/1/activate"])
async def test_activating_twice_is_one_activation_with_its_first_moment(begin: Begin, request_id: str | None) -> None:
    async with begin() as db:
        first = await (await billing(db)).activate_service(customer_id=42, service_id=7, request_id=request_id)
    async with begin() as db:
        again = await (await billing(db, later=True)).activate_service(
            customer_id=42, service_id=7, request_id=request_id
        )
        assert await db.scalar(select(func.count()).select_from(Subscription)) == 1
    assert again == first


async def test_activations_at_the_same_moment_are_one_bill(begin: Begin) -> None:
    async with begin() as db:
        await billing(db)

    async def activate() -> int:
        async with begin() as db:
            service = BillingService(db, tenant_id=TENANT, now=lambda: NOW)
            return (await service.activate_service(customer_id=42, service_id=7))["subscription_id"]

    assert len(set(await asyncio.gather(*(activate() for _ in range(6))))) == 1


async def test_a_service_billed_to_somebody_else_or_on_another_plan_is_a_conflict(begin: Begin) -> None:
    async with begin() as db:
        service = await billing(db)
        await service.activate_service(customer_id=42, service_id=7, plan="fiber-300")
        with pytest.raises(ServiceBilledAlready, match="already billed to customer 42 on plan fiber-300"):
            await service.activate_service(customer_id=43, service_id=7)
        with pytest.raises(ServiceBilledAlready):
            await service.activate_service(customer_id=42, service_id=7, plan="fiber-600")


async def test_a_stopped_bill_is_kept_and_its_service_can_be_billed_again(begin: Begin) -> None:
    async with begin() as db:
        first = await (await billing(db)).activate_service(customer_id=42, service_id=7, request_id="a")
    async with begin() as db:
        service = await billing(db, later=True)
        stopped = await service.stop_billing(subscription_id=first["subscription_id"], reason="run undone")
        assert await service.stop_billing(subscription_id=first["subscription_id"], reason="again") == stopped
        with pytest.raises(SubscriptionStopped, match="was stopped at 2026-03-02 12:00 UTC \\(run undone\\)"):
            await service.activate_service(customer_id=42, service_id=7, request_id="a")
        second = await service.activate_service(customer_id=42, service_id=7, request_id="b")
    assert (stopped["state"], stopped["billing_stopped_at"], stopped["reason"]) == ("cancelled", LATER, "run undone")
    assert second["subscription_id"] != first["subscription_id"]
    assert second["billing_started_at"] == LATER


async def test_a_request_with_other_input_is_a_conflict(begin: Begin) -> None:
    async with begin() as db:
        service = await billing(db)
        await service.activate_service(customer_id=42, service_id=7, request_id="a")
        with pytest.raises(RequestConflict, match="Request a already made subscription"):
            await service.activate_service(customer_id=42, service_id=8, request_id="a")


async def test_nobody_unknown_is_billed_and_nothing_unknown_is_stopped(begin: Begin) -> None:
    async with begin() as db:
        service = await billing(db)
        with pytest.raises(CustomerUnknown):
            await service.activate_service(customer_id=99, service_id=7)
        with pytest.raises(SubscriptionUnknown):
            await service.stop_billing(subscription_id=99, reason="x")


async def test_all_faults_of_an_activation_are_named_at_once(begin: Begin) -> None:
    async with begin() as db:
        service = await billing(db)
        with pytest.raises(InvalidRequest) as refused:
            await service.activate_service(customer_id=0, service_id=True, plan="a\nb")
        with pytest.raises(InvalidRequest, match="reason is missing"):
            await service.stop_billing(subscription_id=1, reason=" ")
    assert [fault.field for fault in refused.value.faults] == ["customer_id", "service_id", "plan"]


async def test_the_database_itself_refuses_a_second_running_bill(begin: Begin) -> None:
    async with begin() as db:
        await billing(db)
    with pytest.raises(IntegrityError):
        async with begin() as db:
            for _ in range(2):
                db.add(
                    Subscription(tenant_id=TENANT, customer_id=42, service_id=7, state="active", billing_started_at=NOW)
                )


async def test_a_bill_ends_on_its_day_however_late_it_is_written_down(begin: Begin) -> None:
    async with begin() as db:
        activated = await (await billing(db)).activate_service(customer_id=42, service_id=7, plan="fiber-300")
    ended_at = NOW + timedelta(hours=2)
    for expected in (ended_at, None):  # the second time, none runs any more
        async with begin() as db:
            ended = await (await billing(db, later=True)).end_billing(
                service_id=7, ended_at=ended_at, reason="moves away"
            )
        assert (ended and ended["billing_stopped_at"]) == expected
    async with begin() as db:
        row = await db.get_one(Subscription, activated["subscription_id"])
    assert (row.state, row.billing_stopped_at, row.stop_reason) == ("cancelled", ended_at, "moves away")


async def test_a_bill_never_ends_before_it_began_nor_in_days_to_come(begin: Begin) -> None:
    async with begin() as db:
        service = await billing(db)
        await service.activate_service(customer_id=42, service_id=7)
        with pytest.raises(InvalidRequest, match="ended_at lies ahead"):
            await service.end_billing(service_id=7, ended_at=LATER, reason="moves away")
        with pytest.raises(InvalidRequest, match=r"service_id is not .*reason is missing.*ended_at has no time zone"):
            await service.end_billing(service_id=0, ended_at=NOW.replace(tzinfo=None), reason=" ")
        ended = await service.end_billing(service_id=7, ended_at=NOW - timedelta(days=1), reason="never came")
    assert ended is not None
    assert ended["billing_stopped_at"] == ended["billing_started_at"] == NOW
