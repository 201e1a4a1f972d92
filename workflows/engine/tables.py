"""The journal: what every run is, which steps it has taken, what was signalled to it, and who did what to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import BigInteger, DateTime, Dialect, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC. SQLite forgets the zone and PostgreSQL answers in its own, so it is set here both ways.

    On SQLite the text always has the same width (microseconds included), so that it also compares as text in triggers.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a zone must not be stored")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if not isinstance(value, datetime):
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        if dialect.name == "sqlite":  # a list reads hundreds: its text is made a time in one go
            return lambda text: None if text is None else datetime.fromisoformat(f"{text}+00:00")
        return super().result_processor(dialect, coltype)


class WorkflowBase(DeclarativeBase):
    """Tables of the durable engine."""

    type_annotation_map: ClassVar = {datetime: UtcDateTime, str: Text}


class RunState(StrEnum):
    """TM Forum's order states (TMF622), as an operator reads them."""

    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "inProgress"
    PENDING = "pending"
    HELD = "held"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    PENDING_CANCELLATION = "pendingCancellation"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


ENDED = frozenset({RunState.COMPLETED, RunState.PARTIAL, RunState.FAILED, RunState.CANCELLED, RunState.REJECTED})
MOVING = frozenset({RunState.ACKNOWLEDGED, RunState.IN_PROGRESS, RunState.PENDING_CANCELLATION})


class StepState(StrEnum):
    """Where one step of a run stands. A step without a row is planned."""

    PLANNED = "planned"
    IN_PROGRESS = "inProgress"
    UNKNOWN = "unknown"
    PENDING = "pending"
    HELD = "held"
    SKIPPED = "skipped"
    COMPLETED = "completed"
    UNDONE = "undone"


class Direction(StrEnum):
    """Which way a run is walking."""

    FORWARD = "forward"
    BACK = "back"  # undoing down to and with ``back_to``, then forward again
    UNDO = "undo"  # undoing everything


IS_PENDING = text("state = 'pending'")
IS_FINISHED = text("finished_at IS NOT NULL")


class RunRow(WorkflowBase):
    """One run of one journey."""

    __tablename__ = "run"
    __table_args__ = (
        Index("ix_run_newest", "tenant_id", "id"),
        UniqueConstraint("tenant_id", "journey", "business_key", name="uq_run_business_key"),
        Index("ix_run_wake_at", "wake_at", sqlite_where=IS_PENDING, postgresql_where=IS_PENDING),
        Index("ix_run_waiting", "waiting_for", "waiting_on"),
        Index("ix_run_state", "tenant_id", "state", "id"),
        Index("ix_run_customer", "tenant_id", "customer_id", "id"),
        Index("ix_run_journey", "tenant_id", "journey", "id"),
        Index("ix_run_journey_state", "tenant_id", "journey", "state", "id"),
        Index("ix_run_created", "tenant_id", "created_at", "id"),
        Index("ix_run_finished", "tenant_id", "finished_at", sqlite_where=IS_FINISHED, postgresql_where=IS_FINISHED),
        {"sqlite_autoincrement": True},  # a purged run's number, and so its segments' names, must never come back
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    journey: Mapped[str]
    version: Mapped[int]
    business_key: Mapped[str]
    customer_id: Mapped[int | None] = mapped_column(BigInteger)  # unknown until the journey has made the customer
    input: Mapped[str]
    input_digest: Mapped[str]
    state: Mapped[str]
    direction: Mapped[str] = mapped_column(default=Direction.FORWARD)
    back_to: Mapped[str | None]
    end_state: Mapped[str | None]  # what a run that undoes itself will be at the end
    end_reason: Mapped[str | None]
    has_skips: Mapped[bool] = mapped_column(default=False)  # by an operator: the end is then partial
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    current_step: Mapped[str | None]
    waiting_for: Mapped[str | None]
    waiting_on: Mapped[str | None]
    waiting_since: Mapped[datetime | None]  # what happened before this moment is not what the run waits for
    wake_at: Mapped[datetime | None]
    reason: Mapped[str | None]
    reason_code: Mapped[str | None]
    owner: Mapped[str | None]
    segment: Mapped[int] = mapped_column(default=1)
    restarts: Mapped[int] = mapped_column(default=0)  # claims since the last recorded progress
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class StepRow(WorkflowBase):
    """One round of one step of one run."""

    __tablename__ = "run_step"
    __table_args__ = (Index("ix_run_step_waits_on", "waits_on"),)

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    step: Mapped[str] = mapped_column(primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]
    effect: Mapped[str]
    key: Mapped[str]
    attempts: Mapped[int] = mapped_column(default=0)
    result: Mapped[str | None]
    undo_attempts: Mapped[int] = mapped_column(default=0)
    forgiven_attempts: Mapped[int] = mapped_column(default=0)  # a retry by hand opens a new budget, and forgets nothing
    forgiven_undo_attempts: Mapped[int] = mapped_column(default=0)
    skipped_by: Mapped[str | None]  # the operator, where it was not a condition
    deadline_at: Mapped[datetime | None]
    waits_on: Mapped[str | None]  # of a wait: signal and subject, known as soon as they can be
    note: Mapped[str | None]  # why it was skipped, is held, or what went wrong last
    error_code: Mapped[str | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class SignalRow(WorkflowBase):
    """Something that was said to a run. The row is the truth; the engine's message is only the doorbell."""

    __tablename__ = "run_signal"
    __table_args__ = (UniqueConstraint("run_id", "key", name="uq_run_signal_key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"))
    name: Mapped[str]
    subject: Mapped[str | None]
    payload: Mapped[str]
    key: Mapped[str]
    sent_by: Mapped[str]
    sent_at: Mapped[datetime]
    consumed_by: Mapped[str | None]
    consumed_at: Mapped[datetime | None]


class RunNote(WorkflowBase):
    """The run's own log: what happened to it and who decided what. Append-only."""

    __tablename__ = "run_note"
    __table_args__ = (Index("ix_run_note_run", "run_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"))
    at: Mapped[datetime]
    by: Mapped[str]
    step: Mapped[str | None]
    text: Mapped[str]


class EventState(StrEnum):
    """What has become of an event."""

    PENDING = "pending"
    STARTED = "started"
    IGNORED = "ignored"  # no journey is started by it, or a person has set aside that it was refused
    REFUSED = "refused"  # its journey does not take it; the reason stands beside


class EventRow(WorkflowBase):
    """Something that has happened, written in the transaction of the change that it tells of."""

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_newest", "tenant_id", "id"),
        UniqueConstraint("tenant_id", "key", name="uq_event_key"),
        Index("ix_event_pending", "tenant_id", "id", sqlite_where=IS_PENDING, postgresql_where=IS_PENDING),
        Index("ix_event_type", "tenant_id", "type", "id"),
        Index("ix_event_state", "tenant_id", "state", "id"),
        Index("ix_event_type_state", "tenant_id", "type", "state", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    type: Mapped[str]
    subject: Mapped[str]
    data: Mapped[str]
    key: Mapped[str]
    published_by: Mapped[str]
    occurred_at: Mapped[datetime]
    state: Mapped[str]
    run_id: Mapped[int | None] = mapped_column(ForeignKey("run.id", ondelete="SET NULL"))
    reason: Mapped[str | None]
    settled_at: Mapped[datetime | None]


class WorkerRow(WorkflowBase):
    """A worker process and its last heartbeat, by the database's clock (PostgreSQL, several workers)."""

    __tablename__ = "run_worker"

    executor_id: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    beat_at: Mapped[datetime]
