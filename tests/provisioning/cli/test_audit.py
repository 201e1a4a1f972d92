"""What is typed and changes something stands in the audit; what only reads doesn't."""

from __future__ import annotations

import pytest

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type

pytestmark = pytest.mark.by_turns


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
        "actor": "paul",
        "door": "command line",
        "action": "runs cancel",
        "subject": "run/3",
        "run_id": 3,
        "reason": "a change of mind",
    }
    assert (entry["before"]["run/3"]["state"], entry["after"]["runs"]) == ("held", [3])
    assert entry["after"]["changed"]["run/3"]["state"] != "held"
    assert entry["customer_id"] == type_("runs", "show", 3, "--json").json["summary"]["customer_id"]
    assert "runs cancel" in type_("audit", "list", "--run", 3, "--actor", "paul").out
    assert type_("audit", "list", "--run", 2, "--json").json == []


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
    assert made["token"].rpartition("_")[2] not in audit.out
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
