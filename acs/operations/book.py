"""Where operations are written down: each request once, found again, listed, cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from acs.errors import DesiredStateChanged, DeviceUnknown, RequestConflict
from acs.operations.errors import OperationOver, OperationRefused, OperationUnderWay, OperationUnknown
from acs.operations.records import (
    ALWAYS_OURS,
    KINDS,
    LONGEST,
    OperationKind,
    OperationRecord,
    OperationState,
    record_of_operation,
)
from acs.operations.tables import AcsOperation
from acs.ports import Now
from acs.serials import canonical_serial
from acs.tables import AcsDevice

log = structlog.get_logger(__name__)

NOT_STARTED = "It is written down; nothing was sent yet."


class OperationBook:
    """The operations of one tenant, within the caller's transaction."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Now) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def operation(self, *, operation_id: int) -> OperationRecord:
        """Raises: OperationUnknown."""
        return record_of_operation(await self._row(operation_id))

    async def operations(
        self,
        *,
        device_serial: str | None = None,
        state: OperationState | None = None,
        before_id: int | None = None,
        limit: int = 50,
    ) -> list[OperationRecord]:
        """The newest first, a page at a time (``before_id``). Raises: SerialMalformed."""
        query = select(AcsOperation).where(AcsOperation.tenant_id == self._tenant_id)
        if device_serial is not None:
            query = query.where(AcsOperation.device_serial == canonical_serial(device_serial))
        if state is not None:
            query = query.where(AcsOperation.state == state)
        if before_id is not None:
            query = query.where(AcsOperation.id < before_id)
        found = await self._db.scalars(query.order_by(AcsOperation.id.desc()).limit(limit))
        return [record_of_operation(row) for row in found]

    async def cancel(self, *, operation_id: int) -> OperationRecord:
        """Take it back, if the CPE has not been sent it; what waits at the ACS is deleted there first.

        Raises: OperationUnknown, OperationOver.
        """
        row = await self._row(operation_id, locked=True)
        if row.ended_at is not None:
            raise OperationOver(operation_id, row.state)
        if not self._take_back(row):
            raise OperationOver(operation_id, "under way")
        await self._db.flush()
        return record_of_operation(row)

    async def cancel_unsent(self, operation_ids: Sequence[int]) -> set[int]:
        """The same for many: take back those that their CPEs have not been sent; gives their ids."""
        found = await self._db.scalars(
            select(AcsOperation)
            .where(
                AcsOperation.tenant_id == self._tenant_id,
                AcsOperation.id.in_(operation_ids),
                AcsOperation.ended_at.is_(None),
            )
            .order_by(AcsOperation.id)
            .with_for_update()
        )
        taken_back = {row.id for row in found if self._take_back(row)}
        await self._db.flush()
        return taken_back

    def _take_back(self, row: AcsOperation) -> bool:
        """Whether that can be; one that nobody carries has ended with it."""
        if row.step > 0 or row.stage not in ("new", "sending", "queued", "withdrawing") or row.kind in ALWAYS_OURS:
            return False
        row.cancel_wanted, row.due_at = True, self._now()
        if row.stage == "new" and (row.leased_until is None or row.leased_until < self._now()):
            row.state, row.reason, row.ended_at = "cancelled", "It was cancelled. Nothing was sent.", self._now()
        return True

    async def by_request(self, request_id: str) -> OperationRecord | None:
        """What that request has led to, if it was made before."""
        row = await self._by_request(request_id)
        return None if row is None else record_of_operation(row)

    async def earlier(
        self, request_id: str | None, kind: OperationKind, arguments: dict[str, Any]
    ) -> AcsOperation | None:
        """The operation of that very request, if it was made before. Raises: RequestConflict."""
        row = None if request_id is None else await self._by_request(request_id)
        if row is not None and (row.kind, row.arguments) != (kind, arguments):
            raise RequestConflict(str(request_id))
        return row

    async def keep(
        self,
        kind: OperationKind,
        device: AcsDevice,
        arguments: dict[str, Any],
        *,
        by: str,
        request_id: str | None,
        within: timedelta | None = None,
    ) -> OperationRecord:
        """Write it down, once for a request. Raises: OperationUnderWay, RequestConflict."""
        if (known := await self._same(request_id, kind, device, arguments)) is not None:
            return known
        now = self._now()
        row = AcsOperation(
            tenant_id=self._tenant_id,
            device_serial=device.serial,
            device_row_id=device.id,
            customer_id=device.customer_id,
            kind=kind,
            arguments=arguments,
            alone=KINDS[kind].exclusive,
            request_id=request_id,
            state="requested",
            reason=NOT_STARTED,
            cancel_wanted=False,
            step=0,
            stage="new",
            looks=0,
            attempts=0,
            baseline={},
            requested_by=by,
            requested_at=now,
            expires_at=now + (within or KINDS[kind].within),
            due_at=now,
        )
        try:
            async with self._db.begin_nested():
                self._db.add(row)
                await self._db.flush()  # the constraints must speak here, and the id is the answer
        except IntegrityError as error:
            known = await self._same(request_id, kind, device, arguments)
            if known is not None:
                return known
            raise await self._in_the_way(device.serial) from error
        log.info("operation requested", operation_id=row.id, serial=device.serial, kind=kind)
        return record_of_operation(row)

    async def _same(
        self, request_id: str | None, kind: OperationKind, device: AcsDevice, arguments: dict[str, Any]
    ) -> OperationRecord | None:
        row = await self.earlier(request_id, kind, arguments)
        if row is not None and row.device_serial != device.serial:
            raise RequestConflict(str(request_id))
        return None if row is None else record_of_operation(row)

    async def _by_request(self, request_id: str) -> AcsOperation | None:
        found = await self._db.scalars(
            select(AcsOperation).where(AcsOperation.tenant_id == self._tenant_id, AcsOperation.request_id == request_id)
        )
        return found.one_or_none()

    async def _in_the_way(self, serial: str) -> OperationUnderWay | DesiredStateChanged:
        found = await self._db.scalars(
            select(AcsOperation).where(
                AcsOperation.tenant_id == self._tenant_id,
                AcsOperation.device_serial == serial,
                AcsOperation.ended_at.is_(None),
                AcsOperation.alone,
            )
        )
        row = found.first()
        # it may have ended between the two looks
        return (
            DesiredStateChanged(serial)
            if row is None
            else OperationUnderWay(serial, operation_id=row.id, kind=row.kind)
        )

    async def bound(self, device_serial: str, *, locked: bool = False) -> AcsDevice:
        """The binding that lives, ``locked`` for whoever changes it.

        Raises: SerialMalformed, DeviceUnknown.
        """
        serial = canonical_serial(device_serial)
        query = select(AcsDevice).where(
            AcsDevice.tenant_id == self._tenant_id, AcsDevice.serial == serial, AcsDevice.state != "withdrawn"
        )
        device = (await self._db.scalars(query.with_for_update() if locked else query)).one_or_none()
        if device is None:
            raise DeviceUnknown(serial)
        return device

    async def _row(self, operation_id: int, *, locked: bool = False) -> AcsOperation:
        query = select(AcsOperation).where(AcsOperation.tenant_id == self._tenant_id, AcsOperation.id == operation_id)
        row = (await self._db.scalars(query.with_for_update() if locked else query)).one_or_none()
        if row is None:
            raise OperationUnknown(operation_id)
        return row


def require(what: str, device: AcsDevice, faults: Sequence[str], within: timedelta | None) -> None:
    found = list(faults)
    if within is not None and not timedelta(minutes=1) <= within <= LONGEST:
        found.append(f"it cannot wait for the CPE {within}: a minute to {LONGEST.days} days are possible")
    if found:
        raise OperationRefused(device.serial, what, found)
