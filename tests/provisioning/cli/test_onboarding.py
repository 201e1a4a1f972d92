"""``firstlight leads qualify``, ``partners order`` and ``events``, as those who bring customers type them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provisioning.amounts import words_without_amounts
from provisioning.cli.account import account
from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type
from tests.support.healthy_estate import vandal

ORDER = Path(__file__).parents[3] / "deploy" / "examples" / "partner-order.json"
LEAD = ("leads", "add", "--name", "Eve Stone", "--email", "eve@example.net", "--source", "phone", "--offer", 1)


def test_a_qualified_lead_and_a_partners_order_are_events_that_wait_for_the_worker(isp: Settings, type_: Type) -> None:
    before = len(type_("events", "list", "--state", "pending", "--json").json)
    lead = type_(*LEAD, "--json").json["lead_id"]
    type_("leads", "qualify", lead)
    said = "order N-2026-0117 of partner 21 is taken\n"
    assert [type_("partners", "order", 21, ORDER).out for _ in range(2)] == [said, said]

    waiting = type_("events", "list", "--state", "pending", "--json").json
    assert len(waiting) == before + 2
    assert [(event["type"], event["subject"], event["published_by"]) for event in waiting[:2]] == [
        ("partner.customer.created", "partner/21", account()),
        ("lead.qualified", f"lead/{lead}", account()),
    ]
    assert waiting[0]["data"]["commission_amount"] == "49.90"
    listed = type_("events", "list", "--type", "lead.qualified").out.splitlines()
    assert listed[0].split() == ["event", "state", "run", "since", "type"]
    assert listed[1].split()[-1] == "lead.qualified" and listed[2].strip() == f"lead/{lead}"
    assert type_("events", "retry", waiting[0]["id"]).out == f"event {waiting[0]['id']} is pending\n"
    assert type_("events", "list", "--type", "nothing.happened").out == "no events\n"


def test_an_event_that_was_refused_is_set_aside_with_a_reason_and_no_other(isp: Settings, type_: Type) -> None:
    [aside] = type_("events", "list", "--state", "ignored", "--json").json
    assert (aside["subject"], aside["type"]) == ("lead/1", "lead.qualified")
    assert aside["reason"].endswith(" Set aside by nora: its customer was made by hand")
    words = ("events", "set-aside", aside["id"], "--reason", "seen")
    assert type_(*words).out == f"event {aside['id']} is set aside\n"
    assert type_("events", "retry", aside["id"]).out == f"event {aside['id']} is pending\n"
    refused = type_(*words)
    assert refused.status == 2 and f"event {aside['id']} is pending" in " ".join(refused.err.split())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("events", "retry", 999), "refused: there is no event 999"),
        (("events", "list", "--state", "asleep"), "  state: asleep is none of pending, started, ignored, refused"),
        (("partners", "order", 99, ORDER), "  partner_id: There is no partner 99"),
        (("partners", "order", 21, "/nowhere.json"), "  /nowhere.json: No such file or directory"),
    ],
)
def test_what_can_not_be_meant_is_refused(isp: Settings, type_: Type, words: tuple[object, ...], told: str) -> None:
    typed = type_(*words)
    assert (typed.status, typed.out) == (2, "")
    assert told in typed.err


def test_every_fault_of_an_order_is_named(isp: Settings, type_: Type, tmp_path: Path) -> None:
    order = json.loads(ORDER.read_text()) | {"license_count": 0, "sale_amount": "much", "vat": "1"}
    (tmp_path / "order.json").write_text(json.dumps(order))
    refused = type_("partners", "order", 21, tmp_path / "order.json", "--json").json
    assert [field for field, _ in refused["error"]["faults"]] == ["vat", "license_count", "sale_amount"]


def test_a_changed_order_is_refused_with_what_differs(isp: Settings, type_: Type, tmp_path: Path) -> None:
    type_("partners", "order", 21, ORDER)
    (tmp_path / "order.json").write_text(json.dumps(json.loads(ORDER.read_text()) | {"sale_amount": "59.90"}))
    refused = type_("partners", "order", 21, tmp_path / "order.json")
    assert refused.status == 2
    told = "Order N-2026-0117 of partner 21 was taken otherwise (sale_amount is 49.90 EUR, not 59.90 EUR)"
    assert told in " ".join(refused.err.split())
    assert words_without_amounts(told).endswith("(sale_amount is (not shown), not (not shown))")


def test_an_order_that_comes_again_is_the_same_whatever_was_agreed_of_its_commission_since(
    isp: Settings, type_: Type, tmp_path: Path
) -> None:
    said = "order N-2026-0117 of partner 21 is taken\n"
    assert type_("partners", "order", 21, ORDER).out == said
    with vandal(isp.database_url) as hand:
        hand.execute(
            "UPDATE partner SET commission_type = 'fixed', commission_fixed_minor = 500, commission_basis_points = NULL"
            " WHERE id = 21"
        )
    order = {field: value for field, value in json.loads(ORDER.read_text()).items() if field != "sale_amount"}
    (tmp_path / "order.json").write_text(json.dumps(order))
    assert type_("partners", "order", 21, tmp_path / "order.json").out == said
    (tmp_path / "order.json").write_text(json.dumps(order | {"license_count": 3}))
    assert "(license_count is 2, not 3)" in " ".join(
        type_("partners", "order", 21, tmp_path / "order.json").err.split()
    )
