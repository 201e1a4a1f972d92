"""What a partner's order may say: amounts are written out, numbers are numbers, and nothing else is read into it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from workflows.definitions.partner_customer_provisioning import PartnerOrder

ORDER: dict[str, Any] = {
    "partner_id": 21,
    "order_ref": "N-17",
    "customer_data": {"name": "Ada Byron", "email": "ada@example.com", "phone": None},
    "license_count": 2,
    "white_label_config": {"name": "Nordnetz", "colours": {"primary": "#ffe45c", "on_primary": "#000000"}},
    "commission_type": "percentage",
    "commission_amount": "49.90",
    "currency": "EUR",
}


def test_an_order_survives_its_way_through_the_journal() -> None:
    order = PartnerOrder.model_validate(ORDER)
    assert order.commission_amount == Decimal("49.90")
    assert PartnerOrder.model_validate_json(order.model_dump_json()) == order


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"commission_amount": 49.9}, "commission_amount"),
        ({"commission_amount": 49}, "commission_amount"),
        ({"commission_amount": "0"}, "commission_amount"),
        ({"commission_amount": "-1.00"}, "commission_amount"),
        ({"commission_amount": "NaN"}, "commission_amount"),
        ({"partner_id": "21"}, "partner_id"),
        ({"license_count": 0}, "license_count"),
        ({"license_count": True}, "license_count"),
        ({"order_ref": " "}, "order_ref"),
        ({"order_ref": "x" * 101}, "order_ref"),
        ({"currency": "eur"}, "currency"),
        ({"commission_type": "gift"}, "commission_type"),
        ({"customer_data": {"name": "Ada", "email": "ada@example.com", "vat": "1"}}, "customer_data.vat"),
        ({"white_label_config": {"colours": {"primary": "#ffe45c"}}}, "white_label_config.name"),
        ({"sale_amount": "1.00"}, "sale_amount"),
    ],
    ids=str,
)
def test_what_can_not_be_meant_is_refused_by_its_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        PartnerOrder.model_validate(ORDER | change)
    assert [".".join(str(part) for part in fault["loc"]) for fault in refused.value.errors()] == [field]
