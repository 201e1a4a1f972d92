"""The short transactions of convergence: read the wish, open its secrets, write down how far it has come.

Nothing talks to the network in here, and no transaction stays open while somebody else does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from acs.convergence.unreached import AMBIGUOUS
from acs.device_records import DeviceState
from acs.errors import DesiredStateChanged, DeviceUnknown
from acs.ports import Begin, Now, Secrets
from acs.serials import canonical_serial, is_serial
from acs.service import GenieAcsService
from acs.tables import AcsDevice
from acs.templates.delivery import ChosenRows, Delivery
from acs.templates.library import TemplateLibrary
from acs.templates.rendering import Setting

SENT_SOON = timedelta(minutes=1)
"""A new wish is sent at the next look, and takes the place of what stands at the ACS."""
IN_FLIGHT = timedelta(minutes=2)
"""Longer than the ACS is waited for when something is queued: after that, nothing arrives there any more."""


@dataclass(frozen=True, slots=True)
class Desired:
    """What one CPE is to have and what is known of it, as read at one moment. Secrets are references."""

    row_id: int
    serial: str
    serial_as_given: str
    template: str
    data_model: str
    revision: str
    settings: tuple[Setting, ...]
    """Their paths may leave open what the CPE chooses; ``located`` fills that in."""
    delivery: Delivery
    state: DeviceState
    reason: str
    acs_name: str
    device_id: str | None
    task_id: str | None
    queued_at: datetime | None
    applied_revision: str | None
    applied_at: datetime | None
    written_at: datetime | None
    reading_after: datetime | None
    verified_at: datetime | None
    failures: int
    send_until: datetime | None
    rows: Mapping[str, str]
    """The rows that its last session has chosen, by selector."""
    handed_out_revision: str | None
    handed_out_at: datetime | None
    left_standing: bool
    """What was queued of a former wish may stand at the ACS, where this one has not taken its place."""
    is_ambiguous: bool
    """Several CPEs at the ACS carry its serial number, so nothing is to wait there for any."""

    @property
    def tag(self) -> str:
        """The tag that the apply script sets at the ACS once the CPE has taken this revision."""
        return f"cfg_{self.revision}"

    @property
    def is_applied(self) -> bool:
        return self.applied_revision == self.revision and self.state in (
            "applied",
            "verified",
            "accepted_unverifiable",
        )

    def may_arrive_late(self, now: datetime) -> bool:
        """Whether a task may be on its way to the ACS of which nobody knows: its answer did not come, or whoever queued
        it was killed."""
        return self.task_id is None and self.queued_at is not None and now - self.queued_at < IN_FLIGHT

    def is_held_back(self, now: datetime) -> bool:
        """Whether what it has not taken yet is not to be sent to it at this time."""
        return self.send_until is not None and self.send_until <= now

    def located(self, tags: Iterable[str]) -> Desired | None:
        """The same with every path complete, by the rows that a session of the CPE has chosen; None before one has."""
        if not self.delivery.selectors:
            return self
        rows = ChosenRows.by_tags(self.delivery.selectors, tags)
        if rows is None:
            return None
        return replace(self, settings=tuple(replace(each, path=rows.placed(each.path)) for each in self.settings))

    def in_its_rows(self) -> Desired:
        """The same with every path as complete as is written down of the rows that the CPE has chosen."""
        numbers: dict[str, str] = {}
        for selector in self.delivery.selectors:
            numbers |= selector.numbers_of(self.rows.get(selector.name, "")) or {}
        rows = ChosenRows(numbers)
        return replace(self, settings=tuple(replace(each, path=rows.placed(each.path)) for each in self.settings))

    @property
    def may_be_under_way(self) -> bool:
        """Whether a task may be at the ACS, or on its way there from a process that was queueing it; or the settings in
        a session that asked for them."""
        sent = [each for each in (self.queued_at, self.handed_out_at) if each is not None]
        return bool(sent) and (self.applied_at is None or self.applied_at < max(sent))


@dataclass(frozen=True, slots=True)
class ReportsOften:
    """A verified CPE on its way to its interval of verified ones; ``slowed_at`` marks when it was seen to have it."""

    desired: Desired
    slowed_at: datetime | None
    attempts: int
    reason: str | None


class DesiredStates:
    """Reads and writes ``acs_device`` for one tenant; what is left at an ACS, for one ACS where it is named."""

    def __init__(
        self, begin: Begin, *, tenant_id: str, now: Now, secrets: Secrets, acs_name: str | None = None
    ) -> None:
        self.acs_name = acs_name
        self._begin = begin
        self._tenant_id = tenant_id
        self._now = now
        self._secrets = secrets

    async def live(self, device_serial: str) -> Desired:
        """Raises: SerialMalformed, DeviceUnknown."""
        desired = await self.live_or_none(device_serial)
        if desired is None:
            raise DeviceUnknown(canonical_serial(device_serial))
        return desired

    async def live_or_none(self, device_serial: str) -> Desired | None:
        serial = canonical_serial(device_serial)
        async with self._begin() as db:
            device = await self._one(db, AcsDevice.serial == serial, AcsDevice.state != "withdrawn")
            return None if device is None else desired_of(device)

    async def last_or_none(self, device_serial: str) -> Desired | None:
        """The binding that this serial has, or had last."""
        serial = canonical_serial(device_serial)
        async with self._begin() as db:
            found = await db.scalars(
                select(AcsDevice)
                .where(AcsDevice.tenant_id == self._tenant_id, AcsDevice.serial == serial)
                .order_by((AcsDevice.state != "withdrawn").desc(), AcsDevice.id.desc())
                .limit(1)
            )
            device = found.one_or_none()
            return None if device is None else desired_of(device)

    async def live_of(self, device_serials: Iterable[str]) -> dict[str, Desired]:
        """Those of the serials that are bound, under the spelling asked for; what is no serial is left out."""
        canonical = {given: canonical_serial(given) for given in device_serials if is_serial(given)}
        async with self._begin() as db:
            found = await db.scalars(
                select(AcsDevice).where(
                    AcsDevice.tenant_id == self._tenant_id,
                    AcsDevice.serial.in_(sorted(set(canonical.values()))),
                    AcsDevice.state != "withdrawn",
                )
            )
            bound = {device.serial: desired_of(device) for device in found}
        return {given: bound[serial] for given, serial in canonical.items() if serial in bound}

    async def reporting_often(self, *, acs_name: str, behind: int, limit: int, attempts: int) -> list[ReportsOften]:
        """Verified CPEs of an ACS not known to have their interval of verified ones, by row; those that were given it
        less often than ``attempts``."""
        async with self._begin() as db:
            found = await db.scalars(
                select(AcsDevice)
                .where(
                    AcsDevice.tenant_id == self._tenant_id,
                    AcsDevice.state.in_(("verified", "accepted_unverifiable")),
                    AcsDevice.inform_settled_at.is_(None),
                    AcsDevice.inform_attempts < attempts,
                    AcsDevice.acs_name == acs_name,
                    AcsDevice.id > behind,
                )
                .order_by(AcsDevice.id)
                .limit(limit)
            )
            return [
                ReportsOften(desired_of(device), device.inform_slowed_at, device.inform_attempts, device.inform_reason)
                for device in found
            ]

    async def left_standing(self, *, acs_name: str, behind: int, limit: int) -> list[Desired]:
        """CPEs of an ACS where something may stand that is not to reach them, by row; but for those that an ``apply``
        is about to give something in its place."""
        rests = or_(
            AcsDevice.state == "faulted",
            AcsDevice.unreached_why == AMBIGUOUS,
            AcsDevice.updated_at <= self._now() - SENT_SOON,
        )
        async with self._begin() as db:
            found = await db.scalars(
                select(AcsDevice)
                .where(
                    AcsDevice.tenant_id == self._tenant_id,
                    AcsDevice.left_standing,
                    AcsDevice.state != "withdrawn",
                    AcsDevice.acs_name == acs_name,
                    AcsDevice.id > behind,
                    rests,
                )
                .order_by(AcsDevice.id)
                .limit(limit)
            )
            return [desired_of(device) for device in found]

    async def former_may_arrive(self, desired: Desired) -> bool:
        """Whether something that was queued for an earlier binding of this CPE may still be on its way to the ACS."""
        if not desired.left_standing:
            return False
        former = select(AcsDevice.id).where(
            AcsDevice.tenant_id == self._tenant_id,
            AcsDevice.serial == desired.serial,
            AcsDevice.acs_name == desired.acs_name,
            AcsDevice.state == "withdrawn",
            AcsDevice.queued_at > self._now() - IN_FLIGHT,
        )
        async with self._begin() as db:
            return await db.scalar(former.limit(1)) is not None

    async def unbind(self, device_serial: str, *, service_id: int | None) -> None:
        """Withdraws the binding, as the service's verb does, in a transaction of its own."""
        async with self._begin() as db:
            # no template is looked at on the way out
            service = GenieAcsService(
                db, tenant_id=self._tenant_id, now=self._now, templates=TemplateLibrary(()), secrets=self._secrets
            )
            await service.withdraw_device(device_serial=device_serial, service_id=service_id)

    async def to_clear(self, device_serial: str) -> list[Desired]:
        """Withdrawn bindings of that serial whose traces may still be at the ACS."""
        left = await self._left(device_serial)
        return [each for each in left if self.acs_name in (None, each.acs_name)]

    async def left_at(self, device_serial: str) -> list[str]:
        """The names of all ACSes where withdrawn bindings of that serial may have left traces, the first one first."""
        return list(dict.fromkeys(each.acs_name for each in await self._left(device_serial)))

    async def _left(self, device_serial: str) -> list[Desired]:
        serial = canonical_serial(device_serial)
        async with self._begin() as db:
            found = await db.scalars(
                select(AcsDevice)
                .where(
                    AcsDevice.tenant_id == self._tenant_id,
                    AcsDevice.serial == serial,
                    AcsDevice.state == "withdrawn",
                    AcsDevice.cleared_at.is_(None),
                )
                .order_by(AcsDevice.id)
            )
            return [desired_of(device) for device in found]

    async def revealed(self, desired: Desired) -> tuple[Setting, ...]:
        """The settings with their secrets open, to be sent and forgotten."""
        async with self._begin() as db:
            return tuple(
                [
                    replace(setting, value=await self._secrets.reveal(db, str(setting.value)))
                    if setting.secret
                    else setting
                    for setting in desired.settings
                ]
            )

    async def record(self, desired: Desired, **facts: Any) -> None:
        """Write down facts about exactly this wish. Raises: DesiredStateChanged when there is a newer one, or none."""
        async with self._begin() as db:
            device = await self._one(
                db,
                AcsDevice.id == desired.row_id,
                AcsDevice.revision == desired.revision,
                AcsDevice.state != "withdrawn",
                locked=True,
            )
            if device is None:
                raise DesiredStateChanged(desired.serial)
            self._set(device, facts)

    async def record_cleared(self, desired: Sequence[Desired]) -> None:
        async with self._begin() as db:
            for each in desired:
                device = await self._one(db, AcsDevice.id == each.row_id, AcsDevice.state == "withdrawn", locked=True)
                if device is not None:
                    self._set(device, {"cleared_at": self._now(), "task_id": None, "left_standing": False})

    def _set(self, device: AcsDevice, facts: dict[str, Any]) -> None:
        write_facts(device, facts, at=self._now())

    async def _one(self, db: AsyncSession, *where: ColumnElement[bool], locked: bool = False) -> AcsDevice | None:
        query = select(AcsDevice).where(AcsDevice.tenant_id == self._tenant_id, *where)
        return (await db.scalars(query.with_for_update() if locked else query)).one_or_none()


