"""Pools, and who holds what in them; the network they stand on is in ``ipam.network_tables``.

Addresses and VLAN numbers that are handed out are *units* of a pool: whole numbers counted from the pool's base. A free
unit has no row: it lies in an ``ipam_free_range``. A unit has one ``ipam_allocation`` row once it was ever used, and
UNIQUE(pool_id, unit) makes a second owner impossible. So a /8 costs 64 rows on its first day.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    literal_column,
    or_,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from ipam import ddl
from ipam.allocation.at_once_ddl import GIVE_AT_ONCE
from ipam.allocation.serving_tables import NetworkVersion, Serving, count_changes
from ipam.kept_ddl import keep
from ipam.nat.tables import NatBlock, NatRule
from ipam.network_tables import (
    AccessNode,
    AccessPort,
    AddressPlan,
    BigId,
    Bng,
    Id,
    IpamBase,
    Location,
    LocationAlias,
    Prefix,
    Site,
    Svlan,
    UtcDateTime,
    VlanGroup,
    Vrf,
    reference,
    table_of,
)
from ipam.upkeep.tables import Drain, FormerPrefix, PoolSample, ServiceMove

__all__ = [
    "ASSIGNED",
    "BOUND_THERE",
    "IN_A_DRAIN",
    "IN_QUARANTINE",
    "IN_THE_NETWORK",
    "RESERVED",
    "RESTS",
    "AccessNode",
    "AccessPort",
    "AddressPlan",
    "Allocation",
    "AllocationEvent",
    "Bng",
    "Drain",
    "Exclusion",
    "FormerPrefix",
    "FreeRange",
    "IpamBase",
    "Location",
    "LocationAlias",
    "NatBlock",
    "NatRule",
    "NetworkVersion",
    "Pool",
    "PoolBinding",
    "PoolSample",
    "Prefix",
    "Service",
    "ServiceMove",
    "Serving",
    "Site",
    "Svlan",
    "UtcDateTime",
    "VlanGroup",
    "Vrf",
    "table_of",
]

_PLACES = ("bng_id", "site_id", "node_id", "port_id")


class Pool(IpamBase):
    """Equal units of one prefix, or the C-VLANs of one S-VLAN, to be handed out one by one."""

    __tablename__ = "ipam_pool"
    __table_args__ = (
        UniqueConstraint("tenant_id", "name", name="ipam_pool_name"),
        CheckConstraint(
            "kind IN ('ipv4', 'ipv6_wan', 'ipv6_pd', 'ipv4_routed', 'ipv6_routed', 'cvlan')", name="ipam_pool_kind"
        ),
        CheckConstraint(
            "(kind = 'cvlan') = (svlan_id IS NOT NULL) AND (kind = 'cvlan') = (prefix_id IS NULL)"
            " AND (kind = 'cvlan') = (unit_length IS NULL)",
            name="ipam_pool_stands_on",
        ),
        # Units stay far inside a signed 64-bit number on both databases.
        CheckConstraint("span > 0 AND span <= 4611686018427387904 AND size BETWEEN 0 AND span", name="ipam_pool_size"),
        CheckConstraint("quarantine_seconds >= 0", name="ipam_pool_quarantine"),
        CheckConstraint("framed_pool IS NULL OR kind = 'ipv4'", name="ipam_pool_framed"),
        CheckConstraint("policy IN ('fresh_first', 'reuse_first')", name="ipam_pool_policy"),
        CheckConstraint("sticky_seconds >= 0", name="ipam_pool_sticky"),
        CheckConstraint(
            "warn_percent BETWEEN 1 AND 100 AND crit_percent BETWEEN warn_percent AND 100 AND minimum_free >= 0",
            name="ipam_pool_thresholds",
        ),
        Index(
            "ipam_pool_of_prefix",
            "prefix_id",
            unique=True,
            sqlite_where=text("retired_at IS NULL"),
            postgresql_where=text("retired_at IS NULL"),
        ),
    )
    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    prefix_id: Mapped[int | None] = mapped_column(ForeignKey("ipam_prefix.id"))
    svlan_id: Mapped[int | None] = mapped_column(ForeignKey("ipam_svlan.id"), unique=True)
    unit_length: Mapped[int | None]
    """Prefix length of one unit: 32 for an IPv4 host, 56 for a delegated /56. A C-VLAN's unit is its number."""
    span: Mapped[int] = mapped_column(BigInteger)
    """Units of the whole prefix, excluded ones counted."""
    size: Mapped[int] = mapped_column(BigInteger)
    """Units that may be handed out."""
    quarantine_seconds: Mapped[int]
    sticky_seconds: Mapped[int | None]
    """How long after a release its subject gets the same unit back; None: as long as nobody else was given it."""
    policy: Mapped[str] = mapped_column(Text)
    """``fresh_first``: never used units before used ones, which so rest longest; ``reuse_first``: used ones first."""
    warn_percent: Mapped[int]
    crit_percent: Mapped[int]
    """From how much of ``size`` in use the pool is running low, and from how much it is about to be full."""
    minimum_free: Mapped[int] = mapped_column(BigInteger)
    """With fewer free units than this it is about to be full as well; 0: no such floor."""
    framed_pool: Mapped[str | None] = mapped_column(Text)
    """The BNG hands these out itself and knows the pool by this name (RFC 2869 s5.18); ipam never does."""
    defined_at: Mapped[datetime] = mapped_column(UtcDateTime)
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """From when on it is there for history alone (``ipam.upkeep.retiring``); its prefix it may share with others."""


