"""Where a premise terminates and what a plan needs: resolved from names, or refused by name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Integer, Row, Select, Text, and_, bindparam, func, literal, select
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


@dataclass(frozen=True)
class Wish:
    """A request with its names resolved."""

    place: Place
    plan: Plan
    earlier_service_id: int | None
    """The service that the same request id has already made."""
    next_service_id: int


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


_TENANT = bindparam("tenant_id", type_=Text)


def _premise(*columns: Any) -> AnySelect:
    found = select(*columns).select_from(LocationAlias).join(Location, Location.id == LocationAlias.location_id)
    return with_place(found).where(
        LocationAlias.tenant_id == _TENANT, LocationAlias.alias == bindparam("location_alias", type_=Text)
    )


@cache
def _wish(dialect: str) -> AnySelect:
    """Built once: a statement's shape costs more to build than to send."""
    plan, request_id = bindparam("plan", type_=Text), bindparam("request_id", type_=Text)
    return (
        _premise(
            *PLACE_COLUMNS,
            *PLAN_COLUMNS,
            Service.service_id.label("earlier_service_id"),
            _next_service_id(dialect).label("next_service_id"),
        )
        .outerjoin(AddressPlan, and_(AddressPlan.tenant_id == _TENANT, AddressPlan.name == plan))
        .outerjoin(Service, and_(Service.tenant_id == _TENANT, Service.request_id == request_id))
    )


def _next_service_id(dialect: str) -> ColumnElement[int]:
    """A number that no other service has or will have; the username is made from it before the row is written."""
    if dialect == "postgresql":
        table, column = literal(Service.__tablename__), literal("service_id")
        return func.nextval(func.pg_get_serial_sequence(table, column), type_=Integer)
    # SQLite: the transaction already holds the one write lock, and services are never deleted.
    return select(func.coalesce(func.max(Service.service_id), 0) + 1).scalar_subquery()


_FIND_PLACE = _premise(*PLACE_COLUMNS)


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


async def resolve(
    db: AsyncSession, *, tenant_id: str, service_location: str, plan: str, request_id: str | None
) -> Wish:
    """Everything that an allocation must know before it chooses pools, in one round trip.

    Raises:
        LocationUnknown, PlanUnknown: as their names say.
    """
    given = {
        "tenant_id": tenant_id,
        "location_alias": service_location.strip(),
        "plan": plan,
        "request_id": request_id,
    }
    row = (await db.execute(_wish(db.get_bind().dialect.name), given)).first()
    if row is None:
        raise LocationUnknown(service_location)
    if row.plan_id is None:
        raise PlanUnknown(plan)
    return Wish(place_from(row), plan_from(row), row.earlier_service_id, row.next_service_id)
