"""What every CPE should have, by serial number, and how far it has come."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

DEVICE_STATES = (
    "awaiting_first_inform",
    "queued",
    "applied",
    "verified",
    "accepted_unverifiable",
    "drifted",
    "faulted",
    "unreachable",
    "withdrawn",
)
DEFAULT_ACS = "default"
"""The name of the ACS that serves whatever no other is named for."""
_STATE_LIST = ", ".join(f"'{state}'" for state in DEVICE_STATES)
_LIVE = text("state <> 'withdrawn'")
_UNTAKEN = text("send_until IS NOT NULL AND (applied_revision IS NULL OR applied_revision <> revision)")


class AcsBase(DeclarativeBase):
    """The tables of ``acs``."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite loses the zone and gets it back here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        if dialect.name == "sqlite":  # a list reads hundreds: its text is made a time in one go
            return lambda text: None if text is None else datetime.fromisoformat(f"{text}+00:00")
        return super().result_processor(dialect, coltype)


class AcsDevice(AcsBase):
    """One CPE bound to one service: what it should have, and what is known of it. An unbound one is kept as history."""

    __tablename__ = "acs_device"
    __table_args__ = (
        Index("ix_acs_device_newest", "tenant_id", "id"),
        Index("ix_acs_device_state", "tenant_id", "state", "id"),
        Index("ix_acs_device_oldest", "tenant_id", "state", "updated_at", "id"),
        Index("ix_acs_device_customer", "tenant_id", "customer_id", "id"),
        # A CPE serves one service at a time; withdrawn rows are history.
        Index("acs_device_live_serial", "tenant_id", "serial", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
        Index("acs_device_service", "tenant_id", "service_id"),
        # By its bytes, whatever order the database's language has: so the beginning of a serial number is a range.
        *(
            Index(name, "tenant_id", column, sqlite_where=text(where), postgresql_where=text(where))
            for name, column, where in (
                ("ix_acs_device_unreached", "unreached_why", "unreached_why IS NOT NULL"),
                ("ix_acs_device_handed_over", "handed_over_at", "handed_over_at IS NOT NULL"),
                ("ix_acs_device_left_standing", "id", "left_standing"),
                ("ix_acs_device_left_by_withdrawn", "id", "state = 'withdrawn' AND cleared_at IS NULL"),
                ("ix_acs_device_refused", "refused_at", "refused_at IS NOT NULL"),
            )
        ),
        # Those of a campaign that have yet to take what they are to have: few of all that ever were in one.
        Index("ix_acs_device_untaken", "tenant_id", "send_until", sqlite_where=_UNTAKEN, postgresql_where=_UNTAKEN),
        Index("ix_acs_device_serial", "tenant_id", "serial", postgresql_ops={"serial": "text_pattern_ops"}),
        CheckConstraint(f"state IN ({_STATE_LIST})", name="acs_device_state"),
        CheckConstraint("(state = 'withdrawn') = (withdrawn_at IS NOT NULL)", name="acs_device_withdrawn"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Text)
    serial: Mapped[str] = mapped_column(String(64))
    """Canonical spelling (``acs.serials``)."""
    serial_as_given: Mapped[str] = mapped_column(String(64))
    customer_id: Mapped[int] = mapped_column(BigInteger)
    service_id: Mapped[int | None] = mapped_column(Integer)

    template: Mapped[str] = mapped_column(Text)
    data_model: Mapped[str] = mapped_column(Text)
    inputs: Mapped[dict[str, Any]] = mapped_column(JSON)
    """The template's inputs; secrets by reference only."""
    parameters: Mapped[list[list[Any]]] = mapped_column(JSON)
    """``[path, value, xsd type, is secret]`` each; the value of a secret is its reference."""
    delivery: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, server_default=text("'{}'"))
    """How they are delivered (``acs.templates.delivery``): which rows the CPE chooses, what may not be cut."""
    plan: Mapped[str | None] = mapped_column(Text)
    """The network plan whose overrides count."""
    overrides: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, server_default=text("'{}'"))
    """What this CPE has otherwise than its template says (``acs.templates.overriding``)."""
    rows: Mapped[dict[str, str]] = mapped_column(JSON, default=dict, server_default=text("'{}'"))
    """The rows that its last session has chosen, by selector."""
    secret_version: Mapped[int] = mapped_column(Integer, default=1)
    """Counts up when a secret changes under the same reference, since the reference alone would not show it."""
    revision: Mapped[str] = mapped_column(String(64))

    state: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    """Why it is in that state, in words."""
    details: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    """By parameter: what was refused (faulted) or differs (drifted)."""
    acs_name: Mapped[str] = mapped_column(String(64), default=DEFAULT_ACS, server_default=DEFAULT_ACS)
    """The ACS that it reports to; stays as it was when the CPE was bound."""
    device_id: Mapped[str | None] = mapped_column(Text)
    """``_id`` at the ACS, once the CPE has been seen there."""
    task_id: Mapped[str | None] = mapped_column(Text)
    """The ACS task that carries ``revision``, while it is queued."""
    left_standing: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    """What was queued of a former wish (or binding) may stand at the ACS: nothing has taken its place yet, and nobody
    has taken it back."""
    applied_revision: Mapped[str | None] = mapped_column(String(64))
    handed_out_revision: Mapped[str | None] = mapped_column(String(64))
    """The revision that the ACS was last told in a session of the CPE (``acs.first_sessions``); proves nothing."""
    handed_out_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    written_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the values reached the CPE, by the ACS's clock: a reading proves something only if it is newer."""
    reading_after: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """While a verification is under way: only what was read later than this counts, by the ACS's clock."""

    inform_slowed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """The ACS's time of the first look that found the interval of a verified CPE; a later reading proves it."""
    inform_settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When that interval was read back."""
    inform_reason: Mapped[str | None] = mapped_column(Text)
    """Why it goes on reporting every minute, if something keeps it from that."""
    inform_attempts: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    """How often it was given that interval since it was last verified."""

    bound_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_inform_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    queued_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    applied_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cleared_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When nothing of ours was left at the ACS after the withdrawal."""

    refused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it was last told nothing in a session (``acs.refused_first_sessions``), since it was last told anything."""
    refused_why: Mapped[str | None] = mapped_column(String(32))
    refused_by: Mapped[str | None] = mapped_column(String(64))
    """The ACS that asked."""

    unreached_why: Mapped[str | None] = mapped_column(Text)
    """A slug of ``acs.convergence.unreached.CAUSES`` while the CPE cannot be reached."""
    unreached_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    repairs: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    """How often it was given its settings again by itself since ``repairs_since``."""
    repairs_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    repair_waits: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    """One of these repairs was begun, and the settings are yet to be queued."""
    handed_over_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When repairing it was given up; only an operator resumes it."""
    failures: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    """How often in a row it did not take this revision for a cause that may pass."""
    try_again_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """After such a failure: when it is given its settings again. A faulted one without a time needs a person."""
    send_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """What it has not taken yet is sent to it until then, and after that only when this was moved (a campaign)."""
    reread_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it was last read back once more though nothing had happened; earlier by half of a round, but for some
    minutes, while that is under way (``acs.fleet.rereading``)."""
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AcsPlanOverrides(AcsBase):
    """What every CPE of a network plan has otherwise than its template says."""

    __tablename__ = "acs_plan_overrides"
    __table_args__ = (UniqueConstraint("tenant_id", "plan", name="acs_plan_overrides_once"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Text)
    plan: Mapped[str] = mapped_column(Text)
    overrides: Mapped[dict[str, Any]] = mapped_column(JSON)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AcsRequest(AcsBase):
    """A request to provision a device, remembered so that it may be made twice and take effect once."""

    __tablename__ = "acs_request"
    __table_args__ = (UniqueConstraint("tenant_id", "request_id", name="acs_request_once"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Text)
    request_id: Mapped[str] = mapped_column(Text)
    input_digest: Mapped[str] = mapped_column(String(64))
    device_row_id: Mapped[int] = mapped_column(ForeignKey("acs_device.id"))
    answer: Mapped[dict[str, Any]] = mapped_column(JSON)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AcsCodeKey(AcsBase):
    """What is known of the key of all provisioning codes (``acs.provisioning_codes``), which itself is sealed."""

    __tablename__ = "acs_code_key"
    __table_args__ = (UniqueConstraint("tenant_id", name="acs_code_key_once"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Text)
    rotated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    request_id: Mapped[str | None] = mapped_column(Text)
    """Of the latest rotation."""
    former_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """How long codes of the key before it are good."""
    former_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When a CPE last proved itself by one of those, and which one."""
    former_used_by: Mapped[str | None] = mapped_column(String(64))


