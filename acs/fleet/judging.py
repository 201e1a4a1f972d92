"""What the ACS's record of a bound CPE says about it: news that needs doing, or nothing.

The record proves only what is younger than the write: a value read from the CPE since (by somebody's refresh, or an
Inform that carried it) and another than the wish is drift. A record that agrees proves nothing, and is not taken for
a reading. Times compared with each other are both the ACS's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row

from acs.convergence.seen_devices import SeenDevice, leaf_of
from acs.convergence.slowing import interval_given
from acs.convergence.verifying import Drift, is_same
from acs.tables import AcsDevice
from acs.templates.delivery import ChosenRows, Delivery
from acs.templates.rendering import ROOTS, Setting

INTERVAL = "ManagementServer.PeriodicInformInterval"
TAKEN = ("applied", "verified", "accepted_unverifiable")
SILENT_INTERVALS = 3

News = Literal["none", "first_inform", "reported", "rebooted", "reset", "drifted"]
"""* first_inform: it was awaited.
* reported: it has settings to get, or to be read back, and has reported since.
* rebooted: it has booted since it was read back, so it may have forgotten. reset, drifted: it has lost its settings.
"""


@dataclass(frozen=True, slots=True)
class Judgement:
    """``why`` in a sentence, for reset and drifted ones."""

    news: News
    why: str = ""
    drift: list[Any] = field(default_factory=list)


NOTHING = Judgement("none")
Known = AcsDevice | Row[*tuple[Any, ...]]
"""What our row says, or as much of it as is judged."""


def judge(device: Known, seen: SeenDevice, document: Mapping[str, Any], looked_at: Collection[str]) -> Judgement:
    """``document``: the record; ``looked_at``: the parameters that it was asked for, by their paths at this CPE."""
    last_inform = seen["last_inform"]
    if device.state == "awaiting_first_inform":
        return Judgement("first_inform") if last_inform is not None else NOTHING
    if device.state == "faulted":
        return NOTHING
    if device.repair_waits:  # counted already: it is yet to be carried out
        return Judgement("reported")
    if device.state == "drifted":  # a verification found that; the details are its own
        return Judgement("drifted", device.reason, list(device.details))
    if device.state in TAKEN and device.applied_revision == device.revision and device.written_at is not None:
        return _taken(device, seen, _shown_drift(device, document, looked_at))
    reported = last_inform is not None and (device.last_inform_at is None or last_inform > device.last_inform_at)
    return Judgement("reported") if reported else NOTHING


def _taken(device: Known, seen: SeenDevice, drift: list[Drift]) -> Judgement:
    """Of one that has taken its settings: whether it still has them."""
    bootstrap, boot, written = seen["last_bootstrap"], seen["last_boot"], device.written_at
    if written is not None and bootstrap is not None and bootstrap > written:
        return Judgement("reset", f"It was reset to factory default at {bootstrap:%Y-%m-%d %H:%M} UTC.")
    if drift:
        shown = "; ".join(f"{each['path']} is {each['reported']!r} instead of {each['wanted']!r}" for each in drift)
        return Judgement("drifted", f"{shown}.", drift)
    if device.state == "applied":
        return Judgement("reported")
    # What it held was read in a session after the Inform that stands in our row.
    heard = device.last_inform_at or written
    if boot is not None and heard is not None and boot > heard:
        return Judgement("rebooted")
    # A reading that was begun and could not be waited for: it may be there now.
    is_read = device.reading_after is not None and heard is not None and (seen["last_inform"] or heard) > heard
    return Judgement("reported") if is_read else NOTHING


def is_silent(last_inform: datetime | None, interval: timedelta, now: datetime) -> bool:
    return last_inform is not None and now - last_inform > interval * SILENT_INTERVALS


def inform_interval(device: Known, document: Mapping[str, Any], otherwise: timedelta) -> timedelta:
    """How often it informs at the least: as its settings say (seldom, once it was let) or as it said itself, whichever
    is longer, since it keeps its former interval until it has taken another; else as the ACS sets it for all."""
    seldom = device.inform_slowed_at is not None or device.inform_settled_at is not None
    wished = interval_given(device.parameters, seldom=seldom)
    told = [_interval_in(document, root) for root in ROOTS.values()]
    seconds = max((each for each in (wished, *told) if isinstance(each, int) and each > 0), default=None)
    return otherwise if seconds is None else timedelta(seconds=seconds)


def placed_paths(
    parameters: Sequence[Sequence[Any]], delivery: Mapping[str, Any], rows: Mapping[str, str]
) -> list[str]:
    """The paths of its parameters, in the rows that its last session has chosen; those nobody has chosen stay open."""
    paths = [str(row[0]) for row in parameters]
    if not rows or not any("{" in path for path in paths):
        return paths
    numbers: dict[str, str] = {}
    for selector in Delivery.from_json(delivery).selectors:
        numbers |= selector.numbers_of(rows.get(selector.name, "")) or {}
    chosen = ChosenRows(numbers)
    return [chosen.placed(path) if "{" in path else path for path in paths]


def _shown_drift(device: Known, document: Mapping[str, Any], looked_at: Collection[str]) -> list[Drift]:
    drift: list[Drift] = []
    if device.written_at is None:
        return drift
    paths = placed_paths(device.parameters, device.delivery or {}, device.rows or {})
    for path, row in zip(paths, device.parameters, strict=True):
        leaf = None if row[3] or path not in looked_at else leaf_of(document, path)
        if leaf is None or leaf.stamp is None or leaf.value is None or leaf.stamp <= device.written_at:
            continue
        if not is_same(setting := Setting.from_row(row), leaf.value):
            drift.append(Drift(path=path, wanted=setting.value, reported=leaf.value))
    return drift


def _interval_in(document: Mapping[str, Any], root: str) -> object:
    leaf = leaf_of(document, f"{root}.{INTERVAL}")
    return None if leaf is None else leaf.value
