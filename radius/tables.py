"""The appliance's own RADIUS tables, in the appliance's database: what FreeRADIUS shall know.

The rows FreeRADIUS reads (``freeradius_tables``) are a projection of these. ``version`` counts the wishes,
``projected_version`` says which of them has reached the radius database: a row is *dirty* while the two differ.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar, get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from radius.states import STATES, Origin, State, over_plan
from radius.subscribers.password_hashes import HashKind
from radius.subscribers.password_storage import PasswordStorage

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment in UTC on both databases: SQLite forgets the zone, PostgreSQL answers in its own."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone cannot be stored: {value.isoformat()}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        if dialect.name == "sqlite":  # a list reads hundreds: its text is made a time in one go
            return lambda text: None if text is None else datetime.fromisoformat(f"{text}+00:00")
        return super().result_processor(dialect, coltype)


# SQLite counts up by itself only a column that is exactly INTEGER.
Identity = BigInteger().with_variant(Integer(), "sqlite")


class RadiusBase(DeclarativeBase):
    """Tables of this package in the appliance's database."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime()}


class Projected:
    """Columns of everything that is projected into the radius database."""

    version: Mapped[int] = mapped_column(BigInteger, default=1)
    projected_version: Mapped[int | None] = mapped_column(BigInteger)
    projected_digest: Mapped[str | None] = mapped_column(String(64))
    projected_at: Mapped[datetime | None]

    @property
    def dirty(self) -> bool:
        """True while the radius database has not been brought to this row's wish."""
        return self.projected_version != self.version


class Plan(Projected, RadiusBase):
    """A rate and its limits, in no vendor's words. In FreeRADIUS it is a group."""

    __tablename__ = "radius_plan"
    __table_args__ = (
        UniqueConstraint("tenant_id", "name"),
        UniqueConstraint("tenant_id", "id"),
        CheckConstraint("download_kbps > 0 AND upload_kbps > 0", name="rates"),
    )

    id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(64))
    download_kbps: Mapped[int] = mapped_column(BigInteger)
    upload_kbps: Mapped[int] = mapped_column(BigInteger)
    session_timeout_seconds: Mapped[int | None] = mapped_column(BigInteger)
    idle_timeout_seconds: Mapped[int | None] = mapped_column(BigInteger)
    interim_interval_seconds: Mapped[int]
    burst_download_kbps: Mapped[int | None] = mapped_column(BigInteger)
    burst_upload_kbps: Mapped[int | None] = mapped_column(BigInteger)
    burst_seconds: Mapped[int | None]
    priority: Mapped[int | None]
    qos_profile: Mapped[str | None] = mapped_column(String(32))
    session_cap_megabytes: Mapped[int | None] = mapped_column(BigInteger)
    access: Mapped[str] = mapped_column(String(8), default="pppoe", server_default="pppoe")
    ipv4_pool: Mapped[str | None] = mapped_column(String(253))
    ipv6_pool: Mapped[str | None] = mapped_column(String(32))
    ipv6_delegated_pool: Mapped[str | None] = mapped_column(String(32))
    dns_ipv4: Mapped[str] = mapped_column(Text, default="", server_default="")
    dns_ipv6: Mapped[str] = mapped_column(Text, default="", server_default="")
    """Of both the servers with a blank between them."""
    vrf: Mapped[str | None] = mapped_column(String(32))
    garden_filter: Mapped[str | None] = mapped_column(String(32))
    garden_url: Mapped[str | None] = mapped_column(Text)
    second_login: Mapped[str] = mapped_column(String(8), default="replace", server_default="replace")
    data_cap_octets: Mapped[int | None] = mapped_column(BigInteger)
    data_cap_counts: Mapped[str] = mapped_column(String(8), default="both", server_default="both")
    at_cap: Mapped[str] = mapped_column(String(8), default="tell", server_default="tell")
    cap_plan: Mapped[str | None] = mapped_column(String(64))
    where_untold: Mapped[str] = mapped_column(String(12), default="refuse_plan", server_default="refuse_plan")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class FormerPlanTerms(RadiusBase):
    """What a plan said until it was changed: sessions that began before may have it still."""

    __tablename__ = "radius_former_plan_terms"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "plan_id"], ["radius_plan.tenant_id", "radius_plan.id"]),
        UniqueConstraint("plan_id", "version"),
        Index("ix_radius_former_plan_terms_of", "tenant_id", "plan_id"),
    )

    id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    plan_id: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(BigInteger)
    """The plan's, as it said this first or was told anew; from 1 on nothing is missing."""
    terms: Mapped[str] = mapped_column(Text)
    """``PlanTerms`` as JSON."""
    since: Mapped[datetime]
    until: Mapped[datetime]


