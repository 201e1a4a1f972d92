"""The network as the operator described it: routing tables, places, prefixes, VLAN groups and address plans."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, cast

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from ipam import ddl


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite loses the zone and gets it back here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        if dialect.name == "sqlite":  # a list reads hundreds: its text is made a time in one go
            return lambda text: None if text is None else datetime.fromisoformat(f"{text}+00:00")
        return super().result_processor(dialect, coltype)


class IpamBase(DeclarativeBase):
    """The tables of ``ipam``; every row belongs to a tenant."""

    tenant_id: Mapped[str] = mapped_column(Text, sort_order=-1)


Id = Annotated[int, mapped_column(Integer, primary_key=True, sort_order=-2)]
# SQLite counts up by itself only in a column that is spelled INTEGER.
BigId = Annotated[int, mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, sort_order=-2)]
Bytes16 = Annotated[bytes, mapped_column(LargeBinary(16))]


def reference(column: str, *, index: bool = False, cascade: bool = False) -> Any:
    return mapped_column(ForeignKey(column, ondelete="CASCADE" if cascade else None), index=index)


class Vrf(IpamBase):
    """A routing table; the same prefix may exist once in each."""

    __tablename__ = "ipam_vrf"
    __table_args__ = (UniqueConstraint("tenant_id", "name", name="ipam_vrf_name"),)
    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text)


class Bng(IpamBase):
    """Where subscribers' traffic is routed."""

    __tablename__ = "ipam_bng"
    __table_args__ = (UniqueConstraint("tenant_id", "name", name="ipam_bng_name"),)
    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text)


class Site(IpamBase):
    """A building with access nodes in it."""

    __tablename__ = "ipam_site"
    __table_args__ = (UniqueConstraint("tenant_id", "name", name="ipam_site_name"),)
    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text)


class AccessNode(IpamBase):
    """An OLT, DSLAM or switch, and what its CPEs are told about VLANs."""

    __tablename__ = "ipam_access_node"
    __table_args__ = (
        UniqueConstraint("tenant_id", "name", name="ipam_access_node_name"),
        CheckConstraint("vlan_model IN ('n1', 'one_to_one')", name="ipam_access_node_vlan_model"),
        CheckConstraint("cpe_vlan_id BETWEEN 1 AND 4094", name="ipam_access_node_cpe_vlan"),
        CheckConstraint("management_vlan BETWEEN 1 AND 4094", name="ipam_access_node_management_vlan"),
    )
    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    site_id: Mapped[int] = reference("ipam_site.id", index=True)
    bng_id: Mapped[int] = reference("ipam_bng.id", index=True)
    vlan_model: Mapped[str] = mapped_column(Text)
    cpe_vlan_id: Mapped[int | None]
    management_vlan: Mapped[int | None]


class AccessPort(IpamBase):
    """A PON or line of an access node."""

    __tablename__ = "ipam_access_port"
    __table_args__ = (
        UniqueConstraint("node_id", "name", name="ipam_access_port_name"),
        UniqueConstraint("node_id", "id", name="ipam_access_port_of_node"),
    )
    id: Mapped[Id]
    node_id: Mapped[int] = reference("ipam_access_node.id")
    name: Mapped[str] = mapped_column(Text)


class Location(IpamBase):
    """A premise. Its port may be unknown until the technician's scan."""

    __tablename__ = "ipam_location"
    __table_args__ = (
        UniqueConstraint("tenant_id", "name", name="ipam_location_name"),
        ForeignKeyConstraint(
            ["node_id", "port_id"],
            ["ipam_access_port.node_id", "ipam_access_port.id"],
            name="ipam_location_port_is_of_its_node",
        ),
    )
    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text)
    """The stable ``LOC-...`` id."""
    node_id: Mapped[int] = reference("ipam_access_node.id", index=True)
    port_id: Mapped[int | None] = mapped_column(Integer)
    onu: Mapped[int | None] = mapped_column(Integer)
    """The number of its ONU on the port, of which a C-VLAN may be computed."""
    circuit_id: Mapped[str | None] = mapped_column(Text)
    """What the access node writes into Option 82 (RFC 3046 s3.1) for this line; always an alias, too."""


