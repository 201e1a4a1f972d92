"""``docs/cpe-templates.md`` says what the templates say, and its example is one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from acs import TemplateLibrary
from acs.templates import reading
from acs.templates.reading import read_template

PAGE = (Path(__file__).parents[3] / "docs" / "cpe-templates.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0]


def test_the_example_is_a_template() -> None:
    template, faults = read_template("acme-a1", EXAMPLE.encode())
    assert faults == ()
    assert template is not None
    assert [parameter.sureness for parameter in template.parameters] == ["standard", *["reported"] * 3]
    assert template.delivery.selectors[0].placeholders == ("wan", "ppp")
    assert len(template.delivery.signs) == 2


def test_the_example_has_every_word_that_a_template_may_have() -> None:
    raw = tomllib.loads(EXAMPLE)
    assert set(raw) == reading._TOP_KEYS
    assert {key for parameter in raw["parameters"] for key in parameter} == reading._PARAMETER_KEYS
    assert set(raw["inform"]) == reading._INFORM_KEYS
    assert {wanted["type"] for wanted in raw["inputs"].values()} == set(reading._INPUT_KEYS)


def test_the_table_has_every_template_with_its_models_and_how_sure_it_is(templates: TemplateLibrary) -> None:
    rows = re.findall(r"^\| `([a-z0-9]+-[a-z0-9-]+)` \|([^|]*)\|[^|]*\|([^|]*)\|([^|]*)\|$", PAGE, re.MULTILINE)
    assert sorted(name for name, *_ in rows) == list(templates.names)
    for name, models, vlan, sureness in rows:
        template = templates.get(name)
        assert tuple(re.findall(r"`([^`]+)`", models)) == template.delivery.models, name
        said = {word for word in ("standard", "seen", "reported") if word in sureness}
        assert said == {parameter.sureness for parameter in template.parameters}, name
        assert ("refused" in vlan) == (template.inputs["cpe_vlan_id"].type == "refused"), name
        leaf = re.search(r"`([^`]+)`", vlan)
        if leaf is not None and "only" not in vlan:
            paths = [parameter.path for parameter in template.parameters if parameter.source == "cpe_vlan_id"]
            assert [path for path in paths if path.replace("{vlan}", "1").endswith(f".{leaf[1]}")] == paths, name
