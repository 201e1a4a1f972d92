"""``firstlight addresses show`` and its like: what is looked at, and what is refused of that."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipam.lookup import address_facts
from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type

NO_TEXT = "north\udcff-v4"


def test_a_prefix_says_how_much_is_not_listed_and_which_pools_lie_in_it(
    any_isp: Settings, type_: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address_facts, "MOST_WITHIN", 2)
    # not from the front of a range, where a service may have an address by chance
    for last in (73, 74, 75):
        assert type_("addresses", "reserve", "north-v4", f"100.64.3.{last}", "--reason", "for the museum").status == 0

    part = type_("addresses", "show", "100.64.3.72/29").out.splitlines()
    whole = type_("addresses", "show", "100.64.0.0/10").out.splitlines()

    assert part[1:] == [
        "  100.64.3.73: reserved: for the museum",
        "  100.64.3.74: reserved: for the museum",
        "  and 1 more: `firstlight addresses export --pool north-v4` writes all of that pool",
    ]
    assert whole[0].startswith("100.64.0.0/10: of no pool as a whole, with these in it")
    assert "  pool north-v4: 100.64.0.0/22" in whole
    facts = type_("addresses", "show", "100.64.3.72/29", "--json").json
    assert (len(facts["within"]), facts["within_total"]) == (2, 3)


def test_an_outside_address_says_whose_cgnat_has_it(isp: Settings, type_: Type) -> None:
    rule = ("addresses", "nat-rule", "north-v4", "--outside", "198.51.100.0/28", "--ports", 512, "--reason", "new box")
    assert type_(*rule).status == 0

    shown = type_("addresses", "show", "198.51.100.7").out.splitlines()

    assert shown[1] == "  the CGNAT of pool north-v4 has it outside: with :PORT after it, who is behind that port"


def test_of_a_look_that_is_refused_nobody_is_told_that_nothing_was_written(isp: Settings, type_: Type) -> None:
    preview = ("preview", "--customer", 0, "--location", "LOC-9", "--plan", "gold")
    looks = (("show", "nowhere"), ("show",), ("holder", "300.1.1.1"), ("history", "nowhere"), preview)
    for words in (*looks, ("usage", "--by", "street"), ("nat-blocks", "::1")):
        refused = type_("addresses", *words)
        assert (refused.status, "is refused:" in refused.err, "written" in refused.err) == (2, True, False), words
    assert "nothing was written:" in type_("addresses", "release", 99, "--reason", "").err


def test_what_is_typed_and_is_no_text_is_bad_input_wherever_it_stands(
    isp: Settings, type_: Type, tmp_path: Path
) -> None:
    file = tmp_path / "kept\udcff.csv"
    for words, names in (
        (("addresses", "reserve", NO_TEXT, "100.64.3.9", "--reason", "\udcfe"), ("'pool'", "'reason'")),
        (("addresses", "usage", NO_TEXT), ("'pool'",)),
        (("addresses", "import", file, "--from", "csv"), ("'file'",)),
        (("addresses", "show", NO_TEXT, "--json"), ("'address'",)),
        (("subscribers", "show", NO_TEXT), ("'username'",)),
    ):
        refused = type_(*words)
        assert refused.status == 2, refused
        assert "isn't UTF-8 text" in " ".join(refused.err.replace("│", " ").split())
        assert all(name in refused.err for name in names), refused.err
