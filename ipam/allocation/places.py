"""Where a premise terminates and what a plan needs: resolved from names, or refused by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, Text, bindparam, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.errors import LocationUnknown, PlanUnknown
from ipam.tables import AccessNode, AccessPort, AddressPlan, Bng, Location, LocationAlias, Service, Site

AnySelect = Select[*tuple[Any, ...]]


@dataclass(frozen=True)
class Place:
    """A premise, its access node, and the port when it is known."""

    location_id: int
    location: str
    node_id: int
    port_id: int | None
    site_id: int
    bng_id: int
    access_node: str
    access_node_kind: str
    vlan_model: str
    cpe_vlan_id: int | None
    management_vlan: int | None
    port: str | None
    onu: int | None
    site: str
    bng: str


@dataclass(frozen=True)
class Plan:
    """What a commercial plan needs from the network."""

    plan_id: int
    name: str
    access: str
    addressing: str
    ipv4: bool
    ipv6_wan: bool
    ipv6_pd: bool
    cvlan: str


PLACE_COLUMNS: tuple[Any, ...] = (
    Location.id.label("location_id"),
    Location.name.label("location"),
    Location.node_id,
    Location.port_id,
    AccessNode.site_id,
    AccessNode.bng_id,
    AccessNode.name.label("access_node"),
    AccessNode.kind.label("access_node_kind"),
    AccessNode.vlan_model,
    AccessNode.cpe_vlan_id,
    AccessNode.management_vlan,
    AccessPort.name.label("port"),
    Location.onu,
    Site.name.label("site"),
    Bng.name.label("bng"),
)
PLAN_COLUMNS: tuple[Any, ...] = (
    AddressPlan.id.label("plan_id"),
    AddressPlan.name.label("plan_name"),
    AddressPlan.access,
    AddressPlan.addressing,
    AddressPlan.ipv4,
    AddressPlan.ipv6_wan,
    AddressPlan.ipv6_pd,
    AddressPlan.cvlan,
)


def with_place(statement: AnySelect) -> AnySelect:
    """Join a statement that starts at the location to everything it terminates on."""
    return (
        statement.join(AccessNode, AccessNode.id == Location.node_id)
        .join(Site, Site.id == AccessNode.site_id)
        .join(Bng, Bng.id == AccessNode.bng_id)
        .outerjoin(AccessPort, AccessPort.id == Location.port_id)
    )


def place_from(row: Row[Any]) -> Place:
    return Place(*row[: len(PLACE_COLUMNS)])


def plan_from(row: Row[Any]) -> Plan:
    return Plan(*row[len(PLACE_COLUMNS) : len(PLACE_COLUMNS) + len(PLAN_COLUMNS)])


TENANT = bindparam("tenant_id", type_=Text)


def premise(*columns: Any) -> AnySelect:
    """What is asked of the premise that ``location_alias`` leads to."""
    found = select(*columns).select_from(LocationAlias).join(Location, Location.id == LocationAlias.location_id)
    return with_place(found).where(
        LocationAlias.tenant_id == TENANT, LocationAlias.alias == bindparam("location_alias", type_=Text)
    )


_FIND_PLACE = premise(*PLACE_COLUMNS)


async def hold_places(
    db: AsyncSession, tenant_id: str, *service_locations: str, plan: str | None = None, request_id: str | None = None
) -> frozenset[int] | None:
    """Until the caller's transaction ends the premises stay at their nodes, those at their BNGs, and the plan as it is:
    who would change that waits for us, as we have waited here for who was at it. So it comes before anything is looked
    up, and before a service is locked. Unknown names are for others to refuse. SQLite has one writer anyway.

    ``request_id``: the premise where the service that it has made is by now is one of them. Returned is which premises
    are held (None: all): while this has waited, a name may have come to lead to another one.
    """
    if db.get_bind().dialect.name != "postgresql":
        return None
    aliases = [each.strip() for each in service_locations]
    named = (LocationAlias.tenant_id == tenant_id, LocationAlias.alias.in_(aliases))
    meant = select(LocationAlias.location_id).where(*named)
    made = (Service.tenant_id == tenant_id, Service.request_id == request_id)
    asked = meant if request_id is None else union_all(meant, select(Service.location_id).where(*made))
    these = select(Location.id).where(Location.id.in_(asked))
    held = frozenset(await db.scalars(these.order_by(Location.id).with_for_update(read=True, key_share=True)))
    if plan is not None:
        its = select(AddressPlan.id).where(AddressPlan.tenant_id == tenant_id, AddressPlan.name == plan)
        await db.execute(its.with_for_update(read=True, key_share=True))
    return held


async def lead_to(db: AsyncSession, tenant_id: str, held: frozenset[int] | None, *service_locations: str) -> bool:
    """Whether none of these names leads to another premise than those that are held (None: all), and so none will until
    our transaction ends: who would have it lead elsewhere waits for the premise where it leads."""
    if held is None or not service_locations:
        return True
    names = [each.strip() for each in service_locations]
    named = (LocationAlias.tenant_id == tenant_id, LocationAlias.alias.in_(names))
    return held.issuperset(await db.scalars(select(LocationAlias.location_id).where(*named)))


async def find_place(db: AsyncSession, tenant_id: str, service_location: str) -> Place:
    """The premise of that ``LOC-...`` id or alias.

    Raises:
        LocationUnknown: never a default place instead.
    """
    given = {"tenant_id": tenant_id, "location_alias": service_location.strip()}
    row = (await db.execute(_FIND_PLACE, given)).first()
    if row is None:
        raise LocationUnknown(service_location)
    return place_from(row)


async def find_plan(db: AsyncSession, tenant_id: str, name: str) -> Plan:
    """The address plan of that name.

    Raises:
        PlanUnknown: there is none.
    """
    found = select(*PLAN_COLUMNS).where(AddressPlan.tenant_id == tenant_id, AddressPlan.name == name)
    row = (await db.execute(found)).first()
    if row is None:
        raise PlanUnknown(name)
    return Plan(*row)