class LocationAlias(IpamBase):
    """Everything a premise is found by: its own ``LOC-...`` id too, so that no alias can shadow one."""

    __tablename__ = "ipam_location_alias"
    __table_args__ = (UniqueConstraint("tenant_id", "alias", name="ipam_location_alias_once"),)
    id: Mapped[Id]
    alias: Mapped[str] = mapped_column(Text)
    location_id: Mapped[int] = reference("ipam_location.id", index=True, cascade=True)


class Prefix(IpamBase):
    """A prefix. Assignable ones (all but containers) never overlap within a VRF: the database refuses."""

    __tablename__ = "ipam_prefix"
    __table_args__ = (
        UniqueConstraint("vrf_id", "network", "role", name=ddl.PREFIX_ONCE),
        Index("ipam_prefix_order", "vrf_id", "first_address"),
        CheckConstraint("family IN (4, 6)", name="ipam_prefix_family"),
        CheckConstraint(
            "role IN ('public', 'cgnat', 'wan6', 'pd', 'infra', 'container')",
            name="ipam_prefix_role",
        ),
        CheckConstraint(
            "length(first_address) = 16 AND length(last_address) = 16 AND first_address <= last_address",
            name="ipam_prefix_bounds",
        ),
        CheckConstraint("gateway IS NULL OR length(gateway) = 16", name="ipam_prefix_gateway"),
    )
    id: Mapped[Id]
    vrf_id: Mapped[int] = reference("ipam_vrf.id")
    family: Mapped[int]
    network: Mapped[str] = mapped_column(Text)
    """The canonical text; PostgreSQL's exclusion reads it."""
    first_address: Mapped[Bytes16]
    last_address: Mapped[Bytes16]
    length: Mapped[int]
    role: Mapped[str] = mapped_column(Text)
    gateway: Mapped[bytes | None] = mapped_column(LargeBinary(16))


class VlanGroup(IpamBase):
    """A layer 2 domain: an S-VLAN number means one thing in it."""

    __tablename__ = "ipam_vlan_group"
    __table_args__ = (UniqueConstraint("tenant_id", "name", name="ipam_vlan_group_name"),)
    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text)
    vids: Mapped[str] = mapped_column(Text)
    """The numbers it may use, without the reserved ones: ``100-149,151-399``."""


class Svlan(IpamBase):
    """An outer VLAN: shared by lines (N:1), or the one around a pool of C-VLANs (1:1)."""

    __tablename__ = "ipam_svlan"
    __table_args__ = (
        UniqueConstraint("group_id", "vid", name="ipam_svlan_vid_once"),
        CheckConstraint("vid BETWEEN 2 AND 4094", name="ipam_svlan_vid"),
    )
    id: Mapped[Id]
    group_id: Mapped[int] = reference("ipam_vlan_group.id")
    vid: Mapped[int]
    cvlan_formula: Mapped[str | None] = mapped_column(Text)
    """How the C-VLAN follows from the port and the ONU; None: the next free one is given."""


class AddressPlan(IpamBase):
    """What a commercial plan needs from the network."""

    __tablename__ = "ipam_address_plan"
    __table_args__ = (
        UniqueConstraint("tenant_id", "name", name="ipam_address_plan_name"),
        CheckConstraint("access IN ('pppoe', 'ipoe')", name="ipam_address_plan_access"),
        CheckConstraint("addressing IN ('sticky', 'framed_pool', 'dhcp')", name="ipam_address_plan_addressing"),
        CheckConstraint("cvlan IN ('by_node', 'always', 'never')", name="ipam_address_plan_cvlan"),
    )
    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text)
    access: Mapped[str] = mapped_column(Text)
    addressing: Mapped[str] = mapped_column(Text)
    """Who picks the IPv4 address; IPv6 prefixes are always ours."""
    ipv4: Mapped[bool]
    ipv6_wan: Mapped[bool]
    ipv6_pd: Mapped[bool]
    cvlan: Mapped[str] = mapped_column(Text)
    """A C-VLAN of its own: as the access node's model says, always, or never."""


def table_of(model: type[IpamBase]) -> Table:
    return cast(Table, model.__table__)


ddl.after_create(table_of(Prefix), postgresql=ddl.POSTGRESQL_PREFIX, sqlite=ddl.SQLITE_PREFIX)
