"""Which words and numbers a line order may be made of."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from acs import is_serial
from provisioning.errors import Fault

# These end up in commands that a person pastes into an OLT, where a space or a line end would begin something else.
WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}")
HIGHEST_ONU_ID: Final = 4095
POWER_RANGE_DBM: Final = (-60.0, 10.0)


def line_faults(asked: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong with the words of ``authorise_line``, each fault once."""
    if not is_serial(asked["device_serial"]):
        yield Fault("device_serial", "must be 1 to 64 letters, digits and . _ ~ % -")
    for name in ("access_node", "line_profile"):
        if not is_word(asked[name]):
            yield Fault(name, "must be 1 to 64 letters, digits and . _ : / - without spaces")
    if asked["port"] is not None and not is_word(asked["port"]):
        yield Fault("port", "must be like 0/1/3, or left out while it is unknown")
    for name in ("svlan", "cvlan", "management_vlan"):
        if (vlan := asked[name]) is None and name != "svlan":
            continue
        if not 1 <= vlan <= 4094:
            yield Fault(name, "must be a VLAN from 1 to 4094")


def answer_faults(actual_port: str, onu_id: int | None, received_power_dbm: float | None) -> Iterator[Fault]:
    """What is wrong with an OLT's answer, each fault once."""
    if not is_word(actual_port):
        yield Fault("actual_port", "must be like 0/1/3")
    if onu_id is not None and not 0 <= onu_id <= HIGHEST_ONU_ID:
        yield Fault("onu_id", f"must be from 0 to {HIGHEST_ONU_ID}")
    low, high = POWER_RANGE_DBM
    if received_power_dbm is not None and not (math.isfinite(received_power_dbm) and low <= received_power_dbm <= high):
        yield Fault("received_power_dbm", f"must be from {low:g} to {high:g} dBm")


def is_word(text: str) -> bool:
    return bool(WORD.fullmatch(text))
