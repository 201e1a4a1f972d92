"""Whether an OLT carries a line as its service would need it."""

from __future__ import annotations

from ipam import AllocatedResources
from provisioning.address_errors import LineOnOlt
from provisioning.line import LineOrderRecord

ANEW = "End the service and install it anew, so that the OLT is told."
OFF_FIRST = "Have it taken off the OLT first."


def carried_otherwise(line: LineOrderRecord, given: AllocatedResources) -> LineOnOlt | None:
    """What stands against giving this to the line's service; None: its OLT was told node, port and VLANs like these.

    A line that stays at its node stays in the management VLAN that its OLT was told, whatever the estate says by now:
    nothing that its service is given changes that.
    """
    ports = {line["port"], line["actual_port"] or line["port"]}
    told = (line["access_node"], line["svlan"], line["cvlan"])
    wanted = (given["access_node"], given["svlan"], given["cvlan"])
    if told == wanted and given["port"] in (None, *ports):
        return None
    is_managed_alike = line["management_vlan"] == given["management_vlan"]
    managed = "" if is_managed_alike else _managed_in(given["management_vlan"])
    where = given["access_node"] if given["port"] is None else f"{given['access_node']} {given['port']}"
    return _in_the_way(
        line,
        managed="" if is_managed_alike else _managed_in(line["management_vlan"]),
        wanted=f"it would have to be {_in_vlan(given['svlan'], given['cvlan'])}{managed} at {where}",
        instead=ANEW,
    )


def carried_still(line: LineOrderRecord) -> LineOnOlt:
    """What stands against giving back what the line's service holds."""
    return _in_the_way(line, wanted="its VLAN is free only when the OLT has let go of it", instead=OFF_FIRST)


def _in_the_way(line: LineOrderRecord, *, wanted: str, instead: str, managed: str = "") -> LineOnOlt:
    where = f"{line['access_node']} {line['actual_port'] or line['port']}"
    return LineOnOlt(
        line["service_id"],
        line_order_id=line["line_order_id"],
        carried=f"{_in_vlan(line['svlan'], line['cvlan'])}{managed} at {where}",
        wanted=wanted,
        instead=instead,
    )


def _in_vlan(svlan: int, cvlan: int | None) -> str:
    return f"in VLAN {svlan}" if cvlan is None else f"in VLAN {svlan}.{cvlan}"


def _managed_in(vlan: int | None) -> str:
    return " without a management VLAN" if vlan is None else f" with management VLAN {vlan}"
