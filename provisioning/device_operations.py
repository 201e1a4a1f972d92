"""How operations on CPEs are carried out: by the worker's tick, or by a command that waits for the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from acs import (
    ConvergenceBySite,
    DeviceReadings,
    LateCpe,
    LateCpes,
    OperationCarrier,
    OperationRecord,
)
from ipam import AllocatedResources
from provisioning.bootstrap import Appliance
from provisioning.configured import acs_fleet

OPERATION_ENDED = "device.operation_ended"
BY = "operations"


class SilentPort(TypedDict):
    """An access port with CPEs that have missed Informs; ``all_silent``: nobody on it reports, as with a cut fibre."""

    access_node: str | None
    port: str | None
    silent: int
    cpes: int
    all_silent: bool
    longest_missed: int
    serials: list[str]


@dataclass(frozen=True)
class AcsSide:
    """What a process needs that asks the ACS itself."""

    carrier: OperationCarrier
    readings: DeviceReadings


def told_of(appliance: Appliance) -> Callable[[AsyncSession, OperationRecord], Awaitable[None]]:
    """Publishes the end of an operation in its transaction."""

    async def told(db: AsyncSession, record: OperationRecord) -> None:
        data = {name: record[name] for name in ("operation_id", "customer_id", "kind", "state")}
        subject = f"device_operation/{record['operation_id']}"
        await appliance.publish(db, OPERATION_ENDED, subject, data, f"{subject}/{record['state']}", BY)

    return told


def operation_carrier(appliance: Appliance, convergence: ConvergenceBySite) -> OperationCarrier:
    """What carries every open operation, through the ACS of each CPE."""
    return OperationCarrier(
        appliance.database.begin,
        convergence.of,
        tenant_id=appliance.tenant_id,
        now=appliance.clock,
        told=told_of(appliance),
    )


@asynccontextmanager
async def acs_side(appliance: Appliance) -> AsyncIterator[AcsSide]:
    """The ACSes, for the time of the block. Raises: SettingsRefused if there is none to talk to."""
    async with acs_fleet(appliance.settings) as fleet:
        begin, scope = appliance.database.begin, appliance.tenant_id
        convergence = ConvergenceBySite(begin, fleet, tenant_id=scope, now=appliance.clock, secrets=appliance.vault)
        readings = DeviceReadings(appliance.database.read, fleet, tenant_id=scope, now=appliance.clock)
        yield AcsSide(operation_carrier(appliance, convergence), readings)


def by_port(found: LateCpes, resources: Sequence[AllocatedResources]) -> list[SilentPort]:
    """Who is silent, by the port of their service; the port with the most comes first.

    CPEs without a service, or whose port nobody knows, are counted under None.
    """
    places = {each["service_id"]: (each["access_node"], each["port"]) for each in resources}
    silent: dict[tuple[str | None, str | None], list[LateCpe]] = {}
    for cpe in found["late"]:
        silent.setdefault(places.get(cpe["service_id"] or 0, (None, None)), []).append(cpe)
    bound: dict[tuple[str | None, str | None], int] = {}
    for service_id in found["service_ids"]:
        place = places.get(service_id, (None, None))
        bound[place] = bound.get(place, 0) + 1
    ports = [
        SilentPort(
            access_node=node,
            port=port,
            silent=len(cpes),
            cpes=max(bound.get((node, port), 0), len(cpes)),
            all_silent=port is not None and len(cpes) > 1 and len(cpes) >= bound.get((node, port), 0),
            longest_missed=max(cpe["missed"] for cpe in cpes),
            serials=sorted(cpe["device_serial"] for cpe in cpes),
        )
        for (node, port), cpes in silent.items()
    ]
    return sorted(ports, key=lambda each: (-each["silent"], each["access_node"] or "", each["port"] or ""))
