"""``/devices``: CPEs by their serial numbers, and how far each has come. Secrets are references."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from acs import DeviceRecord, DeviceState
from provisioning.api.calls import InCall
from provisioning.api.pages import After, Limit, Page, Wanted, page_of, row_of
from provisioning.api.routes import Doors

doors = Doors(prefix="/devices", tags=["devices"])


@doors.get("", permission="devices.read")
async def list_(
    call: InCall,
    customer: Wanted = None,
    state: Annotated[DeviceState | None, Query()] = None,
    refused: Annotated[bool, Query()] = False,
    after: After = None,
    limit: Limit = 50,
) -> Page[DeviceRecord]:
    """CPEs, the newest binding first, withdrawn ones among them; ``refused``: only those that wait for their first
    settings and were told nothing in a session."""
    acs = call.appliance.services(call.db).genieacs_service
    found = await acs.devices(
        customer_id=customer, state=state, refused=refused, before_id=row_of(after), limit=limit + 1
    )
    return page_of(call, found, [device["device_row_id"] for device in found], limit)


@doors.get("/{serial}", permission="devices.read")
async def show(call: InCall, serial: Annotated[str, Path(max_length=64)]) -> DeviceRecord:
    """The CPE that is bound under this serial."""
    return await call.appliance.services(call.db).genieacs_service.device(device_serial=serial)
