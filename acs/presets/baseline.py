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
FIRST = -1000
"""What a CPE is believed to have is forgotten before anything else is done in its session."""


@dataclass(frozen=True)
class Baseline:
    """Scripts by name, and presets."""

    scripts: Mapping[str, str]
    presets: Mapping[str, Preset] = field(default_factory=dict)


def baseline() -> Baseline:
    """What comes with this release."""
    presets = (
        Preset(
            "firstlight_bootstrap",
            ({"type": "provision", "name": "firstlight_bootstrap", "args": None},),
            weight=FIRST,
            channel="firstlight_bootstrap",
            events={"0 BOOTSTRAP": True},
        ),
        Preset(
            "firstlight_inform",
            ({"type": "provision", "name": "firstlight_inform", "args": None},),
            weight=FIRST + 1,
            channel="firstlight_inform",
            events={"0 BOOTSTRAP": True},
        ),
    )
    return Baseline(
        {name: (files("acs") / "provisions" / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS},
        {preset.name: preset for preset in presets},
    )
