"""What is typed and changes something stands in the audit; what only reads doesn't."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from provisioning.cli.account import NO_LOGIN, account
from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type


def test_a_change_that_was_typed_stands_in_the_audit_with_who_and_why(any_isp: Settings, type_: Type) -> None:
    for reading in (("runs", "list"), ("runs", "show", 3), ("visits", "list"), ("payments", "list"), ("check",)):
        type_(*reading)
    assert type_("audit", "list").out == "no changes\n"
    assert type_("runs", "cancel", 3, "--reason", "a change of mind", "--by", "paul").status == 0
    refused = type_("runs", "cancel", 99, "--reason", "a change of mind")
    assert refused.status == 2
    [entry] = type_("audit", "list", "--json").json
    told = {name: entry[name] for name in ("actor", "door", "action", "subject", "run_id", "reason")}
    assert told == {
        "actor": account(),
        "door": "command line",
        "action": "runs cancel",
        "subject": "run/3",
        "run_id": 3,
        "reason": "a change of mind",
    }
    assert entry["after"]["typed"]["by"] == "paul", "which is what was said, and nobody has proven"
    assert (entry["before"]["run/3"]["state"], entry["after"]["runs"]) == ("held", [3])
    assert entry["after"]["changed"]["run/3"]["state"] != "held"
    assert entry["customer_id"] == type_("runs", "show", 3, "--json").json["summary"]["customer_id"]
    assert "by paul" in type_("audit", "list", "--run", 3, "--actor", account()).out
    assert type_("audit", "list", "--run", 2, "--json").json == []


def test_who_types_is_the_account_of_the_process_whatever_its_shell_says(
    isp: Settings, type_: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("USER", "LOGNAME", "SUDO_USER"):
        monkeypatch.setenv(variable, "mallory")
    type_("runs", "cancel", 3, "--reason", "a change of mind")
    [entry] = type_("audit", "list", "--json").json
    assert entry["actor"].split(" as ")[-1] == pwd.getpwuid(os.geteuid()).pw_name
    assert "mallory" not in type_("runs", "show", 3, "--json").out + str(entry)


def test_whoever_has_logged_in_is_named_as_well_where_the_kernel_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.cli.account.LOGIN", tmp_path / "loginuid")
    here, nobody = pwd.getpwuid(os.geteuid()).pw_name, pwd.getpwnam("nobody")
    told = {None: here, NO_LOGIN: here, os.geteuid(): here, nobody.pw_uid: f"nobody as {here}"}
    for login, name in told.items():
        if login is not None:
            (tmp_path / "loginuid").write_text(str(login))
        assert account() == name


def test_a_token_is_made_listed_and_revoked_and_its_secret_stands_nowhere(isp: Settings, type_: Type) -> None:
    made = type_("tokens", "create", "nora", "--role", "noc", "--scope", "runs.read", "--json").json
    assert made["token"].startswith("firstlight_")
    listed = type_("tokens", "list", "--json").json
    assert [(token["name"], token["scopes"], token["revoked_at"]) for token in listed] == [
        ("nora", ["runs.read"], None)
    ]
    assert "revoked" in type_("tokens", "revoke", made["token_id"]).out
    assert type_("tokens", "list", "--json").json[0]["revoked_at"] is not None
    audit = type_("audit", "list", "--json")
    assert [entry["action"] for entry in audit.json] == ["tokens revoke", "tokens create"]
    assert made["token"].split("_", 2)[2] not in audit.out
    refused = type_("tokens", "create", "nora", "--role", "king")
    assert refused.status == 2 and "role" in refused.err


def test_what_is_made_is_named_and_who_it_is_does_not_stay(isp: Settings, type_: Type) -> None:
    person = ("--name", "Ada Brandt", "--email", "ada@example.net", "--phone", "+49 170 1", "--address", "Wall 1")
    lead = type_("leads", "add", *person, "--source", "web", "--json").json
    audit = type_("audit", "list", "--json")
    [entry] = audit.json
    assert entry["subject"] == f"lead/{lead['lead_id']}"
    assert "email" in entry["after"]["typed"]
    assert not [word for word in person[1::2] if word in audit.out]


def test_every_change_says_what_it_is_about_and_whom_it_is_for(isp: Settings, type_: Type, tmp_path: Path) -> None:
    estate, username = tmp_path / "teams.toml", "c1001-s1@isp.example"
    estate.write_text('[[team]]\nname = "noc"\nemail = "noc@isp.example"\n')
    type_("import", estate)
    quote = type_("quotes", "draft", 1001, "--offer", 2, "--json").json["quote_id"]
    notice = type_("notices", "send", "noc", "email", "A test", "Does it arrive?", "--json").json["notice_id"]
    described = ("tickets", "add", "Call back", "--team", "noc", "--description", "today", "--customer", 1001)
    ticket = type_(*described, "--json").json["ticket_id"]
    token = type_("tokens", "create", "nora", "--role", "noc", "--json").json["token_id"]
    hook = type_("webhooks", "add", "https://hooks.example/firstlight", "--all", "--json").json
    type_("keys", "reveal", "secret:nas/1", "--reason", "a new BNG")
    kid = type_("licences", "new-key", "--json").json["kid"]
    type_("subscribers", "project", username)
    run = type_("subscribers", "terminate", username, "--now", "--reason", "moves", "--json").json["run_id"]
    type_("subscribers", "keep", username, "--reason", "stays")

    audit = type_("audit", "list", "--json")
    told = {entry["action"]: (entry["subject"], entry["customer_id"]) for entry in audit.json}
    assert told == {
        "import": ("estate/default", None),
        "quotes draft": (f"quote/{quote}", 1001),
        "notices send": (f"notice/{notice}", None),
        "tickets add": (f"ticket/{ticket}", 1001),
        "tokens create": (f"token/{token}", None),
        "webhooks add": (f"webhook/{hook['webhook_id']}", None),
        "keys reveal": ("secret:nas/1", None),
        "licences new-key": (f"licence_key/{kid}", None),
        "subscribers project": ("subscriber/1", None),
        "subscribers terminate": (f"run/{run}", 1001),
        "subscribers keep": (f"run/{run}", 1001),
    }
    assert hook["secret"] not in audit.out
    kept = {entry["action"]: entry["after"] for entry in audit.json}
    assert kept["quotes draft"]["quote"]["total_minor"] > 0 and kept["webhooks add"]["webhook"]["state"] == "enabled"
