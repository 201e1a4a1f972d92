"""The short transactions of operations: who works on which one, and how far it has come.

An operation is carried by one process at a time: it takes a lease, and what it writes counts only while it holds that.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any, cast

from sqlalchemy import ColumnElement, and_, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from acs.convergence.seen_devices import moment
from acs.operations.errors import OperationUnknown
from acs.operations.records import (
    ALWAYS_OURS,
    KINDS,
    OperationKind,
    OperationRecord,
    OperationState,
    record_of_operation,
)
from acs.operations.tables import AcsOperation
from acs.ports import Begin, Now
from acs.tables import DEFAULT_ACS, AcsDevice

GIVES_SETTINGS = or_(
    AcsOperation.kind.in_(ALWAYS_OURS),
    and_(AcsOperation.kind == "factory_reset", AcsOperation.step > 0),
)
LEASE = timedelta(seconds=90)
"""Longer than any one request that has an effect. Whoever carries it renews it, so a slow ACS takes it from nobody."""
RENEWED_EVERY_SECONDS = 20.0

Told = Callable[[AsyncSession, OperationRecord], Awaitable[None]]
"""Hears of the end of an operation, in the transaction that writes it down."""


class LeaseLost(Exception):
    """Somebody else carries it by now; what this process knows of it is old."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as whoever carries it has read it."""

    id: int
    serial: str
    serial_as_given: str
    still_bound: bool
    handed_over: str | None
    """Why the CPE was left to a person since this was asked for."""
    tried_again_in: timedelta | None
    """How much later a CPE that has failed at its settings is given them again."""
    acs_name: str
    kind: OperationKind
    arguments: dict[str, Any]
    state: OperationState
    reason: str
    step: int
    stage: str
    looks: int
    attempts: int
    baseline: dict[str, Any]
    device_id: str | None
    task_id: str | None
    sent_at: datetime | None
    expires_at: datetime
    cancel_wanted: bool
    lease: str

    @property
    def unique_key(self) -> str:
        return f"firstlight:op:{self.id}"

    @property
    def given_up_at(self) -> datetime:
        """When its effect is not waited for any more."""
        return self.expires_at + KINDS[self.kind].settling

    @property
    def found(self) -> dict[str, Any]:
        """What the steps before this one have found."""
        found: dict[str, Any] = self.baseline.get("found", {})
        return found

    @property
    def proven(self) -> tuple[str, str] | None:
        """What the steps before this one have done for good, and what is missing without this one."""
        said = self.baseline.get("proven")
        return None if said is None else (str(said[0]), str(said[1]))

    def noted(self, fact: str) -> datetime | None:
        """A time of the baseline, by the ACS's clock."""
        return moment(self.baseline.get(fact))


