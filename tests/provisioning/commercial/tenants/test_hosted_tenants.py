"""Customers' pages: one licence, one page, a name that isn't guessed, and a domain that is nobody else's."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from provisioning.commercial import (
    CustomerOfAnotherPartner,
    CustomerUnknown,
    DeploymentService,
    DomainTaken,
    HostedTenants,
    LicenseExpired,
    LicenseInUse,
    LicenseKeyInvalid,
    LicenseMissing,
    LicenseOfAnother,
    LicenseRevoked,
    PublicUrlMissing,
    TenantUnknown,
    TenantWithdrawn,
)
from provisioning.commercial.tenants.hosted_tenants import slug_of
from provisioning.commercial.tenants.tenant_tables import HostedTenant
from provisioning.errors import ChangeRaced, InvalidRequest, RequestConflict
from tests.provisioning.commercial.conftest import ON_SQLITE
from tests.support.host_names import prove_host_name
from tests.support.partnership import BRAND, FIXED, NOW, OWN_CUSTOMER, SHARE, TENANT, YEARLY, Partnership
from workflows.answers import IssuedLicense, ProvisionedTenant

LATER = NOW + timedelta(hours=3)


async def issue(isp: Partnership) -> IssuedLicense:
    async with isp.begin() as db:
        return await isp.license(db).issue_license(
            customer_id=OWN_CUSTOMER, license_template_id=YEARLY, tenant_id=TENANT
        )


async def provision(isp: Partnership, key: str, request_id: str | None = None, **changes: Any) -> ProvisionedTenant:
    wanted: dict[str, Any] = {"customer_id": OWN_CUSTOMER, "license_key": key, "deployment_type": "hosted"}
    async with isp.begin() as db:
        return await isp.deployment(db).provision_tenant(**wanted | changes, request_id=request_id)


async def brand(
    isp: Partnership, customer_id: int, request_id: str | None = None, suffix: str | None = None, **config: Any
) -> ProvisionedTenant:
    more: dict[str, Any] = {"suffix": lambda: suffix} if suffix else {}
    async with isp.begin() as db:
        return await isp.deployment(db, **more).provision_partner_tenant(
            customer_id=customer_id, partner_id=SHARE, white_label_config=BRAND | config, request_id=request_id
        )


def test_a_name_begins_with_what_can_be_read() -> None:
    assert slug_of("Nord Netz & Söhne GmbH", "k3v9q2mw") == "nord-netz-s-hne-gmbh-k3v9q2mw"
    assert slug_of("日本", "k3v9q2mw") == "k3v9q2mw"
    assert slug_of("x" * 60, "k3v9q2mw") == "x" * 40 + "-k3v9q2mw"


async def test_a_licence_has_one_page_whoever_asks_and_when(isp: Partnership) -> None:
    key = (await issue(isp))["license_key"]
    answers = await asyncio.gather(*(provision(isp, key, request) for request in ("a", "a", "b", None)))
    assert all(answer == answers[0] for answer in answers)
    slug = answers[0]["tenant_id"]
    assert re.fullmatch(r"c42-[a-z2-9]{8}", slug)
    assert answers[0]["tenant_url"] == f"https://isp.example/t/{slug}"
    async with isp.begin() as db:
        assert await db.scalar(select(func.count()).select_from(HostedTenant)) == 1
        page = await HostedTenants(db, tenant_id=TENANT, now=lambda: NOW).by_slug(slug)
    assert (page["deployment_id"], page["customer_id"], page["state"]) == (
        answers[0]["deployment_id"],
        OWN_CUSTOMER,
        "active",
    )
    other = (await issue(isp))["license_key"]
    with pytest.raises(RequestConflict, match=f"Request a already made the customer page {slug}"):
        await provision(isp, other, "a")
    assert (await provision(isp, other, "c"))["tenant_id"] != slug


@ON_SQLITE
async def test_only_a_valid_licence_of_that_customer_opens_a_page(isp: Partnership) -> None:
    issued = await issue(isp)
    key = issued["license_key"]
    stranger = await isp.brings()
    with pytest.raises(LicenseOfAnother):
        await provision(isp, key, customer_id=stranger)
    with pytest.raises(LicenseKeyInvalid) as refused:
        await provision(isp, key[:-1] + ("A" if key[-1] != "A" else "B"))
    assert key[20:60] not in str(refused.value)
    with pytest.raises(CustomerUnknown):
        await provision(isp, key, customer_id=99)
    with pytest.raises(InvalidRequest) as faulty:
        await provision(isp, "", customer_id=0, deployment_type="on_premises")
    assert {fault.field: fault.reason for fault in faulty.value.faults} == {
        "customer_id": "is not a positive whole number",
        "license_key": "is missing",
        "deployment_type": "on_premises is not offered; there is: hosted",
    }
    async with isp.begin() as db:
        with pytest.raises(LicenseExpired):
            await isp.deployment(db, NOW + timedelta(days=400)).provision_tenant(
                customer_id=OWN_CUSTOMER, license_key=key, deployment_type="hosted"
            )
        await isp.license(db).revoke_license(license_id=issued["license_id"], reason="unpaid")
    with pytest.raises(LicenseRevoked, match="unpaid"):
        await provision(isp, key)


@ON_SQLITE
async def test_no_page_is_provisioned_while_nobody_knows_where_it_would_answer(isp: Partnership) -> None:
    key = (await issue(isp))["license_key"]
    mine = await isp.brings(licenses=1)
    async with isp.begin() as db:
        nowhere = DeploymentService(db, tenant_id=TENANT, now=lambda: NOW, public_url=None, zone=ZoneInfo("UTC"))
        with pytest.raises(PublicUrlMissing, match="FIRSTLIGHT_PUBLIC_URL doesn't say"):
            await nowhere.provision_tenant(customer_id=OWN_CUSTOMER, license_key=key, deployment_type="hosted")
        with pytest.raises(PublicUrlMissing):
            await nowhere.provision_partner_tenant(customer_id=mine, partner_id=SHARE, white_label_config=BRAND)


@ON_SQLITE
async def test_a_withdrawn_page_frees_its_licence_and_its_name_is_never_given_again(isp: Partnership) -> None:
    key = (await issue(isp))["license_key"]
    first = await provision(isp, key, "a")
    async with isp.begin() as db:
        service = isp.deployment(db, LATER)
        withdrawn = await service.withdraw_tenant(deployment_id=first["deployment_id"], reason="run undone")
        assert await service.withdraw_tenant(deployment_id=first["deployment_id"], reason="again") == withdrawn
        with pytest.raises(TenantUnknown):
            await service.withdraw_tenant(deployment_id=99, reason="x")
    assert (withdrawn["state"], withdrawn["withdrawn_at"], withdrawn["withdraw_reason"]) == (
        "withdrawn",
        LATER,
        "run undone",
    )
    with pytest.raises(TenantWithdrawn, match=r"was withdrawn at 2026-03-02 12:00 UTC \(run undone\)"):
        await provision(isp, key, "a")
    assert (await provision(isp, key, "b"))["tenant_id"] != first["tenant_id"]


async def test_a_partners_page_carries_the_brand_and_uses_one_licence_of_the_allocation(isp: Partnership) -> None:
    customer_id = await isp.brings(licenses=2)
    answers = await asyncio.gather(*(brand(isp, customer_id, "order/1") for _ in range(3)))
    assert all(answer == answers[0] for answer in answers)
    assert re.fullmatch(r"nordnetz-[a-z2-9]{8}", answers[0]["tenant_id"])
    assert await brand(isp, customer_id) == answers[0]
    second, third = await asyncio.gather(
        brand(isp, customer_id, name="Two"), brand(isp, customer_id, name="Three"), return_exceptions=True
    )
    assert {type(second), type(third)} == {dict, LicenseMissing}
    async with isp.begin() as db:
        pages = await HostedTenants(db, tenant_id=TENANT, now=lambda: NOW).tenants(partner_id=SHARE)
    assert len({page["license_id"] for page in pages}) == 2
    assert pages[0]["brand"] == "Nordnetz"
    with pytest.raises(RequestConflict):
        await brand(isp, customer_id, "order/1", name="Four")


async def test_a_domain_leads_to_one_page(isp: Partnership) -> None:
    one, other = await isp.brings(licenses=1), await isp.brings(licenses=1)
    async with isp.begin() as db:
        await prove_host_name(db, SHARE, "nordnetz.example", tenant_id=TENANT, at=NOW)
    answers = await asyncio.gather(
        *(brand(isp, customer_id, domain="portal.nordnetz.example") for customer_id in (one, other)),
        return_exceptions=True,
    )
    assert {type(answer) for answer in answers} == {dict, DomainTaken}
    taken = next(answer for answer in answers if isinstance(answer, DomainTaken))
    assert str(taken).startswith("Another customer page answers under portal.nordnetz.example")
    with pytest.raises(InvalidRequest, match="domain is the appliance's own name"):
        await brand(isp, one, domain="isp.example")


@ON_SQLITE
async def test_a_name_that_is_somebodys_is_not_taken_from_them(isp: Partnership) -> None:
    one, other = await isp.brings(licenses=1), await isp.brings(licenses=1)
    assert (await brand(isp, one, suffix="aaaaaaaa"))["tenant_id"] == "nordnetz-aaaaaaaa"
    with pytest.raises(ChangeRaced):  # as if chance gave the same letters again and again
        await brand(isp, other, suffix="aaaaaaaa")
    assert (await brand(isp, other, suffix="bbbbbbbb"))["tenant_id"] == "nordnetz-bbbbbbbb"


@ON_SQLITE
async def test_a_partner_brands_only_its_own_customers_pages_and_only_with_a_licence(isp: Partnership) -> None:
    theirs, mine = await isp.brings(FIXED), await isp.brings(SHARE)
    with pytest.raises(CustomerOfAnotherPartner):
        await brand(isp, theirs)
    with pytest.raises(LicenseMissing, match=f"Customer {mine} holds no unused licence of partner 21"):
        await brand(isp, mine)
    async with isp.begin() as db:
        own = await isp.license(db).allocate_from_partner(partner_id=SHARE, customer_id=mine, license_count=1)
        key = (await isp.license(db).license(own["license_ids"][0]))["license_key"]
    await provision(isp, key, customer_id=mine)
    with pytest.raises(LicenseMissing):
        await brand(isp, mine)


@ON_SQLITE
async def test_a_licence_that_serves_a_brand_does_not_serve_a_page_of_ours(isp: Partnership) -> None:
    mine = await isp.brings(SHARE, licenses=1)
    branded = await brand(isp, mine)
    async with isp.begin() as db:
        (licence,) = await isp.license(db).licenses(customer_id=mine)
    with pytest.raises(LicenseInUse, match=f"already serves {branded['tenant_id']}"):
        await provision(isp, licence["license_key"], customer_id=mine)
