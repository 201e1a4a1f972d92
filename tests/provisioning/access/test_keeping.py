"""Of what is kept for ever, nothing tells who somebody is."""

from __future__ import annotations

from provisioning.access.keeping import NOT_KEPT, impersonal, subject_of


def test_numbers_and_states_stay_and_persons_go() -> None:
    lead = {"lead_id": 7, "state": "new", "name": "Ada", "email": "a@example.net", "phone": None, "offer_id": 1}
    event = {"type": "lead.qualified", "data": {"lead_id": 7, "contact_email": "a@example.net"}}
    kept = {"lead_id": 7, "state": "new", "name": NOT_KEPT, "email": NOT_KEPT, "phone": None, "offer_id": 1}
    assert impersonal([lead, event]) == [kept, {"type": "lead.qualified", "data": ["contact_email", "lead_id"]}]
    assert impersonal({"order": {"accepted_by": "Ada", "total_minor": 3990}}) == {
        "order": {"accepted_by": NOT_KEPT, "total_minor": 3990}
    }


def test_a_subject_has_one_spelling() -> None:
    assert [subject_of(noun, 7) for noun in ("line order", "line_order", "sales_order")] == [
        "line_order/7",
        "line_order/7",
        "order/7",
    ]
