"""A partner's customers: customers like any other, with one partner."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from provisioning.commercial import PartnerCustomerUnknown, PartnerCustomerWithdrawn, PartnerSuspended, PartnerUnknown
from provisioning.commercial.partners.partner_tables import Partner, PartnerLink
from provisioning.commercial.tables import Customer
from provisioning.errors import InvalidRequest, RequestConflict
from tests.provisioning.commercial.conftest import ON_SQLITE
from tests.support.partnership import CUSTOMER, FIXED, NOW, OWN_CUSTOMER, SHARE, TENANT, Partnership
from workflows.answers import PartnerCustomer

LATER = NOW + timedelta(hours=3)


async def bring(
    isp: Partnership, data: Any = CUSTOMER, partner_id: int = SHARE, request_id: str | None = None
) -> PartnerCustomer:
    async with isp.begin() as db:
        return await isp.customers(db).create_partner_customer(
            partner_id=partner_id,
            customer_data=data,
            request_id=request_id,
        )


@ON_SQLITE
async def test_a_partners_customer_is_registered_like_any_other(isp: Partnership) -> None:
    brought = await bring(isp, {**CUSTOMER, "phone": "+49 30 123", "language": "de-at"})
    assert brought == {"customer_id": 43, "partner_id": SHARE, "name": "Ada Byron", "email": "ada@example.com"}
    async with isp.begin() as db:
        assert await isp.customers(db).customer(43) == {
            "customer_id": 43,
            "name": "Ada Byron",
            "email": "ada@example.com",
            "phone": "+4930123",
            "language": "de-AT",
        }
        link = (await db.scalars(select(PartnerLink))).one()
    assert (link.partner_id, link.customer_id, link.linked_at, link.ended_at) == (SHARE, 43, NOW, None)


async def test_one_request_is_one_customer_also_at_the_same_moment(isp: Partnership) -> None:
    answers = await asyncio.gather(*(bring(isp, request_id="order/1") for _ in range(4)))
    assert {answer["customer_id"] for answer in answers} == {answers[0]["customer_id"]}
    async with isp.begin() as db:
        assert await db.scalar(select(func.count()).select_from(Customer)) == 2
        assert await db.scalar(select(func.count()).select_from(PartnerLink)) == 1
    others: list[dict[str, Any]] = [{"data": {**CUSTOMER, "name": "Eve"}}, {"partner_id": FIXED}]
    for other in others:
        with pytest.raises(RequestConflict, match="Request order/1 already made customer"):
            await bring(isp, request_id="order/1", **other)


@ON_SQLITE
async def test_a_withdrawn_customer_stays_as_history_and_is_not_brought_again_by_the_request(
    isp: Partnership,
) -> None:
    brought = await bring(isp, request_id="order/1")
    async with isp.begin() as db:
        ended = await isp.customers(db, LATER).withdraw_partner_customer(
            customer_id=brought["customer_id"], reason="run undone"
        )
        again = await isp.customers(db).withdraw_partner_customer(customer_id=brought["customer_id"], reason="again")
    assert ended == again
    assert (ended["state"], ended["ended_at"], ended["reason"]) == ("withdrawn", LATER, "run undone")
    with pytest.raises(PartnerCustomerWithdrawn, match=r"at 2026-03-02 12:00 UTC \(run undone\)"):
        await bring(isp, request_id="order/1")
    assert (await bring(isp, request_id="order/1 anew"))["customer_id"] == brought["customer_id"] + 1


@ON_SQLITE
@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (
            {"name": " ", "email": "nowhere", "phone": "call me", "language": "fr", "vat": "1"},
            [f"customer_data.{field}" for field in ("vat", "name", "email", "phone", "language")],
        ),
        ({}, ["customer_data.name", "customer_data.email"]),
        ("Ada", ["customer_data", "customer_data.name", "customer_data.email"]),
    ],
)
async def test_every_fault_of_a_customer_is_named_at_once(isp: Partnership, data: object, fields: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await bring(isp, data, partner_id=0)
    assert [fault.field for fault in refused.value.faults] == ["partner_id", *fields]


@ON_SQLITE
async def test_only_an_active_partner_brings_customers(isp: Partnership) -> None:
    with pytest.raises(PartnerUnknown):
        await bring(isp, partner_id=99)
    async with isp.begin() as db:
        await db.execute(update(Partner).values(state="suspended"))
    with pytest.raises(PartnerSuspended):
        await bring(isp)
    async with isp.begin() as db:
        assert await db.scalar(select(func.count()).select_from(Customer)) == 1
        with pytest.raises(PartnerCustomerUnknown, match=f"No partner has brought customer {OWN_CUSTOMER}"):
            await isp.customers(db).withdraw_partner_customer(customer_id=OWN_CUSTOMER, reason="x")


async def test_the_database_itself_refuses_a_second_partner(isp: Partnership) -> None:
    customer_id = await isp.brings(SHARE)
    with pytest.raises(IntegrityError):
        async with isp.begin() as db:
            db.add(PartnerLink(tenant_id=TENANT, partner_id=FIXED, customer_id=customer_id, linked_at=NOW))
