"""What every ACS should have from us: our scripts, and the presets that run them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files

from acs.nbi.preset import Preset

PREFIX = "firstlight_"
"""The names that are ours at an ACS. What has another name belongs to somebody else."""
APPLY = "firstlight_apply"
"""By this CPEs get their settings; whoever gives them puts it first, as the release has it."""
SCRIPTS = (APPLY, "firstlight_bootstrap", "firstlight_inform")
FIRST_SESSION = "firstlight_first_session"
"""By this the ACS asks us in a CPE's first session, where an operator wants that."""
ACS_NAMED = 'const acs = "{}";'
_ARGUMENT, _ANSWER = "const want = JSON.parse(args[0]);", "const want = JSON.parse(answer);"
FIRST = -1000
"""What a CPE is believed to have is forgotten before anything else is done in its session."""


@dataclass(frozen=True)
class Baseline:
    """Scripts by name, and presets."""

    scripts: Mapping[str, str]
    presets: Mapping[str, Preset] = field(default_factory=dict)


def baseline(*, first_session_at: str | None = None) -> Baseline:
    """What comes with this release. ``first_session_at``: the name of an ACS that asks us in first sessions."""
    presets = [_at_bootstrap("firstlight_bootstrap", FIRST), _at_bootstrap("firstlight_inform", FIRST + 1)]
    scripts = {name: _shipped(name) for name in SCRIPTS}
    if first_session_at is not None:
        presets.append(_at_bootstrap(FIRST_SESSION, FIRST + 2))
        scripts[FIRST_SESSION] = first_session_script(first_session_at)
    return Baseline(scripts, {preset.name: preset for preset in presets})


def first_session_script(acs_name: str) -> str:
    """What asks, and then the script that gives CPEs their settings, with the answer in the place of its argument.

    The ACS's name stands in the script: what a preset may hand to one is documented nowhere.
    """
    asking = _replaced(_shipped(FIRST_SESSION), ACS_NAMED.format("default"), ACS_NAMED.format(acs_name))
    return f"{asking}if (answer) {{\n{_replaced(_shipped(APPLY), _ARGUMENT, _ANSWER)}}}\n"


def _replaced(script: str, line: str, by: str) -> str:
    if script.count(line) != 1:
        raise AssertionError(f"a script has no line {line!r} any more")
    return script.replace(line, by)


def _shipped(name: str) -> str:
    return (files("acs") / "provisions" / f"{name}.js").read_text(encoding="utf-8")


def _at_bootstrap(name: str, weight: int) -> Preset:
    """A preset that runs the script of its name."""
    return Preset(
        name,
        ({"type": "provision", "name": name, "args": None},),
        weight=weight,
        channel=name,
        events={"0 BOOTSTRAP": True},
    )
