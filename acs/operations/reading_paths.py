"""Which parameters hold a reading for a model, and what they say. The paths are data: ``reading_paths.toml``."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, cast

from acs.convergence.seen_devices import SeenDevice
from acs.templates.rendering import ROOTS, DataModel, SettingValue

Unit = Literal["dbm", "milli_dbm", "dbm_or_tenth_microwatt", "seconds", "count", "text"]
Sure = Literal["standard", "dumps", "published"]

FIRST_PPP: Mapping[DataModel, str] = {
    "TR-181": "Device.PPP.Interface.1",
    "TR-098": "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANPPPConnection.1",
}
POWERS_DBM = (-60.0, 10.0)
"""A received power outside of this is none of a PON's (ITU-T G.984.2 sensitivity and overload, with room)."""

_NUMBER = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*(?:dBm)?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ReadingPath:
    """One place where a model may have a reading."""

    reading: str
    data_model: DataModel
    path: str
    unit: Unit
    sure: Sure
    manufacturer: str | None = None
    ouis: tuple[str, ...] = ()

    def fits(self, seen: SeenDevice) -> bool:
        """Whether that CPE's vendor is known to have it there."""
        if self.data_model not in seen["data_models"]:
            return False
        if self.manufacturer is None and not self.ouis:
            return True
        by_name = self.manufacturer is not None and self.manufacturer in (seen["manufacturer"] or "").lower()
        return by_name or (seen["oui"] or "").upper() in self.ouis


@cache
def reading_paths() -> tuple[ReadingPath, ...]:
    """All of them, in the order they are tried."""
    raw = tomllib.loads((files("acs") / "operations" / "reading_paths.toml").read_text(encoding="utf-8"))
    return tuple(_read(entry) for entry in raw["paths"])


def readings_known() -> tuple[str, ...]:
    """The names of all readings."""
    return tuple(dict.fromkeys(each.reading for each in reading_paths()))


def paths_for(seen: SeenDevice, parameters: Sequence[str]) -> list[ReadingPath]:
    """Those that fit the CPE, the PPP connection in place that its login was set in (``parameters``)."""
    logins = [
        path.rpartition(".")[0]
        for path in parameters
        if path.endswith(".Username") and "PPP" in path and "{" not in path
    ]
    fitting = [each for each in reading_paths() if each.fits(seen)]
    return [
        ReadingPath(
            each.reading,
            each.data_model,
            each.path.replace("{ppp}", logins[0] if logins else FIRST_PPP[each.data_model]),
            each.unit,
            each.sure,
        )
        for each in fitting
    ]


def value_of(unit: Unit, raw: SettingValue | None) -> float | int | str | None:
    """What the CPE says, in dBm, seconds or as it is; None for what cannot be one."""
    if raw is None or raw == "":
        return None
    if unit == "text":
        return str(raw)[:200]
    number = _NUMBER.fullmatch(str(raw))
    if number is None:
        return None
    if unit in ("seconds", "count"):
        return int(float(number[1]))
    return _power(unit, float(number[1]))


def _power(unit: Unit, number: float) -> float | None:
    if unit == "milli_dbm":
        number /= 1000
    elif unit == "dbm_or_tenth_microwatt" and number >= 0:
        if number == 0:  # no light, or not measured: the CPE does not tell which
            return None
        number = 10 * math.log10(number * 1e-4)
    least, most = POWERS_DBM
    return round(number, 2) if least <= number <= most else None


def _read(entry: Mapping[str, Any]) -> ReadingPath:
    """Raises: ValueError for an entry that nobody could use."""
    path, model = str(entry["path"]), cast(DataModel, entry["data_model"])
    if not path.startswith(("{ppp}.", f"{ROOTS[model]}.")):
        raise ValueError(f"{path} is no path of {model}")
    return ReadingPath(
        reading=str(entry["reading"]),
        data_model=model,
        path=path,
        unit=cast(Unit, entry["unit"]),
        sure=cast(Sure, entry["sure"]),
        manufacturer=entry.get("manufacturer"),
        ouis=tuple(entry.get("ouis", ())),
    )
