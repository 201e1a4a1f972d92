"""``firstlight users``: who signs in at the console."""

from __future__ import annotations

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type


def test_a_person_is_added_with_a_link_that_is_shown_once(any_isp: Settings, type_: Type) -> None:
    assert type_("users", "list").out.startswith("no users; ")
    added = type_("users", "add", "Nora", "--role", "noc", "--name", "Nora Bell", "--json").json
    assert added["link"].startswith("http://127.0.0.1:8080/welcome/") and len(added["link"]) > 70
    assert (added["login_name"], added["role"], added["has_password"]) == ("nora", "noc", False)
    newer = type_("users", "link", "nora", "--json").json
    assert newer["link"] != added["link"]
    secret = newer["link"].rpartition("/")[2]
    assert secret not in type_("users", "list").out + type_("audit", "list", "--json").out
    assert "has not opened the link" in type_("users", "list").out
    taken = type_("users", "add", "NORA", "--role", "admin")
    assert (taken.status, taken.err) == (2, "refused: Somebody signs in as nora already.\n")


def test_a_person_gets_another_role_and_is_shut_out_and_let_in(isp: Settings, type_: Type) -> None:
    assert "welcome" in type_("users", "add", "tim", "--role", "technician", "--technician", 7).out
    assert type_("users", "role", "tim", "dispatch").out == "tim is dispatch now\n"
    assert type_("users", "disable", "tim").out == "tim can't sign in any more\n"
    assert type_("users", "list", "--json").json[0]["disabled_at"] is not None
    assert type_("users", "enable", "tim").out == "tim can sign in again\n"
    audited = [entry["action"] for entry in type_("audit", "list", "--json").json]
    assert audited == ["users enable", "users disable", "users role", "users add"]


def test_every_fault_of_a_person_is_named(isp: Settings, type_: Type) -> None:
    typed = type_("users", "add", "N N", "--role", "king", "--json")
    assert typed.status == 2
    assert {field for field, _ in typed.json["error"]["faults"]} == {"login_name", "role"}
    typed = type_("users", "add", "paul", "--role", "partner", "--technician", 7, "--json")
    assert {field for field, _ in typed.json["error"]["faults"]} == {"partner_id", "technician_id"}
    for words in (("link", "nobody"), ("disable", "nobody"), ("role", "nobody", "noc")):
        assert type_("users", *words).err == "refused: Nobody signs in as nobody.\n"


def test_what_a_decision_would_touch_is_told_without_taking_it(isp: Settings, type_: Type) -> None:
    before = type_("runs", "show", 3).out
    seen = type_("runs", "roll-back", 3, "--reason", "x", "--dry-run").out
    assert "  allocate_resources: undone\n" in seen
    assert "  get_site_survey: nothing to undo, a survey is only read\n" in seen
    assert "  given back: service 3: " in seen and seen.endswith("the run is then: failed\n")
    assert type_("runs", "skip", 2, "--reason", "x", "--dry-run", "--json").json["refused"]
    assert "authorise_line: undone" in type_("runs", "retry", 3, "--from-step", "authorise_line", "--dry-run").out
    assert "is tried again" in type_("runs", "retry", 3, "--dry-run").out
    assert "finished first" in type_("runs", "cancel", 2, "--reason", "x", "--dry-run").out
    assert type_("runs", "show", 3).out == before


def test_a_run_is_noted_and_handed_over(isp: Settings, type_: Type) -> None:
    assert "the vendor was called" in type_("runs", "note", 1, "the vendor was called", "--by", "nora").out
    told = type_("runs", "hand-over", 3, "--team", "onboarding", "--reason", "see to it", "--json").json
    ticket = type_("tickets", "show", told["ticket"], "--json").json
    assert ticket["title"] == "Run 3 is held in confirm port"
    assert type_("runs", "hand-over", 2, "--team", "onboarding", "--reason", "x").status == 2
