"""``firstlight payments`` and ``subscriptions``, as an operator types them."""

from __future__ import annotations

import pytest

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type
from tests.support.healthy_estate import vandal

PAYMENTS = (
    "INSERT INTO payment (id, tenant_id, order_id, customer_id, amount_minor, currency, method, provider, state,"
    " provider_ref, idempotency_key, reason, requested_at, attempts) VALUES"
    " (1, 'default', 3, 1001, 1250, 'EUR', 'bank', 'manual', 'awaiting', NULL, 'a', NULL,"
    " '2026-01-02 08:00:00.000000', 1),"
    " (2, 'default', 4, 1002, 500, 'JPY', 'card', 'stripe', 'declined', 'pi_1', 'b', 'no money (insufficient_funds)',"
    " '2026-01-03 09:30:00.000000', 1)",
    "INSERT INTO payment_attempt (id, tenant_id, payment_id, number, kind, started_at, ended_at, outcome, reply) VALUES"
    " (1, 'default', 2, 1, 'capture', '2026-01-03 09:31:00.000000', '2026-01-03 09:31:01.000000', 'declined',"
    " 'pi_1 insufficient_funds')",
)


@pytest.fixture
def with_payments(isp: Settings) -> Settings:
    with vandal(isp.database_url) as hand:
        hand.execute(*PAYMENTS)
    return isp


def test_payments_are_listed_with_what_came_of_them(with_payments: Settings, type_: Type) -> None:
    listed = type_("payments", "list").out.splitlines()
    assert listed[0].split() == ["payment", "for", "customer", "amount", "by", "state"]
    assert listed[1].split() == ["2", "order", "4", "1002", "500", "JPY", "card", "✗", "declined"]
    assert listed[2].strip() == "asked for 2026-01-03 09:30 UTC; no money (insufficient_funds)"
    assert listed[3].split()[:6] == ["1", "order", "3", "1001", "12.50", "EUR"]
    assert max(map(len, listed)) <= 80
    mine = type_("payments", "list", "--state", "awaiting", "--customer", 1001, "--json").json
    assert [(each["payment_id"], each["amount"], each["requested_at"]) for each in mine] == [
        (1, "12.50", "2026-01-02T08:00:00Z")
    ]
    assert type_("payments", "list", "--before", 1).out == "no payments\n"


def test_one_payment_is_shown_with_every_talk_about_it(with_payments: Settings, type_: Type) -> None:
    assert type_("payments", "show", 2).out.splitlines() == [
        "payment 2 of order 4, customer 1002: 500 JPY",
        "  card through stripe, declined; reference pi_1",
        "  no money (insufficient_funds)",
        "  2026-01-03 09:31:00Z  capture, attempt 1: declined (pi_1 insufficient_funds)",
    ]
    assert type_("payments", "show", 9).err == "refused: There is no payment 9.\n"


def test_a_settlement_is_taken_down_once_and_a_refund_when_it_was_asked_for(
    with_payments: Settings, type_: Type
) -> None:
    settle = ("payments", "settle", 1, "--reference", "statement 7", "--by", "nora")
    assert type_(*settle).out == "payment 1 is captured (statement 7); told: no run\n"
    assert type_(*settle, "--json").json == {"payment": 1, "runs": []}
    shown = type_("payments", "show", 1, "--json").json
    assert (shown["payment"]["state"], shown["payment"]["settled_by"]) == ("captured", "nora")
    conflict = type_("payments", "settle", 1, "--reference", "statement 8", "--json")
    assert (conflict.status, conflict.json["error"]["code"]) == (2, "payment.settlement_conflict")
    paid_back = ("payments", "refunded", 1, "--reference", "transfer 9")
    assert type_(*paid_back, "--json").json["error"]["code"] == "payment.refund_not_asked"
    with vandal(with_payments.database_url) as hand:
        hand.execute("UPDATE payment SET refund_asked_at = requested_at WHERE id = 1")
    assert type_(*paid_back).out == "payment 1 is paid back (transfer 9)\n"


def test_a_card_is_kept_sealed_and_a_number_of_a_card_refused(isp: Settings, type_: Type) -> None:
    kept = type_("payments", "keep-card", 1001, "--holder", "cus_ada", "--method", "pm_card_visa")
    assert kept.out == "customer 1001 has a card on file\n"
    refused = type_("payments", "keep-card", 1001, "--holder", "cus_ada", "--method", "4242424242424242")
    assert (refused.status, "4242" in refused.err) == (2, False)


def test_subscriptions_are_listed_and_shown(isp: Settings, type_: Type) -> None:
    with vandal(isp.database_url) as hand:
        hand.execute(
            "INSERT INTO subscription (id, tenant_id, customer_id, state, billing_started_at, offer_id, title,"
            " price_minor, currency, term_months, starts_on, ends_on, anchor_day) VALUES (9, 'default', 1002, 'active',"
            " '2026-01-31 08:00:00.000000', 1, 'Business mail', 990, 'EUR', 12, '2026-01-31', '2027-01-31', 31)"
        )
    listed = type_("subscriptions", "list").out.splitlines()
    assert listed[0].split() == ["subscription", "customer", "state", "from", "until"]
    assert listed[1].split() == ["9", "1002", "✓", "active", "2026-01-31", "2027-01-31"]
    assert listed[2].strip() == "Business mail; 9.90 EUR"
    assert type_("subscriptions", "list", "--ends-by", "2027-01-30").out == "no subscriptions\n"
    (mine,) = type_("subscriptions", "list", "--customer", 1002, "--ends-by", "2027-01-31", "--json").json
    assert (mine["subscription_id"], mine["ends_on"], mine["service_id"]) == (9, "2027-01-31", None)
    assert type_("subscriptions", "show", 9).out.splitlines() == [
        "subscription 9 of customer 1002: Business mail, no service",
        "  active; 9.90 EUR, 12 months, from 2026-01-31 until 2027-01-31",
    ]
    with vandal(isp.database_url) as hand:
        hand.execute("UPDATE subscription SET term_months = 1, ends_on = '2026-02-28' WHERE id = 9")
    assert "9.90 EUR, 1 month, from 2026-01-31 until 2026-02-28" in type_("subscriptions", "show", 9).out
    assert type_("subscriptions", "show", 1).out.splitlines()[0] == (
        "subscription 1 of customer 1001: fiber-300, service 1"
    )
    assert type_("subscriptions", "show", 99).status == 2
    ended = type_("subscriptions", "cancel", 9, "--reason", "moved away", "--now")
    assert ended.out == "subscription 9 has ended: moved away\n"
    assert type_("subscriptions", "cancel", 1, "--reason", "moved away", "--now").status == 2
