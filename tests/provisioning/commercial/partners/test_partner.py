"""Partners: known by the ISP's number, with a quota that is a gate, and customers of their own."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.commercial import CommissionTerms, LicenseTemplateUnknown, PartnerConflict, Partners, PartnerUnknown
from provisioning.commercial.mails.delivery import Begin
from provisioning.errors import InvalidRequest, RequestConflict
from tests.provisioning.commercial.conftest import ON_SQLITE
from tests.support.partnership import FIXED, NOW, SHARE, TENANT, YEARLY, Partnership
from workflows.answers import PartnerRecord

pytestmark = ON_SQLITE
TERMS: dict[str, Any] = {
    "partner_id": SHARE,
    "name": "Nordnetz",
    "email": "orders@partner.example",
    "license_template_id": YEARLY,
    "license_quota": 5,
    "commission": CommissionTerms("percentage", "EUR", basis_points=1250),
}


async def register(begin: Begin, **changes: Any) -> PartnerRecord:
    async with begin() as db:
        return await Partners(db, tenant_id=TENANT, now=lambda: NOW).register(**TERMS | changes)


async def test_a_partner_is_known_again_and_gets_the_terms_given_now(isp: Partnership) -> None:
    assert await register(isp.begin) == {
        "partner_id": SHARE,
        "name": "Nordnetz",
        "email": "orders@partner.example",
        "state": "active",
        "license_template_id": YEARLY,
        "license_quota": 5,
        "quota_remaining": 5,
        "commission_type": "percentage",
        "commission_basis_points": 1250,
        "commission_fixed_minor": None,
        "currency": "EUR",
    }
    changed = await register(
        isp.begin,
        email="new@partner.example",
        state="suspended",
        commission=CommissionTerms("fixed", "CHF", None, 1000),
    )
    assert (changed["email"], changed["state"], changed["quota_remaining"]) == ("new@partner.example", "suspended", 5)
    assert (changed["commission_type"], changed["commission_fixed_minor"], changed["currency"]) == (
        "fixed",
        1000,
        "CHF",
    )


async def test_a_number_is_never_given_to_another_partner_nor_its_first_licences_changed(isp: Partnership) -> None:
    async with isp.begin() as db:
        await isp.partners(db).grant(partner_id=SHARE, licenses=7, note="autumn", by="nora")
    assert (await register(isp.begin))["license_quota"] == 12
    with pytest.raises(PartnerConflict, match="Partner 21 is already Nordnetz"):
        await register(isp.begin, name="Ostnetz")
    with pytest.raises(PartnerConflict, match="first quota of 5; give more licences by `firstlight partners grant 21"):
        await register(isp.begin, license_quota=12)
    with pytest.raises(LicenseTemplateUnknown):
        await register(isp.begin, license_template_id=9)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        (
            {"partner_id": 0, "name": "", "email": "x", "license_quota": -1, "license_template_id": 0, "state": "gone"},
            ["partner_id", "name", "license_quota", "email", "state", "license_template_id"],
        ),
        (
            {"commission": CommissionTerms("percentage", "euro", 10_001, 5)},
            ["commission.basis_points", "commission.fixed_minor", "commission.currency"],
        ),
        ({"commission": CommissionTerms("fixed", "EUR", fixed_minor=0)}, ["commission.fixed_minor"]),
        ({"commission": CommissionTerms("tips", "EUR")}, ["commission.type"]),
    ],
)
async def test_every_fault_of_a_partner_is_named_at_once(
    isp: Partnership, changes: dict[str, Any], fields: list[str]
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await register(isp.begin, **changes)
    assert [fault.field for fault in refused.value.faults] == fields


async def test_the_quota_is_a_gate(isp: Partnership) -> None:
    async with isp.begin() as db:
        partners = isp.partners(db)
        fits = await partners.check_license_quota(partner_id=SHARE, requested_licenses=5)
        assert fits == {"available": True, "quota_remaining": 5, "partner_id": SHARE, "requested": 5}
        assert not (await partners.check_license_quota(partner_id=SHARE, requested_licenses=6))["available"]
        assert not (await partners.check_license_quota(partner_id=FIXED, requested_licenses=1))["available"]
        with pytest.raises(PartnerUnknown):
            await partners.check_license_quota(partner_id=99, requested_licenses=1)
        with pytest.raises(InvalidRequest):
            await partners.check_license_quota(partner_id=SHARE, requested_licenses=0)
    await register(isp.begin, state="suspended")
    async with isp.begin() as db:
        closed = await isp.partners(db).check_license_quota(partner_id=SHARE, requested_licenses=1)
    assert (closed["available"], closed["quota_remaining"]) == (False, 5)


async def test_a_grant_is_kept_with_who_and_why_and_the_same_request_grants_once(isp: Partnership) -> None:
    async with isp.begin() as db:
        partners = isp.partners(db)
        for _ in range(2):
            granted = await partners.grant(partner_id=FIXED, licenses=10, note="autumn", by="nora", request_id="g-1")
        assert (granted["license_quota"], granted["quota_remaining"]) == (10, 10)
        with pytest.raises(RequestConflict):
            await partners.grant(partner_id=FIXED, licenses=11, note="autumn", by="nora", request_id="g-1")
        with pytest.raises(PartnerUnknown):
            await partners.grant(partner_id=99, licenses=1, note="x", by="nora")
        (entry,) = await partners.ledger(FIXED)
    assert (entry["movement"], entry["licenses"], entry["balance_after"]) == ("granted", 10, 10)
    assert (entry["note"], entry["by"], entry["at"]) == ("autumn", "nora", NOW)


async def test_each_partner_sees_only_its_own(isp: Partnership) -> None:
    mine, theirs = await isp.brings(SHARE, licenses=2), await isp.brings(FIXED)
    async with isp.begin() as db:
        partners = isp.partners(db)
        assert [customer["customer_id"] for customer in await partners.customers(SHARE)] == [mine]
        assert [customer["customer_id"] for customer in await partners.customers(FIXED)] == [theirs]
        assert [entry["movement"] for entry in await partners.ledger(SHARE)] == ["granted", "allocated"]
        assert await partners.ledger(FIXED) == []
        assert len(await isp.license(db).licenses(partner_id=SHARE)) == 2
        assert await isp.license(db).licenses(partner_id=FIXED) == []
        await isp.customers(db).withdraw_partner_customer(customer_id=mine, reason="moved")
        assert await partners.customers(SHARE) == []