class Exclusion(IpamBase):
    """Units that are never handed out, and why. Rows don't overlap: what the description of the network excludes and an
    operator as well is one with both its ``reason`` and a ``note`` (``ipam.estate.exclusions``)."""

    __tablename__ = "ipam_exclusion"
    __table_args__ = (
        UniqueConstraint("pool_id", "first_unit", name="ipam_exclusion_once"),
        CheckConstraint("first_unit >= 0 AND first_unit <= last_unit", name="ipam_exclusion_bounds"),
    )
    id: Mapped[Id]
    pool_id: Mapped[int] = reference("ipam_pool.id", cascade=True)
    first_unit: Mapped[int] = mapped_column(BigInteger)
    last_unit: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)
    """Why an operator excluded it by hand; None: nobody has, the description of the network alone says so."""


class PoolBinding(IpamBase):
    """A pool, or a shared S-VLAN, serves the premises behind one BNG, site, node or port (of one plan, or of all)."""

    __tablename__ = "ipam_pool_binding"
    __table_args__ = (
        CheckConstraint("(pool_id IS NULL) <> (svlan_id IS NULL)", name="ipam_pool_binding_of_one"),
        CheckConstraint(
            "1 = " + " + ".join(f"(CASE WHEN {column} IS NULL THEN 0 ELSE 1 END)" for column in _PLACES),
            name="ipam_pool_binding_to_one",
        ),
        Index(
            "ipam_pool_binding_once",
            *(func.coalesce(text(column), 0) for column in ("pool_id", "svlan_id", *_PLACES, "plan_id")),
            unique=True,
        ),
    )
    id: Mapped[Id]
    pool_id: Mapped[int | None] = reference("ipam_pool.id", index=True, cascade=True)
    svlan_id: Mapped[int | None] = reference("ipam_svlan.id", index=True, cascade=True)
    bng_id: Mapped[int | None] = reference("ipam_bng.id", index=True)
    site_id: Mapped[int | None] = reference("ipam_site.id", index=True)
    node_id: Mapped[int | None] = reference("ipam_access_node.id", index=True)
    port_id: Mapped[int | None] = reference("ipam_access_port.id", index=True)
    plan_id: Mapped[int | None] = reference("ipam_address_plan.id", index=True)
    priority: Mapped[int]
    """Filled in ascending order among bindings of the same place."""


