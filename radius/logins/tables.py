"""What FreeRADIUS writes down of logins, in tables of ours beside its own: ``deploy/freeradius/raddb/login_log.conf``.

The server knows no tenants: a login belongs to whoever owns the name or the NAS. So these have no ``tenant_id``, and an
address that is nobody's NAS is everybody's to see.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Dialect, Index, Integer, String, Table, Text
from sqlalchemy.types import TypeDecorator

from radius.projection.freeradius_tables import freeradius_metadata


class Second(TypeDecorator[datetime]):
    """An aware UTC moment as whole seconds since 1970 on both databases: FreeRADIUS' ``%l``."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        return None if value is None else int(value.timestamp())

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value, UTC)


def _id() -> Column[int]:
    return Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True)


radius_login = Table(
    "radius_login",
    freeradius_metadata,
    _id(),
    Column("username", Text, nullable=False),
    Column("accepted", Boolean, nullable=False),
    Column("reason", String(32)),
    Column("about", String(64)),
    Column("method", String(16), nullable=False),
    Column("nas_address", String(45), nullable=False),  # where the packet came from
    Column("nas_said_address", String(45)),  # as whose it counts: what the NAS says its address is, or is known to
    Column("nas_identifier", Text),
    Column("calling_station", Text),
    Column("nas_port", Text),
    Column("circuit", Text),
    Column("happened_at", Second, nullable=False),
    Index("radius_login_by_user", "username", "id"),
    sqlite_autoincrement=True,
)
"""One row a login of a known user; ``reason`` is a word of ``logins.REASONS``, NULL for an accept."""

radius_unknown_user = Table(
    "radius_unknown_user",
    freeradius_metadata,
    _id(),
    Column("username", Text, nullable=False),
    Column("nas_address", String(45), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("method", String(16), nullable=False),
    Column("calling_station", Text),
    Column("nas_port", Text),
    Column("circuit", Text),
    Column("first_at", Second, nullable=False),
    Column("last_at", Second, nullable=False),
    Column("times", BigInteger, nullable=False),
    Index("radius_unknown_user_once", "username", "nas_address", unique=True),
    Index("radius_unknown_user_last", "last_at"),
    sqlite_autoincrement=True,
)
"""One row a name that nobody has and the NAS it was tried at; the server makes no more than 5000."""

radius_unknown_nas = Table(
    "radius_unknown_nas",
    freeradius_metadata,
    Column("address", String(45), primary_key=True),
    Column("first_at", Second, nullable=False),
    Column("last_at", Second, nullable=False),
    Column("times", BigInteger, nullable=False),
)
"""One row an address that asked and is no NAS; ``times`` counts at most one a second. No more than 1000."""

radius_login_folder = Table(
    "radius_login_folder",
    freeradius_metadata,
    Column("place", Text, primary_key=True),
    Column("carried_at", Second, nullable=False),
    Column("alive_at", Second, nullable=False),
)
"""One row a folder in which FreeRADIUS has written logins to files, ``place`` being the machine and the folder. All
that had been written by ``carried_at`` is in ``radius_login``; somebody was about it at ``alive_at``."""

radius_login_file = Table(
    "radius_login_file",
    freeradius_metadata,
    Column("file", String(64), primary_key=True),
    Column("place", Text, nullable=False),
    Column("carried_octets", BigInteger, nullable=False),
)
"""One row a file that is being carried: so many octets of it are in ``radius_login``."""
