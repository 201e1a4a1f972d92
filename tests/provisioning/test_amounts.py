"""Who sees money: whoever reads payments, and partners of their own customers; the NOC sees none."""

from __future__ import annotations

from provisioning.access import ROLES, Caller, Role
from provisioning.access.roles import MONEY
from provisioning.amounts import NOT_SHOWN, without_amounts
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
