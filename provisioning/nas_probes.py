"""Tries a NAS of ours in both directions, with its secret open for no longer than that."""

from __future__ import annotations

from provisioning.bootstrap import Appliance
from radius import AuthDoor, Probe, Retransmission, nas_doors, probe_coa, probe_log, probe_login

WHO_ASKS_WAITS = Retransmission(sends=2, first_wait_seconds=1.0)


async def probe(appliance: Appliance, name: str, retransmission: Retransmission = WHO_ASKS_WAITS) -> list[Probe]:
    """A login as that NAS, what FreeRADIUS wrote of it, and a request to it.

    Raises: NasUnknown, VaultError.
    """
    async with appliance.database.read() as db:
        nas = await appliance.services(db).radius_service.nas_named(name=name)
    doors = await nas_doors(
        appliance.database.read, [nas["address"]], tenant_id=appliance.tenant_id, secrets=appliance.vault
    )
    door = doors[nas["address"]].door
    settings = appliance.settings
    auth = AuthDoor(
        host=settings.radius_auth_host,
        port=settings.radius_auth_port,
        nas_name=door.name,
        nas_address=door.address,
        secret=door.secret,
    )
    return [
        await probe_login(auth),
        await probe_log(appliance.logins, door.name, door.address, settings.radius_log_file),
        await probe_coa(door, now=appliance.clock(), retransmission=retransmission),
    ]
