"""``firstlight check`` on licences, partners, pages and deployments: each invariant catches its corruption."""

from __future__ import annotations

import pytest

from provisioning.bootstrap import Appliance
from tests.provisioning.corruptions import LONG_AGO, Corruption, assert_caught

CORRUPTIONS = (
    Corruption(
        "a licence with more seats than its key says",
        (
            (
                "license.as_signed",
                "licence $licence",
                "Licence $licence of customer $brought has a key that says otherwise than the record.",
            ),
        ),
        ours=("UPDATE license SET seats = 99 WHERE id = $licence",),
    ),
    Corruption(
        "a licence that nobody took out of the pool",
        (
            (
                "partner.pool_as_ledger",
                "partner 21",
                "Partner 21 has 49 licence(s) left, but the ledger adds up to 48.",
            ),
        ),
        ours=("UPDATE partner SET license_balance = 49",),
    ),
    Corruption(
        "a balance below nothing and a quota that nobody granted",
        (
            (
                "partner.pool_as_ledger",
                "partner 21",
                "Partner 21 has -1 licence(s) left, but the ledger adds up to 48.",
            ),
            (
                "partner.pool_as_ledger",
                "partner 21",
                "Partner 21 has a quota of 60, but 50 licence(s) were granted.",
            ),
        ),
        ours=("UPDATE partner SET license_balance = -1, license_quota = 60",),
        strip=("partner",),
    ),
    Corruption(
        "an allocation whose licence is gone",
        (
            (
                "partner.allocations_issued",
                "allocation $allocation",
                "Allocation $allocation of partner 21 took 2 licence(s) for customer $brought, but 1 of 1 issued by it"
                " are theirs.",
            ),
        ),
        ours=("DELETE FROM license WHERE id = $licence",),
    ),
    Corruption(
        "an allocation returned with its licences still valid",
        (
            (
                "partner.allocations_issued",
                "allocation $allocation",
                "Allocation $allocation of partner 21 was returned, but 2 licence(s) of it are still valid.",
            ),
        ),
        ours=("UPDATE partner SET license_balance = 50",),
        clones=(
            (
                "partner_pool_ledger",
                "id = $allocation",
                {
                    "id": "9001",
                    "movement": "'returned'",
                    "licenses": "2",
                    "balance_after": "50",
                    "allocation_id": "$allocation",
                },
            ),
        ),
    ),
    Corruption(
        "a commission twice",
        (
            (
                "partner.commission_once",
                "partner 21",
                "Partner 21 earns 2 times with customer $brought for new_customer (commissions 1, 9001).",
            ),
        ),
        strip=("commission",),
        clones=(("commission", "id = 1", {"id": "9001"}),),
    ),
    Corruption(
        "a commission reversed without a trace",
        (
            (
                "partner.commission_once",
                "commission 1",
                "Commission 1 of EUR 6.24 is reversed, but EUR 0.00 of it were taken back.",
            ),
        ),
        ours=("UPDATE commission SET state = 'reversed'",),
    ),
    Corruption(
        "a page of nobody",
        (
            (
                "tenant.of_its_customer",
                "page $page",
                "Page $page answers for customer 9999, whom nobody has registered.",
            ),
        ),
        ours=("UPDATE hosted_tenant SET customer_id = 9999",),
    ),
    Corruption(
        "a page with somebody else's licence",
        (
            (
                "tenant.of_its_customer",
                "page $page",
                "Page $page of customer 1001 has licence $page_licence, which isn't theirs.",
            ),
        ),
        ours=("UPDATE hosted_tenant SET customer_id = 1001",),
    ),
    Corruption(
        "a page under a host name that nobody has proven",
        (
            (
                "tenant.at_its_host_name",
                "page $page",
                "Page $page does not answer at portal.nordnetz.example, which is not proven to be partner 21's;"
                " `firstlight partners domains claim 21 NAME` says how it is.",
            ),
        ),
        ours=("DELETE FROM partner_domain",),
    ),
    Corruption(
        "a page under a host name whose proof was withdrawn",
        (
            (
                "tenant.at_its_host_name",
                "page $page",
                "Page $page does not answer at portal.nordnetz.example, which is not proven to be partner 21's any more"
                " since 2026-01-01 00:00 UTC; `firstlight partners domains claim 21 NAME` says how it is.",
            ),
        ),
        ours=(f"UPDATE partner_domain SET proven_at = NULL, lost_at = {LONG_AGO}",),
    ),
    Corruption(
        "a released deployment that keeps its technician",
        (
            (
                "deployment.as_its_visit",
                "deployment 1",
                "Deployment 1 of order 5001 was released, but visit $deployed still keeps technician 7001.",
            ),
        ),
        ours=(f"UPDATE deployment SET state = 'released', released_at = {LONG_AGO}",),
    ),
    Corruption(
        "a deployment with somebody else's visit",
        (
            (
                "deployment.as_its_visit",
                "deployment 1",
                "Deployment 1 of order 5001 has no visit to customer 1001 (visit $deployed).",
            ),
        ),
        ours=("UPDATE deployment SET customer_id = 1001",),
    ),
)


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=str)
async def test_corruption_is_found_and_told_in_a_sentence(spoilable: Appliance, corruption: Corruption) -> None:
    await assert_caught(spoilable, corruption)


PROVEN = {invariant for corruption in CORRUPTIONS for invariant, _, _ in corruption.found}
