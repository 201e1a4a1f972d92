"""``firstlight find``, as the NOC types it."""

from __future__ import annotations

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type

ANNA = "c1001-s1@isp.example"


def test_whatever_is_typed_is_found_with_the_reason_why(any_isp: Settings, type_: Type) -> None:
    [heading, line, *below] = type_("find", ANNA).out.splitlines()
    assert heading.split() == ["what", "which", "online"]
    assert line.split() == ["subscriber", ANNA, "yes"]
    assert "its username" in " ".join(each.strip() for each in below)
    [hit] = type_("find", "customer", "1001", "--json").json["hits"]
    assert (hit["noun"], hit["id"], hit["username"], hit["why"]) == ("customer", "1001", ANNA, ["its number"])
    assert type_("find", "nobody", "here").out == "nothing found; it was read as name\n"
    assert type_("find", "example", "--limit", "1", "--json").json["hits"] == []
    refused = type_("find", "a")
    assert (refused.status, "too short" in refused.err) == (2, True)
