"""What an ACS has instead of the baseline. Only reads; what is not ours is counted, and looked at for poison alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from typing_extensions import TypedDict

from acs.nbi.client import NbiClient
from acs.nbi.preset import poison_in
from acs.presets.baseline import PREFIX, Baseline

ItemKind = Literal["script", "preset"]


class Change(TypedDict):
    """One thing that is to become different: ``before`` and ``after`` are its contents, None for none."""

    kind: ItemKind
    name: str
    action: Literal["add", "change", "remove"]
    before: Any
    after: Any


class Poison(TypedDict):
    """A preset that stops every CPE session, whoever put it there."""

    name: str
    faults: list[str]


class Differences(TypedDict):
    """``changes`` in the order in which they are made: a script before the preset that runs it."""

    changes: list[Change]
    unchanged: list[str]
    foreign: int
    """Presets and scripts of others, which stay as they are."""
    poison: list[Poison]
    rivals: list[str]
    """Scripts of others that set how often CPEs report, which is ours to say."""


async def differences(nbi: NbiClient, wanted: Baseline) -> Differences:
    """Two questions to the ACS. Raises: NbiError."""
    scripts, presets = await nbi.provisions(), await nbi.presets()
    wanted_presets = {name: preset.document for name, preset in wanted.presets.items()}
    ours = {name: _plain(preset) for name, preset in presets.items() if name.startswith(PREFIX)}
    script_changes, same_scripts = _compared("script", wanted.scripts, _ours(scripts))
    preset_changes, same_presets = _compared("preset", wanted_presets, ours)
    put = [change for change in (*script_changes, *preset_changes) if change["action"] != "remove"]
    removed = [change for change in (*preset_changes, *script_changes) if change["action"] == "remove"]
    faults = {name: poison_in(preset) for name, preset in presets.items()}
    return Differences(
        changes=[*put, *removed],
        unchanged=sorted({*same_scripts, *same_presets}),
        foreign=sum(not name.startswith(PREFIX) for name in (*scripts, *presets)),
        poison=[Poison(name=name, faults=found) for name, found in sorted(faults.items()) if found],
        rivals=sorted(name for name, script in scripts.items() if not name.startswith(PREFIX) and _is_rival(script)),
    )


def _is_rival(script: str) -> bool:
    """GenieACS comes with such a script (``inform``), which writes its own interval to every CPE in every session."""
    return "PeriodicInformInterval" in script or "PeriodicInformEnable" in script


def _ours(stored: Mapping[str, str]) -> dict[str, str]:
    return {name: script for name, script in stored.items() if name.startswith(PREFIX)}


def _plain(preset: Mapping[str, Any]) -> dict[str, Any]:
    """As it is compared: a preset without events or precondition has none, however that is written."""
    return {"events": {}, "precondition": "", **{key: value for key, value in preset.items() if value is not None}}


def _compared(kind: ItemKind, wanted: Mapping[str, Any], stored: Mapping[str, Any]) -> tuple[list[Change], list[str]]:
    changes: list[Change] = []
    unchanged: list[str] = []
    for name in sorted({*wanted, *stored}):
        before, after = stored.get(name), wanted.get(name)
        if before == after:
            unchanged.append(name)
            continue
        action: Literal["add", "change", "remove"]
        action = "add" if before is None else "remove" if after is None else "change"
        changes.append(Change(kind=kind, name=name, action=action, before=before, after=after))
    return changes, unchanged
