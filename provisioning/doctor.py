"""``firstlight doctor``: are FreeRADIUS and the ACSes free of what is known to hurt? Only reads."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from acs import AcsDoor, AcsExamination, examine_acs, examine_acs_records, own_addresses
from provisioning.bootstrap import Appliance
from provisioning.configured import acs_baseline, acs_fleet
from provisioning.settings import freeradius_variables
from radius import AuthDoor, Examination, Patient, examine, nas_doors

EAP_UNSAID = "EAP: FIRSTLIGHT_FREERADIUS_EAP is not set here; give doctor FreeRADIUS' variables (empty: it serves none)"


async def examine_freeradius(appliance: Appliance, config_dir: Path | None = None) -> Examination:
    """Looks at its configuration (of ``config_dir``, else of the settings), its database, and its answers to a NAS of
    ours that is on this machine.

    Raises: VaultError.
    """
    settings = appliance.settings
    async with appliance.database.read() as db:
        addresses = [nas["address"] for nas in await appliance.services(db).radius_service.nas_list()]
    known = await nas_doors(appliance.database.read, addresses, tenant_id=appliance.tenant_id, secrets=appliance.vault)
    doors = [
        AuthDoor(
            host=settings.radius_auth_host,
            port=settings.radius_auth_port,
            nas_name=nas.door.name,
            nas_address=nas.door.address,
            secret=nas.door.secret,
        )
        for _, nas in sorted(known.items())
    ]
    keep = timedelta(days=settings.login_keep_days)
    folder = config_dir or settings.radius_config_dir
    ours = {
        "FIRSTLIGHT_FREERADIUS_RADDB": str(folder),
        "FIRSTLIGHT_FREERADIUS_SQL": appliance.radius_database.url.get_backend_name(),
        "FIRSTLIGHT_FREERADIUS_EAP": "",  # unset, it serves none; but see below
    }
    said = freeradius_variables()
    patient = Patient(
        config_dir=folder,
        doors=doors,
        keep=keep,
        environment={**ours, **said},
        nas_lifetime=timedelta(seconds=settings.radius_nas_lifetime_seconds),
    )
    found = await examine(patient, appliance.radius_database.read, now=appliance.clock())
    if "FIRSTLIGHT_FREERADIUS_EAP" not in said and folder is not None and (folder / "eap").is_dir():
        found["not_looked_at"].append(EAP_UNSAID)
    return found


async def examine_acses(appliance: Appliance) -> AcsExamination:
    """Looks at every ACS that the settings name, and at how we come to it."""
    settings = appliance.settings
    whole = AcsExamination(traps=[], not_looked_at=[])
    if settings.genieacs_nbi_url is None:
        whole["not_looked_at"].append("the ACS: FIRSTLIGHT_GENIEACS_NBI_URL is not set")
        return whole
    authenticated = settings.genieacs_token_file is not None or settings.genieacs_certificate_file is not None
    addresses = own_addresses()
    async with acs_fleet(settings) as fleet:
        for name, nbi in fleet.items():
            door = AcsDoor(name, nbi.base_url, authenticated, addresses)
            wanted = acs_baseline(settings, name)
            found = await examine_acs(door, nbi, now=appliance.clock, wanted=wanted)
            whole["traps"] += found["traps"]
            whole["not_looked_at"] += found["not_looked_at"]
        async with appliance.database.read() as db:
            whole["traps"] += await examine_acs_records(
                db, tenant_id=appliance.tenant_id, configured=[*fleet], now=appliance.clock()
            )
    return whole