class Service(IpamBase):
    """One subscriber line: what a customer has at a premise on a plan. Rows are never deleted, numbers never reused."""

    __tablename__ = "ipam_service"
    __table_args__ = (
        UniqueConstraint("tenant_id", "request_id", name="ipam_service_request_once"),
        UniqueConstraint("username", name="ipam_service_username_once"),
        CheckConstraint("state IN ('active', 'released')", name="ipam_service_state"),
        CheckConstraint("(state = 'released') = (released_at IS NOT NULL)", name="ipam_service_released"),
        CheckConstraint("customer_id > 0", name="ipam_service_customer"),
        Index(
            "ix_ipam_service_framed_pool_id",
            "framed_pool_id",
            sqlite_where=text("framed_pool_id IS NOT NULL"),
            postgresql_where=text("framed_pool_id IS NOT NULL"),
        ),
    )
    service_id: Mapped[Id]
    request_id: Mapped[str | None] = mapped_column(Text)
    customer_id: Mapped[int] = mapped_column(BigInteger, index=True)
    location_id: Mapped[int] = reference("ipam_location.id", index=True)
    plan_id: Mapped[int] = reference("ipam_address_plan.id")
    svlan_id: Mapped[int | None] = reference("ipam_svlan.id", index=True)
    """The shared S-VLAN (N:1). In 1:1 it is the one around the C-VLAN."""
    framed_pool_id: Mapped[int | None] = reference("ipam_pool.id")
    username: Mapped[str] = mapped_column(Text)
    static_request: Mapped[str | None] = mapped_column(Text)
    """What was asked for by its number (JSON), so that the same request is known again; None: nothing."""
    state: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    released_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class FreeRange(IpamBase):
    """Units next_unit..last_unit were never used. Writers take from the front; a row that runs dry is deleted.

    No index but the key, and the key never changes: updates stay in their page (HOT), and a lock taken on a row is
    still a lock on it after the row has moved.
    """

    __tablename__ = "ipam_free_range"
    __table_args__ = (
        CheckConstraint("next_unit >= 0 AND next_unit <= last_unit", name="ipam_free_range_not_empty"),
        {"postgresql_with": {"fillfactor": 20}},
    )
    pool_id: Mapped[int] = mapped_column(ForeignKey("ipam_pool.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True)
    next_unit: Mapped[int] = mapped_column(BigInteger)
    last_unit: Mapped[int] = mapped_column(BigInteger)


class Allocation(IpamBase):
    """A unit that was ever used: assigned to a service, or waiting out its quarantine."""

    __tablename__ = "ipam_allocation"
    __table_args__ = (
        UniqueConstraint("pool_id", "unit", name="ipam_allocation_unit_once"),
        CheckConstraint("unit >= 0", name="ipam_allocation_unit"),
        CheckConstraint("state IN ('assigned', 'quarantine', 'reserved')", name="ipam_allocation_state"),
        CheckConstraint("(state = 'assigned') = (service_id IS NOT NULL)", name="ipam_allocation_holder"),
        CheckConstraint("(state = 'quarantine') = (available_at IS NOT NULL)", name="ipam_allocation_available"),
        CheckConstraint("sticky_until IS NULL OR state = 'quarantine'", name="ipam_allocation_sticky"),
        CheckConstraint("(state = 'reserved') = (note IS NOT NULL)", name="ipam_allocation_note"),
        CheckConstraint(
            "ordinal BETWEEN 1 AND 16 AND (ordinal = 1 OR state = 'assigned')", name="ipam_allocation_ordinal"
        ),
        *(
            Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))
            for name, columns, unique, where in (
                ("ipam_allocation_held_by", ("service_id", "pool_id", "ordinal"), True, "state = 'assigned'"),
                ("ipam_allocation_oldest", ("pool_id", "available_at", "id"), False, "available_at IS NOT NULL"),
                ("ipam_allocation_reserved", ("pool_id", "available_at"), False, "state = 'reserved'"),
                ("ipam_allocation_own", ("subject", "pool_id", "available_at", "id"), False, "state = 'quarantine'"),
            )
        ),
    )
    id: Mapped[BigId]
    pool_id: Mapped[int] = reference("ipam_pool.id")
    unit: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(Text)
    service_id: Mapped[int | None] = reference("ipam_service.service_id")
    subject: Mapped[str] = mapped_column(Text)
    """Customer and premise of the last holder: who comes back gets the same unit."""
    assigned_at: Mapped[datetime] = mapped_column(UtcDateTime)
    available_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    sticky_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Until when the subject has the first claim on it; None: as long as it is in quarantine or unused."""
    note: Mapped[str | None] = mapped_column(Text)
    """What a reserved unit is kept for."""
    ordinal: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    """Of all that its service has of this pool, whether it is the first, the second and so on. Only of routed prefixes
    there may be a second one: whoever takes a unit takes it as the first, so that the database itself refuses another
    address to who has one."""


IN_THE_NETWORK = Pool.retired_at.is_(None)
"""Of a pool: it wasn't retired."""

