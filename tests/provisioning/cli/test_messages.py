"""``firstlight mails``, ``notices`` and ``tickets``, as operators type them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type
from tests.support.healthy_estate import vandal

MAIL = ("mails", "preview", "service_activated")


@pytest.fixture
def staffed(isp: Settings, type_: Type, tmp_path: Path) -> Settings:
    """The ISP with two teams."""
    file = tmp_path / "teams.toml"
    file.write_text('[[team]]\nname = "noc"\nemail = "noc@isp.example"\n[[team]]\nname = "onboarding"\n')
    assert type_("import", file).out == "imported: 2 teams\n"
    return isp


# -- mails -------------------------------------------------------------------------------------------------------------


def test_the_mails_there_are_and_what_each_is_told(type_: Type) -> None:
    listed = type_("mails", "templates").out
    assert "service_activated  (de, en)\n    Tells that the line works and the bill runs.\n" in listed
    told = " ".join(listed.split())
    assert "activated_at [ask_for_wifi_of] customer_name plan service_id username [wifi_link]" in told
    assert {mail["template"] for mail in type_("mails", "templates", "--json").json} >= {"customer_welcome"}


def test_a_mail_is_looked_at_before_anybody_gets_it(
    type_: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTLIGHT_ISP_NAME", "Nordnetz")
    monkeypatch.setenv("FIRSTLIGHT_TIME_ZONE", "Europe/Vienna")
    page = tmp_path / "mail.html"
    shown = type_(*MAIL, "--language", "de-AT", "--html", page).out
    assert shown.startswith("language: de\nsubject:  Nordnetz: Ihr Anschluss ist aktiv\n\nGuten Tag Ada Brandt,\n")
    assert page.read_text().startswith('<!doctype html>\n<html lang="de-AT">')
    file = tmp_path / "variables.json"
    file.write_text(
        json.dumps(
            {"customer_name": "Eve", "plan": "x", "service_id": 1, "username": "u", "activated_at": "2026-01-01"}
        )
    )
    told = type_(*MAIL, "--language", "de-AT", "--variables", file, "--json").json
    assert "Die Abrechnung beginnt am 1. Jänner 2026." in told["text"]


def test_a_preview_that_cannot_be_is_refused_with_every_fault(type_: Type, tmp_path: Path) -> None:
    file = tmp_path / "variables.json"
    file.write_text('{"plan": "secret:x", "pin": 1}')
    typed = type_(*MAIL, "--language", "d", "--variables", file)
    assert (typed.status, typed.out) == (2, "")
    for line in ("language: is not a language", "variables.plan: refers to a secret", "variables.pin: isn't used"):
        assert line in typed.err
    file.write_text("[]")
    assert "is not a JSON object" in type_(*MAIL, "--variables", file).err
    file.write_text("{")
    assert "is not JSON" in type_(*MAIL, "--variables", file).err
    assert "farewell doesn't exist in en" in type_("mails", "preview", "farewell").err


def test_an_isp_whose_language_no_mail_is_in_does_not_start(type_: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTLIGHT_MAIL_LANGUAGE", "fr")
    typed = type_("mails", "templates")
    assert typed.status == 2
    assert "FIRSTLIGHT_MAIL_LANGUAGE: is fr, and there are no mails in it; there are: de, en" in typed.err


def test_the_outbox_is_listed_and_one_mail_shown_with_its_attempts(any_isp: Settings, type_: Type) -> None:
    line, *appointments = type_("mails", "list", "--state", "sent").out.splitlines()[1:]
    assert len(appointments) == 4
    number, *_when, state, template, recipient = line.split()
    assert (number, state, template, recipient) == ("5", "sent", "service_activated", "customer1@example.net")
    assert type_("mails", "list", "--recipient", "eve@example.net").out == "no mails\n"
    assert type_("mails", "list", "--before", 1, "--json").json == []
    shown = type_("mails", "show", 5).out.splitlines()
    assert shown[:3] == ["✓ sent", "template:   service_activated", "language:   en"]
    assert any(line.startswith("attempt 1: ") and line.endswith(", sent") for line in shown)
    assert "your line works: we have seen your router go online, and your service is live from now." in shown
    assert type_("mails", "show", 9).err == "refused: There is no mail 9 in the outbox.\n"
    assert "state: lost is none of queued" in type_("mails", "list", "--state", "lost").err


# -- notices -----------------------------------------------------------------------------------------------------------


def test_a_notice_that_failed_is_seen_with_its_reason_and_tried_again(staffed: Settings, type_: Type) -> None:
    sent = type_("notices", "send", "noc", "email", "Test", "Does this arrive?")
    assert sent.out == "notice 1 is queued for noc/email\n"
    with vandal(staffed.database_url) as hand:
        hand.execute("UPDATE notice SET state = 'failed', attempts = 10, last_error = 'the other side answered 401'")
    listed = type_("notices", "list", "--failed").out.splitlines()
    assert listed[1].endswith("✗ failed  noc/email  Test")
    assert listed[2].strip() == "attempt 10: the other side answered 401"
    assert type_("notices", "retry", 1, "--json").json["state"] == "queued"
    assert type_("notices", "list", "--failed").out == "no notices\n"
    assert type_("notices", "list", "--team", "noc", "--json").json[0]["attempts"] == 0
    assert type_("notices", "retry", 2).err == "refused: There is no notice 2.\n"
    assert type_("notices", "send", "noc", "chat", "Test", "x").err.startswith(
        "refused: Team noc has no channel chat; there are: email."
    )


# -- tickets -----------------------------------------------------------------------------------------------------------


def test_a_ticket_is_opened_found_moved_and_shown(staffed: Settings, type_: Type) -> None:
    opened = type_("tickets", "add", "Call Ada", "--team", "onboarding", "--description", "IPv6?", "--customer", 1001)
    assert opened.out.startswith("ticket 1: Call Ada\nopen, normal, due ")
    assert opened.out.endswith(" with onboarding for customer 1001 (version 1)\n  IPv6?\n")
    assert type_("tickets", "list", "--overdue").out == "no tickets\n"
    listed = type_("tickets", "list", "--state", "open", "--team", "onboarding").out.splitlines()
    assert listed[1].endswith("normal    · open  onboarding  Call Ada")
    moved = type_("tickets", "move", 1, "resolved", "--note", "It works.", "--version", 1)
    assert moved.out.splitlines()[-1] == "  note: It works."
    assert type_("tickets", "move", 1, "open").err == (
        "refused: Ticket 1 is resolved and can't become open; it can become closed, inProgress.\n"
    )
    assert type_("tickets", "show", 1, "--json").json["version"] == 2
    assert type_("tickets", "list", "--after", 1, "--json").json == []
    assert (
        "priority: is none of low"
        in type_("tickets", "add", "x", "--team", "noc", "--description", "y", "--priority", "asap").err
    )
