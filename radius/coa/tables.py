"""What open sessions are still to be told: written in the transaction of the change itself, so neither is without the
other.

One ``SessionChange`` is one act on a subscriber; ``SessionTreatment`` is one session, and what became of it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from radius.tables import Identity, RadiusBase

Act = Literal[
    "change_plan",
    "suspend",
    "resume",
    "rotate_password",
    "rename",
    "bind",
    "unbind",
    "apply_plan",
    "activate",
    "terminate",
    "cap",
    "uncap",
    "lift_cap",
    "reopened",
    "readdress",
    "disconnect",
    "set_right",
]
ChangeState = Literal["pending", "confirmed", "superseded"]
"""
* pending: some session is not known yet to be as it shall be.
* confirmed: accounting has shown every session since then, or its end.
* superseded: a later change says what sessions shall have.
"""
SessionSaid = Literal[
    "changed", "as_wished", "disconnected", "unknown_to_nas", "refused", "unanswered", "not_asked", "nas_unknown"
]
ACTS: tuple[Act, ...] = get_args(Act)


class SessionChange(RadiusBase):
    """An act on a subscriber. ``former`` is JSON: the terms that open sessions may still have, and since when a plan
    had them; ``must_end`` is true when no CoA could bring a session to what is wanted (another address). What an
    earlier change has left is in ``former`` too."""

    __tablename__ = "radius_session_change"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "subscriber_id"], ["radius_subscriber.tenant_id", "radius_subscriber.id"]),
        UniqueConstraint("tenant_id", "id"),
        UniqueConstraint("tenant_id", "request_id"),
        Index("ix_radius_session_change_of", "tenant_id", "subscriber_id", "id"),
        Index(
            "ix_radius_session_change_due",
            "tenant_id",
            "due_at",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
        CheckConstraint(f"act IN ({', '.join(repr(act) for act in ACTS)})", name="act"),
        CheckConstraint("state IN ('pending', 'confirmed', 'superseded')", name="state"),
    )

    id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    subscriber_id: Mapped[int] = mapped_column(BigInteger)
    act: Mapped[Act] = mapped_column(String(16))
    request_id: Mapped[str | None] = mapped_column(String(200))
    request_fingerprint: Mapped[str] = mapped_column(String(64))
    former: Mapped[str] = mapped_column(Text)
    must_end: Mapped[bool]
    state: Mapped[ChangeState] = mapped_column(String(16))
    attempts: Mapped[int]
    due_at: Mapped[datetime]
    leased_until: Mapped[datetime | None]
    """While somebody is at it, nobody takes up this or another change of the same subscriber."""
    carried_at: Mapped[datetime | None]
    """When FreeRADIUS showed it first: from then on every login has it."""
    right_above: Mapped[int | None] = mapped_column(BigInteger)
    """Sessions with a higher number in accounting logged in when FreeRADIUS showed it; None: not known yet."""
    settled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class SessionTreatment(RadiusBase):
    """One open session of a change: what it was asked last, what its NAS said, and since when accounting shows it."""

    __tablename__ = "radius_session_treatment"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "change_id"], ["radius_session_change.tenant_id", "radius_session_change.id"]
        ),
        UniqueConstraint("change_id", "radacct_id"),
    )

    id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    change_id: Mapped[int] = mapped_column(BigInteger)
    radacct_id: Mapped[int] = mapped_column(BigInteger)
    session_id: Mapped[str] = mapped_column(Text)
    nas_address: Mapped[str] = mapped_column(String(45))
    said: Mapped[SessionSaid] = mapped_column(String(20))
    error_cause: Mapped[int | None]
    reason: Mapped[str] = mapped_column(Text)
    asked_at: Mapped[datetime | None]
    """When its last answer was in; None: it was never asked."""
    heard_at: Mapped[datetime | None]
    """What accounting showed as its last sign of life by then, by the clock of its NAS."""
    heard_seconds: Mapped[int]
    """How long it lasted by then."""
    confirmed_at: Mapped[datetime | None]
