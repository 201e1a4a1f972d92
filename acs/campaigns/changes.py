"""What a campaign brings to a CPE, and how it is seen to be there: one class a kind.

Nothing is sent in here: what a CPE is to have is written down, and whoever carries such wishes over does so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Protocol

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from acs.campaigns.pacing import MemberState
from acs.campaigns.sending import window_of
from acs.campaigns.tables import AcsCampaign
from acs.errors import AcsError
from acs.operations.errors import OperationError, OperationUnderWay
from acs.operations.service import DeviceOperations
from acs.operations.tables import AcsOperation
from acs.service import GenieAcsService
from acs.tables import AcsDevice

DONE_STATES = ("verified", "accepted_unverifiable")


@dataclass(frozen=True, slots=True)
class Standing:
    """How one CPE of a campaign stands, and why; ``mark`` is by what the change is known at it once begun."""

    state: MemberState
    reason: str
    mark: str | None = None


GONE = Standing("skipped", "It is bound to no service any more.")
OUTCOMES: Mapping[str, MemberState] = {
    "done": "done",
    "faulted": "failed",
    "unknown": "failed",
    "expired": "unreached",
    "cancelled": "skipped",
}
"""Of an operation that has ended."""
RECALLED, KEPT = "recalled:", "kept:"
"""Before the number of an operation that its campaign, as it stopped, has taken back; that was sent already by then."""
SHORTEST = timedelta(minutes=1)
"""An operation is given no less time than that."""


class Change(Protocol):
    """One kind of change, within the caller's transaction."""

    async def begin(self, device_row_id: int, *, at: datetime, until: datetime | None) -> Standing:
        """Write down for one CPE what it is to have; it is under way, or it can't begin and the reason says why.

        ``until``: when the window closes, in which alone anything may be sent.
        """
        ...

    async def look(self, under_way: Mapping[int, str | None]) -> dict[int, Standing]:
        """How the CPEs stand that have begun; they are given by their rows, each with its mark."""
        ...

    async def recall(self, marks: Sequence[str]) -> Mapping[str, str]:
        """Take back what has not been sent to CPEs yet, since the campaign has stopped; the marks they have then."""
        ...

    recalls_each: ClassVar[bool]
    """Whether that is to be done for every CPE by itself."""


class TemplateChange:
    """Brings CPEs to a template as it is now: to another one, or to what theirs has become."""

    recalls_each: ClassVar[bool] = False

    def __init__(self, db: AsyncSession, devices: GenieAcsService, *, template: str) -> None:
        self._db = db
        self._devices = devices
        self._template = template

    async def begin(self, device_row_id: int, *, at: datetime, until: datetime | None) -> Standing:
        device = await self._db.get(AcsDevice, device_row_id)
        if device is None or device.state == "withdrawn":
            return GONE
        try:
            rendered = await self._devices.render_again(device_serial=device.serial, config_template=self._template)
        except AcsError as error:
            if error.transient:
                raise
            return Standing("failed", str(error))
        if device.applied_revision != device.revision:
            device.send_until = until
            await self._db.flush()
        return Standing("under_way", "It is to have new settings.", rendered["revision"])

    async def look(self, under_way: Mapping[int, str | None]) -> dict[int, Standing]:
        found = await self._db.scalars(select(AcsDevice).where(AcsDevice.id.in_(list(under_way))))
        return {device.id: self._standing(device, under_way[device.id]) for device in found}

    async def recall(self, marks: Sequence[str]) -> Mapping[str, str]:
        return {}  # the rows of all its CPEs say until when they are sent anything (``acs.campaigns.sending``)

    def _standing(self, device: AcsDevice, mark: str | None) -> Standing:
        if device.state == "withdrawn":
            return Standing("skipped", "It was withdrawn from its service meanwhile.", mark)
        if device.template != self._template:
            return Standing("skipped", f"It was given template {device.template} meanwhile.", mark)
        if device.state in DONE_STATES and device.applied_revision == device.revision:
            return Standing("done", device.reason, mark)
        if device.state == "faulted" and device.try_again_at is None:
            return Standing("failed", device.reason, mark)
        return Standing("under_way", device.reason, mark)