def _while_it_lives(name: str, *columns: str, only: str | None = None) -> Index:
    """Unique among the subscribers that are not terminated."""
    where = text("state <> 'terminated'" if only is None else f"state <> 'terminated' AND {only}")
    return Index(name, *columns, unique=True, sqlite_where=where, postgresql_where=where)


def _where_given(name: str, column: str) -> Index:
    where = text(f"{column} IS NOT NULL")
    return Index(name, "tenant_id", column, sqlite_where=where, postgresql_where=where)


class Subscriber(Projected, RadiusBase):
    """One RADIUS username and the service it stands for. The password is sealed under ``secret:subscriber/<id>``."""

    __tablename__ = "radius_subscriber"
    __table_args__ = (
        Index("ix_radius_subscriber_newest", "tenant_id", "id"),
        Index("uq_radius_subscriber_tenant_id_id", "tenant_id", "id", unique=True),
        ForeignKeyConstraint(["tenant_id", "plan_id"], ["radius_plan.tenant_id", "radius_plan.id"]),
        UniqueConstraint("tenant_id", "request_id"),
        # FreeRADIUS knows one subscriber of a name, whoever owns it; a name that was given back may be used again.
        Index(
            "uq_radius_subscriber_username",
            "username",
            unique=True,
            sqlite_where=text("state <> 'terminated'"),
            postgresql_where=text("state <> 'terminated'"),
        ),
        Index("ix_radius_subscriber_every_username", "username"),
        _while_it_lives("uq_radius_subscriber_external_id", "tenant_id", "external_id"),
        # FreeRADIUS asks a line's identity for one subscriber, whoever owns it.
        _while_it_lives("uq_radius_subscriber_line_station", "bound_station", only="login_by_line"),
        _while_it_lives("uq_radius_subscriber_line_circuit", "bound_circuit", only="login_by_line"),
        Index("ix_radius_subscriber_customer", "tenant_id", "customer_id"),
        Index("ix_radius_subscriber_named", "tenant_id", "username", "id"),
        Index("ix_radius_subscriber_state", "tenant_id", "state", "id"),
        # By its bytes, whatever order the database's language has: so the beginning of a name is a range.
        Index(
            "ix_radius_subscriber_begins",
            "tenant_id",
            "username_folded",
            postgresql_ops={"username_folded": "text_pattern_ops"},
        ),
        Index("ix_radius_subscriber_service", "tenant_id", "service_id"),
        _where_given("ix_radius_subscriber_address", "framed_ipv4"),
        _where_given("ix_radius_subscriber_station", "bound_station"),
        _where_given("ix_radius_subscriber_station_end", "bound_station_from_its_end"),
        CheckConstraint(f"state IN ({', '.join(repr(state) for state in STATES)})", name="state"),
        CheckConstraint("(state = 'testing') = (testing_until IS NOT NULL)", name="testing_until"),
        CheckConstraint("framed_ipv4 IS NULL OR framed_pool IS NULL", name="address_or_pool"),
    )

    id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    customer_id: Mapped[int] = mapped_column(BigInteger)
    service_id: Mapped[int | None] = mapped_column(BigInteger)
    username: Mapped[str] = mapped_column(String(128))
    username_folded: Mapped[str | None] = mapped_column(
        String(128), Computed("lower(username)", persisted=True), deferred=True
    )
    """By it a name is found however it is written. Row-level security keeps PostgreSQL from the index of an expression
    whose function might tell what it is given, and ``lower`` is one."""
    plan_id: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[State] = mapped_column(String(16))
    garden_plan_id: Mapped[int | None] = mapped_column(BigInteger)
    """The plan that a suspended subscriber is served by in place of its own; None: its logins are refused."""
    capped_plan_id: Mapped[int | None] = mapped_column(BigInteger)
    """The plan that serves one that has used up its data cap, in place of its own."""
    testing_until: Mapped[datetime | None]
    framed_ipv4: Mapped[str | None] = mapped_column(String(15))
    framed_pool: Mapped[str | None] = mapped_column(String(253))
    ipv6_wan_prefix: Mapped[str | None] = mapped_column(String(49))
    delegated_prefix: Mapped[str | None] = mapped_column(String(49))
    framed_routes: Mapped[str] = mapped_column(Text, default="", server_default="")
    framed_ipv6_routes: Mapped[str] = mapped_column(Text, default="", server_default="")
    """Of both one a line, as FreeRADIUS is told them."""
    external_id: Mapped[str | None] = mapped_column(String(128))
    """The ISP's own number of it, if it has one."""
    bound_station: Mapped[str | None] = mapped_column(String(253))
    bound_station_from_its_end: Mapped[str | None] = mapped_column(String(12))
    """The same from its last digit to its first, if it is a MAC address: so it is found by what a label ends with."""
    bound_port: Mapped[str | None] = mapped_column(String(253))
    bound_circuit: Mapped[str | None] = mapped_column(String(253))
    bound_remote: Mapped[str | None] = mapped_column(String(253))
    """The line from which it may log in; None: from any (``radius.subscribers.line_identity``)."""
    login_by_line: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Its line logs in for it, without a password (IPoE)."""
    password_hash_kind: Mapped[HashKind | None] = mapped_column(String(16))
    """Only a hash of its password is known, of this kind, and sealed under ``secret:subscriber_hash/<id>``."""
    origin: Mapped[Origin] = mapped_column(String(8), default="ordered", server_default="ordered")
    request_id: Mapped[str | None] = mapped_column(String(200))
    request_fingerprint: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    @property
    def over_plan_id(self) -> int | None:
        """The plan that serves it in place of its own, if any."""
        return over_plan(self.state, self.garden_plan_id, self.capped_plan_id)

    @property
    def password_ref(self) -> str:
        return password_ref_of(self.id)

    @property
    def checked_by_ref(self) -> str:
        """Where that is sealed by which FreeRADIUS checks its logins: the password, or the hash that is all we know."""
        return password_ref_of(self.id) if self.password_hash_kind is None else password_hash_ref_of(self.id)


_PASSWORD_REF, _HASH_REF = "secret:subscriber/", "secret:subscriber_hash/"


def password_ref_of(subscriber_id: int) -> str:
    """Where a subscriber's password is sealed."""
    return f"{_PASSWORD_REF}{subscriber_id}"