class OperationLedger:
    """Reads and writes ``acs_operation`` for one tenant."""

    def __init__(self, begin: Begin, *, tenant_id: str, now: Now, told: Told | None) -> None:
        self._begin = begin
        self._tenant_id = tenant_id
        self._now = now
        self._told = told

    async def due(self, *, limit: int) -> list[int]:
        """Operations that send a CPE a task of their own and that it is time to look at, the longest due first."""
        async with self._begin() as db:
            return await self._due(db, not_(GIVES_SETTINGS), limit=limit)

    async def due_for_settings(self, *, limit: int) -> list[int]:
        """Those that give a CPE its settings. These wait for weeks for one that is off, so in turns: one that nobody
        has looked at yet, one whose CPE has informed since the last look, one of all others, the longest due first.

        So neither thousands that are off, nor thousands that are new, hold up one that has something to show.
        """
        is_new = AcsOperation.looks == 0
        has_informed = AcsDevice.last_inform_at.is_distinct_from(AcsOperation.inform_heard_at)
        async with self._begin() as db:
            queues = [
                await self._due(db, GIVES_SETTINGS, each, limit=limit)
                for each in (is_new, and_(~is_new, has_informed), and_(~is_new, ~has_informed))
            ]
        return in_turns(queues, limit=limit)

    async def _due(self, db: AsyncSession, *which: ColumnElement[bool], limit: int) -> list[int]:
        now = self._now()
        found = await db.scalars(
            select(AcsOperation.id)
            .outerjoin(AcsDevice, AcsDevice.id == AcsOperation.device_row_id)
            .where(
                AcsOperation.tenant_id == self._tenant_id,
                AcsOperation.ended_at.is_(None),
                AcsOperation.due_at <= now,
                or_(AcsOperation.leased_until.is_(None), AcsOperation.leased_until < now),
                *which,
            )
            .order_by(AcsOperation.due_at, AcsOperation.id)
            .limit(limit)
        )
        return list(found)

    async def record(self, operation_id: int) -> OperationRecord:
        """Raises: OperationUnknown."""
        async with self._begin() as db:
            return record_of_operation(await self._row(db, operation_id, locked=False))

    async def claim(self, operation_id: int) -> Operation | None:
        """Take it in hand; None when it has ended, or somebody else has it. Raises: OperationUnknown."""
        now = self._now()
        async with self._begin() as db:
            row = await self._row(db, operation_id)
            if row.ended_at is not None or (row.leased_until is not None and row.leased_until >= now):
                return None
            row.leased_until, row.leased_by = now + LEASE, secrets.token_hex(16)
            device = None if row.device_row_id is None else await db.get(AcsDevice, row.device_row_id)
            return _operation(row, device, self._now())

    async def note(self, operation: Operation, **facts: Any) -> Operation:
        """Write down how far it has come, and go on with it. Raises: LeaseLost."""
        async with self._begin() as db:
            row = await self._leased(db, operation)
            row.leased_until = self._now() + LEASE
            for column, value in facts.items():
                setattr(row, column, value)
            device = None if row.device_row_id is None else await db.get(AcsDevice, row.device_row_id)
            return _operation(row, device, self._now())

    async def renew(self, operation: Operation) -> bool:
        """Hold it for as long again; False when it is not held any more."""
        async with self._begin() as db:
            row = await self._row(db, operation.id)
            if row.leased_by != operation.lease:
                return False
            row.leased_until = self._now() + LEASE
            return True

    async def rest(self, operation: Operation, *, seconds: float, **facts: Any) -> None:
        """Write it down and let go of it until so much later. Raises: LeaseLost."""
        async with self._begin() as db:
            row = await self._leased(db, operation)
            for column, value in facts.items():
                setattr(row, column, value)
            row.due_at = self._now() + timedelta(seconds=seconds)
            row.leased_until = row.leased_by = None
            device = None if row.device_row_id is None else await db.get(AcsDevice, row.device_row_id)
            row.inform_heard_at = None if device is None else device.last_inform_at

    async def end(
        self,
        operation: Operation,
        state: OperationState,
        reason: str,
        result: dict[str, Any] | None = None,
        *,
        disproven: bool = False,
    ) -> None:
        """Write down how it ended, and tell. What ends before it is done, and had a step proven by then, is *partial*,
        and says what was done, unless that was ``disproven``. Raises: LeaseLost."""
        if state != "done" and operation.proven is not None and not disproven:
            done, missing = operation.proven
            state, reason = "partial", f"{done}, and {missing}. {reason}"
        async with self._begin() as db:
            row = await self._leased(db, operation)
            row.state, row.reason, row.ended_at = state, reason, self._now()
            row.result = {**operation.found, **(result or {})} or None
            row.leased_until = row.leased_by = None
            await db.flush()
            if self._told is not None:
                await self._told(db, record_of_operation(row))

    async def _leased(self, db: AsyncSession, operation: Operation) -> AcsOperation:
        row = await self._row(db, operation.id)
        if row.leased_by != operation.lease or row.ended_at is not None:
            raise LeaseLost
        return row

    async def _row(self, db: AsyncSession, operation_id: int, *, locked: bool = True) -> AcsOperation:
        query = select(AcsOperation).where(AcsOperation.tenant_id == self._tenant_id, AcsOperation.id == operation_id)
        row = (await db.scalars(query.with_for_update() if locked else query)).one_or_none()
        if row is None:
            raise OperationUnknown(operation_id)
        return row


def in_turns(queues: Sequence[Sequence[int]], *, limit: int) -> list[int]:
    """One of each queue after the other, as long as there are any, at most so many."""
    rounds = zip_longest(*queues)
    return [each for turn in rounds for each in turn if each is not None][:limit]


def _handed_over(row: AcsOperation, device: AcsDevice | None) -> str | None:
    if device is None or device.handed_over_at is None or device.handed_over_at < row.requested_at:
        return None
    return device.reason


def _tried_again_in(device: AcsDevice | None, now: datetime) -> timedelta | None:
    if device is None or device.state != "faulted" or device.try_again_at is None or device.try_again_at <= now:
        return None
    return device.try_again_at - now


def _operation(row: AcsOperation, device: AcsDevice | None, now: datetime) -> Operation:
    return Operation(
        id=row.id,
        serial=row.device_serial,
        serial_as_given=row.device_serial if device is None else device.serial_as_given,
        still_bound=device is not None and device.state != "withdrawn",
        handed_over=_handed_over(row, device),
        tried_again_in=_tried_again_in(device, now),
        acs_name=DEFAULT_ACS if device is None else device.acs_name,
        kind=cast(OperationKind, row.kind),
        arguments=dict(row.arguments),
        state=cast(OperationState, row.state),
        reason=row.reason,
        step=row.step,
        stage=row.stage,
        looks=row.looks,
        attempts=row.attempts,
        baseline=dict(row.baseline),
        device_id=row.device_id,
        task_id=row.task_id,
        sent_at=row.sent_at,
        expires_at=row.expires_at,
        cancel_wanted=row.cancel_wanted,
        lease=row.leased_by or "",
    )
