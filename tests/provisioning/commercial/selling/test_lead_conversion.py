"""From lead to customer: once, only when qualified, never a second record of the same person, and back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select

from provisioning.commercial import (
    CustomerInUse,
    CustomerWithdrawn,
    LeadConversionWithdrawn,
    LeadConverted,
    LeadDisqualified,
    LeadNotQualified,
    LeadOfAnotherCustomer,
    LeadOfKnownCustomer,
    LeadUnknown,
)
from provisioning.commercial.mails.delivery import Begin
from provisioning.commercial.tables import Customer
from provisioning.errors import InvalidRequest, RequestConflict, TenantMismatch
from tests.provisioning.commercial.conftest import TENANT
from tests.provisioning.commercial.shop import ADA, Shop
from workflows.answers import CustomerFromLead

NEXT = ADA + 1


@pytest.fixture
async def shop(quick: Begin) -> Shop:
    return await Shop(quick).open()


async def convert(shop: Shop, lead_id: int, request_id: str | None = None) -> CustomerFromLead:
    async with shop.begin() as db:
        return await shop.customers(db).create_from_lead(lead_id=lead_id, tenant_id=TENANT, request_id=request_id)


async def take_back(shop: Shop, customer_id: int, lead_id: int, reason: str = "changed their mind") -> Any:
    async with shop.begin() as db:
        return await shop.customers(db).withdraw_from_lead(customer_id=customer_id, lead_id=lead_id, reason=reason)


async def lead_of(shop: Shop, lead_id: int) -> tuple[str, int | None, str | None]:
    async with shop.begin() as db:
        lead = await shop.leads(db).lead(lead_id)
    return lead["state"], lead["customer_id"], lead["reason"]


async def customers_of(shop: Shop) -> int:
    async with shop.begin() as db:
        return await db.scalar(select(func.count()).select_from(Customer)) or 0


async def test_a_qualified_lead_becomes_a_customer_under_the_next_number(begin: Begin) -> None:
    shop = await Shop(begin).open()
    lead_id = await shop.qualified_lead(phone="+49 30 1", language="de")
    with pytest.raises(InvalidRequest):
        await convert(shop, 0)
    made = await convert(shop, lead_id, "lead/1/create")
    assert made == {
        "customer_id": NEXT,
        "name": "Bob Hill",
        "email": "bob@example.com",
        "phone": "+49301",
        "lead_id": lead_id,
    }
    assert await convert(shop, lead_id, "lead/1/create") == made
    assert await lead_of(shop, lead_id) == ("converted", NEXT, None)
    async with begin() as db:
        customer = await shop.customers(db).customer(NEXT)
    assert (customer["name"], customer["language"]) == ("Bob Hill", "de")


async def test_what_is_not_qualified_is_refused_before_anything_is_written(shop: Shop) -> None:
    async with shop.begin() as db:
        for number in (1, 2):
            await shop.leads(db).register(source="web", name="Bob", email=f"b{number}@example.com")
        await shop.leads(db).disqualify(lead_id=2, reason="too far away")
    with pytest.raises(LeadNotQualified, match="Lead 1 is not qualified yet"):
        await convert(shop, 1)
    with pytest.raises(LeadDisqualified, match="too far away"):
        await convert(shop, 2)
    with pytest.raises(LeadUnknown):
        await convert(shop, 3)
    assert await customers_of(shop) == 1


async def test_a_converted_lead_names_its_customer(shop: Shop) -> None:
    lead_id = await shop.qualified_lead()
    await convert(shop, lead_id, "a")
    for other in (None, "b"):
        with pytest.raises(LeadConverted) as refused:
            await convert(shop, lead_id, other)
        assert refused.value.customer_id == NEXT
    assert await customers_of(shop) == 2


async def test_another_tenants_business_is_refused(shop: Shop) -> None:
    lead_id = await shop.qualified_lead()
    async with shop.begin() as db:
        with pytest.raises(TenantMismatch, match="asked for tenant south, but north is served here"):
            await shop.customers(db).create_from_lead(lead_id=lead_id, tenant_id="south")
    assert (await lead_of(shop, lead_id))[0] == "qualified"


async def test_a_request_speaks_of_one_lead(shop: Shop) -> None:
    first, second = await shop.qualified_lead(), await shop.qualified_lead(email="eve@example.com")
    await convert(shop, first, "r")
    with pytest.raises(RequestConflict, match="r already made a customer of lead 1"):
        await convert(shop, second, "r")


async def test_a_known_mail_address_is_refused_until_the_lead_says_whose_it_is(shop: Shop) -> None:
    lead_id = await shop.qualified_lead(name="Ada B.", email="ADA@example.com")
    with pytest.raises(LeadOfKnownCustomer, match=r"mail address of customer 42 \(ADA@example.com\).*--customer 42"):
        await convert(shop, lead_id)
    async with shop.begin() as db:
        await shop.leads(db).qualify(lead_id=lead_id, by="nora", existing_customer_id=ADA)
    made = await convert(shop, lead_id, "r")
    assert (made["customer_id"], made["name"], made["email"]) == (ADA, "Ada Byron", "ada@example.com")
    assert await customers_of(shop) == 1


async def test_conversions_of_one_lead_at_once_are_one_customer(begin: Begin) -> None:
    shop = await Shop(begin).open()
    lead_id = await shop.qualified_lead()
    made = await asyncio.gather(*(convert(shop, lead_id, "r") for _ in range(5)))
    assert {one["customer_id"] for one in made} == {NEXT}
    assert await customers_of(shop) == 2


async def test_two_leads_of_one_address_at_once_are_one_customer_and_a_refusal(begin: Begin) -> None:
    shop = await Shop(begin).open()
    leads = [await shop.qualified_lead(email=email) for email in ("bob@example.com", "BOB@example.com")]
    outcomes = await asyncio.gather(*(convert(shop, lead_id) for lead_id in leads), return_exceptions=True)
    assert sorted(type(one).__name__ for one in outcomes) == ["LeadOfKnownCustomer", "dict"]
    assert await customers_of(shop) == 2


async def test_one_request_for_two_leads_at_once_makes_one_customer(begin: Begin) -> None:
    shop = await Shop(begin).open()
    leads = [await shop.qualified_lead(email=email) for email in ("bob@example.com", "eve@example.com")]
    outcomes = await asyncio.gather(*(convert(shop, lead_id, "r") for lead_id in leads), return_exceptions=True)
    assert sorted(type(one).__name__ for one in outcomes) == ["RequestConflict", "dict"]
    assert await customers_of(shop) == 2


async def test_undo_withdraws_the_new_customer_and_the_lead_is_qualified_again(begin: Begin) -> None:
    shop = await Shop(begin).open()
    lead_id = await shop.qualified_lead()
    await convert(shop, lead_id, "r")
    undone = await take_back(shop, NEXT, lead_id)
    assert undone == {"customer_id": NEXT, "lead_id": lead_id, "state": "withdrawn"}
    assert await take_back(shop, NEXT, lead_id, "again") == undone
    assert await lead_of(shop, lead_id) == ("qualified", None, "changed their mind")
    async with begin() as db:
        with pytest.raises(CustomerWithdrawn, match=rf"Customer {NEXT} was withdrawn \(changed their mind\)"):
            await shop.customers(db).customer(NEXT)
    with pytest.raises(LeadConversionWithdrawn, match="changed their mind"):
        await convert(shop, lead_id, "r")
    anew = await convert(shop, lead_id, "r/2")
    assert anew["customer_id"] == NEXT + 1, "a withdrawn customer keeps the number"
    assert await take_back(shop, NEXT, lead_id, "late") == undone, "the first undo, once more"
    assert await lead_of(shop, lead_id) == ("converted", NEXT + 1, None)


async def test_undo_leaves_a_customer_who_was_there_before(shop: Shop) -> None:
    lead_id = await shop.qualified_lead(email="ada@example.com", qualified_as=ADA)
    await shop.subscription()
    await convert(shop, lead_id)
    assert (await take_back(shop, ADA, lead_id))["state"] == "active"
    assert (await lead_of(shop, lead_id))[:2] == ("qualified", None)
    async with shop.begin() as db:
        assert (await shop.customers(db).customer(ADA))["name"] == "Ada Byron"
    assert (await convert(shop, lead_id))["customer_id"] == ADA


async def test_undo_stops_at_a_running_bill_and_at_somebody_elses_customer(shop: Shop) -> None:
    lead_id = await shop.qualified_lead()
    await convert(shop, lead_id)
    async with shop.begin() as db:
        bill = await shop.billing(db).activate_service(customer_id=NEXT, service_id=9)
    with pytest.raises(CustomerInUse, match=f"subscription {bill['subscription_id']} running"):
        await take_back(shop, NEXT, lead_id)
    with pytest.raises(LeadOfAnotherCustomer, match="Customer 42 was not made from lead 1"):
        await take_back(shop, ADA, lead_id)
    assert await lead_of(shop, lead_id) == ("converted", NEXT, None)


async def test_a_withdrawn_customer_is_sold_nothing(shop: Shop) -> None:
    lead_id = await shop.qualified_lead()
    await convert(shop, lead_id)
    await take_back(shop, NEXT, lead_id)
    async with shop.begin() as db:
        with pytest.raises(CustomerWithdrawn):
            await shop.billing(db).activate_service(customer_id=NEXT, service_id=9)
        with pytest.raises(CustomerWithdrawn):
            await shop.customers(db).register(name="Bob Hill", email="bob@example.com", customer_id=NEXT)
