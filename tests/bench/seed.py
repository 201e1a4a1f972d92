"""The database of the bench: an ISP with so many customers, each with a line, and runs with so many steps.

Rows are inserted in bulk, so what a service would keep in step beside them (ledgers, audit) is not there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from acs.tables import AcsDevice
from ipam.tables import AddressPlan, Allocation, AllocationEvent, FreeRange, Location, Pool, Service, Svlan
from provisioning.access import Tokens
from provisioning.bootstrap import Appliance
from provisioning.commercial.customers.customer_keys import CustomerKey
from provisioning.commercial.customers.words import keys_of
from provisioning.commercial.helpdesk.ticket_tables import Ticket
from provisioning.commercial.partners.partner_tables import PartnerLink
from provisioning.commercial.tables import Customer
from provisioning.estate import import_estate
from provisioning.lab.names import name_of
from radius.tables import Plan, Subscriber
from tests.bench.results import results_of
from tests.support.appliances import TICKET
from workflows.definitions.isp_ticket_to_deployment import ISP_TICKET_TO_DEPLOYMENT
from workflows.engine.tables import EventRow, RunNote, RunRow, StepRow

ESTATE = Path(__file__).with_name("estate.toml")
PARTNER = 21
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
STEPS_A_RUN = len(ISP_TICKET_TO_DEPLOYMENT.steps)
CHUNK = 5_000
Row = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How much there is. A line and a ticket for each customer; every hundredth customer is the partner's."""

    customers: int
    steps: int

    @property
    def runs(self) -> int:
        return max(self.steps // STEPS_A_RUN, 1)


@dataclass(frozen=True)
class Numbers:
    """What the estate's rows were numbered."""

    v4: int
    pd: int
    location: int
    network_plan: int
    svlan: int
    rate: int


@dataclass(frozen=True)
class Callers:
    """The tokens with which the API is read."""

    admin: str
    partner: str


async def seed(appliance: Appliance, size: Size) -> Callers:
    """Fills an empty, migrated database."""
    await import_estate(appliance, ESTATE)
    async with appliance.database.read() as db:
        numbers = await _numbers(db)
    rows = _Rows(appliance.tenant_id, size, numbers)
    tables: list[tuple[Any, Callable[[int], Row], int]] = [
        (Customer, rows.customer, size.customers),
        (PartnerLink, rows.partner_link, size.customers // 100),
        (Service, rows.service, size.customers),
        (Allocation, rows.allocation, size.customers * 2),
        (AllocationEvent, rows.allocation_event, size.customers * 2),
        (Subscriber, rows.subscriber, size.customers),
        (AcsDevice, rows.device, size.customers),
        (Ticket, rows.ticket, size.customers),
        (RunRow, rows.run, size.runs),
        (StepRow, rows.step, size.runs * STEPS_A_RUN),
        (RunNote, rows.note, size.runs),
        (EventRow, rows.event, size.runs),
    ]
    for table, make, count in tables:
        async with appliance.database.begin() as db:
            await _fill(db, table, (make(number) for number in range(1, count + 1)))
    async with appliance.database.begin() as db:
        await _fill(db, CustomerKey, rows.customers_keys())
        for pool in (numbers.v4, numbers.pd):
            await _leave_the_rest(db, pool, used=size.customers)
        tokens = Tokens(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        admin = await tokens.create(name="bench", role="admin", days=1)
        partner = await tokens.create(name="Nordnetz", role="partner", days=1, partner_id=PARTNER)
    return Callers(admin.secret, partner.secret)


async def _numbers(db: AsyncSession) -> Numbers:
    pools = {name: number for name, number in await db.execute(select(Pool.name, Pool.id))}
    others = [(await db.scalars(select(column))).one() for column in (Location.id, AddressPlan.id, Svlan.id, Plan.id)]
    return Numbers(pools["v4"], pools["pd"], *others)


async def _leave_the_rest(db: AsyncSession, pool: int, *, used: int) -> None:
    """What was never used begins behind the units that were given out."""
    last = await db.scalar(select(func.max(FreeRange.last_unit)).where(FreeRange.pool_id == pool))
    await db.execute(delete(FreeRange).where(FreeRange.pool_id == pool, FreeRange.last_unit < last))
    await db.execute(update(FreeRange).where(FreeRange.pool_id == pool).values(next_unit=used + 1))


async def _fill(db: AsyncSession, table: Any, rows: Iterator[Row]) -> None:
    while chunk := list(islice(rows, CHUNK)):
        await db.execute(insert(table.__table__), chunk)


def moment_of(number: int) -> datetime:
    """When the run of this number was started."""
    return BEGAN + timedelta(seconds=number)


def address_of(customer: int) -> str:
    """The IPv4 address of a customer's line: the units of 100.64.0.0/10 in their order."""
    return f"100.{64 + (customer >> 16)}.{customer >> 8 & 255}.{customer & 255}"


def phone_of(customer: int) -> str:
    """With its country's code for every second one."""
    return f"+4930{customer:07}" if customer % 2 else f"030{customer:07}"


class _Rows:
    """One row of each table by its number, from 1."""

    def __init__(self, tenant: str, size: Size, numbers: Numbers) -> None:
        self._tenant = tenant
        self._size = size
        self._at = numbers
        self._ticket = json.loads(TICKET.read_text())

    def _mine(self, **columns: Any) -> Row:
        return {"tenant_id": self._tenant, **columns}

    def customer(self, number: int) -> Row:
        return self._mine(
            id=number,
            name=name_of(number),
            email=f"customer{number}@example.net",
            phone=phone_of(number),
            state="active",
            registered_at=moment_of(number),
        )

    def customers_keys(self) -> Iterator[Row]:
        """What each is found by."""
        for number in range(1, self._size.customers + 1):
            row = self.customer(number)
            for kind, key in keys_of(name=row["name"], email=row["email"], phone=row["phone"]):
                yield self._mine(customer_id=number, kind=kind, key=key)

    def partner_link(self, number: int) -> Row:
        return self._mine(partner_id=PARTNER, customer_id=number * 100, linked_at=moment_of(number))

    def service(self, number: int) -> Row:
        return self._mine(
            service_id=number,
            customer_id=number,
            location_id=self._at.location,
            plan_id=self._at.network_plan,
            svlan_id=self._at.svlan,
            username=_username(number),
            state="active",
            created_at=moment_of(number),
        )

    def _unit(self, number: int) -> Row:
        half, is_second = divmod(number - 1, 2)
        service = half + 1
        pool = self._at.pd if is_second else self._at.v4
        return self._mine(pool_id=pool, unit=service, service_id=service)

    def allocation(self, number: int) -> Row:
        unit = self._unit(number)
        subject = f"customer/{unit['service_id']}/LOC-1"
        return {**unit, "state": "assigned", "subject": subject, "assigned_at": moment_of(number)}

    def allocation_event(self, number: int) -> Row:
        return {**self._unit(number), "what": "assigned", "at": moment_of(number)}

    def subscriber(self, number: int) -> Row:
        return self._mine(
            id=number,
            customer_id=number,
            service_id=number,
            username=_username(number),
            plan_id=self._at.rate,
            state="suspended" if number % 50 == 0 else "active",
            framed_ipv4=address_of(number),
            request_fingerprint="0" * 64,
            version=2,
            projected_version=2,
            created_at=moment_of(number),
            updated_at=moment_of(number),
        )

    def device(self, number: int) -> Row:
        ssid = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.SSID"
        return self._mine(
            id=number,
            serial=f"HWTC{number:08X}",
            serial_as_given=f"HWTC{number:08X}",
            customer_id=number,
            service_id=number,
            template="tr181-pppoe",
            data_model="Device",
            inputs={"username": _username(number), "password": f"secret:subscriber/{number}", "ssid": "Home"},
            parameters=[[ssid, "Home", "xsd:string", False]] * 12,
            secret_version=1,
            revision=f"{number:064x}",
            state="drifted" if number % 100 == 0 else "verified",
            reason="Every value was read back.",
            details=[],
            bound_at=moment_of(number),
            updated_at=moment_of(number),
        )

    def ticket(self, number: int) -> Row:
        state = ("closed", "open", "inProgress")[number % 50 if number % 50 < 3 else 0]
        opened = moment_of(number)
        return self._mine(
            request_digest="0" * 64,
            title=f"Signal is weak at customer {number}",
            description="The received power has fallen below -27 dBm since last night.",
            customer_id=number,
            priority="normal",
            assigned_team="noc" if number % 2 else "deployment",
            state=state,
            created_at=opened,
            due_at=opened + timedelta(days=3),
            ended_at=opened + timedelta(days=1) if state == "closed" else None,
            version=2,
        )

    def run(self, number: int) -> Row:
        moment, state = moment_of(number), _run_state(number)
        return self._mine(
            id=number,
            journey=ISP_TICKET_TO_DEPLOYMENT.name,
            version=ISP_TICKET_TO_DEPLOYMENT.version,
            business_key=f"ticket/bench-{number}",
            customer_id=1 + number % self._size.customers,
            input=json.dumps({**self._ticket, "ticket_id": f"bench-{number}"}),
            input_digest="0" * 64,
            state=state,
            direction="forward",
            has_skips=False,
            cancel_requested=False,
            segment=1,
            restarts=0,
            created_at=moment,
            updated_at=moment,
            finished_at=moment if state == "completed" else None,
        )

    def step(self, number: int) -> Row:
        run, position = (number - 1) // STEPS_A_RUN + 1, (number - 1) % STEPS_A_RUN
        planned, moment = ISP_TICKET_TO_DEPLOYMENT.steps[position], moment_of(run)
        return {
            "run_id": run,
            "step": planned.name,
            "round": 1,
            "state": "completed",
            "effect": planned.effect,
            "key": f"ticket/bench-{run}/{planned.name}",
            "attempts": 1,
            "undo_attempts": 0,
            "forgiven_attempts": 0,
            "forgiven_undo_attempts": 0,
            "result": results_of(1 + run % self._size.customers)[planned.name],
            "started_at": moment,
            "finished_at": moment + timedelta(milliseconds=40),
        }

    def note(self, number: int) -> Row:
        return {"run_id": number, "at": moment_of(number), "by": "bench", "text": "started by ticket.approved"}

    def event(self, number: int) -> Row:
        return self._mine(
            id=number,
            type="ticket.installation_approved" if number % 4 else "quote.accepted",
            subject=f"ticket/bench-{number}",
            data=json.dumps({**self._ticket, "ticket_id": f"bench-{number}"}),
            key=f"ticket/bench-{number}/approved",
            published_by="bench",
            occurred_at=moment_of(number),
            state="refused" if number % 500 == 0 else "started",
            run_id=number,
            settled_at=moment_of(number),
        )


def _username(number: int) -> str:
    return f"c{number}-s{number}@isp.example"


def _run_state(number: int) -> str:
    return ("completed", "held", "pending")[number % 100 if number % 100 < 3 else 0]
