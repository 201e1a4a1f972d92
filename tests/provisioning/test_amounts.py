"""Who sees money: whoever reads payments, and partners of their own customers; the NOC sees none."""

from __future__ import annotations

import pytest

from provisioning.access import ROLES, Caller, Role
from provisioning.access.roles import MONEY
from provisioning.amounts import NOT_SHOWN, without_amounts, words_without_amounts
from provisioning.sight import sees_money


def caller(role: Role) -> Caller:
    return Caller(name=role, role=role, permissions=ROLES[role], partner_id=21 if role == "partner" else None)


def test_the_noc_sees_no_money() -> None:
    assert not ROLES["noc"] & MONEY
    assert {role: sees_money(caller(role)) for role in ROLES} == {
        "admin": True,
        "noc": False,
        "dispatch": False,
        "sales": True,
        "partner": True,
        "technician": False,
        "read-only": True,
    }


def test_amounts_are_left_out_wherever_they_stand_and_nothing_else_is() -> None:
    result = {
        "order_id": 7,
        "total_amount": "49.90",
        "currency": "EUR",
        "payment_terms": "prepaid",
        "lines": [{"offer_id": 1, "unit_price_minor": 4990, "discount": None, "quantity": 1}],
    }
    assert without_amounts(result) == {
        "order_id": 7,
        "total_amount": NOT_SHOWN,
        "currency": NOT_SHOWN,
        "payment_terms": "prepaid",
        "lines": [{"offer_id": 1, "unit_price_minor": NOT_SHOWN, "discount": None, "quantity": 1}],
    }
    assert without_amounts(None) is None
    assert result["total_amount"] == "49.90"


@pytest.mark.parametrize(
    ("words", "step", "shown"),
    [
        ("12.50 EUR of payment 7 has to go back", None, "(not shown) of payment 7 has to go back"),
        ("Commission 4 of EUR 1490 was recorded", None, "Commission 4 of (not shown) was recorded"),
        ("4990 minor units of EUR, or €49.90, or 5,00 €", None, "(not shown), or (not shown), or (not shown)"),
        ("the total is 49.90, but 59.90 EUR", "process_payment", "the total is (not shown), but (not shown)"),
        ("ONT HWTC1 is at 0/0/4 of OLT-3, 10.0.0.1, in 14 days", "process_payment", None),
        ("firmware 4.2 at 10.0.0.1, 300 Mbit/s, VLAN 100.7", None, None),
    ],
)
def test_an_amount_in_a_sentence_is_left_out_and_no_other_number(
    words: str, step: str | None, shown: str | None
) -> None:
    assert words_without_amounts(words, step) == (shown or words)
