"""Leads: kept once, qualified once with the event that sets the onboarding going, and listed a page at a time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from provisioning.commercial import (
    CustomerUnknown,
    LeadConverted,
    LeadDisqualified,
    LeadUnknown,
    OfferNotSold,
    OfferUnknown,
)
from provisioning.commercial.mails.delivery import Begin
from provisioning.errors import InvalidRequest, RequestConflict
from tests.provisioning.commercial.conftest import NOW, TENANT
from tests.provisioning.commercial.shop import ADA, FIBRE, FIBRE_TERMS, MESH, Shop
from workflows.engine.tables import RunRow

WISH: dict[str, Any] = {
    "source": "web",
    "name": "Bob Hill",
    "email": "Bob@Example.com",
    "phone": "+49 30 7654321",
    "language": "de-at",
    "address": "Lindenweg 4",
    "service_location": "LOC-10294",
    "offer_id": FIBRE,
    "request_id": "web/1",
}


@pytest.fixture
async def shop(quick: Begin) -> Shop:
    return await Shop(quick).open()


async def test_a_lead_is_kept_as_it_came(shop: Shop) -> None:
    async with shop.begin() as db:
        lead = await shop.leads(db).register(**WISH)
    async with shop.begin() as db:
        assert await shop.leads(db).lead(lead["lead_id"]) == lead
    assert lead == {
        "lead_id": 1,
        "source": "web",
        "name": "Bob Hill",
        "company": None,
        "email": "Bob@example.com",
        "phone": "+49307654321",
        "language": "de-AT",
        "address": "Lindenweg 4",
        "service_location": "LOC-10294",
        "offer_id": FIBRE,
        "existing_customer_id": None,
        "state": "new",
        "registered_at": NOW,
        "qualified_at": None,
        "customer_id": None,
        "reason": None,
    }
    assert shop.events == []


async def test_the_same_request_at_the_same_moment_is_one_lead(begin: Begin) -> None:
    shop = await Shop(begin).open()

    async def register() -> int:
        async with begin() as db:
            return (await shop.leads(db).register(**WISH))["lead_id"]

    assert len(set(await asyncio.gather(*(register() for _ in range(6))))) == 1


async def test_the_same_request_with_other_input_is_a_conflict_also_after_the_lead_was_qualified(shop: Shop) -> None:
    async with shop.begin() as db:
        leads = shop.leads(db)
        lead = await leads.register(**WISH)
        await leads.qualify(lead_id=lead["lead_id"], by="nora", existing_customer_id=ADA)
        assert (await leads.register(**WISH))["state"] == "qualified"
        with pytest.raises(RequestConflict, match="web/1 already made lead 1"):
            await leads.register(**WISH | {"name": "Eve"})


async def test_qualifying_writes_one_event_in_the_same_transaction(shop: Shop) -> None:
    async with shop.begin() as db:
        lead = await shop.leads(db).register(**WISH)
    async with shop.begin() as db:
        qualified = await shop.leads(db).qualify(lead_id=lead["lead_id"], by="nora")
        assert await shop.leads(db).qualify(lead_id=lead["lead_id"], by="olaf") == qualified
    assert (qualified["state"], qualified["qualified_at"]) == ("qualified", NOW)
    assert shop.events == [
        ("lead.qualified", "lead/1", {"lead_id": 1, "offer_id": FIBRE, "round": 1}, "lead/1/qualified", "nora"),
    ]


async def test_a_lead_whose_onboarding_came_to_nothing_begins_its_next_round(shop: Shop) -> None:
    async with shop.begin() as db:
        lead = await shop.leads(db).register(**WISH)
    for key, state in (("lead/1", "cancelled"), ("lead/1/2", "rejected"), ("lead/1/3", "inProgress")):
        async with shop.begin() as db:
            await shop.leads(db).qualify(lead_id=lead["lead_id"], by="nora")
            db.add(run_of_lead(key, state))
    async with shop.begin() as db:
        await shop.leads(db).qualify(lead_id=lead["lead_id"], by="nora")
    assert [(data["round"], key) for _, _, data, key, _ in shop.events] == [
        (1, "lead/1/qualified"),
        (2, "lead/1/qualified/2"),
        (3, "lead/1/qualified/3"),
        (3, "lead/1/qualified/3"),
    ]


def run_of_lead(key: str, state: str) -> RunRow:
    return RunRow(
        tenant_id=TENANT,
        journey="lead_to_customer_onboarding",
        version=1,
        business_key=key,
        input="{}",
        input_digest="",
        state=state,
        created_at=NOW,
        updated_at=NOW,
    )


async def test_two_who_qualify_at_once_publish_once(begin: Begin) -> None:
    shop = await Shop(begin).open()
    async with begin() as db:
        lead = await shop.leads(db).register(**WISH)

    async def qualify(by: str) -> None:
        async with begin() as db:
            await shop.leads(db).qualify(lead_id=lead["lead_id"], by=by)

    await asyncio.gather(*(qualify(f"operator {n}") for n in range(4)))
    assert len(shop.events) == 1


async def test_a_disqualified_lead_keeps_its_first_reason_and_is_not_qualified_any_more(shop: Shop) -> None:
    async with shop.begin() as db:
        leads = shop.leads(db)
        await leads.register(**WISH)
        lost = await leads.disqualify(lead_id=1, reason="no fibre in the street")
        assert await leads.disqualify(lead_id=1, reason="other") == lost
        with pytest.raises(LeadDisqualified, match=r"Lead 1 was disqualified \(no fibre in the street\)"):
            await leads.qualify(lead_id=1, by="nora")
    assert (lost["state"], lost["reason"], shop.events) == ("disqualified", "no fibre in the street", [])


async def test_a_converted_lead_stays_what_it_is(shop: Shop) -> None:
    lead_id = await shop.qualified_lead()
    async with shop.begin() as db:
        customer = await shop.customers(db).create_from_lead(lead_id=lead_id, tenant_id=TENANT)
        again = await shop.leads(db).qualify(lead_id=lead_id, by="olaf")
        assert (again["state"], again["customer_id"]) == ("converted", customer["customer_id"])
        for act in (
            shop.leads(db).disqualify(lead_id=lead_id, reason="x"),
            shop.leads(db).qualify(lead_id=lead_id, by="olaf", existing_customer_id=ADA),
        ):
            with pytest.raises(LeadConverted, match=f"already become customer {customer['customer_id']}"):
                await act
    assert len(shop.events) == 1


async def test_leads_are_listed_newest_first_a_page_at_a_time(shop: Shop) -> None:
    async with shop.begin() as db:
        leads = shop.leads(db)
        for number in range(1, 6):
            await leads.register(source="web", name=f"Lead {number}", email=f"l{number}@example.com")
        await leads.qualify(lead_id=2, by="nora")
        await leads.qualify(lead_id=4, by="nora")
        first = await leads.leads(limit=2)
        second = await leads.leads(limit=2, before_id=first[-1]["lead_id"])
        assert [lead["lead_id"] for lead in (*first, *second)] == [5, 4, 3, 2]
        assert [lead["lead_id"] for lead in await leads.leads(state="qualified")] == [4, 2]


async def test_what_a_lead_refers_to_must_be_there(shop: Shop) -> None:
    async with shop.begin() as db:
        leads = shop.leads(db)
        await shop.offers(db).define(9, replace(FIBRE_TERMS, active=False))
        for wrong, error in (
            ({"offer_id": 77}, OfferUnknown),
            ({"offer_id": 9}, OfferNotSold),
            ({"offer_id": MESH, "existing_customer_id": 77}, CustomerUnknown),
        ):
            with pytest.raises(error):
                await leads.register(**WISH | wrong)
        with pytest.raises(LeadUnknown):
            await leads.qualify(lead_id=1, by="nora")
        with pytest.raises(LeadUnknown):
            await leads.lead(1)


async def test_all_faults_of_a_lead_are_named_at_once(shop: Shop) -> None:
    async with shop.begin() as db:
        with pytest.raises(InvalidRequest) as refused:
            await shop.leads(db).register(
                source="", name="a\nb", email="nowhere", phone="call me", offer_id=0, existing_customer_id=-1
            )
        with pytest.raises(InvalidRequest, match="reason is missing"):
            await shop.leads(db).disqualify(lead_id=1, reason=" ")
        for changes in ({"email": "nowhere"}, {}):  # what it refers to stands beside what is malformed, and each other
            with pytest.raises(InvalidRequest) as nobody:
                await shop.leads(db).register(**WISH | changes | {"offer_id": 77, "existing_customer_id": 78})
            assert [fault.field for fault in nobody.value.faults] == [*changes, "offer_id", "existing_customer_id"]
    assert [fault.field for fault in refused.value.faults] == [
        "source",
        "name",
        "email",
        "phone",
        "offer_id",
        "existing_customer_id",
    ]
