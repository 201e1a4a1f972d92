"""What operators do to addresses under way, and what it leaves: drains, former prefixes, moves, samples of usage."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ipam import ddl
from ipam.network_tables import BigId, Bytes16, Id, IpamBase, UtcDateTime, reference, table_of


class Drain(IpamBase):
    """Units of which none is handed out any more; those that are held stay with their services until released."""

    __tablename__ = "ipam_drain"
    __table_args__ = (
        UniqueConstraint("pool_id", "first_unit", name="ipam_drain_once"),
        CheckConstraint("first_unit >= 0 AND first_unit <= last_unit", name="ipam_drain_bounds"),
    )
    id: Mapped[Id]
    pool_id: Mapped[int] = reference("ipam_pool.id", cascade=True)
    first_unit: Mapped[int] = mapped_column(BigInteger)
    last_unit: Mapped[int] = mapped_column(BigInteger)
    note: Mapped[str] = mapped_column(Text)
    began_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FormerPrefix(IpamBase):
    """What a pool's prefix was until it shrank, so that history still knows its addresses."""

    __tablename__ = "ipam_former_prefix"
    __table_args__ = (
        Index("ipam_former_prefix_order", "vrf_id", "first_address"),
        CheckConstraint("first_address <= last_address", name="ipam_former_prefix_bounds"),
    )
    id: Mapped[Id]
    pool_id: Mapped[int] = reference("ipam_pool.id", index=True)
    vrf_id: Mapped[int] = reference("ipam_vrf.id")
    network: Mapped[str] = mapped_column(Text)
    first_address: Mapped[Bytes16]
    last_address: Mapped[Bytes16]
    until: Mapped[datetime] = mapped_column(UtcDateTime)
    note: Mapped[str] = mapped_column(Text)


class ServiceMove(IpamBase):
    """A service that went on at another place (or behind another BNG). Rows are only ever added."""

    __tablename__ = "ipam_service_move"
    __table_args__ = (
        UniqueConstraint("tenant_id", "request_id", name="ipam_service_move_request_once"),
        Index("ipam_service_move_of_service", "service_id", "id"),
    )
    id: Mapped[Id]
    service_id: Mapped[int] = reference("ipam_service.service_id")
    from_location_id: Mapped[int] = reference("ipam_location.id")
    to_location_id: Mapped[int] = reference("ipam_location.id")
    request_id: Mapped[str | None] = mapped_column(Text)
    static_request: Mapped[str | None] = mapped_column(Text)
    """What was asked for there by its number (JSON)."""
    note: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class PoolSample(IpamBase):
    """How full a pool was at one moment, and how bad that is; written by the clock, never by an allocation."""

    __tablename__ = "ipam_pool_sample"
    __table_args__ = (
        UniqueConstraint("pool_id", "at", name="ipam_pool_sample_once"),
        Index("ipam_pool_sample_at", "tenant_id", "at"),
        CheckConstraint("level IN ('ok', 'low', 'critical', 'exhausted')", name="ipam_pool_sample_level"),
    )
    id: Mapped[BigId]
    pool_id: Mapped[int] = reference("ipam_pool.id", cascade=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    size: Mapped[int] = mapped_column(BigInteger)
    assigned: Mapped[int] = mapped_column(BigInteger)
    """``NOT_KNOWN`` (-1): it doesn't tell any more how fast units are used up (``ipam.usage.looks``)."""
    quarantined: Mapped[int] = mapped_column(BigInteger)
    reserved: Mapped[int] = mapped_column(BigInteger)
    draining: Mapped[int] = mapped_column(BigInteger)
    free: Mapped[int] = mapped_column(BigInteger)
    level: Mapped[str] = mapped_column(Text)


ddl.after_create(table_of(ServiceMove), postgresql=ddl.POSTGRESQL_MOVES, sqlite=ddl.SQLITE_MOVES)
