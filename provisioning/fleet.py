"""The fleet's parts on this appliance: its ACS, its limits, and whom it tells."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from sqlalchemy import Text, cast, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from acs import AcsDevice, FleetConvergence, FleetTender, InHand, NbiClient, RepairLimit, Rereading, Sweep
from provisioning.bootstrap import Appliance
from workflows import subjects_at_steps
from workflows.definitions.installation import CPE_STEPS

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
        in_hand=in_hand(appliance.tenant_id),
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


def fleet_tender(
    appliance: Appliance, nbi: NbiClient, *, acs_name: str, sleep: SleepFor, reread_every: timedelta
) -> FleetTender:
    """What the worker does for the fleet by itself."""
    return FleetTender(
        appliance.database.begin,
        fleet_sweep(appliance, nbi, acs_name=acs_name),
        fleet_convergence(appliance, nbi, acs_name=acs_name, sleep=sleep),
        tenant_id=appliance.tenant_id,
        now=appliance.clock,
        in_hand=in_hand(appliance.tenant_id),
        rereading=Rereading(within=timedelta(hours=appliance.settings.acs_reread_hours), every=reread_every),
        acs_name=acs_name,
    )


def in_hand(tenant_id: str) -> InHand:
    """CPEs that a run is busy with, and which. What else the run's customer has is the fleet's as ever."""
    serial, run_id, step = (
        subjects_at_steps(tenant_id=tenant_id, signal="device_informed", steps=CPE_STEPS).subquery().c
    )
    return select(serial, literal("run ") + cast(run_id, Text) + literal(", which is at ") + step)


async def holder_of(db: AsyncSession, serial: str, *, tenant_id: str) -> str | None:
    """The run that is busy with the CPE of that canonical serial, in words; the fleet leaves it to that."""
    busy, holder = in_hand(tenant_id).subquery().c
    return (await db.scalars(select(holder).where(busy == serial).limit(1))).first()


async def _tell_handed_over(appliance: Appliance, db: AsyncSession, device: AcsDevice) -> None:
    subject = f"device/{device.serial}"
    data = {"device_id": device.id, "customer_id": device.customer_id, "service_id": device.service_id}
    at = appliance.clock().isoformat()
    await appliance.publish(db, HANDED_OVER, subject, data, f"{subject}/handed-over/{at}", BY)
