"""What OLTs and CPEs were told of VLANs that an import has changed: nothing tells them anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from acs import DeviceSearch
from ipam import AccessNodeSpec, Change
from provisioning.estate_changes import MOST_NAMED, services_in_words
from provisioning.line import live_line_orders

if TYPE_CHECKING:  # an appliance imports estates
    from provisioning.bootstrap import Appliance

SERVICES_AT_ONCE = 500


@dataclass(frozen=True)
class ToldBefore:
    """An access node that is told with another VLAN, how many live services there have theirs as their OLT or CPE was
    told it before, and the numbers of the first of them."""

    access_node: str
    vlan: Literal["cpe_vlan_id", "management_vlan"]
    count: int
    service_ids: tuple[int, ...]

    def __str__(self) -> str:
        whose = services_in_words(self.count, self.service_ids)
        if self.vlan == "management_vlan":
            return (
                f"access_node {self.access_node} has another management_vlan than its OLT was told for {whose}: it"
                " stays so there, until the OLT is configured by hand or the service is installed anew"
            )
        return (
            f"access_node {self.access_node} has another cpe_vlan_id than the CPE of {whose} was told: it tags as it"
            " was told, until `firstlight devices override` tells it otherwise"
        )


async def told_before(
    db: AsyncSession, changes: Iterable[Change], nodes: Iterable[AccessNodeSpec], appliance: Appliance
) -> list[ToldBefore]:
    """Of all nodes of which OLT or CPEs are to be told another VLAN from now on, those that have lines which were not:
    what each was told is kept with its line order and its CPE."""
    tenant_id, told_anew = str(appliance.tenant_id), {each.name: each.told_anew for each in changes if each.told_anew}
    found: list[ToldBefore] = []
    for node in nodes:
        if not (told := told_anew.get(node.name, ())):
            continue
        service_ids = await appliance.address_lookup(db).service_ids_behind(node.name)
        if "management_vlan" in told:
            lines = await live_line_orders(db, tenant_id, service_ids)
            here = [line for line in lines.values() if line["access_node"] == node.name]
            others = {line["service_id"] for line in here if line["management_vlan"] != node.management_vlan}
            found += _told(node.name, "management_vlan", others)
        if "cpe_vlan_id" in told:
            found += _told(node.name, "cpe_vlan_id", await _cpes(db, tenant_id, service_ids, node.cpe_vlan_id))
    return found


async def _cpes(db: AsyncSession, tenant_id: str, service_ids: Sequence[int], vlan: int | None) -> set[int]:
    """The services of which a CPE was given another VLAN."""
    search = DeviceSearch(db, tenant_id=tenant_id)
    found: set[int] = set()
    for start in range(0, len(service_ids), SERVICES_AT_ONCE):
        for one in await search.of_services(service_ids[start : start + SERVICES_AT_ONCE]):
            if one["service_id"] is not None and one["inputs"].get("cpe_vlan_id") != vlan:
                found.add(one["service_id"])
    return found


def _told(access_node: str, vlan: Literal["cpe_vlan_id", "management_vlan"], service_ids: set[int]) -> list[ToldBefore]:
    first = tuple(sorted(service_ids)[:MOST_NAMED])
    return [ToldBefore(access_node, vlan, len(service_ids), first)] if service_ids else []
