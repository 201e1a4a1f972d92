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
_ARGUMENT = "const want = JSON.parse(args[0]);"
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
        presets.append(_at_bootstrap(FIRST_SESSION, FIRST + 2, first_session_at))
        scripts[FIRST_SESSION] = first_session_script()
    return Baseline(scripts, {preset.name: preset for preset in presets})


def first_session_script() -> str:
    """What asks, and then the script that gives CPEs their settings, with the answer in the place of its argument."""
    apply = _shipped(APPLY)
    if apply.count(_ARGUMENT) != 1:
        raise AssertionError(f"{APPLY} does not read its argument as it did")
    given = apply.replace(_ARGUMENT, "const want = JSON.parse(answer);")
    return f"{_shipped(FIRST_SESSION)}if (answer) {{\n{given}}}\n"


def _shipped(name: str) -> str:
    return (files("acs") / "provisions" / f"{name}.js").read_text(encoding="utf-8")


def _at_bootstrap(name: str, weight: int, *args: str) -> Preset:
    """A preset that runs the script of its name."""
    return Preset(
        name,
        ({"type": "provision", "name": name, "args": list(args) or None},),
        weight=weight,
        channel=name,
        events={"0 BOOTSTRAP": True},
    )
