"""The fleet's parts on this appliance: its ACS, its limits, and whom it tells."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from acs import AcsDevice, FleetConvergence, FleetTender, NbiClient, RepairLimit, Sweep
from provisioning.bootstrap import Appliance
from workflows import customers_of_open_runs

HANDED_OVER = "device.handed_over"
BY = "fleet"

SleepFor = Callable[[float], Awaitable[None]]


def fleet_sweep(appliance: Appliance, nbi: NbiClient, *, acs_name: str) -> Sweep:
    """Looks at all CPEs of the ACS, and leaves those to their run that one is busy with."""
    settings = appliance.settings
    return Sweep(
        appliance.database.begin,
        nbi,
        tenant_id=appliance.tenant_id,
        now=appliance.clock,
        limit=RepairLimit(settings.acs_repairs, timedelta(hours=settings.acs_repair_window_hours)),
        inform_interval=timedelta(seconds=settings.acs_inform_interval_seconds),
        tell=lambda db, device: _tell_handed_over(appliance, db, device),
        in_hand=lambda: _in_hand(appliance),
        acs_name=acs_name,
    )


def fleet_convergence(appliance: Appliance, nbi: NbiClient, *, acs_name: str, sleep: SleepFor) -> FleetConvergence:
    """Brings CPEs to what they should have."""
    return FleetConvergence(
        appliance.database.begin,
        nbi,
        tenant_id=appliance.tenant_id,
        now=appliance.clock,
        secrets=appliance.vault,
        sleep=sleep,
        cwmp_workers=appliance.settings.acs_cwmp_workers,
        acs_name=acs_name,
    )


def fleet_tender(appliance: Appliance, nbi: NbiClient, *, acs_name: str, sleep: SleepFor) -> FleetTender:
    """What the worker does for the fleet by itself."""
    return FleetTender(
        appliance.database.begin,
        fleet_sweep(appliance, nbi, acs_name=acs_name),
        fleet_convergence(appliance, nbi, acs_name=acs_name, sleep=sleep),
        tenant_id=appliance.tenant_id,
        in_hand=lambda: _in_hand(appliance),
        acs_name=acs_name,
    )


async def _in_hand(appliance: Appliance) -> set[int]:
    async with appliance.database.read() as db:
        return await customers_of_open_runs(db, tenant_id=appliance.tenant_id)


async def _tell_handed_over(appliance: Appliance, db: AsyncSession, device: AcsDevice) -> None:
    subject = f"device/{device.serial}"
    data = {"device_id": device.id, "customer_id": device.customer_id, "service_id": device.service_id}
    at = appliance.clock().isoformat()
    await appliance.publish(db, HANDED_OVER, subject, data, f"{subject}/handed-over/{at}", BY)
