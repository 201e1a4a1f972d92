"""Who sees money: whoever reads payments, and partners of their own customers; the NOC sees none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from provisioning.access import ROLES, Caller, Role
from provisioning.access.roles import MONEY
from provisioning.amounts import (
    NOT_SHOWN,
    line_without_amounts,
    mail_without_amounts,
    notice_without_amounts,
    without_amounts,
    words_without_amounts,
)
from provisioning.commercial import MailTemplates
from provisioning.commercial.mails.mail_samples import MailPreview
from provisioning.commercial.mails.outbox import ShownMail, TriedDelivery
from provisioning.commercial.mails.wording import Wording
from provisioning.commercial.money import DECIMALS
from provisioning.commercial.notices.notifications import NoticeRecord
from provisioning.languages import locale_of
from provisioning.sight import sees_money

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
SPOKEN = (
    "ar bg cs da de de-AT de-CH en en-IN en-US en-ZA es fa fi fr fr-CH he hi hu it ja nb nl pl pt-PT ro sv tr uk zh"
)


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
        (
            "Fibre 300 €49.90, EUR49.90, ISK1490, CHF-4.90",
            None,
            "Fibre (not shown), (not shown), (not shown), (not shown)",
        ),
        ("1\u202f234,50\xa0€, 1\u2019234.50 CHF, 1,234.50\xa0\u200f₪", None, "(not shown), (not shown), (not shown)"),
        ("SVC-300 of ALL2 is L 3 at TOP300, EURO 12", None, None),
        ("firmware 4.2 at 10.0.0.1, 300 Mbit/s, VLAN 100.7", None, None),
    ],
)
def test_an_amount_in_a_sentence_is_left_out_and_no_other_number(
    words: str, step: str | None, shown: str | None
) -> None:
    assert words_without_amounts(words, step) == (shown or words)


def mail_of(text: str, language: str, **more: Any) -> ShownMail:
    mail = ShownMail(
        email_id=1,
        template="order_confirmation",
        language=language,
        recipient="anna@example.net",
        subject="Order 12",
        state="sent",
        queued_at=NOW,
        sent_at=NOW,
        attempts=1,
        last_answer=None,
        message_id="<1@isp.example>",
        request_id="r",
        text=text,
        tries=[],
    )
    return {**mail, **more}  # type: ignore[typeddict-item]


@pytest.mark.parametrize("tag", SPOKEN.split())
def test_a_mail_loses_every_currency_as_its_language_writes_it(tag: str) -> None:
    wording, spoken = Wording(locale_of(tag), ZoneInfo("UTC")), tag.partition("-")[0]
    for code in DECIMALS:
        for minor in (490, 123456789, -4990):
            amount = wording.money(minor, code)
            shown = mail_without_amounts(mail_of(f"2 x Fibre: {amount}\nOrder 12", spoken))["text"]
            assert NOT_SHOWN in shown, (code, amount)
            assert [each for each in shown if each.isdigit()] == ["2", "1", "2"], (code, amount)


@pytest.mark.parametrize("language", ["en", "en-IN", "de", "de-AT", "de-CH"])
@pytest.mark.parametrize("template", MailTemplates(isp_name="Net").names())
def test_a_mail_as_it_is_sent_loses_its_amounts_in_both_parts_and_nothing_else(template: str, language: str) -> None:
    templates = MailTemplates(isp_name="Net")
    has_money = template in ("order_confirmation", "subscription_renewal")
    mail = MailPreview(templates).preview(template, language=language)
    for part in (mail.subject, mail.text, mail.html):
        shown = mail_without_amounts(mail_of(part, mail.language))["text"]
        assert (shown != part) == (has_money and part is not mail.subject)
        assert "€" not in shown and "EUR" not in shown


def test_the_list_and_the_attempts_of_a_mail_lose_amounts_too() -> None:
    tried = TriedDelivery(number=1, started_at=NOW, ended_at=NOW, outcome="refused", reply="550 owes EUR 49.90")
    mail = mail_of("x", "pl", subject="Rachunek: 49,90\xa0zł", last_answer="550 owes EUR 49.90", tries=[tried])
    line, whole = line_without_amounts(mail), mail_without_amounts(mail)
    assert (line["subject"], line["last_answer"]) == (f"Rachunek: {NOT_SHOWN}", f"550 owes {NOT_SHOWN}")
    assert whole["tries"] == [{**tried, "reply": f"550 owes {NOT_SHOWN}"}]
    assert mail["tries"] == [tried]


def test_a_notice_loses_amounts_and_nothing_else() -> None:
    notice = NoticeRecord(
        notice_id=1,
        team="noc",
        channel="email",
        subject="Order 12: 5 EUR",
        message="Order 12 of customer 1001 comes to 49.90 EUR, prepaid.",
        metadata={},
        state="sent",
        queued_at=NOW,
        sent_at=NOW,
        attempts=1,
        next_try_at=NOW,
        last_error=None,
    )
    assert notice_without_amounts(notice) == {
        **notice,
        "subject": f"Order 12: {NOT_SHOWN}",
        "message": f"Order 12 of customer 1001 comes to {NOT_SHOWN}, prepaid.",
    }
