"""What CPEs were last read to be like, and where they are silent: asked of the ACSes, never of a CPE."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated

from fastapi import Path, Query

from acs import DEFAULT_ACS, AcsUnknown, DeviceReading, DeviceReadings
from provisioning.api.calls import Call, InCall
from provisioning.api.openapi import WORDS, problem
from provisioning.api.routes import Doors
from provisioning.configured import acs_fleet
from provisioning.device_operations import SilentPort, by_port

doors = Doors(prefix="/devices", tags=["devices"])
fleet_doors = Doors(prefix="/fleet", tags=["devices"])


@doors.get("/{serial}/readings", permission="devices.read")
async def readings(
    call: InCall,
    serial: Annotated[str, Path(max_length=64)],
    stale_minutes: Annotated[int, Query(ge=1, le=527040, description="What was read longer ago is marked")] = 15,
) -> DeviceReading:
    """Light, PPP, WiFi and version of a CPE as its ACS has them, each with the time it was read.

    For fresh ones have its parameters read first: `POST /devices/{serial}/get` with the paths that this names.
    """
    async with _readings(call) as acs:
        return await acs.of(serial, stale_after=timedelta(minutes=stale_minutes))


@fleet_doors.get("/missed-informs", permission="devices.read", responses={404: problem(WORDS[404])})
async def missed_informs(
    call: InCall,
    at_least: Annotated[int, Query(ge=1, le=1000, description="Only CPEs that have missed so many in a row")] = 2,
    acs: Annotated[str | None, Query(max_length=63, description="Only those of this ACS")] = None,
) -> list[SilentPort]:
    """CPEs that have missed Informs, by access port, the port with the most first; a cut fibre shows as one port."""
    async with _readings(call) as found:
        late = await found.late(missed_at_least=at_least, acs_name=acs)
    return by_port(late, await call.appliance.services(call.db).network_service.all_resources())


@asynccontextmanager
async def _readings(call: Call) -> AsyncIterator[DeviceReadings]:
    """Raises: AcsUnknown where none is configured."""
    appliance = call.appliance
    if appliance.settings.genieacs_nbi_url is None:
        raise AcsUnknown(DEFAULT_ACS, ())
    async with acs_fleet(appliance.settings) as fleet:
        yield DeviceReadings(appliance.database.read, fleet, tenant_id=call.tenant_id, now=appliance.clock)
