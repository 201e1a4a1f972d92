"""What is exported in the columns of NetBox's bulk imports, which has addresses and prefixes in two lists.

NetBox has no cooling: what is in quarantine is reserved there. Its own name for the VRF default is none at all. What
has come from NetBox for nobody goes back with NetBox's own words and status.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from ipam.estate.spec import DEFAULT_VRF
from ipam.inventory.shapes import IMPORT_COLUMNS

ExportShape = Literal["csv", "netbox-addresses", "netbox-prefixes"]
SHAPES: Mapping[ExportShape, Sequence[str]] = {
    "csv": IMPORT_COLUMNS,
    "netbox-addresses": ("address", "vrf", "status", "description"),
    "netbox-prefixes": ("prefix", "vrf", "status", "description"),
}
"""The columns of each."""
LONGEST_DESCRIPTION = 200
_CAME_FROM_THERE = re.compile(
    r"imported from NetBox(?:: (?P<words>.*?) ?(?:\((?P<status>[^()]+)\)|(?P<cut_off>\.\.\.))?)?"
)
"""As ``lines.as_note`` and ``shapes`` have written it down; who is active there mostly has no status in it."""


def shaped(cells: Sequence[str], shape: ExportShape) -> Sequence[str] | None:
    """A row of ours as that shape has it; None: it belongs to another list."""
    if shape == "csv":
        return cells
    row = dict(zip(IMPORT_COLUMNS, cells, strict=True))
    value, is_host = row["value"], "/" not in row["value"]
    if row["kind"] == "cvlan" or is_host != (shape == "netbox-addresses"):
        return None
    if is_host:
        value = f"{value}/{128 if ':' in value else 32}"
    vrf = "" if row["vrf"] == DEFAULT_VRF else row["vrf"]
    status, description = _said(row)
    return value, vrf, status, description[:LONGEST_DESCRIPTION]


def says_the_same(note: str | None, other: str) -> bool:
    """Whether both say what NetBox has, whose status is written in one way in its tables and in another in its
    imports."""
    if note is None:
        return False
    came, again = (_CAME_FROM_THERE.fullmatch(each) for each in (note, other))
    return note == other or (came is not None and again is not None and _words_of(came) == _words_of(again))


def _words_of(came: re.Match[str]) -> tuple[str, str, str]:
    return came["words"] or "", (came["status"] or "").lower(), came["cut_off"] or ""


def _said(row: Mapping[str, str]) -> tuple[str, str]:
    """Status and description."""
    if row["state"] == "reserved":
        if (came := _CAME_FROM_THERE.fullmatch(row["note"])) is None:
            return "reserved", row["note"]
        status = came["status"] or ("reserved" if came["cut_off"] else "active")
        return status.lower(), came["words"] or ""
    whose = f"{row['username']}, customer {row['customer_id']} at {row['location']}"
    if row["state"] == "assigned":
        return "active", whose
    return "reserved", f"in quarantine until {row['available_at']}, last {whose}"
