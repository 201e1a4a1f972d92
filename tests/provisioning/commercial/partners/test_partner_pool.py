"""A partner's pool: of two who want the last licence one gets it, and the ledger tells of every movement."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from provisioning.commercial import (
    AllocationReturned,
    AllocationUnknown,
    CustomerOfAnotherPartner,
    CustomerUnknown,
    PartnerSuspended,
    PartnerUnknown,
    QuotaExhausted,
    public_keys,
    verify_license_key,
)
from provisioning.commercial.licences.licence_tables import License
from provisioning.commercial.licences.license import ReturnedAllocation
from provisioning.commercial.partners.partner_invariants import (
    allocations_without_their_licences,
    pools_off_their_ledger,
)
from provisioning.commercial.partners.partner_tables import Partner, PoolEntry
from provisioning.errors import InvalidRequest, RequestConflict
from tests.provisioning.commercial.conftest import ON_SQLITE
from tests.support.partnership import FIXED, NOW, OWN_CUSTOMER, SHARE, TENANT, YEARLY, Partnership
from workflows.answers import AllocatedLicenses

LATER = NOW + timedelta(hours=3)


async def allocate(isp: Partnership, customer_id: int, count: int, request_id: str | None = None) -> AllocatedLicenses:
    async with isp.begin() as db:
        return await isp.license(db).allocate_from_partner(
            partner_id=SHARE, customer_id=customer_id, license_count=count, request_id=request_id
        )


async def give_back(isp: Partnership, allocation_id: int, reason: str = "run undone") -> ReturnedAllocation:
    async with isp.begin() as db:
        return await isp.license(db, LATER).return_allocation(allocation_id=allocation_id, reason=reason)


async def remaining(isp: Partnership) -> int:
    """What is left, once the ledger has been seen to say the same."""
    async with isp.begin() as db:
        assert await pools_off_their_ledger(db, tenant_id=TENANT) == []
        assert await allocations_without_their_licences(db, tenant_id=TENANT) == []
        return (await isp.partners(db).partner(SHARE))["quota_remaining"]


async def test_an_allocation_is_so_many_licences_of_the_partners_template(isp: Partnership) -> None:
    customer_id = await isp.brings()
    allocated = await allocate(isp, customer_id, 2)
    assert allocated == {
        "allocation_id": allocated["allocation_id"],
        "partner_id": SHARE,
        "customer_id": customer_id,
        "license_count": 2,
        "quota_remaining": 3,
        "license_ids": allocated["license_ids"],
    }
    async with isp.begin() as db:
        licences = await isp.license(db).licenses(customer_id=customer_id)
        keys = await public_keys(db, TENANT)
    assert [each["license_id"] for each in licences] == allocated["license_ids"]
    assert {(each["license_template_id"], each["partner_id"], each["allocation_id"]) for each in licences} == {
        (YEARLY, SHARE, allocated["allocation_id"])
    }
    assert {verify_license_key(each["license_key"], keys, now=NOW).license for each in licences} == set(
        allocated["license_ids"]
    )
    assert await remaining(isp) == 3


async def test_two_who_want_the_last_licence_at_the_same_moment_do_not_both_get_it(isp: Partnership) -> None:
    customer_id = await isp.brings()
    answers = await asyncio.gather(*(allocate(isp, customer_id, 1) for _ in range(7)), return_exceptions=True)
    given = [answer for answer in answers if isinstance(answer, dict)]
    refused = [answer for answer in answers if isinstance(answer, QuotaExhausted)]
    assert (len(given), len(refused)) == (5, 2)
    assert sorted(answer["quota_remaining"] for answer in given) == [0, 1, 2, 3, 4]
    # A partner reads it too, as the reason of a run: it names nothing that only an operator can type.
    assert str(refused[0]) == (
        "Partner 21 has 0 licence(s) left and 1 are wanted; once more are granted, the order can be handed in anew."
    )
    assert await remaining(isp) == 0


async def test_one_request_is_one_allocation_even_if_it_takes_all_that_is_left(isp: Partnership) -> None:
    customer_id = await isp.brings()
    answers = await asyncio.gather(*(allocate(isp, customer_id, 5, "order/1") for _ in range(4)))
    assert all(answer == answers[0] for answer in answers)
    assert await allocate(isp, customer_id, 5, "order/1") == answers[0]
    assert await remaining(isp) == 0
    with pytest.raises(RequestConflict, match="Request order/1 already made entry"):
        await allocate(isp, customer_id, 4, "order/1")


async def test_what_is_given_back_is_given_back_once_also_at_the_same_moment(isp: Partnership) -> None:
    allocated = await allocate(isp, await isp.brings(), 2, "order/1")
    returned = await asyncio.gather(*(give_back(isp, allocated["allocation_id"]) for _ in range(3)))
    assert returned[0] == {
        "allocation_id": allocated["allocation_id"],
        "partner_id": SHARE,
        "customer_id": allocated["customer_id"],
        "license_count": 2,
        "quota_remaining": 5,
        "state": "returned",
    }
    assert returned[1:] == [returned[0]] * 2
    assert await remaining(isp) == 5
    async with isp.begin() as db:
        states = await db.execute(select(License.state, License.revoked_at, License.revoke_reason))
        assert {tuple(row) for row in states} == {("revoked", LATER, "run undone")}
    with pytest.raises(AllocationReturned, match="was returned at 2026-03-02 12:00 UTC"):
        await allocate(isp, allocated["customer_id"], 2, "order/1")
    assert (await allocate(isp, allocated["customer_id"], 2, "order/1 anew"))["quota_remaining"] == 3


@ON_SQLITE
async def test_only_the_partners_own_customers_and_only_an_active_partner_get_any(isp: Partnership) -> None:
    mine, theirs = await isp.brings(SHARE), await isp.brings(FIXED)
    for customer_id in (theirs, OWN_CUSTOMER):
        with pytest.raises(CustomerOfAnotherPartner, match=f"Customer {customer_id} is no customer of partner 21"):
            await allocate(isp, customer_id, 1)
    with pytest.raises(CustomerUnknown):
        await allocate(isp, 99, 1)
    async with isp.begin() as db:
        with pytest.raises(PartnerUnknown):
            await isp.license(db).allocate_from_partner(partner_id=9, customer_id=mine, license_count=1)
        with pytest.raises(AllocationUnknown):
            await isp.license(db).return_allocation(allocation_id=99, reason="x")
        with pytest.raises(InvalidRequest) as refused:
            await isp.license(db).allocate_from_partner(partner_id=0, customer_id=True, license_count=1001)
        await db.execute(update(Partner).values(state="suspended"))
    assert [fault.field for fault in refused.value.faults] == ["partner_id", "customer_id", "license_count"]
    with pytest.raises(PartnerSuspended):
        await allocate(isp, mine, 1)
    assert await remaining(isp) == 5


async def test_the_database_itself_keeps_the_balance_and_the_ledger(isp: Partnership) -> None:
    await isp.brings(licenses=1)
    with pytest.raises(IntegrityError):
        async with isp.begin() as db:
            await db.execute(update(Partner).where(Partner.id == SHARE).values(license_balance=-1))
    for rewriting in (update(PoolEntry).values(licenses=99), delete(PoolEntry)):
        with pytest.raises(DBAPIError, match="append-only"):
            async with isp.begin() as db:
                await db.execute(rewriting)
    async with isp.begin() as db:
        assert await db.scalar(select(func.count()).select_from(PoolEntry)) == 2
