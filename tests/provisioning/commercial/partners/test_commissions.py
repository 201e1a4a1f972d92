"""Commissions: what was agreed, once, and what is taken back stands beside it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select

from provisioning.commercial import (
    CommissionNotAgreed,
    CommissionPaid,
    CommissionRecorded,
    CommissionReversed,
    CommissionTerms,
    CommissionUnknown,
    CustomerOfAnotherPartner,
    Partners,
    PartnerUnknown,
)
from provisioning.commercial.partners.commissions import share_of
from provisioning.commercial.partners.partner_invariants import doubled_commissions
from provisioning.commercial.partners.partner_tables import Commission
from provisioning.errors import InvalidRequest, RequestConflict
from tests.provisioning.commercial.conftest import ON_SQLITE
from tests.support.partnership import FIXED, NOW, SHARE, TENANT, YEARLY, Partnership
from workflows.answers import RecordedCommission

LATER = NOW + timedelta(hours=3)
SALE = Decimal("49.90")


async def record(isp: Partnership, customer_id: int, amount: Decimal = SALE, **more: Any) -> RecordedCommission:
    wanted: dict[str, Any] = {"partner_id": SHARE, "commission_type": "percentage", "amount": amount}
    async with isp.begin() as db:
        return await isp.partners(db).record_commission(customer_id=customer_id, **wanted | more)


async def sum_of_all(isp: Partnership) -> int:
    async with isp.begin() as db:
        assert await doubled_commissions(db, tenant_id=TENANT) == []
        return await db.scalar(select(func.sum(Commission.amount_minor))) or 0


@pytest.mark.parametrize(
    ("amount_minor", "basis_points", "share"),
    [(4990, 1250, 624), (5, 1000, 1), (4, 1000, 0), (15, 1000, 2), (25, 1000, 3), (1, 10000, 1), (100, 0, 0)],
)
def test_a_share_is_rounded_half_up_to_whole_minor_units(amount_minor: int, basis_points: int, share: int) -> None:
    assert share_of(amount_minor, basis_points) == share


@ON_SQLITE
async def test_a_share_of_what_the_customer_pays(isp: Partnership) -> None:
    customer_id = await isp.brings()
    recorded = await record(isp, customer_id)
    assert recorded == {
        "commission_id": recorded["commission_id"],
        "partner_id": SHARE,
        "customer_id": customer_id,
        "commission_type": "percentage",
        "amount": Decimal("6.24"),
        "amount_minor": 624,
        "currency": "EUR",
        "state": "accrued",
    }


@ON_SQLITE
async def test_a_fixed_commission_is_the_agreed_one_and_no_other(isp: Partnership) -> None:
    customer_id = await isp.brings(FIXED)
    fixed = {"partner_id": FIXED, "commission_type": "fixed"}
    with pytest.raises(CommissionNotAgreed, match=r"was promised EUR 25\.00, not EUR 25\.01"):
        await record(isp, customer_id, Decimal("25.01"), **fixed)
    with pytest.raises(CommissionNotAgreed, match="was promised a fixed commission, not a percentage one"):
        await record(isp, customer_id, Decimal("25"), partner_id=FIXED)
    assert (await record(isp, customer_id, Decimal("25"), **fixed))["amount_minor"] == 2500


async def test_nobody_earns_twice_for_one_customer_whoever_asks_and_when(isp: Partnership) -> None:
    customer_id = await isp.brings()
    requests = ["order/1", "order/1", "order/2", None]
    answers = await asyncio.gather(*(record(isp, customer_id, request_id=request) for request in requests))
    assert {answer["commission_id"] for answer in answers} == {answers[0]["commission_id"]}
    assert await sum_of_all(isp) == 624
    with pytest.raises(CommissionRecorded, match=r"Commission \d+ of EUR 6\.24 was recorded for customer"):
        await record(isp, customer_id, Decimal("60"))
    assert (await record(isp, customer_id, source="upgrade"))["commission_id"] != answers[0]["commission_id"]


@ON_SQLITE
async def test_a_request_has_one_commission_on_the_terms_of_its_time(isp: Partnership) -> None:
    customer_id = await isp.brings()
    first = await record(isp, customer_id, request_id="order/1")
    async with isp.begin() as db:
        await Partners(db, tenant_id=TENANT, now=lambda: NOW).register(
            partner_id=SHARE,
            name="Nordnetz",
            email="orders@partner.example",
            license_template_id=YEARLY,
            license_quota=5,
            commission=CommissionTerms("percentage", "EUR", basis_points=100),
        )
    assert await record(isp, customer_id, request_id="order/1") == first
    for other in ({"amount": Decimal("50")}, {"commission_type": "fixed"}, {"source": "upgrade"}):
        with pytest.raises(RequestConflict, match="Request order/1 already made commission"):
            await record(isp, customer_id, request_id="order/1", **other)


async def test_a_reversal_takes_back_what_was_recorded_once(isp: Partnership) -> None:
    customer_id = await isp.brings()
    recorded = await record(isp, customer_id, request_id="order/1")

    async def reverse(reason: str) -> RecordedCommission:
        async with isp.begin() as db:
            return await isp.partners(db, LATER).reverse_commission(
                commission_id=recorded["commission_id"], reason=reason
            )

    answers = await asyncio.gather(reverse("run undone"), reverse("run undone"))
    assert [answer["state"] for answer in (*answers, await reverse("again"))] == ["reversed"] * 3
    assert await sum_of_all(isp) == 0
    async with isp.begin() as db:
        taken_back = (await db.scalars(select(Commission).where(Commission.reverses_id.is_not(None)))).one()
    assert (taken_back.amount_minor, taken_back.reverses_id) == (-624, recorded["commission_id"])
    assert (taken_back.recorded_at, taken_back.reason) == (LATER, "run undone")
    with pytest.raises(CommissionReversed, match=r"was reversed \(run undone\)"):
        await record(isp, customer_id, request_id="order/1")
    assert (await record(isp, customer_id, request_id="order/1 anew"))["state"] == "accrued"
    assert await sum_of_all(isp) == 624
    async with isp.begin() as db:
        with pytest.raises(CommissionUnknown):  # a reversal is no commission that could be reversed
            await isp.partners(db).reverse_commission(commission_id=taken_back.id, reason="x")


@ON_SQLITE
async def test_what_was_paid_is_paid_once_and_not_reversed(isp: Partnership) -> None:
    recorded = await record(isp, await isp.brings())
    commission_id = recorded["commission_id"]
    async with isp.begin() as db:
        partners = isp.partners(db, LATER)
        paid = await partners.pay_commission(commission_id=commission_id, reference="SEPA 17")
        assert await partners.pay_commission(commission_id=commission_id, reference="SEPA 17") == paid
        with pytest.raises(CommissionPaid, match=r"was paid at 2026-03-02 12:00 UTC \(SEPA 17\)"):
            await partners.pay_commission(commission_id=commission_id, reference="SEPA 18")
        with pytest.raises(CommissionPaid):
            await partners.reverse_commission(commission_id=commission_id, reason="x")
        assert [each["state"] for each in await partners.commissions(SHARE)] == ["paid"]
        assert await partners.commissions(FIXED) == []


@ON_SQLITE
async def test_what_cannot_be_recorded_is_refused_with_every_fault(isp: Partnership) -> None:
    mine, theirs = await isp.brings(SHARE), await isp.brings(FIXED)
    with pytest.raises(CustomerOfAnotherPartner):
        await record(isp, theirs)
    with pytest.raises(PartnerUnknown):
        await record(isp, mine, partner_id=99)
    with pytest.raises(InvalidRequest) as refused:
        await record(isp, 0, Decimal("0.001"), commission_type="tips", source="")
    assert [fault.field for fault in refused.value.faults] == ["customer_id", "commission_type", "source", "amount"]
    with pytest.raises(InvalidRequest, match=r"amount can\'t be meant: 49\.9 EUR is not a decimal number"):
        await record(isp, mine, 49.9)  # type: ignore[arg-type]
    assert await sum_of_all(isp) == 0
