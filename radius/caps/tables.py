"""What has happened to subscribers' data caps: rows are added and never changed."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, get_args

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from radius.plans.terms import CapCounts
from radius.tables import Identity, RadiusBase

CapEventKind = Literal["warned", "reached", "lifted", "ended"]
"""
* warned: most of it is used.
* reached: all of it is.
* lifted: by hand, for the rest of the month or by so many octets.
* ended: a month, or what the plan says, has begun anew, and the subscriber is served as its plan says.
"""


class DataCapEvent(RadiusBase):
    """One of a subscriber's, the ``ordinal``-th. ``allowance_octets`` is what it might use by then."""

    __tablename__ = "radius_data_cap_event"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "subscriber_id"], ["radius_subscriber.tenant_id", "radius_subscriber.id"]),
        UniqueConstraint("tenant_id", "subscriber_id", "ordinal"),
        Index("ix_radius_data_cap_event_in", "tenant_id", "subscriber_id", "period_ends"),
        CheckConstraint(f"kind IN ({', '.join(repr(kind) for kind in get_args(CapEventKind))})", name="kind"),
    )

    id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    subscriber_id: Mapped[int] = mapped_column(BigInteger)
    ordinal: Mapped[int]
    kind: Mapped[CapEventKind] = mapped_column(String(16))
    plan_id: Mapped[int] = mapped_column(BigInteger)
    counts: Mapped[CapCounts] = mapped_column(String(8))
    allowance_octets: Mapped[int | None] = mapped_column(BigInteger)
    """None: as much as it liked."""
    used_octets: Mapped[int | None] = mapped_column(BigInteger)
    """None: nobody looked."""
    extra_octets: Mapped[int | None] = mapped_column(BigInteger)
    """By how much it was lifted; None: for the rest of the month."""
    period_begins: Mapped[datetime]
    period_ends: Mapped[datetime]
    occurred_at: Mapped[datetime]
