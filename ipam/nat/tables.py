"""Which outside address and ports a subscriber behind a CGNAT has: by rule (RFC 7422), or as the box's logs say."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from ipam.network_tables import BigId, Bytes16, Id, IpamBase, UtcDateTime, reference

_IN_FORCE = text("until IS NULL")


class NatRule(IpamBase):
    """For a time, the inside addresses of a pool mapped onto outside addresses, a block of ports for each."""

    __tablename__ = "ipam_nat_rule"
    __table_args__ = (
        Index("ipam_nat_rule_in_force", "pool_id", unique=True, sqlite_where=_IN_FORCE, postgresql_where=_IN_FORCE),
        Index("ipam_nat_rule_outside", "tenant_id", "first_outside"),
        CheckConstraint("first_outside <= last_outside", name="ipam_nat_rule_outside_bounds"),
        CheckConstraint(
            "first_port BETWEEN 1 AND last_port AND last_port <= 65535 AND"
            " ports_per_subscriber BETWEEN 1 AND last_port - first_port + 1",
            name="ipam_nat_rule_ports",
        ),
        CheckConstraint("algorithm IN ('by_address', 'by_block')", name="ipam_nat_rule_algorithm"),
        CheckConstraint("until IS NULL OR since <= until", name="ipam_nat_rule_time"),
    )
    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text)
    pool_id: Mapped[int] = reference("ipam_pool.id", index=True)
    prefix_id: Mapped[int] = reference("ipam_prefix.id", index=True)
    """The outside prefix, which so can't be handed out to anybody else."""
    first_outside: Mapped[Bytes16]
    last_outside: Mapped[Bytes16]
    first_inside: Mapped[Bytes16]
    inside_count: Mapped[int]
    first_port: Mapped[int]
    last_port: Mapped[int]
    ports_per_subscriber: Mapped[int]
    algorithm: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    described: Mapped[bool | None]
    """Whether the description of the network says it, or said it last; else it was said by hand. None: not known."""


class NatBlock(IpamBase):
    """Ports of an outside address that an inside address had for a time, as a box without a rule has logged it."""

    __tablename__ = "ipam_nat_block"
    __table_args__ = (
        UniqueConstraint("tenant_id", "outside", "first_port", "began_at", name="ipam_nat_block_once"),
        Index("ipam_nat_block_inside", "tenant_id", "inside", "began_at"),
        CheckConstraint("first_port BETWEEN 1 AND last_port AND last_port <= 65535", name="ipam_nat_block_ports"),
        CheckConstraint("ended_at IS NULL OR began_at < ended_at", name="ipam_nat_block_time"),
    )
    id: Mapped[BigId]
    outside: Mapped[Bytes16]
    first_port: Mapped[int]
    last_port: Mapped[int]
    vrf_id: Mapped[int] = reference("ipam_vrf.id")
    inside: Mapped[Bytes16]
    began_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """None: the block was still the subscriber's when the log was read."""
    end_told: Mapped[bool | None]
    """Whether a log has told that end; else it is when the next block of the same ports began, or a rule before that.
    None: it has no end, or it was read when this wasn't kept, and nobody knows."""
    source: Mapped[str] = mapped_column(Text)
    """Which box or file said so."""