# Literals, not parameters: only so can a partial index be chosen.
ASSIGNED = Allocation.state == literal_column("'assigned'")
RESERVED = Allocation.state == literal_column("'reserved'")
IN_QUARANTINE = Allocation.state == literal_column("'quarantine'")
RESTS = Allocation.available_at.is_not(None)
"""The same rows: by ``IN_QUARANTINE`` those of a subject are found, by this one those of a pool, each by an index of
its own, whatever the database believes about their number."""

BOUND_THERE = or_(
    PoolBinding.bng_id == AccessNode.bng_id,
    PoolBinding.site_id == AccessNode.site_id,
    PoolBinding.node_id == AccessNode.id,
    PoolBinding.port_id == Location.port_id,
)
"""Of a binding, a premise and its access node: something is bound to one of the places around the premise."""
IN_A_DRAIN = (Drain.pool_id == Allocation.pool_id) & Allocation.unit.between(Drain.first_unit, Drain.last_unit)
"""Of an allocation and a drain: its unit lies in it. Of one pool no two drains have a unit in common."""


class AllocationEvent(IpamBase):
    """Who had which unit when. Rows are only ever added: the database refuses anything else.

    No foreign keys: the one to its pool would have all allocations at once lock one row, and what a row refers to is
    what its allocation does, in the same transaction, which has them. The database lets go of no service, and of no
    pool that has a history.
    """

    __tablename__ = "ipam_allocation_event"
    __table_args__ = (
        Index("ipam_allocation_event_of_unit", "pool_id", "unit", "id"),
        Index("ipam_allocation_event_of_service", "service_id", "id"),
        Index(  # what has yet to cool off, among years of history
            "ipam_allocation_event_cooling",
            "pool_id",
            "available_at",
            sqlite_where=text("available_at IS NOT NULL"),
            postgresql_where=text("available_at IS NOT NULL"),
        ),
        CheckConstraint(
            "what IN ('assigned', 'released', 'moved', 'reserved', 'unreserved', 'lifted')",
            name="ipam_allocation_event_what",
        ),
        CheckConstraint(
            "(what IN ('assigned', 'released', 'moved')) = (service_id IS NOT NULL)",
            name="ipam_allocation_event_service",
        ),
    )
    id: Mapped[BigId]
    pool_id: Mapped[int]
    unit: Mapped[int] = mapped_column(BigInteger)
    service_id: Mapped[int | None]
    what: Mapped[str] = mapped_column(Text)
    """``moved``: the service has kept it at another place. ``lifted``: out of quarantine before its time."""
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    available_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    note: Mapped[str | None] = mapped_column(Text)


ddl.after_create(table_of(Pool), postgresql=ddl.POSTGRESQL_POOLS, sqlite=ddl.SQLITE_POOLS)
ddl.after_create(table_of(Service), postgresql=ddl.POSTGRESQL_SERVICES, sqlite=ddl.SQLITE_SERVICES)
ddl.after_create(table_of(AllocationEvent), postgresql=ddl.POSTGRESQL_HISTORY + GIVE_AT_ONCE, sqlite=ddl.SQLITE_HISTORY)
keep(IpamBase.metadata)
count_changes(IpamBase.metadata)
