"""``firstlight check`` on payments and terms: each invariant catches the corruption it is there for."""

from __future__ import annotations

import pytest

from provisioning.bootstrap import Appliance
from tests.provisioning.corruptions import LONG_AGO, Corruption, assert_caught

PAYMENT = (
    "INSERT INTO payment (id, tenant_id, order_id, customer_id, amount_minor, currency, method, provider, state,"
    " provider_ref, idempotency_key, settled_by, requested_at, asked_at, captured_at, attempts) VALUES"
    " ({id}, 'default', 3, 1001, 1250, 'EUR', 'bank', 'manual', '{state}', 'statement 7', 'payment/{id}', 'nora',"
    " '2026-01-01 00:00:00', '2026-01-01 00:00:00', '2026-01-01 00:00:00', 0)"
)

CORRUPTIONS = (
    Corruption(
        "an order paid twice",
        (("payment.once", "order 3", "The customer has paid order 3 2 times (payments 1, 2)."),),
        ours=tuple(PAYMENT.format(id=number, state="captured") for number in (1, 2)),
        strip=("payment",),
    ),
    Corruption(
        "a captured payment that nobody has settled",
        (
            (
                "payment.proven",
                "payment 1",
                "Payment 1 is captured, but nobody has settled it, so nobody can say that the money came.",
            ),
        ),
        ours=(PAYMENT.format(id=1, state="captured"), "UPDATE payment SET settled_by = NULL"),
    ),
    Corruption(
        "a captured payment without a reference",
        (
            (
                "payment.proven",
                "payment 1",
                "Payment 1 is captured, but has no reference, so nobody can say that the money came.",
            ),
        ),
        ours=(PAYMENT.format(id=1, state="captured"), "UPDATE payment SET provider_ref = NULL"),
        strip=("payment",),
    ),
    Corruption(
        "a payment of which nobody knows",
        (
            (
                "payment.outcome_known",
                "payment 1",
                "Payment 1 of customer 1001 may have been taken by manual: nobody knows since 2026-01-01 00:00 UTC.",
            ),
        ),
        ours=(PAYMENT.format(id=1, state="unknown"),),
    ),
    Corruption(
        "money taken for a payment that is over",
        (
            (
                "payment.as_its_gateway_says",
                "payment 1",
                "Payment 1 is not as stripe says in event evt_1: the money was taken, but payment 1 is cancelled.",
            ),
            (
                "payment.as_its_gateway_says",
                "payment 1",
                "Payment 1 is cancelled, though manual said that it took the money.",
            ),
        ),
        ours=(
            PAYMENT.format(id=1, state="captured"),
            "UPDATE payment SET state = 'cancelled', reason = 'order undone'",
            "INSERT INTO payment_event (id, tenant_id, payment_id, provider, event_id, type, occurred_at, received_at,"
            " outcome, reason) VALUES (1, 'default', 1, 'stripe', 'evt_1', 'payment_intent.succeeded',"
            f" {LONG_AGO}, {LONG_AGO}, 'surplus', 'the money was taken, but payment 1 is cancelled')",
            "INSERT INTO payment_attempt (id, tenant_id, payment_id, number, kind, started_at, ended_at, outcome)"
            f" VALUES (1, 'default', 1, 1, 'capture', {LONG_AGO}, {LONG_AGO}, 'captured')",
        ),
    ),
    Corruption(
        "a term that is longer than what was paid for",
        (
            (
                "billing.term_as_paid",
                "subscription 1",
                "Subscription 1 began on 2026-01-31 and 13 months are paid for, until 2027-02-28; but it says that it"
                " ends on 2027-03-31.",
            ),
        ),
        ours=(
            "UPDATE subscription SET starts_on = '2026-01-31', anchor_day = 31, term_months = 12,"
            " ends_on = '2027-03-31' WHERE id = 1",
            "INSERT INTO subscription_extension (id, tenant_id, subscription_id, months, extended_from, extended_to,"
            f" made_at) VALUES (1, 'default', 1, 1, '2027-01-31', '2027-02-28', {LONG_AGO})",
            "INSERT INTO subscription_extension (id, tenant_id, subscription_id, months, extended_from, extended_to,"
            " made_at, withdrawn_at, withdrawal_reason) VALUES (2, 'default', 1, 1, '2027-02-28', '2027-03-31',"
            f" {LONG_AGO}, {LONG_AGO}, 'refunded')",
        ),
    ),
    Corruption(
        "a subscription that nobody renewed and nothing ends",
        (
            (
                "billing.ends_with_its_term",
                "subscription 1",
                "Subscription 1 of customer 1001 is active though its last day was 2025-12-30: nobody renewed it, and"
                " nothing ends it.",
            ),
        ),
        ours=(
            "UPDATE subscription SET starts_on = '2024-12-31', anchor_day = 31, term_months = 12,"
            " ends_on = '2025-12-31' WHERE id = 1",
        ),
    ),
    Corruption(
        "a bill for a line that nobody has installed",
        (
            (
                "billing.service_live",
                "subscription 1001",
                "Customer 1001 is billed for a line that nobody has installed (subscription 1001).",
            ),
        ),
        strip=("subscription",),
        clones=(
            (
                "subscription",
                "id = 1",
                {"id": "id + 1000", "service_id": "NULL", "offer_id": "2", "plan": "'fiber-300'"},
            ),
        ),
    ),
)


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=str)
async def test_corruption_is_found_and_told_in_a_sentence(spoilable: Appliance, corruption: Corruption) -> None:
    await assert_caught(spoilable, corruption)


PROVEN = {invariant for corruption in CORRUPTIONS for invariant, _, _ in corruption.found}
