"""``firstlight offers``, ``leads``, ``quotes`` and ``orders``, as those who sell type them."""

from __future__ import annotations

import pytest

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type

LEAD = ("leads", "add", "--name", "Eve Stone", "--email", "eve@example.net", "--source", "phone")


def test_the_offers_tell_what_is_sold_at_which_price(isp: Settings, type_: Type) -> None:
    listed = type_("offers", "list").out.splitlines()
    assert listed[0].split() == ["offer", "price", "every", "term", "paid", "title"]
    assert listed[1].split() == ["1", "EUR", "39.90", "1", "month", "24", "months", "postpaid", "Fibre", "300"]
    assert listed[2].strip() == "plan fiber-300, setup EUR 49.00"
    assert type_("offers", "list", "--all", "--json").json[0]["price_minor"] == 3990


def test_a_lead_is_kept_qualified_and_listed(isp: Settings, type_: Type) -> None:
    assert type_(*LEAD, "--offer", 1, "--request-id", "p/1", "--address", "Elm 1").out == "lead 2 is new\n"
    assert type_(*LEAD, "--offer", 1, "--request-id", "p/1", "--address", "Elm 1").out == "lead 2 is new\n"
    assert type_("leads", "qualify", 2).out == "lead 2 is qualified\n"
    assert type_(*LEAD, "--json").json["state"] == "new"
    assert type_("leads", "disqualify", 3, "--reason", "no fibre").out == "lead 3 is disqualified\n"
    listed = type_("leads", "list").out.splitlines()
    assert listed[0].split() == ["lead", "state", "since", "source", "name"]
    assert [line.split()[0] for line in listed[1::2]] == ["3", "2", "1"]
    assert listed[2].strip() == "eve@example.net; no fibre"
    assert listed[4].strip() == "eve@example.net; Elm 1; wants offer 1"
    assert "✓ converted" in listed[5]
    assert [lead["lead_id"] for lead in type_("leads", "list", "--state", "qualified", "--json").json] == [2]
    assert type_("leads", "list", "--before", 1).out == "no leads\n"
    assert max(map(len, listed)) <= 80


def test_a_customer_is_written_to_in_the_language_that_was_said(isp: Settings, type_: Type) -> None:
    assert type_("customers", "language", 1001, "de-at").out == "customer 1001 is written to in de-AT\n"
    listed = type_("customers", "list", "--before", 1002, "--limit", 1).out.splitlines()
    assert [line.split() for line in listed] == [
        ["customer", "name", "language", "state"],
        ["1001", "Customer", "1", "de-AT", "✓", "active"],
        ["customer1@example.net"],
    ]
    assert type_("customers", "language", 1001, "--json").json["language"] is None
    refused = type_("customers", "language", 1001, "fr").err
    assert "is fr, and there are no mails in it; there are: de, en" in refused
    assert type_("customers", "list", "--email", "nobody@example.net").out == "no customers\n"


def test_a_survey_is_kept_and_one_of_nowhere_is_refused_with_all_that_is_wrong(isp: Settings, type_: Type) -> None:
    survey = ("customers", "survey", 1001)
    kept = type_(*survey, "LOC-20001", "--result", "feasible", "--surveyed-at", "2026-03-02T10:30Z", "--json").json
    assert (kept["service_location"], kept["surveyed_at"]) == ("LOC-20001", "2026-03-02T10:30:00Z")
    said = type_(*survey, "LOC-20001", "--result", "not_feasible", "--notes", "no duct").out
    assert said == f"survey {kept['survey_id'] + 1} of LOC-20001 for customer 1001: not_feasible\n"
    refused = type_(*survey, "LOC-nowhere", "--result", "perhaps")
    assert refused.status == 2
    assert "result: is neither feasible nor not_feasible: perhaps" in refused.err
    assert "service_location: No premise is known as 'LOC-nowhere'" in refused.err


