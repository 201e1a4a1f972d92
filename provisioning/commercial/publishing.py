"""How the commercial side says that something has happened, without knowing who listens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

PublishEvent = Callable[[AsyncSession, str, str, Mapping[str, Any], str, str], Awaitable[None]]
"""Writes an event in this transaction: (db, type, subject, data, key, by). The same key again is the same event."""
