"""``firstlight addresses nat-...``: what of a rule of port blocks, and of a log, stays in the audit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type

RULE = ("addresses", "nat-rule", "north-v4", "--outside", "203.0.113.0/27", "--reason", "det44")


def test_the_audit_says_which_rule_stood_before_and_which_stands_since(any_isp: Settings, type_: Type) -> None:
    for ports in ("2016", "1008", "1008"):
        assert type_(*RULE, "--ports", ports).status == 0
    for _ in range(2):
        assert type_("addresses", "nat-end-rule", "north-v4", "--reason", "another box").status == 0

    ended, changed, begun = type_("audit", "list", "--json").json
    assert [_ports(entry) for entry in (begun, changed, ended)] == [(None, 2016), (2016, 1008), (1008, None)]
    assert ended["before"]["rule"]["outside"] == "203.0.113.0/27"
    assert ended["reason"] == "another box"


def test_the_audit_says_what_a_log_brought(any_isp: Settings, type_: Type, tmp_path: Path) -> None:
    log = tmp_path / "cgn.csv"
    line = "198.51.100.7,1024,2047,100.64.0.7,2026-03-02T20:00:00Z,2026-03-02T22:00:00Z\n"
    log.write_text("outside,first_port,last_port,inside,began_at,ended_at\n" + line)
    for _ in range(2):
        assert type_("addresses", "nat-import-blocks", log, "--source", "cgn-1").status == 0

    [entry] = type_("audit", "list", "--json").json
    told = {name: entry["after"][name] for name in ("blocks", "new", "ended_by_next", "contradicts_rule")}
    assert (entry["subject"], told) == (
        "nat_log/cgn-1",
        {"blocks": 1, "new": 1, "ended_by_next": 0, "contradicts_rule": 0},
    )


def _ports(entry: dict[str, Any]) -> tuple[int | None, int | None]:
    """How many ports each had by the rule of before, and has by that of after."""
    before, after = (entry[when]["rule"] for when in ("before", "after"))
    return before and before["ports_per_subscriber"], after and after["ports_per_subscriber"]
