"""``firstlight campaigns``, as an operator types it."""

from __future__ import annotations

from pathlib import Path

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type


def test_a_campaign_is_planned_started_paused_and_looked_at(isp: Settings, type_: Type, tmp_path: Path) -> None:
    serials = [
        each["device_serial"] for each in type_("devices", "list", "--json").json if each["state"] != "withdrawn"
    ]
    listed = tmp_path / "serials.txt"
    listed.write_text("\n".join(serials) + "\n\n")
    planned = type_(
        "campaigns", "plan", "wifi", "--template", "tr181-pppoe", "--serials", str(listed), "--window", "23:00-05:00"
    )
    assert f"{len(serials)} CPEs: {len(serials)} waiting" in planned.out
    assert "5 first, then 50 at once, between 23:00-05:00; it stops when more than 10 % fail" in planned.out
    assert type_("campaigns", "start", "wifi", "--json").json["state"] == "running"
    paused = type_("campaigns", "pause", "wifi")
    assert "It was paused; what is under way goes on." in paused.out.splitlines()
    assert type_("campaigns", "watch", "wifi").out == paused.out, "a paused one is not waited for"
    shown = type_("campaigns", "show", "wifi", "--json").json
    assert [each["device_serial"] for each in shown["devices"]] == sorted(serials, key=serials.index, reverse=True)
    assert [each["name"] for each in type_("campaigns", "list", "--state", "paused", "--json").json] == ["wifi"]
    for verb in ("resume", "cancel"):
        blank = type_("campaigns", verb, "wifi", "--reason", " ")
        assert (blank.status, blank.err.splitlines()[1:]) == (2, ["  reason: is missing"]), verb
    type_("campaigns", "cancel", "wifi", "--reason", "the wrong template")
    [entry] = [each for each in type_("audit", "list", "--json").json if each["action"] == "campaigns cancel"]
    assert (entry["reason"], entry["after"]["state"]) == ("the wrong template", "cancelled")


def test_what_is_wrong_with_a_plan_is_said_at_once(isp: Settings, type_: Type, tmp_path: Path) -> None:
    refused = type_("campaigns", "plan", "wifi", "--template", "tr181-pppoe", "--canary", "-1", "--batch", "0")
    assert refused.status == 2
    assert refused.err.splitlines()[1:] == [
        "  the canaries are 0 or more",
        "  a batch is 1 CPE or more",
        "  a group needs a template, a model or serial numbers",
    ]
    for words in ("night", "23:00Z-05:00Z"):
        window = type_("campaigns", "plan", "wifi", "--canary", "-1", "--model", "x", "--window", words)
        assert (window.status, window.err.splitlines()[1:]) == (
            2,
            [
                f"  window: {words!r} is no window; 23:00-05:00 would be one, by the ISP's clock",
                "  template: give either a template or a firmware",
                "  the canaries are 0 or more",
            ],
        )
    missing = tmp_path / "missing.txt"
    plan = ("campaigns", "plan", "w", "--template", "tr181-pppoe")
    assert f"{missing} can't be read" in type_(*plan, "--serials", str(missing)).err
    assert "give either a template or a firmware" in type_(*plan, "--firmware", "v2.bin", "--model", "x").err
    assert type_("campaigns", "list").out == "no campaigns\n"
