"""The door to the truth about one subscriber: every side is asked what it has, and nothing is changed."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from acs import AcsError, DeviceReading, DeviceReadings, DeviceRecord, NbiError
from provisioning.device_desk import DeviceDesk
from provisioning.errors import ProvisioningError
from provisioning.intake import Clock
from provisioning.sight import Sight
from provisioning.subscriber_looks import SubscriberLooks, Who
from provisioning.truth.comparing import Sides, comparisons, served_by
from provisioning.truth.differing import differences, summed_up
from provisioning.truth.facts import Truth
from provisioning.truth.outcomes import Outcome, of_change, of_operation
from provisioning.truth.previews import Act, ActPreview, plans_after, preview
from provisioning.vault import VaultError
from radius import (
    RadiusDatabaseUnavailable,
    RadiusDatabaseUnfit,
    RadiusError,
    SessionLooks,
    SessionView,
    ShownSubscriber,
    SubscriberRows,
    SubscriberUnknown,
    SubscriberVerbs,
    SubscriberView,
)

ACS_SECONDS = 2.0
"""The ACS is waited for so long, however many CPEs there are: a person looks."""
SESSIONS_LOOKED_AT = 20
ASKED_SHOWN = 6

Readings = Callable[[], AbstractAsyncContextManager[DeviceReadings]]


class SubscriberMoved(ProvisioningError):
    """The subscriber is not as you have seen it any more; nothing was done."""

    code = "subscriber.moved"

    def __init__(self, username: str, state: str) -> None:
        super().__init__(
            f"{username} is not as you have seen it any more (it is {state} now), or something was asked of it since."
            " Nothing was done."
        )


class TruthDesk:
    """Looks at one subscriber from all sides, bound to one transaction, as far as may be seen."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        now: Clock,
        sight: Sight,
        subscribers: SubscriberLooks,
        verbs: SubscriberVerbs,
        devices: DeviceDesk,
        rows: SubscriberRows,
        sessions: SessionLooks,
        readings: Readings,
    ) -> None:
        self._db = db
        self._now = now
        self._sight = sight
        self._subscribers = subscribers
        self._verbs = verbs
        self._devices = devices
        self._rows = rows
        self._sessions = sessions
        self._readings = readings

    async def mark(self, who: Who) -> str:
        """Another one as soon as something of ours has changed or was asked: an act is taken on what was seen.

        Raises:
            SubscriberUnknown
        """
        subscriber = await self._subscribers.named(who)
        service_id = subscriber["service_id"]
        devices = [] if service_id is None else await self._devices.of_service(service_id)
        return _mark(subscriber, devices, await self._asked(subscriber, devices))

    async def live_mark(self, who: Who) -> str:
        """Another one as soon as anything of it has moved that the databases tell, sessions among it."""
        try:
            subscriber = await self._subscribers.named(who)
        except SubscriberUnknown:
            return "unknown"
        devices = await self._bound(subscriber["service_id"])
        bound = [] if isinstance(devices, str) else devices
        asked = await self._asked(subscriber, bound)
        sessions, ended = await self._of_sessions(who)
        standing: list[object] = [(each.target, each.standing, each.sentence) for each in asked]
        standing += [(each["state"], each["verified_at"], each["reason"]) for each in bound]
        standing += [sessions if isinstance(sessions, str) else [each["number"] for each in sessions]]
        standing += [ended["number"] if ended else None, subscriber["projected"], subscriber["version"]]
        return hashlib.sha256(repr(standing).encode()).hexdigest()[:16]

    async def require_seen(self, who: Who, mark: str) -> None:
        """Raises: SubscriberMoved, SubscriberUnknown."""
        if await self.mark(who) != mark:
            subscriber = await self._subscribers.named(who)
            raise SubscriberMoved(subscriber["username"], subscriber["state"])

    async def look(self, who: Who, *, ask_acs: bool = True) -> Truth:
        """All of it. A side that can't be asked is told as not known, with the reason.

        Raises:
            SubscriberUnknown
        """
        subscriber = await self._subscribers.named(who)
        wanted_since = await self._rows.wanted_since(self._db, subscriber["subscriber_id"])
        rows = await self._shown(subscriber)
        sessions, ended = await self._of_sessions(who)
        devices = await self._bound(subscriber["service_id"])
        readings = await self._read([] if isinstance(devices, str) or not ask_acs else devices)
        sides = Sides(
            subscriber=subscriber,
            wanted_since=wanted_since,
            looked_at=self._now(),
            rows=rows,
            sessions=sessions,
            last_ended=ended,
            devices=devices,
            readings=readings,
        )
        compared = comparisons(sides)
        found = differences(sides, compared)
        return Truth(
            subscriber=subscriber,
            looked_at=sides.looked_at,
            sentence=summed_up(found, sides),
            agrees=not found,
            comparisons=compared,
            differences=found,
            sessions=[] if isinstance(sessions, str) else list(sessions),
            devices=[] if isinstance(devices, str) else list(devices),
            readings=[each for each in readings.values() if not isinstance(each, str)],
            asked=await self._asked(subscriber, [] if isinstance(devices, str) else devices),
        )

    async def preview(
        self, truth: Truth, act: Act, *, serial: str | None = None, plan: str = "", garden: str = ""
    ) -> ActPreview:
        """What an act would touch (``provisioning.truth.previews``), and where it would shut its logins out."""
        served = plans_after(truth, act, plan)
        untold = [] if served is None else await self._subscribers.untold(*served)
        return preview(truth, act, serial=serial, plan=plan, garden=garden, untold=untold)

    async def _shown(self, subscriber: SubscriberView) -> ShownSubscriber | str:
        try:
            return await self._rows.of(subscriber["username"], plan=served_by(subscriber))
        except (RadiusError, VaultError) as error:
            return str(error)

    async def _of_sessions(self, who: Who) -> tuple[list[SessionView] | str, SessionView | None]:
        """Those that are open, and the newest of the others."""
        try:
            names = await self._subscribers.held_names(who)
            found = await self._sessions.of_subscriber(names, limit=SESSIONS_LOOKED_AT)
        except (RadiusDatabaseUnavailable, RadiusDatabaseUnfit) as error:
            return str(error), None
        still_open = [each for each in found if each["stopped_at"] is None]
        return still_open, next((each for each in found if each["stopped_at"] is not None), None)

    async def _bound(self, service_id: int | None) -> list[DeviceRecord] | str:
        if not self._sight.may("devices.read"):
            return "your role does not see CPEs"
        return [] if service_id is None else await self._devices.of_service(service_id)

    async def _read(self, devices: Sequence[DeviceRecord]) -> dict[str, DeviceReading | str]:
        """By serial what the ACS has read of each, or why that is not known."""
        read: dict[str, DeviceReading | str] = {}
        if not devices:
            return read
        try:
            async with asyncio.timeout(ACS_SECONDS), self._readings() as readings:
                for device in devices:
                    read[device["device_serial"]] = await _reading(readings, device["device_serial"])
        except TimeoutError:
            why = f"the ACS has not answered within {ACS_SECONDS:.0f} seconds"
        except ProvisioningError as error:  # no ACS is named, or our certificate for it can't be used
            why = str(error)
        else:
            return read
        return {device["device_serial"]: why for device in devices} | read

    async def _asked(self, subscriber: SubscriberView, devices: Sequence[DeviceRecord]) -> list[Outcome]:
        number = subscriber["subscriber_id"]
        found = [of_change(each) for each in await self._verbs.changes(subscriber_id=number, limit=ASKED_SHOWN)]
        for device in devices:
            serial = device["device_serial"]
            operations = await self._devices.operations.operations(device_serial=serial, limit=ASKED_SHOWN)
            found += [of_operation(each) for each in operations]
        return sorted(found, key=_asked_at, reverse=True)[:ASKED_SHOWN]


def _mark(subscriber: SubscriberView, devices: Sequence[DeviceRecord], asked: Sequence[Outcome]) -> str:
    kinds = ("session_change", "device_operation")
    newest = [next((each.target for each in asked if each.target.startswith(kind)), "") for kind in kinds]
    told = (subscriber["version"], subscriber["state"], *newest, *(device["revision"] for device in devices))
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def _asked_at(outcome: Outcome) -> datetime:
    return outcome.asked_at


async def _reading(readings: DeviceReadings, serial: str) -> DeviceReading | str:
    try:
        return await readings.of(serial)
    except (AcsError, NbiError) as error:
        return str(error)
