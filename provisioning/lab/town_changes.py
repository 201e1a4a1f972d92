"""What the town's CPEs are to become, and which systems hear of what happens there.

A campaign brings all CPEs to their template and stops by itself at those that refuse it; another one is planned, for
somebody to start. Of two systems that are told by webhooks one is down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import time

from acs import DEFAULT_ACS, DeviceState, Done, Group, Pace
from provisioning.bootstrap import Appliance
from provisioning.configured import acs_fleet
from provisioning.lab.demo import Lab, Say
from provisioning.lab.errors import DemoFailed
from provisioning.lab.neighbours import BOOKS, CRM, Neighbours

TEMPLATE = "tr181-pppoe"
SETTINGS_CAMPAIGN, FIRMWARE_CAMPAIGN = "settings-of-autumn", "firmware-2.1.4"
FIRMWARE, VERSION, FILE_TYPE = "lab-cpe-2.1.4.bin", "2.1.4", "1 Firmware Upgrade Image"
WITH_FIRMWARE = 20
AT_NIGHT = (time(1), time(5))
ON_THEIR_WAY: tuple[DeviceState, ...] = ("awaiting_first_inform", "queued", "applied")
LOOK_EVERY_SECONDS, LOOKS = 2.0, 90
MOST_CPES = 500
TOLD_TO = {CRM: ("run.state_changed", "lead.qualified", "quote.accepted"), BOOKS: ("quote.accepted",)}


async def tell_systems(lab: Lab, neighbours: Neighbours) -> None:
    """From now on they are told of what happens."""
    async with lab.appliance.database.begin() as db:
        for path, types in TOLD_TO.items():
            await lab.appliance.webhooks(db).add(url=neighbours.told.url_of(path), event_types=types, by="demo")


async def plan_campaigns(lab: Lab, serials: Sequence[str]) -> None:
    """One for all CPEs, not started yet, and one for a firmware, which the ACS has, for some.

    Raises: DemoFailed if the ACS did not take the firmware.
    """
    appliance = lab.appliance
    async with acs_fleet(appliance.settings) as fleet:
        content = f"no firmware: a file of the laboratory, {VERSION}".encode()
        taken = await fleet[DEFAULT_ACS].put_file(FIRMWARE, content, file_type=FILE_TYPE, version=VERSION)
    if not isinstance(taken, Done):
        raise DemoFailed(f"the ACS has not taken file {FIRMWARE}: {taken}")
    async with appliance.database.begin() as db:
        campaigns = appliance.campaigns(db)
        await campaigns.plan_template(
            name=SETTINGS_CAMPAIGN,
            template=TEMPLATE,
            group=Group(template=TEMPLATE),
            by="demo",
            pace=Pace(canary=5, batch_size=15, most_failed_percent=3),
        )
        await campaigns.plan_firmware(
            name=FIRMWARE_CAMPAIGN,
            file=FIRMWARE,
            group=Group(serials=tuple(serials[:WITH_FIRMWARE])),
            by="demo",
            pace=Pace(canary=3, batch_size=10, window=AT_NIGHT),
        )


async def start_campaign(lab: Lab, serials: Sequence[str], say: Say) -> None:
    """Once these CPEs have their first settings, or have refused them: what is on its way is not sent any more when a
    campaign stops."""
    for _ in range(LOOKS):
        if not await _on_their_way(lab.appliance, set(serials)):
            break
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    else:
        say(f"  campaign {SETTINGS_CAMPAIGN} waits for somebody to start it: not all CPEs have their settings yet")
        return
    async with lab.appliance.database.begin() as db:
        await lab.appliance.campaigns(db).start(name=SETTINGS_CAMPAIGN)
    say(f"  campaign {SETTINGS_CAMPAIGN} has begun; it will stop by itself, at CPEs that refuse it")
    for _ in range(LOOKS):
        async with lab.appliance.database.read() as db:
            shown = await lab.appliance.campaigns(db).campaign(name=SETTINGS_CAMPAIGN)
        if shown["state"] != "running":
            say(f"  campaign {SETTINGS_CAMPAIGN} has {shown['state']}: {shown['reason']}")
            return
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    say(f"  campaign {SETTINGS_CAMPAIGN} still runs")


async def _on_their_way(appliance: Appliance, serials: set[str]) -> bool:
    async with appliance.database.read() as db:
        devices = appliance.services(db).genieacs_service
        for state in ON_THEIR_WAY:
            found = await devices.devices(state=state, limit=MOST_CPES)
            if serials & {each["device_serial"] for each in found}:
                return True
    return False