class FirmwareChange:
    """Gives CPEs a firmware that the ACS has for them: an operation each, done when the CPE runs it."""

    recalls_each: ClassVar[bool] = True

    def __init__(
        self,
        db: AsyncSession,
        operations: DeviceOperations,
        *,
        file: str,
        campaign_id: int,
        patience: timedelta,
        windowed: bool,
    ) -> None:
        self._db = db
        self._operations = operations
        self._file = file
        self._campaign_id = campaign_id
        self._patience = patience
        self._windowed = windowed

    async def begin(self, device_row_id: int, *, at: datetime, until: datetime | None) -> Standing:
        device = await self._db.get(AcsDevice, device_row_id)
        if device is None or device.state == "withdrawn":
            return GONE
        within = self._patience if until is None else min(self._patience, until - at)
        if within < SHORTEST:
            return Standing("waiting", "The window is about to close.")
        try:
            operation = await self._operations.firmware(
                device_serial=device.serial,
                file=self._file,
                by=f"campaign {self._campaign_id}",
                request_id=f"campaign/{self._campaign_id}/{device_row_id}/{at:%Y%m%dT%H%M%S%f}",
                within=within,
            )
        except OperationUnderWay as error:
            return Standing("skipped", str(error))
        except OperationError as error:
            return Standing("failed", str(error))
        return Standing("under_way", operation["reason"], str(operation["operation_id"]))

    async def look(self, under_way: Mapping[int, str | None]) -> dict[int, Standing]:
        rows = {_operation_of(mark): (row, mark) for row, mark in under_way.items() if mark is not None}
        found = await self._db.scalars(select(AcsOperation).where(AcsOperation.id.in_(list(rows))))
        return {rows[each.id][0]: self._standing(each, rows[each.id][1]) for each in found}

    async def recall(self, marks: Sequence[str]) -> Mapping[str, str]:
        taken_back = await self._operations.cancel_unsent([_operation_of(mark) for mark in marks])
        return {mark: f"{RECALLED if _operation_of(mark) in taken_back else KEPT}{mark}" for mark in marks}

    def _standing(self, operation: AcsOperation, mark: str) -> Standing:
        """One whose outcome nobody knows counts as failed, once its effect is not looked for any more: it is a person's
        turn to look. One that the campaign itself took back, or that only its window has ended, waits for its turn
        again."""
        state = "under_way" if operation.ended_at is None else OUTCOMES[operation.state]
        reason = f"Operation {operation.id}: {operation.reason}"
        if state == "skipped" and mark.startswith(RECALLED):
            return Standing("waiting", "It was taken back before it was sent, since the campaign had stopped.")
        if state == "unreached" and self._windowed:
            return Standing("waiting", f"It waits for the next window. {reason}")
        return Standing(state, reason, mark)


def _operation_of(mark: str) -> int:
    return int(mark.rpartition(":")[2])


@dataclass(frozen=True, slots=True)
class Desks:
    """What changes are written down with, in one transaction."""

    devices: GenieAcsService
    operations: DeviceOperations


def change_of(campaign: AcsCampaign, *, db: AsyncSession, desks: Desks) -> Change:
    """What a campaign does; its arguments were checked when it was planned."""
    if campaign.kind == "template":
        return TemplateChange(db, desks.devices, template=campaign.arguments["template"])
    assert campaign.kind == "firmware", f"no campaign of kind {campaign.kind} is ever planned"
    return FirmwareChange(
        db,
        desks.operations,
        file=campaign.arguments["file"],
        campaign_id=campaign.id,
        patience=timedelta(seconds=campaign.patience_seconds),
        windowed=window_of(campaign) is not None,
    )
