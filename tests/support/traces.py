"""What an installation has left anywhere: asked of every side, the appliance's tables as well as the world."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from acs import SLOWING_KEY
from acs.tables import AcsDevice
from ipam.tables import Allocation, AllocationEvent, Pool, Service
from provisioning.commercial.tables import Mail, Subscription
from provisioning.field.tables import LIVE_STATES as LIVE_VISITS
from provisioning.field.tables import Visit
from provisioning.line.tables import LIVE_STATES as LIVE_LINES
from provisioning.line.tables import LineOrderRow
from provisioning.vault.tables import SealedSecret
from radius.projection.freeradius_tables import radcheck, radreply, radusergroup
from radius.tables import Subscriber
from tests.support.estate import Household
from tests.support.lab import JourneyLab


@dataclass(frozen=True)
class Traces:
    """All empty: nothing is held, owed, queued or configured for this household any more."""

    addresses: tuple[str, ...] = ()  # the pools that something is assigned from
    subscribers: tuple[str, ...] = ()  # states of those not terminated
    radius_rows: tuple[str, ...] = ()  # attribute names
    visits: tuple[str, ...] = ()  # states of those that bind a technician
    line_orders: tuple[str, ...] = ()
    on_the_olt: tuple[str, ...] = ()  # serials
    bound_cpes: tuple[str, ...] = ()  # serials
    at_the_acs: tuple[str, ...] = ()  # tasks, faults and our tags of its CPEs
    slowed: tuple[str, ...] = ()  # serials of its CPEs that are being told to inform less often
    bills: int = 0
    mails_to_send: int = 0
    secrets: tuple[str, ...] = ()


NOTHING = Traces()


def apart_from_slowing(found: Traces) -> Traces:
    """What is left of a service that goes on: its CPE is told to inform less often at a time of the ACS's choosing."""
    return replace(found, slowed=())


async def traces_of(lab: JourneyLab, house: Household) -> Traces:
    """What is left for a household on every side."""
    who = house.customer_id
    async with lab.appliance.database.begin() as db:
        names = await _all(db, select(Subscriber.username).where(Subscriber.customer_id == who))
        refs = [
            f"secret:subscriber/{one}"
            for one in await _all(db, select(Subscriber.id).where(Subscriber.customer_id == who))
        ]
        serials = await _all(db, select(AcsDevice.serial).where(AcsDevice.customer_id == who))
        wifi = [f"secret:device/{serial}/wifi" for serial in serials]
        return Traces(
            addresses=await pools_in_use(db, who),
            subscribers=await _all(
                db, select(Subscriber.state).where(Subscriber.customer_id == who, Subscriber.state != "terminated")
            ),
            radius_rows=await radius_rows(lab, names),
            visits=await _all(db, select(Visit.state).where(Visit.customer_id == who, Visit.state.in_(LIVE_VISITS))),
            line_orders=await _all(
                db,
                select(LineOrderRow.state).where(LineOrderRow.customer_id == who, LineOrderRow.state.in_(LIVE_LINES)),
            ),
            on_the_olt=tuple(s for s in (house.serial, house.spare_serial) if s in lab.world.olt.lines),
            bound_cpes=await _all(
                db, select(AcsDevice.serial).where(AcsDevice.customer_id == who, AcsDevice.state != "withdrawn")
            ),
            at_the_acs=tuple(
                trace for serial in (house.serial, house.spare_serial) for trace in acs_traces(lab, serial)
            ),
            slowed=tuple(s for s in (house.serial, house.spare_serial) if slowing_tasks(lab, s)),
            bills=len(
                await _all(
                    db,
                    select(Subscription.state).where(Subscription.customer_id == who, Subscription.state == "active"),
                )
            ),
            mails_to_send=len(
                await _all(
                    db, select(Mail.state).where(Mail.recipient == house.email, Mail.state.in_(("queued", "unknown")))
                )
            ),
            secrets=await _all(
                db, select(SealedSecret.ref).where(SealedSecret.ref.in_([*refs, *wifi])).order_by(SealedSecret.ref)
            ),
        )


async def pools_in_use(db: AsyncSession, customer_id: int) -> tuple[str, ...]:
    """The pools from which this customer holds something."""
    return await _all(
        db,
        select(Pool.name)
        .join(Allocation, Allocation.pool_id == Pool.id)
        .join(Service, Service.service_id == Allocation.service_id)
        .where(Service.customer_id == customer_id)
        .order_by(Pool.name),
    )


async def pools_in_quarantine(lab: JourneyLab, service_id: int) -> tuple[str, ...]:
    """The pools into whose quarantine this service has given something back."""
    async with lab.appliance.database.begin() as db:
        return await _all(
            db,
            select(Pool.name)
            .join(Allocation, Allocation.pool_id == Pool.id)
            .join(
                AllocationEvent,
                (AllocationEvent.pool_id == Allocation.pool_id) & (AllocationEvent.unit == Allocation.unit),
            )
            .where(
                AllocationEvent.service_id == service_id,
                AllocationEvent.what == "released",
                Allocation.state == "quarantine",
            )
            .order_by(Pool.name),
        )


async def radius_rows(lab: JourneyLab, usernames: tuple[str, ...]) -> tuple[str, ...]:
    """The attributes that FreeRADIUS has for these names; for their group, the word ``group``."""
    found: list[str] = []
    async with lab.appliance.radius_database.begin() as db:
        for table in (radcheck, radreply):
            found += await db.scalars(select(table.c.attribute).where(table.c.username.in_(usernames)))
        groups = await db.scalars(select(radusergroup.c.groupname).where(radusergroup.c.username.in_(usernames)))
        found += ["group" for _ in groups]
    return tuple(sorted(found))


def acs_traces(lab: JourneyLab, serial: str) -> tuple[str, ...]:
    """What the ACS has queued, has failed with or has tagged for a CPE."""
    documents = lab.world.acs.documents
    cpe = lab.world.acs.cpes.get(serial)
    if cpe is None:
        return ()
    device = documents["devices"].get(cpe.device_id, {})
    tasks = [
        f"task {task['name']}"
        for task in documents["tasks"].values()
        if task["device"] == cpe.device_id and task.get("uniqueKey") != SLOWING_KEY
    ]
    faults = [f"fault {fault['code']}" for fault in documents["faults"].values() if fault["device"] == cpe.device_id]
    tags = [f"tag {tag}" for tag in device.get("_tags", []) if tag.startswith("cfg_")]
    return (*tasks, *faults, *tags)


def slowing_tasks(lab: JourneyLab, serial: str) -> int:
    """How many tasks that make a CPE inform less often wait at the ACS."""
    cpe = lab.world.acs.cpes.get(serial)
    if cpe is None:
        return 0
    tasks = lab.world.acs.documents["tasks"].values()
    return sum(task["device"] == cpe.device_id and task.get("uniqueKey") == SLOWING_KEY for task in tasks)


async def _all(db: AsyncSession, query: object) -> tuple[str, ...]:
    return tuple(await db.scalars(query))  # type: ignore[call-overload]
