"""Licences: issued once per request, provable offline, revoked with their history kept."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, select

from provisioning.commercial import (
    CustomerUnknown,
    LicenseRevoked,
    LicenseTemplates,
    LicenseTemplateUnknown,
    LicenseUnknown,
    SigningKeys,
    public_keys,
    verify_license_key,
)
from provisioning.commercial.licences.licence_tables import License, LicenseSigningKey
from provisioning.errors import InvalidRequest, RequestConflict, TenantMismatch
from provisioning.vault import SealedSecret
from tests.provisioning.commercial.conftest import ON_SQLITE
from tests.support.partnership import ENDLESS, NOW, OWN_CUSTOMER, TENANT, YEARLY, Partnership
from workflows.answers import IssuedLicense

LATER = NOW + timedelta(hours=3)


async def issue(
    isp: Partnership, template: int = YEARLY, request_id: str | None = None, now: datetime = NOW
) -> IssuedLicense:
    async with isp.begin() as db:
        return await isp.license(db, now).issue_license(
            customer_id=OWN_CUSTOMER, license_template_id=template, tenant_id=TENANT, request_id=request_id
        )


async def test_a_licence_says_in_its_key_what_stands_in_its_record(isp: Partnership) -> None:
    issued = await issue(isp)
    assert issued == {
        "license_key": issued["license_key"],
        "license_id": issued["license_id"],
        "customer_id": OWN_CUSTOMER,
        "seats": 10,
        "valid_until": date(2027, 3, 2),
    }
    async with isp.begin() as db:
        claims = verify_license_key(issued["license_key"], await public_keys(db, TENANT), now=NOW)
        row = await isp.license(db).license(issued["license_id"])
    assert (claims.license, claims.tenant, claims.customer, claims.seats) == (
        row["license_id"],
        TENANT,
        OWN_CUSTOMER,
        10,
    )
    assert (claims.valid_until, row["valid_from"], row["state"]) == (row["valid_until"], NOW, "active")


@ON_SQLITE
async def test_months_are_those_of_the_calendar_and_some_licences_never_end(isp: Partnership) -> None:
    async with isp.begin() as db:
        await LicenseTemplates(db, tenant_id=TENANT).define(
            license_template_id=3, name="A month", seats=1, valid_months=1
        )
    january = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    assert (await issue(isp, 3, now=january))["valid_until"] == date(2026, 2, 28)
    assert (await issue(isp, ENDLESS))["valid_until"] is None


async def test_one_request_is_one_licence_also_at_the_same_moment(isp: Partnership) -> None:
    answers = await asyncio.gather(*(issue(isp, request_id="order/1/issue_license") for _ in range(4)))
    assert len({answer["license_key"] for answer in answers}) == 1
    assert await issue(isp, request_id="order/1/issue_license", now=LATER) == answers[0]
    async with isp.begin() as db:
        assert await db.scalar(select(func.count()).select_from(License)) == 1
    with pytest.raises(RequestConflict, match="Request order/1/issue_license already made licence"):
        await issue(isp, ENDLESS, request_id="order/1/issue_license")


async def test_the_first_licences_at_the_same_moment_are_signed_by_one_key(isp: Partnership) -> None:
    issued = await asyncio.gather(*(issue(isp) for _ in range(4)))
    assert len({each["license_id"] for each in issued}) == 4
    async with isp.begin() as db:
        keys = await public_keys(db, TENANT)
        sealed = list(await db.scalars(select(SealedSecret.ref)))
    assert len(keys) == 1
    assert sealed == [f"secret:licence_signing/{next(iter(keys))}"]
    assert {verify_license_key(each["license_key"], keys, now=NOW).kid for each in issued} == set(keys)


async def test_a_new_signing_key_signs_from_now_on_and_the_old_one_still_proves(isp: Partnership) -> None:
    before = await issue(isp)
    async with isp.begin() as db:
        signing = SigningKeys(db, tenant_id=TENANT, now=lambda: LATER, secrets=isp.vault)
        new = await signing.replace()
    after = await issue(isp)
    async with isp.begin() as db:
        keys = await public_keys(db, TENANT)
        superseded = await db.scalar(select(LicenseSigningKey.superseded_at).where(LicenseSigningKey.kid != new))
    assert (len(keys), superseded) == (2, LATER)
    assert verify_license_key(after["license_key"], keys, now=NOW).kid == new
    assert verify_license_key(before["license_key"], keys, now=NOW).kid != new


@ON_SQLITE
async def test_a_revoked_licence_keeps_its_first_reason_and_its_request_does_not_revive_it(
    isp: Partnership,
) -> None:
    issued = await issue(isp, request_id="a")
    async with isp.begin() as db:
        revoked = await isp.license(db, LATER).revoke_license(license_id=issued["license_id"], reason="run undone")
        again = await isp.license(db).revoke_license(license_id=issued["license_id"], reason="again")
    assert (revoked["state"], revoked["revoked_at"], revoked["revoke_reason"]) == ("revoked", LATER, "run undone")
    assert again == revoked
    with pytest.raises(LicenseRevoked, match=r"was revoked at 2026-03-02 12:00 UTC \(run undone\)"):
        await issue(isp, request_id="a")
    assert (await issue(isp, request_id="b"))["license_id"] != issued["license_id"]


@ON_SQLITE
async def test_what_cannot_be_issued_is_refused_and_leaves_no_key_behind(isp: Partnership) -> None:
    async with isp.begin() as db:
        service = isp.license(db)
        with pytest.raises(TenantMismatch, match="This was asked for tenant south"):
            await service.issue_license(customer_id=OWN_CUSTOMER, license_template_id=YEARLY, tenant_id="south")
        with pytest.raises(CustomerUnknown):
            await service.issue_license(customer_id=99, license_template_id=YEARLY, tenant_id=TENANT)
        with pytest.raises(LicenseTemplateUnknown):
            await service.issue_license(customer_id=OWN_CUSTOMER, license_template_id=99, tenant_id=TENANT)
        with pytest.raises(InvalidRequest) as refused:
            await service.issue_license(customer_id=0, license_template_id=-1, tenant_id=TENANT, request_id="a\nb")
        with pytest.raises(LicenseUnknown):
            await service.revoke_license(license_id=99, reason="x")
        with pytest.raises(InvalidRequest, match="reason is missing"):
            await service.revoke_license(license_id=1, reason=" ")
        assert await db.scalar(select(func.count()).select_from(LicenseSigningKey)) == 0
    assert [fault.field for fault in refused.value.faults] == ["customer_id", "license_template_id", "request_id"]