def test_a_quote_goes_from_draft_to_acceptance(isp: Settings, type_: Type) -> None:
    drafted = type_("quotes", "draft", 1001, "--offer", "1x2", "--payment-terms", "prepaid").out.splitlines()
    assert drafted[0] == "quote 2  customer 1001  prepaid"
    assert drafted[1].split()[:4] == ["draft,", "valid", "until", drafted[1].split()[3]]
    assert [line.split() for line in drafted[2:5]] == [
        ["many", "each", "amount", "charge", "what"],
        ["2", "EUR", "39.90", "EUR", "79.80", "recurring", "Fibre", "300"],
        ["2", "EUR", "49.00", "EUR", "98.00", "once", "Setup:", "Fibre", "300"],
    ]
    assert drafted[5] == "total EUR 177.80"
    assert type_("quotes", "send", 2, "--version", 1).out == "quote 2 is sent (version 2)\n"
    said = "quote 2 is accepted by Ada Brandt: EUR 177.80, prepaid\n"
    assert type_("quotes", "accept", 2, "--accepted-by", "Ada Brandt").out == said
    again = type_("quotes", "accept", 2, "--accepted-by", "Eve", "--json").json
    assert (again["accepted"]["accepted_by"], again["accepted"]["total_amount"], again["runs"]) == (
        "Ada Brandt",
        "177.80",
        [],
    )
    assert "accepted by Ada Brandt at 20" in type_("quotes", "show", 2).out
    assert [line["amount_minor"] for line in type_("quotes", "show", 2, "--json").json["lines"]] == [7980, 9800]


def test_quotes_are_listed_and_withdrawn(isp: Settings, type_: Type) -> None:
    type_("quotes", "draft", 1001, "--offer", 1)
    withdraw = ("quotes", "withdraw", 2, "--reason", "typo")
    assert type_(*withdraw, "--version", 9).err.startswith("refused: Quote 2 has changed since you looked (version 1")
    assert type_(*withdraw).out == "quote 2 is withdrawn (version 2)\n"
    listed = type_("quotes", "list").out.splitlines()
    assert listed[0].split() == ["quote", "state", "customer", "total", "valid", "until"]
    assert listed[1].split()[:6] == ["2", "↩", "withdrawn", "1001", "EUR", "88.90"]
    assert listed[2].strip() == "typo"
    assert listed[3].split()[:3] == ["1", "✓", "accepted"]
    assert [one["quote_id"] for one in type_("quotes", "list", "--customer", 1001, "--json").json] == [2]
    assert type_("quotes", "list", "--state", "expired").out == "no quotes\n"


def test_orders_are_listed_and_shown(isp: Settings, type_: Type) -> None:
    listed = type_("orders", "list").out.splitlines()
    assert listed[0].split() == ["order", "state", "customer", "total", "since"]
    assert listed[1].split()[:2] == ["1", "acknowledged"]
    assert "EUR 88.90" in listed[1]
    shown = type_("orders", "show", 1).out.splitlines()
    assert shown[0].startswith("order 1  customer ") and shown[0].endswith("  quote 1  postpaid")
    assert shown[-1] == "total EUR 88.90"
    assert type_("orders", "show", 1, "--json").json["total_minor"] == 8890
    assert type_("orders", "list", "--state", "failed").out == "no orders\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("leads", "add", "--name", "x", "--email", "nowhere", "--source", "web"), "  email: is not a mail address"),
        (("leads", "list", "--state", "asleep"), "  state: asleep is none of new, qualified, converted, disqualified"),
        (("leads", "qualify", 9), "refused: There is no lead 9."),
        (("leads", "disqualify", 1, "--reason", "x"), "refused: Lead 1 has already become customer"),
        (("quotes", "draft", 1001, "--offer", "gold", "--offer", "1x"), "  offer: gold is neither a number nor"),
        (("quotes", "draft", 1001, "--offer", 9), "  lines.0.offer_id: There is no offer 9"),
        (("quotes", "draft", 1001, "--offer", 1, "--payment-terms", "barter"), "  payment_terms: barter is none of"),
        (("quotes", "send", 1), "refused: Quote 1 is accepted and can't be sent."),
        (("quotes", "withdraw", 1, "--reason", "x"), "refused: Quote 1 is accepted and can't be withdrawn."),
        (("quotes", "accept", 9, "--accepted-by", "Ada"), "refused: There is no quote 9."),
        (("quotes", "list", "--state", "asleep"), "  state: asleep is none of draft, sent"),
        (("orders", "show", 9), "refused: There is no order 9."),
        (("orders", "pay-by", 9, "bank"), "refused: There is no order 9."),
        (("orders", "pay-by", 1, "shells"), "  method: shells is none of invoice, cash, bank, card"),
        (("orders", "pay-by", 1, "bank"), "  order_id: names order 1, which no run carries out"),
        (("orders", "list", "--state", "asleep"), "  state: asleep is none of acknowledged"),
    ],
)
def test_what_cannot_be_meant_is_refused(isp: Settings, type_: Type, words: tuple[object, ...], told: str) -> None:
    typed = type_(*words)
    assert (typed.status, typed.out) == (2, "")
    assert told in typed.err
