"""What is exported in the columns of NetBox's bulk imports, which has addresses and prefixes in two lists.

NetBox has no cooling: what is in quarantine is reserved there. Its own name for the VRF default is none at all.
"""

from __future__ import annotations

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
    status = "active" if row["state"] == "assigned" else "reserved"
    return value, vrf, status, _description(row)[:LONGEST_DESCRIPTION]


def _description(row: Mapping[str, str]) -> str:
    if row["state"] == "reserved":
        return row["note"]
    whose = f"{row['username']}, customer {row['customer_id']} at {row['location']}"
    return whose if row["state"] == "assigned" else f"in quarantine until {row['available_at']}, last {whose}"
