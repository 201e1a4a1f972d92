"""What was installed at which ACS, and what was there before."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from acs.tables import AcsBase, UtcDateTime

INSTALL_STATES = ("installing", "installed", "taking_back", "unfinished", "rolled_back")
_OPEN = text("ended_at IS NULL")


class AcsPresetInstall(AcsBase):
    """One install; ``changes`` hold the contents of before, so that it can be taken back at any time.

    ``state``: *installing* and *taking_back* while a process holds the lease, or was killed; *unfinished* when the ACS
    could not be asked any more, so that part of it may be there; *installed* and *rolled_back* are its ends.
    """

    __tablename__ = "acs_preset_install"
    __table_args__ = (
        Index("ix_acs_preset_install_newest", "tenant_id", "acs_name", "id"),
        # One at a time at an ACS; one that was left in the middle is gone on with, or taken back.
        Index(
            "acs_preset_install_open", "tenant_id", "acs_name", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN
        ),
        CheckConstraint(f"state IN {INSTALL_STATES!r}", name="acs_preset_install_state"),
        CheckConstraint(
            "(state IN ('installed', 'rolled_back')) = (ended_at IS NOT NULL)", name="acs_preset_install_ended"
        ),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Text)
    acs_name: Mapped[str] = mapped_column(String(64))
    changes: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    """``kind``, ``name``, ``action``, ``before`` and ``after`` each; scripts and presets hold no secret."""
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    requested_by: Mapped[str] = mapped_column(Text)
    begun_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    leased_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    leased_by: Mapped[str | None] = mapped_column(String(32))
