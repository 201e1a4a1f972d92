"""The door for partners: an order that makes sense becomes one event, any other is refused with every fault."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import OfferCatalogue, OfferTerms
from provisioning.commercial.partners.partner_tables import Partner
from provisioning.database import Database
from provisioning.errors import InvalidRequest
from provisioning.partners import PartnerDesk, SubmittedOrder
from provisioning.tables import ProvisioningBase
from tests.support.partnership import FIXED, NOW, SHARE, TENANT, Partnership, make_partnership
from workflows.engine.tables import WorkflowBase

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ORDER: dict[str, Any] = {
    "order_ref": "N-17",
    "customer_data": {"name": "Ada Byron", "email": "ada@example.com"},
    "license_count": 2,
    "white_label_config": {"name": "Nordnetz", "colours": {"primary": "#FFE45C"}},
    "sale_amount": "49.90",
}


class Outbox:
    """Keeps what is published, as the engine's table of events does."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, Mapping[str, Any], str, str]] = []

    async def publish(
        self, db: AsyncSession, type_: str, subject: str, data: Mapping[str, Any], key: str, by: str
    ) -> None:
        assert db.in_transaction()
        self.events.append((type_, subject, data, key, by))


@pytest.fixture
async def isp(database: Database, tmp_path: Path) -> AsyncIterator[Partnership]:
    async with database.engine.begin() as connection:
        await connection.run_sync(ProvisioningBase.metadata.create_all)
        await connection.run_sync(WorkflowBase.metadata.create_all)
    yield await make_partnership(database.begin, tmp_path)


async def submit(
    isp: Partnership, outbox: Outbox, partner_id: int = SHARE, *, themselves: bool = False, **changes: Any
) -> SubmittedOrder:
    order = {field: value for field, value in (ORDER | changes).items() if value is not ...}
    async with isp.begin() as db:
        desk = PartnerDesk(
            db, publish=outbox.publish, tenant_id=TENANT, now=lambda: NOW, public_url="https://isp.example"
        )
        return await desk.submit(partner_id, order, by="partner 21", themselves=themselves)


async def test_an_order_becomes_one_event_with_all_that_the_journey_needs(isp: Partnership) -> None:
    outbox = Outbox()
    assert await submit(isp, outbox) == {
        "partner_id": SHARE,
        "order_ref": "N-17",
        "event_key": "partner/21/order/N-17",
    }
    assert outbox.events == [
        (
            "partner.customer.created",
            "partner/21",
            {
                "partner_id": SHARE,
                "order_ref": "N-17",
                "round": 1,
                "customer_data": {"name": "Ada Byron", "email": "ada@example.com", "phone": None},
                "license_count": 2,
                "white_label_config": {
                    "name": "Nordnetz",
                    "colours": {"primary": "#ffe45c", "on_primary": "#000000"},
                },
                "commission_type": "percentage",
                "commission_amount": "49.90",
                "currency": "EUR",
            },
            "partner/21/order/N-17",
            "partner 21",
        )
    ]


async def test_what_the_event_carries_is_what_the_services_take(isp: Partnership) -> None:
    outbox = Outbox()
    await submit(isp, outbox)
    data = outbox.events[0][2]
    async with isp.begin() as db:
        brought = await isp.customers(db).create_partner_customer(
            partner_id=data["partner_id"], customer_data=data["customer_data"]
        )
        who: dict[str, Any] = {"customer_id": brought["customer_id"], "partner_id": data["partner_id"]}
        await isp.license(db).allocate_from_partner(**who, license_count=data["license_count"])
        page = await isp.deployment(db).provision_partner_tenant(**who, white_label_config=data["white_label_config"])
    assert page["tenant_id"].startswith("nordnetz-")


async def test_a_fixed_commission_is_told_as_it_was_agreed(isp: Partnership) -> None:
    outbox = Outbox()
    await submit(isp, outbox, FIXED, sale_amount=...)
    data = outbox.events[0][2]
    assert (data["commission_type"], data["commission_amount"], data["currency"]) == ("fixed", "25.00", "EUR")
    with pytest.raises(InvalidRequest, match="sale_amount does not matter: a fixed commission was agreed"):
        await submit(isp, outbox, FIXED)


async def test_a_partners_own_order_is_worth_what_the_price_list_says(isp: Partnership) -> None:
    outbox = Outbox()
    async with isp.begin() as db:
        catalogue = OfferCatalogue(db, tenant_id=TENANT)
        terms = OfferTerms(
            title="Fibre",
            price_minor=3990,
            currency="EUR",
            term_months=12,
            payment_terms="postpaid",
            setup_fee_minor=99,
        )
        await catalogue.define(1, terms)
        await catalogue.define(2, replace(terms, active=False))
        await catalogue.define(3, replace(terms, currency="CHF"))
        await catalogue.define(4, replace(terms, price_minor=0))
    await submit(isp, outbox, themselves=True, sale_amount=..., offer_id=1)
    assert outbox.events[0][2]["commission_amount"] == "79.80"
    for wrong, field, words in (
        ({}, "sale_amount", "is not the partner's to say"),
        ({"offer_id": 1}, "sale_amount", "leave one of them out"),
        ({"sale_amount": ...}, "offer_id", "is missing"),
        ({"sale_amount": ..., "offer_id": 0}, "offer_id", "is not a positive whole number"),
        ({"sale_amount": ..., "offer_id": 2}, "offer_id", "isn't sold any more"),
        ({"sale_amount": ..., "offer_id": 3}, "offer_id", "is sold in CHF"),
        ({"sale_amount": ..., "offer_id": 4}, "offer_id", "costs nothing"),
        ({"sale_amount": ..., "offer_id": 9}, "offer_id", "There is no offer 9"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            await submit(isp, outbox, themselves=True, **wrong)
        [fault] = refused.value.faults
        assert fault.field == field and words in fault.reason
    assert len(outbox.events) == 1


async def test_every_fault_of_an_order_is_named_at_once_and_nothing_is_published(isp: Partnership) -> None:
    outbox = Outbox()
    with pytest.raises(InvalidRequest) as refused:
        await submit(
            isp,
            outbox,
            99,
            order_ref="",
            customer_data={"name": "Ada"},
            license_count=0,
            white_label_config={"domain": "isp.example"},
            sale_amount="a lot",
            discount=5,
        )
    assert [fault.field for fault in refused.value.faults] == [
        "discount",
        "order_ref",
        "partner_id",
        "customer_data.email",
        "white_label_config.name",
        "white_label_config.domain",
        "license_count",
        "sale_amount",
    ]
    for wrong in ({"sale_amount": 49.9}, {"sale_amount": "49.901"}, {"sale_amount": ...}, {"license_count": 1001}):
        with pytest.raises(InvalidRequest):
            await submit(isp, outbox, **wrong)
    async with isp.begin() as db:
        await db.execute(update(Partner).values(state="suspended"))
    with pytest.raises(InvalidRequest, match="partner_id names partner 21, who is suspended"):
        await submit(isp, outbox)
    assert outbox.events == []


async def test_an_order_is_taken_whether_licences_are_left_or_not(isp: Partnership) -> None:
    outbox = Outbox()
    await isp.brings(licenses=5)
    await submit(isp, outbox)
    assert len(outbox.events) == 1
