"""``DesiredStates`` whose short transactions are shared by all who come within some milliseconds.

Each of them goes on only after the commit that holds what it wrote, so that a process may be killed at any moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import load_only

from acs.convergence.desired_states import Desired, DesiredStates, write_facts
from acs.errors import DesiredStateChanged, DeviceUnknown, SettingsRefused
from acs.fleet.gatherer import Gatherer
from acs.ports import Begin, Now, Secrets, Sleep
from acs.serials import canonical_serial
from acs.tables import AcsDevice
from acs.templates.rendering import Setting

ROWS_AT_ONCE = 200
GATHER_SECONDS = 0.02
_WRITABLE = load_only(
    AcsDevice.id, AcsDevice.revision, AcsDevice.unreached_why, AcsDevice.unreached_since, AcsDevice.updated_at
)
"""What writing has to know of a row; its parameters are long."""


class GroupedStates(DesiredStates):
    """For thousands of CPEs at a time."""

    def __init__(self, begin: Begin, *, tenant_id: str, now: Now, secrets: Secrets, sleep: Sleep) -> None:
        super().__init__(begin, tenant_id=tenant_id, now=now, secrets=secrets)
        pace: dict[str, Any] = {"most": ROWS_AT_ONCE, "pause_seconds": GATHER_SECONDS, "sleep": sleep}
        self._reads: Gatherer[str, Desired] = Gatherer(self._read_all, **pace)
        self._writes: Gatherer[tuple[Desired, dict[str, Any]], None] = Gatherer(self._write_all, **pace, alone=True)
        self._openings: Gatherer[Desired, tuple[Setting, ...]] = Gatherer(self._open_all, **pace)

    async def live(self, device_serial: str) -> Desired:
        return await self._reads.ask(canonical_serial(device_serial))

    async def revealed(self, desired: Desired) -> tuple[Setting, ...]:
        return await self._openings.ask(desired)

    async def record(self, desired: Desired, **facts: Any) -> None:
        await self._writes.ask((desired, facts))

    async def close(self) -> None:
        """Lets what is under way be committed."""
        for gatherer in (self._reads, self._writes, self._openings):
            await gatherer.close()

    async def _read_all(self, serials: Sequence[str]) -> Sequence[Desired | Exception]:
        bound = await self.live_of(serials)
        return [bound.get(serial) or DeviceUnknown(serial) for serial in serials]

    async def _open_all(self, wishes: Sequence[Desired]) -> Sequence[tuple[Setting, ...] | Exception]:
        refs = {str(setting.value) for desired in wishes for setting in desired.settings if setting.secret}
        async with self._begin() as db:
            opened = await self._secrets.reveal_many(db, refs)
        return [_opened(desired, opened) for desired in wishes]

    async def _write_all(self, items: Sequence[tuple[Desired, dict[str, Any]]]) -> Sequence[Exception | None]:
        """One transaction: rows in the order of their numbers, so that two who write never wait for each other."""
        async with self._begin() as db:
            found = await db.scalars(
                select(AcsDevice)
                .options(_WRITABLE)
                .where(
                    AcsDevice.tenant_id == self._tenant_id,
                    AcsDevice.id.in_({desired.row_id for desired, _ in items}),
                    AcsDevice.state != "withdrawn",
                )
                .order_by(AcsDevice.id)
                .with_for_update()
            )
            rows = {device.id: device for device in found}
            answers: list[Exception | None] = []
            for desired, facts in items:
                device = rows.get(desired.row_id)
                if device is None or device.revision != desired.revision:
                    answers.append(DesiredStateChanged(desired.serial))
                else:
                    write_facts(device, facts, at=self._now())
                    answers.append(None)
            return answers


def _opened(desired: Desired, opened: Mapping[str, str]) -> tuple[Setting, ...] | Exception:
    closed = sorted({str(each.value) for each in desired.settings if each.secret} - set(opened))
    if closed:
        message = f"{', '.join(closed)} is not kept here, or does not open."
        return SettingsRefused(desired.serial, fault_code="secret_missing", refusals=(), message=message)
    return tuple(replace(each, value=opened[str(each.value)]) if each.secret else each for each in desired.settings)
