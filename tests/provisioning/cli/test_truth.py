"""``firstlight subscribers truth | timeline``, as the NOC types them."""

from __future__ import annotations

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type

ANNA = "c1001-s1@isp.example"


def test_the_truth_is_printed_side_by_side(any_isp: Settings, type_: Type) -> None:
    lines = type_("subscribers", "truth", ANNA, "--no-acs").out.splitlines()
    assert lines[0] == "Everything agrees."
    beginning = lines.index("ipv4")
    assert [line.split("  ")[1] for line in lines[beginning + 1 : beginning + 5] if line.startswith("  ")][:1] == [
        "we want"
    ]
    told = type_("subscribers", "truth", ANNA, "--no-acs", "--json").json
    assert told["agrees"] is True
    assert {each["matter"] for each in told["comparisons"]} >= {"login", "plan", "ipv4", "settings"}
    assert type_("subscribers", "truth", "nobody@isp.example").status != 0


def test_the_timeline_is_printed_a_page_at_a_time(any_isp: Settings, type_: Type) -> None:
    out = type_("subscribers", "timeline", ANNA, "--limit", "1").out
    assert "older ones: --after " in out
    told = type_("subscribers", "timeline", ANNA, "--json").json
    assert {each["kind"] for each in told["entries"]} >= {"run", "session"}