def write_facts(device: AcsDevice, facts: Mapping[str, Any], *, at: datetime) -> None:
    """Since when it cannot be reached is the first time that this was found, for whatever cause. A new state leaves no
    appointment of the former one."""
    if "state" in facts:
        device.try_again_at = None
    for column, value in facts.items():
        setattr(device, column, value)
    if device.unreached_why is not None and device.unreached_since is None:
        device.unreached_since = at
    device.updated_at = at


def desired_of(device: AcsDevice) -> Desired:
    """The row as convergence reads it."""
    return Desired(
        row_id=device.id,
        serial=device.serial,
        serial_as_given=device.serial_as_given,
        template=device.template,
        data_model=device.data_model,
        revision=device.revision,
        settings=tuple(Setting.from_row(row) for row in device.parameters),
        delivery=Delivery.from_json(device.delivery or {}),
        state=cast(DeviceState, device.state),
        reason=device.reason,
        acs_name=device.acs_name,
        device_id=device.device_id,
        task_id=device.task_id,
        queued_at=device.queued_at,
        applied_revision=device.applied_revision,
        applied_at=device.applied_at,
        written_at=device.written_at,
        reading_after=device.reading_after,
        verified_at=device.verified_at,
        failures=device.failures,
        send_until=device.send_until,
        rows=dict(device.rows or {}),
        handed_out_revision=device.handed_out_revision,
        handed_out_at=device.handed_out_at,
        left_standing=device.left_standing,
        is_ambiguous=device.unreached_why == AMBIGUOUS,
    )