def password_hash_ref_of(subscriber_id: int) -> str:
    """Where the hash is sealed of one whose password nobody knows. Elsewhere than a password: whoever opens that
    reference, for a CPE say, must not be given a hash for it."""
    return f"{_HASH_REF}{subscriber_id}"


def hash_ref_beside(password_ref: str) -> str | None:
    """Where the hash would be sealed of the subscriber whose password would be under a reference; None: it is none of a
    subscriber's password."""
    return _HASH_REF + password_ref.removeprefix(_PASSWORD_REF) if password_ref.startswith(_PASSWORD_REF) else None


class FormerUsername(RadiusBase):
    """A name that a subscriber gave up for another one. Nobody has it before ``free_at``: sessions may be open under
    it. One that it has taken back since (``taken_back_at``) is given up no longer; its row tells until when the
    subscriber had it before, and with the others who had which name when (``radius.subscribers.name_holders``)."""

    __tablename__ = "radius_former_username"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "subscriber_id"], ["radius_subscriber.tenant_id", "radius_subscriber.id"]),
        Index("ix_radius_former_username_named", "username"),
        Index("ix_radius_former_username_of", "tenant_id", "subscriber_id"),
    )

    id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    subscriber_id: Mapped[int] = mapped_column(BigInteger)
    username: Mapped[str] = mapped_column(String(128))
    given_up_at: Mapped[datetime]
    free_at: Mapped[datetime | None]
    taken_back_at: Mapped[datetime | None]


