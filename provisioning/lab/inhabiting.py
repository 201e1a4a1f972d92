"""A laboratory that stays open gets a town around it: its network, customers, history, live lines and orders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from acs import resume_devices
from acs.testing import LabCpe, Quirks
from provisioning.bootstrap import Appliance
from provisioning.lab.demo import Lab, Say
from provisioning.lab.settling import import_town, settle, write_history
from provisioning.lab.town import DISTRICTS, SILENT, Home, homes
from provisioning.lab.town_changes import plan_campaigns, start_campaign, tell_systems
from provisioning.lab.town_life import TownNas
from provisioning.lab.town_orders import ORDERS, estate_of, take_orders
from provisioning.lab.town_partners import sell_through_partners, write_partners
from provisioning.lab.town_shop import carried_out, sell_today, write_sales
from radius.testing import LabNas
from workflows.answers import TicketPriority

PORT_DOWN, DOWN_SECONDS = "OLT-L2 0/1/3", 900.0
"""The port that loses its sessions once the town is up."""
WITH_CPE = 60
REFUSING, UNREACHABLE = (7, 23, 41), (12, 30)
"""Of the CPEs that the ACS knows these refuse a parameter, or can't be called."""
TICKETS: tuple[tuple[str, str, TicketPriority, int], ...] = (
    ("Slow since yesterday evening", "The customer measures 20 of 100 Mbit/s by cable.", "high", 14),
    ("Wants another WiFi name", "Will call again on Monday.", "low", 230),
    ("No light after the storm", "The neighbours have none either.", "urgent", 51),
)


