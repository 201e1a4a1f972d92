"""``/acs``: the ACSes themselves. What is changed there is changed at the command line, since it takes minutes."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from acs import AcsUnknown, Differences, PresetInstaller
from provisioning.api.calls import InCall
from provisioning.api.routes import Doors
from provisioning.configured import acs_fleet

doors = Doors(prefix="/acs", tags=["devices"])


@doors.get("/{name}/differences", permission="devices.read")
async def differences(call: InCall, name: Annotated[str, Path(max_length=63)]) -> Differences:
    """What that ACS has instead of the presets and scripts that it should have from us; nothing is changed."""
    appliance = call.appliance
    if appliance.settings.genieacs_nbi_url is None:
        raise AcsUnknown(name, ())
    async with acs_fleet(appliance.settings) as fleet:
        installer = PresetInstaller(
            appliance.database.begin, fleet[name], acs_name=name, tenant_id=call.tenant_id, now=appliance.clock
        )
        return await installer.differences()
