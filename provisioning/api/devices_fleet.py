"""``/fleet``: all CPEs at a glance, those that serve nobody, and CPEs to be converged again."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from acs import FleetOverview, UnboundDevice, fleet_overview, resume_devices, unbound_devices
from provisioning.api.calls import InCall
from provisioning.api.pages import After, Limit, Page, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.wishes import Reason, Wish

doors = Doors(prefix="/fleet", tags=["devices"])


class Converge(Wish):
    """CPEs that a person has looked at."""

    serials: Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(min_length=1, max_length=1_000)]
    reason: Reason


class Converging(Wish):
    """Whom the worker converges at its next look."""

    serials: list[str]


@doors.get("", permission="devices.read")
async def show(call: InCall) -> FleetOverview:
    """How many CPEs are in which state, the oldest in each, and why some are not reached."""
    return await fleet_overview(call.db, tenant_id=call.appliance.tenant_id)


@doors.get("/unknown", permission="devices.read")
async def unknown(call: InCall, after: After = None, limit: Limit = 50) -> Page[UnboundDevice]:
    """CPEs that the ACS knows and that serve nobody, the newest first."""
    found = await unbound_devices(call.db, tenant_id=call.appliance.tenant_id, before=row_of(after), limit=limit + 1)
    return page_of(call, found, [device["number"] for device in found], limit)


@doors.post("/converge", permission="devices.operate")
async def converge(call: InCall, wish: Converge) -> Converging:
    """Has CPEs converged again, also where repairing was given up; the worker begins at its next look."""
    appliance = call.appliance
    serials = await resume_devices(call.db, wish.serials, tenant_id=appliance.tenant_id, now=appliance.clock())
    subject = f"device/{serials[0]}" if len(serials) == 1 else "devices"
    call.tells(subject=subject, reason=wish.reason, before={"converging": 0}, after={"converging": len(serials)})
    return Converging(serials=serials)
