"""``/devices/templates``, ``/devices/{serial}/settings`` and ``/overrides``: what exactly CPEs are set to, and why."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import Field, StrictBool, StrictInt, StrictStr

from acs import RenderedDevice, TemplateEntry
from provisioning.api.calls import InCall
from provisioning.api.openapi import WORDS, problem
from provisioning.api.pages import Page
from provisioning.api.routes import Doors
from provisioning.api.wishes import Reason, Wish

doors = Doors(prefix="/devices", tags=["devices"])

Serial = Annotated[str, Path(max_length=64)]
Name = Annotated[str, Field(min_length=1, max_length=256)]
Value = StrictBool | StrictInt | Annotated[StrictStr, Field(max_length=1000)] | None


class Override(Wish):
    """By name (an input, a parameter's path, a selector, `management`, `inform.verified_seconds`) what the CPE has
    otherwise than its template says; null leaves a parameter alone. `removed` names overrides that end."""

    changes: Annotated[dict[Name, Value], Field(max_length=100)] = Field(default_factory=dict)
    removed: Annotated[list[Name], Field(max_length=100)] = Field(default_factory=list)
    reason: Reason


@doors.get("/templates", permission="devices.read")
async def templates(call: InCall) -> Page[TemplateEntry]:
    """The CPE templates by name, with how sure their paths are: one page."""
    return Page(items=call.appliance.device_settings(call.db).templates())


@doors.get("/{serial}/settings", permission="devices.read", responses={404: problem(WORDS[404])})
async def settings(call: InCall, serial: Serial) -> RenderedDevice:
    """Exactly what the CPE is set to, parameter by parameter, each with where it is from. Secrets are references."""
    return await call.appliance.device_settings(call.db).rendered(device_serial=serial)


@doors.post("/{serial}/overrides", permission="devices.write", responses={404: problem(WORDS[404])})
async def override(call: InCall, serial: Serial, wish: Override) -> RenderedDevice:
    """Lets one CPE have something otherwise than its template says; it is given that as a new revision."""
    desk = call.appliance.device_settings(call.db)
    before = (await desk.rendered(device_serial=serial))["overrides"]
    rendered = await desk.override(device_serial=serial, changes=wish.changes, removed=wish.removed)
    after = {"overrides": sorted(rendered["overrides"]), "revision": rendered["revision"]}
    call.tells(
        subject=f"device/{rendered['device_serial']}",
        reason=wish.reason,
        before={"overrides": sorted(before)},
        after=after,
    )
    return rendered