class RadiusEstate(RadiusBase):
    """What holds for all of a tenant's subscribers. Without a row it is as it was always."""

    __tablename__ = "radius_estate"
    __table_args__ = (
        CheckConstraint(
            f"password_storage IN ({', '.join(repr(storage) for storage in get_args(PasswordStorage))})",
            name="password_storage",
        ),
    )

    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    password_storage: Mapped[str] = mapped_column(String(16), default="cleartext", server_default="cleartext")
    updated_at: Mapped[datetime]


class Nas(Projected, RadiusBase):
    """A NAS that may ask. Its RADIUS secret is sealed under ``secret:nas/<id>``."""

    __tablename__ = "radius_nas"
    __table_args__ = (
        UniqueConstraint("tenant_id", "name"),
        UniqueConstraint("address"),
        CheckConstraint("coa_port BETWEEN 1 AND 65535", name="coa_port"),
        {"sqlite_autoincrement": True},  # the number of one that was removed must never come back
    )

    id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(64))
    address: Mapped[str] = mapped_column(String(15))
    dialect: Mapped[str] = mapped_column(String(32))
    coa_port: Mapped[int]
    login_methods: Mapped[str] = mapped_column(Text, default="pap chap mschapv2", server_default="pap chap mschapv2")
    """With a blank between them."""
    coa_keys: Mapped[str] = mapped_column(Text, default="", server_default="")
    """With a blank between them; empty: those of its dialect."""
    coa_event_timestamp: Mapped[bool] = mapped_column(default=True, server_default=true())
    coa_per_second: Mapped[int | None]
    coa_may_end: Mapped[bool] = mapped_column(default=True, server_default=true())
    """Whether a session that it refuses to change is ended."""
    lines: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether FreeRADIUS believes it whose line is whose, without a password (IPoE)."""
    calls_itself: Mapped[str] = mapped_column(Text, default="", server_default="")
    """By which other addresses, with a blank between them (``NasTerms``)."""
    adopted_address: Mapped[str | None] = mapped_column(String(15))
    """Where FreeRADIUS knew it before us, until our row stands there in place of what others have written."""
    silent_told_at: Mapped[datetime | None]
    """Since when it is told as silent; None: it is heard, as far as anybody was told."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    @property
    def secret_ref(self) -> str:
        return f"secret:nas/{self.id}"


class RemovedNas(RadiusBase):
    """A NAS that was removed, by the number that it had; ``version`` is later than its last one. FreeRADIUS knows it
    until ``taken_away_at``."""

    __tablename__ = "radius_removed_nas"
    __table_args__ = (Index(None, "tenant_id", "taken_away_at"),)

    id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=False)
    tenant_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(64))
    address: Mapped[str] = mapped_column(String(15))
    adopted_address: Mapped[str | None] = mapped_column(String(15))
    """Where it was taken over and FreeRADIUS not told yet: what others have written there goes as well."""
    version: Mapped[int] = mapped_column(BigInteger)
    removed_at: Mapped[datetime]
    taken_away_at: Mapped[datetime | None]