@asynccontextmanager
async def inhabited(lab: Lab, estate: Path, home: Path, customers: int, say: Say) -> AsyncIterator[None]:
    """The town comes to life while the block runs, and goes with it. What fails there is said; the rest stays."""

    def told(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            say(f"the town stays as far as it has come: {str(error) or type(error).__name__}")

    async with AsyncExitStack() as stack:
        task = asyncio.create_task(_inhabit(lab, estate, home, customers, say, stack))
        task.add_done_callback(told)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


async def _inhabit(lab: Lab, estate: Path, home: Path, customers: int, say: Say, stack: AsyncExitStack) -> None:
    appliance, everybody = lab.appliance, homes(customers)
    say(f"a town of {customers} customers moves in; the pages fill while you look:")
    await import_town(appliance, estate, home, more=estate_of(ORDERS))
    passwords = await settle(appliance, everybody, say)
    addresses = await _addresses_of_nases(appliance)
    await write_history(appliance, everybody, addresses)
    bought = await _trade(lab, everybody, say)
    nases = {
        district.bng: await _connected(lab, district.bng, addresses[district.bng], everybody, passwords)
        for district in DISTRICTS
        if district.bng != SILENT
    }
    for nas in nases.values():
        stack.push_async_callback(nas.close)
        await nas.everybody_dials()
    say("  the lines are online; from one BNG no accounting comes any more")
    serials = await _bind_cpes(lab, everybody, nases)
    await plan_campaigns(lab, serials)
    say(f"  {WITH_CPE} CPEs report to the ACS")
    await _open_tickets(appliance, everybody)
    await take_orders(lab, say)
    await carried_out(lab, bought, say)
    say(f"  port {PORT_DOWN} goes dark for {DOWN_SECONDS / 60:g} minutes; the town is complete")
    await asyncio.gather(
        *(nas.darken(PORT_DOWN, seconds=DOWN_SECONDS) for nas in nases.values()),
        *(nas.go_on() for nas in nases.values()),
        start_campaign(lab, [serial for number, serial in enumerate(serials) if number not in UNREACHABLE], say),
    )


async def _trade(lab: Lab, everybody: Sequence[Home], say: Say) -> list[int]:
    """What was bought in the last weeks, and what is bought today; the quotes that were accepted today."""
    neighbours = lab.world.neighbours
    assert neighbours is not None, "a laboratory with a town in it sells"
    await write_sales(lab, neighbours, everybody)
    await write_partners(lab, everybody)
    say("  there are quotes, orders, payments, partners and licences of the last weeks")
    await tell_systems(lab, neighbours)
    bought = await sell_today(lab, neighbours, everybody)
    await sell_through_partners(lab)
    return bought


async def _addresses_of_nases(appliance: Appliance) -> dict[str, str]:
    async with appliance.database.read() as db:
        return {nas["name"]: nas["address"] for nas in await appliance.services(db).radius_service.nas_list()}


async def _connected(
    lab: Lab, name: str, address: str, everybody: Sequence[Home], passwords: dict[str, str]
) -> TownNas:
    """A BNG of this name that FreeRADIUS knows, and that can be asked to end sessions."""
    appliance, server = lab.appliance, lab.world.freeradius
    assert server is not None
    async with appliance.database.begin() as db:
        [known] = [nas for nas in await appliance.services(db).radius_service.nas_list() if nas["name"] == name]
        secret = await appliance.vault.reveal(db, known["secret"])
    nas = LabNas(
        name=name,
        secret=secret,
        auth_port=server.auth_port,
        acct_port=server.acct_port,
        source_address=address,
    )
    port = await nas.listen(now=appliance.clock)
    async with appliance.database.begin() as db:
        await appliance.services(db).radius_service.define_nas(
            name=name, address=address, dialect=known["dialect"], coa_port=port
        )
    await appliance.projector.project_nas()
    behind = [home for home in everybody if home.bng == name]
    return TownNas(nas, behind, passwords, now=appliance.clock)


async def _bind_cpes(lab: Lab, everybody: Sequence[Home], nases: dict[str, TownNas]) -> list[str]:
    """Some lines have a CPE that the ACS knows; it is given its settings as any other. Their serial numbers."""
    appliance = lab.appliance
    chosen = [home for home in everybody if home.bng in nases and home.delegated_prefix][:WITH_CPE]
    cpes = [_cpe(number, home) for number, home in enumerate(chosen)]
    async with appliance.database.begin() as db:
        services = appliance.services(db)
        places = await appliance.address_lookup(db).places_of([home.username for home in chosen])
        where = {place["username"]: place for place in places}
        for home, cpe in zip(chosen, cpes, strict=True):
            subscriber = await appliance.subscriber_desk(db).named(home.username)
            await services.genieacs_service.provision_device(
                customer_id=home.customer_id,
                device_serial=cpe.serial,
                config_template="tr181-pppoe",
                service_id=where[home.username]["service_id"],
                access_node=where[home.username]["access_node"],
                plan=home.plan,
                values={
                    "pppoe_username": home.username,
                    "pppoe_password": f"secret:subscriber/{subscriber['subscriber_id']}",
                    "cpe_vlan_id": 100,
                    "wifi_ssid": f"Home-{home.customer_id}",
                },
            )
    for home, cpe in zip(chosen, cpes, strict=True):
        lab.world.acs.attach(cpe)
        await cpe.power_on()
        nases[home.bng].connect(cpe, home.username)
    async with appliance.database.begin() as db:
        now, serials = appliance.clock(), [cpe.serial for cpe in cpes]
        await resume_devices(db, serials, tenant_id=appliance.tenant_id, now=now)
    return serials


def _cpe(number: int, home: Home) -> LabCpe:
    cpe = LabCpe(f"ZTEG{int(home.station[6:], 16):08X}", quirks=Quirks(reachable=number not in UNREACHABLE))
    if number in REFUSING:
        cpe.quirks.refuse[cpe.roles.ssid] = 9007
    return cpe


async def _open_tickets(appliance: Appliance, everybody: Sequence[Home]) -> None:
    async with appliance.database.begin() as db:
        for title, description, priority, nth in TICKETS:
            await appliance.services(db).ticketing_service.create_ticket(
                title=title,
                description=description,
                customer_id=everybody[nth % len(everybody)].customer_id,
                priority=priority,
                assigned_team="noc",
            )
