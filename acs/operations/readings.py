"""What a NOC asks of a CPE every day, in one question to the ACS: light, PPP, WiFi; each with the time it was read.

And who has not reported when it should have. Nothing here is asked of a CPE: a fresh reading is an operation (``get``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from typing_extensions import TypedDict

from acs.convergence.seen_devices import Leaf, SeenDevice, find_known, moment, read_leaves
from acs.convergence.slowing import interval_given
from acs.errors import AwaitingFirstInform, DeviceUnknown
from acs.nbi.client import NbiClient
from acs.operations.reading_paths import ReadingPath, paths_for, readings_known, value_of
from acs.ports import Begin, Now
from acs.serials import canonical_serial
from acs.tables import AcsDevice
from acs.templates.delivery import ChosenRows, Delivery
from acs.templates.rendering import Setting

STALE_AFTER = timedelta(minutes=15)
SHORTEST_INTERVAL_SECONDS = 60
PAGE = 1000


class Reading(TypedDict):
    """One reading. Powers in dBm, times in seconds. ``value`` None: ``note`` says why.

    ``sure`` is how sure it is that this model has it there; ``is_stale``: it was read long ago.
    """

    reading: str
    value: float | int | str | None
    path: str | None
    sure: str | None
    read_at: datetime | None
    is_stale: bool
    note: str


class DeviceReading(TypedDict):
    """All readings of one CPE."""

    device_serial: str
    device_id: str
    manufacturer: str | None
    product_class: str | None
    last_inform_at: datetime | None
    readings: list[Reading]


class LateCpe(TypedDict):
    """A CPE that should have reported. ``missed``: so many times in a row."""

    device_serial: str
    customer_id: int
    service_id: int | None
    last_inform_at: datetime
    interval_seconds: int
    missed: int


class LateCpes(TypedDict):
    """Who is late, and the service of every bound CPE that has ever reported."""

    late: list[LateCpe]
    service_ids: list[int]


class DeviceReadings:
    """Looks at the ACS on behalf of one tenant."""

    def __init__(self, begin: Begin, fleet: Mapping[str, NbiClient], *, tenant_id: str, now: Now) -> None:
        self._begin = begin
        self._fleet = fleet
        self._tenant_id = tenant_id
        self._now = now

    async def of(self, device_serial: str, *, stale_after: timedelta = STALE_AFTER) -> DeviceReading:
        """Every reading there is for that model.

        Raises: SerialMalformed, DeviceUnknown, AwaitingFirstInform, SerialAmbiguous, AcsUnknown, NbiError.
        """
        serial, nbi, seen, places = await self._places(device_serial)
        leaves = await read_leaves(nbi, seen["device_id"], [place.path for place in places]) or {}
        old = self._now() - stale_after
        return DeviceReading(
            device_serial=serial,
            device_id=seen["device_id"],
            manufacturer=seen["manufacturer"],
            product_class=seen["product_class"],
            last_inform_at=seen["last_inform"],
            readings=[
                _reading(name, [place for place in places if place.reading == name], leaves, old)
                for name in readings_known()
            ],
        )

    async def paths(self, device_serial: str) -> list[str]:
        """What a CPE is asked for fresh readings. Raises: as ``of``."""
        *_, places = await self._places(device_serial)
        return list(dict.fromkeys(place.path for place in places))

    async def late(self, *, missed_at_least: int = 2, acs_name: str | None = None) -> LateCpes:
        """Every bound CPE that has missed so many periodic Informs, by the interval it was given; of all ACSes or one.

        One projected question to each ACS, however many CPEs there are. Raises: AcsUnknown, NbiError.
        """
        now = self._now()
        latest = now - timedelta(seconds=SHORTEST_INTERVAL_SECONDS * missed_at_least)
        silent: dict[tuple[str, str], datetime] = {}
        query = {"_lastInform": {"$lt": latest.isoformat().replace("+00:00", "Z")}}
        asked = list(self._fleet) if acs_name is None else [acs_name]
        for name in asked:
            async for document in self._fleet[name].stream("devices", query, ("_id", "_lastInform")):
                if (last := moment(document.get("_lastInform"))) is not None:
                    silent[name, str(document.get("_id"))] = last
        late: list[LateCpe] = []
        service_ids: list[int] = []
        async for serial, customer_id, service_id, at_acs, interval in self._bound(acs_name):
            service_ids += [] if service_id is None else [service_id]
            last = silent.get(at_acs)
            if interval is None or last is None:
                continue
            missed = int((now - last).total_seconds() // interval)
            if missed >= missed_at_least:
                late.append(
                    LateCpe(
                        device_serial=serial,
                        customer_id=customer_id,
                        service_id=service_id,
                        last_inform_at=last,
                        interval_seconds=interval,
                        missed=missed,
                    )
                )
        return LateCpes(late=late, service_ids=service_ids)

    async def _bound(
        self, acs_name: str | None
    ) -> AsyncIterator[tuple[str, int, int | None, tuple[str, str], int | None]]:
        """Every bound CPE that the ACS has shown us, a page at a time: its settings are long."""
        after = 0
        of_acs = () if acs_name is None else (AcsDevice.acs_name == acs_name,)
        while True:
            async with self._begin() as db:
                found = await db.execute(
                    select(
                        AcsDevice.id,
                        AcsDevice.serial,
                        AcsDevice.customer_id,
                        AcsDevice.service_id,
                        AcsDevice.acs_name,
                        AcsDevice.device_id,
                        AcsDevice.parameters,
                        AcsDevice.inform_slowed_at,
                        AcsDevice.inform_settled_at,
                    )
                    .where(
                        AcsDevice.tenant_id == self._tenant_id,
                        AcsDevice.state != "withdrawn",
                        AcsDevice.device_id.is_not(None),
                        AcsDevice.id > after,
                        *of_acs,
                    )
                    .order_by(AcsDevice.id)
                    .limit(PAGE)
                )
                rows = found.all()
            for row in rows:
                slowed = row.inform_slowed_at is not None or row.inform_settled_at is not None
                interval = interval_given(row.parameters, seldom=slowed)
                yield row.serial, row.customer_id, row.service_id, (row.acs_name, row.device_id), interval
            if len(rows) < PAGE:
                return
            after = rows[-1].id

    async def _places(self, device_serial: str) -> tuple[str, NbiClient, SeenDevice, list[ReadingPath]]:
        serial = canonical_serial(device_serial)
        async with self._begin() as db:
            found = await db.scalars(
                select(AcsDevice).where(
                    AcsDevice.tenant_id == self._tenant_id, AcsDevice.serial == serial, AcsDevice.state != "withdrawn"
                )
            )
            device = found.one_or_none()
            if device is None:
                raise DeviceUnknown(serial)
            spelt, device_id, nbi = device.serial_as_given, device.device_id, self._fleet[device.acs_name]
            parameters = [Setting.from_row(row).path for row in device.parameters]
            selectors = Delivery.from_json(device.delivery or {}).selectors
        seen = await find_known(nbi, spelt, device_id)
        if seen is None:
            raise AwaitingFirstInform(serial)
        chosen = ChosenRows.by_tags(selectors, seen["tags"])
        placed = parameters if chosen is None else [chosen.placed(path) for path in parameters]
        return serial, nbi, seen, paths_for(seen, placed)


def _reading(name: str, places: Sequence[ReadingPath], leaves: dict[str, Leaf], old: datetime) -> Reading:
    if not places:
        return _without(name, "not known for this model")
    for place in places:
        leaf = leaves.get(place.path)
        if leaf is None or leaf.value is None or leaf.stamp is None:
            continue
        value = value_of(place.unit, leaf.value)
        return Reading(
            reading=name,
            value=value,
            path=place.path,
            sure=place.sure,
            read_at=leaf.stamp,
            is_stale=leaf.stamp < old,
            note="" if value is not None else f"the CPE says {str(leaf.value)[:40]!r}, which is no such reading",
        )
    return _without(name, "the ACS has not read it from this CPE")


def _without(name: str, note: str) -> Reading:
    return Reading(reading=name, value=None, path=None, sure=None, read_at=None, is_stale=False, note=note)