class AcsRefusedSerial(AcsBase):
    """A serial number that is bound to nobody, and whose CPE was told nothing in its first session; a short list."""

    __tablename__ = "acs_refused_serial"
    __table_args__ = (UniqueConstraint("tenant_id", "serial", name="acs_refused_serial_once"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Text)
    serial: Mapped[str] = mapped_column(String(64))
    """Canonical spelling; anybody may have claimed it."""
    refused_at: Mapped[datetime] = mapped_column(UtcDateTime)
    refused_why: Mapped[str] = mapped_column(String(32))
    refused_by: Mapped[str] = mapped_column(String(64))


class AcsSeenDevice(AcsBase):
    """A CPE that the ACS knows and that serves nobody: plugged in before its order, or after its end, or not ours."""

    __tablename__ = "acs_seen_device"
    __table_args__ = (
        UniqueConstraint("tenant_id", "device_id", name="acs_seen_device_once"),
        Index("ix_acs_seen_device_serial", "tenant_id", "serial"),
        Index("ix_acs_seen_device_begins", "tenant_id", "serial", postgresql_ops={"serial": "text_pattern_ops"}),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Text)
    device_id: Mapped[str] = mapped_column(Text)
    """``_id`` at the ACS."""
    serial: Mapped[str] = mapped_column(Text)
    """As the CPE reports it; canonical where it is a serial number at all."""
    oui: Mapped[str | None] = mapped_column(Text)
    product_class: Mapped[str | None] = mapped_column(Text)
    first_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When we first saw it there."""
    last_inform_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """By the ACS's clock."""
