"""The tables FreeRADIUS reads and writes, by their usual names, in the *radius database*.

On PostgreSQL that is a schema (``radius``) of the appliance's database or a server of its own, on SQLite a file of its
own (``radius.db``). Names and columns are those of FreeRADIUS 3.2's own schema, so an existing server keeps working and
an existing database keeps its tables; what we add is the indexes a busy server needs and CHECKs that keep out what
FreeRADIUS would expand or mangle, whoever writes it (``radius.encoder`` explains each rule).

SQLite has no type for a moment or an address, and FreeRADIUS writes seconds since 1970 and text there; on PostgreSQL
they are timestamptz and inet. ``Moment`` and ``NetworkAddress`` make both look alike: aware UTC times and plain text.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    DateTime,
    Dialect,
    Index,
    Inspector,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    inspect,
    text,
)
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.types import TypeDecorator, TypeEngine


class Moment(TypeDecorator[datetime]):
    """An aware UTC moment: timestamptz on PostgreSQL, whole seconds since 1970 on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Integer() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        return int(value.timestamp()) if dialect.name == "sqlite" else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return datetime.fromtimestamp(value, UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class NetworkAddress(TypeDecorator[str]):
    """An address or prefix as text: inet on PostgreSQL, text on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(INET() if dialect.name == "postgresql" else Text())

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else str(value)


# SQLite works out a CHECK anew for each row: a list (IN) becomes a table first, a constant is put together again, and a
# pattern is tried at each character. So these are literals and few ranges; they are as quick as an index of its own.
_SQLITE_VALUE = (
    "value NOT GLOB '[''\"`]*' AND value = trim(value) AND instr(value, '%{') = 0"
    " AND value NOT GLOB '*[\x01-\x1f\x7f\\]*'"
    " AND instr(CAST(value AS BLOB), x'00') = 0 AND length(CAST(value AS BLOB)) BETWEEN 1 AND 253"
)
_POSTGRESQL_VALUE = (
    "left(value, 1) NOT IN ('''', '\"', '`') AND value = btrim(value)"
    " AND strpos(value, chr(92)) = 0 AND strpos(value, chr(37) || '{') = 0"
    r" AND value !~ '[\u0001-\u001f\u007f]' AND octet_length(value) BETWEEN 1 AND 253"
)
_SQLITE_ATTRIBUTE = "attribute <> '' AND attribute NOT GLOB '*[^a-zA-Z_0-:.-]*'"  # 0-: are the digits and the colon
_POSTGRESQL_ATTRIBUTE = "attribute ~ '^[A-Za-z0-9:._-]+$'"
_OPERATOR = "(op = ':=' OR op = '=' OR op = '+=')"

SAFE_ROW = {
    "sqlite": f"{_SQLITE_VALUE} AND {_SQLITE_ATTRIBUTE} AND {_OPERATOR}",
    "postgresql": f"{_POSTGRESQL_VALUE} AND {_POSTGRESQL_ATTRIBUTE} AND {_OPERATOR}",
}
"""Per database: true for a row whose value reaches the NAS as it was written. Used by the CHECKs and by ``check``."""

SAFE_USERNAME = {
    "sqlite": "username <> '' AND username NOT GLOB '*[^_a-z@-Z--:]*'",  # @-Z: @ and A to Z; --: is - . / 0 to 9 and :
    "postgresql": "username ~ '^[A-Za-z0-9@._:/-]+$'",
}
"""Per database: true for a name that FreeRADIUS looks up as it was typed."""

freeradius_metadata = MetaData()
"""FreeRADIUS' tables, and two of ours beside them: ``radius_projection`` and ``radius_line``."""


def _id(name: str = "id") -> Column[int]:
    return Column(name, BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True)


def _per_database(name: str, rule: dict[str, str]) -> list[CheckConstraint]:
    return [CheckConstraint(sql, name=name).ddl_if(dialect=dialect) for dialect, sql in rule.items()]


def _attribute_table(name: str, owner: str, *more: UniqueConstraint | Index | CheckConstraint) -> Table:
    return Table(
        name,
        freeradius_metadata,
        _id(),
        Column(owner, Text, nullable=False),
        Column("attribute", Text, nullable=False),
        Column("op", String(2), nullable=False),
        Column("value", Text, nullable=False),
        *_per_database(f"{name}_safe", SAFE_ROW),
        *more,
        sqlite_autoincrement=True,
    )


radcheck = _attribute_table(
    "radcheck",
    "username",
    # Of two passwords FreeRADIUS takes the older one, so a changed password would never take effect.
    UniqueConstraint("username", "attribute", name="radcheck_one_each"),
    *_per_database("radcheck_username", SAFE_USERNAME),
)
radreply = _attribute_table(
    "radreply",
    "username",
    UniqueConstraint("username", "attribute", "value", name="radreply_once"),
    *_per_database("radreply_username", SAFE_USERNAME),
)
radgroupcheck = _attribute_table(
    "radgroupcheck", "groupname", UniqueConstraint("groupname", "attribute", "value", name="radgroupcheck_once")
)
radgroupreply = _attribute_table(
    "radgroupreply", "groupname", UniqueConstraint("groupname", "attribute", "value", name="radgroupreply_once")
)

radusergroup = Table(
    "radusergroup",
    freeradius_metadata,
    _id(),
    Column("username", Text, nullable=False),
    Column("groupname", Text, nullable=False),
    Column("priority", Integer, nullable=False, server_default=text("0")),
    UniqueConstraint("username", "groupname", name="radusergroup_once"),
    *_per_database("radusergroup_username", SAFE_USERNAME),
    sqlite_autoincrement=True,
)

nas = Table(
    "nas",
    freeradius_metadata,
    _id(),
    Column("nasname", Text, nullable=False, unique=True),
    Column("shortname", Text, nullable=False),
    Column("type", Text, nullable=False, server_default=text("'other'")),
    Column("ports", Integer),
    Column("secret", Text, nullable=False),
    Column("server", Text),
    Column("community", Text),
    Column("description", Text),
    CheckConstraint("length(secret) >= 16", name="nas_secret"),
    sqlite_autoincrement=True,
)

_open_only = text("acctstoptime IS NULL")

SESSION_PREFIXES = ("framedipv6prefix", "delegatedipv6prefix", "framedipv6address")
"""Columns that only some sessions have."""


def session_columns() -> list[Column[Any]]:
    """What is known of a session, besides its number and ``acctuniqueid``."""
    return [
        Column("acctsessionid", Text, nullable=False),
        Column("username", Text),
        Column("realm", Text),
        Column("nasipaddress", NetworkAddress, nullable=False),
        Column("nasportid", Text),
        Column("nasporttype", Text),
        Column("acctupdatetime", Moment),
        Column("acctstoptime", Moment),
        Column("acctinterval", BigInteger),
        Column("acctsessiontime", BigInteger),
        Column("acctauthentic", Text),
        Column("connectinfo_start", Text),
        Column("connectinfo_stop", Text),
        Column("acctinputoctets", BigInteger),
        Column("acctoutputoctets", BigInteger),
        Column("calledstationid", Text),
        Column("callingstationid", Text),
        Column("acctterminatecause", Text),
        Column("servicetype", Text),
        Column("framedprotocol", Text),
        Column("framedipaddress", NetworkAddress),
        Column("framedipv6address", NetworkAddress),
        Column("framedipv6prefix", NetworkAddress),
        Column("framedinterfaceid", Text),
        Column("delegatedipv6prefix", NetworkAddress),
        Column("class", Text),
    ]


def indexes_of_prefixes(table: str) -> list[Index]:
    """Who had an IPv6 address or prefix; in an estate without IPv6 they are empty."""
    indexes = []
    for name in SESSION_PREFIXES:
        given = text(f"{name} IS NOT NULL")
        indexes.append(Index(f"{table}_by_{name}", name, "acctstarttime", sqlite_where=given, postgresql_where=given))
    return indexes


radacct = Table(
    "radacct",
    freeradius_metadata,
    _id("radacctid"),
    Column("acctuniqueid", Text, nullable=False, unique=True),
    Column("acctstarttime", Moment),
    *session_columns(),
    Index("radacct_open_by_user", "username", sqlite_where=_open_only, postgresql_where=_open_only),
    # None of them has a column that an interim changes: on PostgreSQL that makes an interim cheap (HOT).
    Index("radacct_open", "radacctid", sqlite_where=_open_only, postgresql_where=_open_only),
    Index("radacct_open_at_nas", "nasipaddress", "radacctid", sqlite_where=_open_only, postgresql_where=_open_only),
    Index("radacct_by_stop", "acctstoptime", "radacctid"),
    Index("radacct_by_user", "username", "acctstarttime"),
    Index("radacct_by_address", "framedipaddress", "acctstarttime"),
    *indexes_of_prefixes("radacct"),
    sqlite_autoincrement=True,
)

radpostauth = Table(
    "radpostauth",
    freeradius_metadata,
    _id(),
    Column("username", Text, nullable=False),
    Column("pass", Text),
    Column("reply", Text),
    Column("calledstationid", Text),
    Column("callingstationid", Text),
    Column("authdate", Moment, nullable=False),
    Column("class", Text),
    Index("radpostauth_by_user", "username", "authdate"),
    sqlite_autoincrement=True,
)

radius_projection = Table(
    "radius_projection",
    freeradius_metadata,
    # Which names in the tables above are ours, and which wish of which of our rows they show. Rows of a name that is
    # not in here belong to somebody else and are never touched.
    Column("kind", String(16), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("tenant_id", String(64), nullable=False),
    Column("source_id", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("projected_at", Moment, nullable=False),
    Index("radius_projection_by_source", "tenant_id", "kind", "source_id"),
)

radius_line = Table(
    "radius_line",
    freeradius_metadata,
    # For whom a line logs in, by what its NAS sends as User-Name (policies.conf, subscriber_of_line).
    _id(),
    Column("username", Text, nullable=False),
    Column("line", Text, nullable=False, unique=True),
    Index("radius_line_by_user", "username"),
    *_per_database("radius_line_username", SAFE_USERNAME),
    sqlite_autoincrement=True,
)

FREERADIUS_OWN = frozenset(
    {"radcheck", "radreply", "radgroupcheck", "radgroupreply", "radusergroup", "nas", "radacct", "radpostauth"}
)
"""The tables that an existing server has; the others are ours."""

_CREATION_LOCK = 0x52414449  # "RADI"


def ensure_freeradius_tables(connection: Connection) -> None:
    """Create what is missing in the radius database; tables that are there keep their shape and their rows. Indexes
    that an existing server's tables lack are for ``complete_existing_tables``: here they would hold up its accounting.

    Safe to repeat and safe from several processes at once. On PostgreSQL the first schema of the connection's search
    path is created when it isn't there. From asyncio: ``await connection.run_sync(ensure_freeradius_tables)``.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _CREATION_LOCK})
        if connection.scalar(text("SELECT current_schema()")) is None:
            _create_schema(connection)
    freeradius_metadata.create_all(connection)
    found = inspect(connection)
    for table in freeradius_metadata.sorted_tables:
        if table.name not in FREERADIUS_OWN:
            for index in lacks_index(found, table):
                index.create(connection)


def lacks_index(found: Inspector, table: Table) -> list[Index]:
    """The indexes of ours that a table does not have, though it has their columns."""
    there = {index["name"] for index in found.get_indexes(table.name)}
    columns = {column["name"] for column in found.get_columns(table.name)}
    return [
        index
        for index in sorted(table.indexes, key=lambda one: str(one.name))
        if index.name not in there and columns.issuperset(index.columns.keys())
    ]


def _create_schema(connection: Connection) -> None:
    search_path = str(connection.scalar(text("SHOW search_path")))
    schema = search_path.split(",")[0].strip().strip('"')
    quoted = connection.dialect.identifier_preparer.quote(schema)
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {quoted}"))
