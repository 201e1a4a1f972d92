"""Tables of ours in the radius database, beside FreeRADIUS' own: what is known of sessions that radacct says no more,
or never said.

They have no tenant of their own: whose a session is stands in ``radius_projection``, for these as for radacct.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from radius.projection.freeradius_tables import (
    Moment,
    NetworkAddress,
    freeradius_metadata,
    indexes_of_prefixes,
    session_columns,
)

_Number = BigInteger().with_variant(Integer(), "sqlite")

radius_session_archive = Table(
    "radius_session_archive",
    freeradius_metadata,
    # Sessions that are over for long, as radacct had them. FreeRADIUS asks here whose a late packet is.
    # PostgreSQL asks for the month in every unique key, so the number alone is none; it was radacct's.
    Column("acctstarttime", Moment, nullable=False),
    Column("radacctid", _Number, nullable=False),
    Column("acctuniqueid", Text, nullable=False),
    *session_columns(),
    PrimaryKeyConstraint("acctstarttime", "radacctid"),
    Index("radius_session_archive_unique", "acctuniqueid"),
    Index("radius_session_archive_by_user", "username", "acctstarttime"),
    Index("radius_session_archive_by_address", "framedipaddress", "acctstarttime"),
    *indexes_of_prefixes("radius_session_archive"),
    postgresql_partition_by="RANGE (acctstarttime)",
)

radius_usage_daily = Table(
    "radius_usage_daily",
    freeradius_metadata,
    # What a username has used on a day (UTC). Octets as in radacct. `since_day` is another day where a session's use
    # could not be split: then it is of all the days from that one to this one.
    Column("username", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("since_day", Date, nullable=False),
    Column("input_octets", BigInteger, nullable=False),
    Column("output_octets", BigInteger, nullable=False),
    Column("session_seconds", BigInteger, nullable=False),
    PrimaryKeyConstraint("username", "day", "since_day"),
)

radius_usage_counted = Table(
    "radius_usage_counted",
    freeradius_metadata,
    # How much of a session in radacct is in `radius_usage_daily` already, and up to which moment that is all.
    Column("radacctid", _Number, primary_key=True, autoincrement=False),
    Column("input_octets", BigInteger, nullable=False),
    Column("output_octets", BigInteger, nullable=False),
    Column("session_seconds", BigInteger, nullable=False),
    Column("counted_until", Moment, nullable=False),
)

radius_nas_heard = Table(
    "radius_nas_heard",
    freeradius_metadata,
    # Whether accounting comes from a NAS. `heard_at` is by the NAS' clock, the newest word of a session that is open;
    # the other moments are by ours: when that was last seen to change, since when it is heard without a pause (none: it
    # is silent), and when it was looked at last.
    Column("nasipaddress", NetworkAddress, primary_key=True),
    Column("heard_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("heard_since", Moment),
    Column("looked_at", Moment, nullable=False),
    Column("open_sessions", Integer, nullable=False, server_default=text("0")),
)

radius_nas_clock = Table(
    "radius_nas_clock",
    freeradius_metadata,
    # NASes whose clock differs from ours by minutes, or that have kept a packet and don't say so: by how much, since
    # when by as much, and when FreeRADIUS has seen it last.
    Column("nasipaddress", NetworkAddress, primary_key=True),
    Column("behind_seconds", BigInteger, nullable=False),
    Column("since", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
)

radius_station = Table(
    "radius_station",
    freeradius_metadata,
    # Which MAC addresses (Calling-Station-Id, as twelve hexadecimal digits) have logged in under which username, and
    # when a session of theirs began last. Digits alone are in the same order in every language.
    Column("station", String(12), nullable=False),
    Column("username", Text, nullable=False),
    Column("from_its_end", String(12), nullable=False),
    Column("seen_at", Moment, nullable=False),
    PrimaryKeyConstraint("station", "username"),
    Index("radius_station_from_its_end", "from_its_end"),
    Index("radius_station_by_user", "username"),
    Index("radius_station_by_time", "seen_at"),
)

radius_read_up_to = Table(
    "radius_read_up_to",
    freeradius_metadata,
    # Up to which number somebody has read radacct.
    Column("reader", String(32), primary_key=True),
    Column("radacctid", _Number, nullable=False),
)

radius_upkeep = Table(
    "radius_upkeep",
    freeradius_metadata,
    # Up to which day (UTC) a nightly job is done.
    Column("job", String(32), primary_key=True),
    Column("done_until", Date, nullable=False),
)


def insert_into(db: AsyncSession, table: Table) -> Any:
    """An INSERT that may say ON CONFLICT, on either database."""
    return (sqlite if db.get_bind().dialect.name == "sqlite" else postgresql).insert(table)
