"""The town's orders of today: some come to their end, some wait for their visit, and a few are broken on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from acs.testing import ROLES
from provisioning.lab.demo import Lab, Say
from provisioning.lab.errors import DemoFailed
from provisioning.lab.installing import look, result_of
from provisioning.lab.town import BUSINESS, location_of
from workflows import ENDED, RunView

Fate = Literal["done", "refuses", "other port", "waits", "twice", "full pool"]
FIRST_CUSTOMER, FIRST_ORDER = 4_001, 7_001
NODE, FIRST_PORT = "OLT-5", 2
TECHNICIANS = (8, 9, 10, 11, 12)
VISIT_HOURS = 3
"""So long after each other two visits of one technician are."""
LOOK_EVERY_SECONDS, PATIENCE_SECONDS = 0.3, 120.0
VISITED: tuple[Fate, ...] = ("done", "refuses", "other port")
FATES: tuple[Fate, ...] = (
    "done",
    "done",
    "done",
    "refuses",
    "refuses",
    "other port",
    "waits",
    "waits",
    "waits",
    "twice",
    "full pool",
    "full pool",
)
NAMES = (
    "Ayla Demir",
    "Ole Petersen",
    "Ruth Castel",
    "Ivo Marek",
    "Pia Sand",
    "Leon Baur",
    "Mona Falk",
    "Tariq Aziz",
    "Greta Holm",
    "Sven Dahl",
    "Inselbäckerei Thoms",
    "Werft Brandt",
)


@dataclass(frozen=True)
class Order:
    """One order of the town, and what is to become of it."""

    number: int
    fate: Fate

    @property
    def customer_id(self) -> int:
        return FIRST_CUSTOMER + self.number

    @property
    def serial(self) -> str:
        return f"HWTC5A00{self.number:04X}"

    @property
    def port(self) -> str:
        return f"0/1/{FIRST_PORT + self.number}"

    @property
    def location(self) -> str:
        return location_of("OLT-I1", "0/1/0") if self.fate == "full pool" else f"LOC-{30_001 + self.number}"

    def ticket(self, now: datetime) -> dict[str, Any]:
        """An approved installation ticket, with a visit."""
        return {
            "ticket_id": f"T-2026-{500 + self.number:04}",
            "order_id": FIRST_ORDER + self.number,
            "customer_id": self.customer_id,
            "service_location": self.location,
            "installation_address": f"Hafenstraße {self.number + 1}, Northtown",
            "bandwidth_plan": BUSINESS if self.fate == "full pool" else "fiber-300",
            "config_template": "tr181-pppoe",
            "wifi_ssid": f"Home-{self.number + 1}",
            "device_serial": self.serial,
            "appointment": {"technician_id": self._technician, "scheduled_date": self._visit_at(now).isoformat()},
        }

    @property
    def _technician(self) -> int:
        """The one of fate ``twice`` is wanted where they are already."""
        asked = ORDERS[self.number - 1] if self.fate == "twice" else self
        return TECHNICIANS[asked.number % len(TECHNICIANS)]

    def _visit_at(self, now: datetime) -> datetime:
        """Within the next hours for who waits, tomorrow for who is done by then."""
        asked = ORDERS[self.number - 1] if self.fate == "twice" else self
        next_hour = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        if asked.fate == "waits":
            return next_hour + timedelta(hours=asked.number % 3)
        return next_hour + timedelta(days=1, hours=VISIT_HOURS * (asked.number // len(TECHNICIANS)))


ORDERS = [Order(number, fate) for number, fate in enumerate(FATES)]


def estate_of(orders: Sequence[Order]) -> str:
    """Their customers, premises and surveys, as an estate has them."""
    parts = []
    for order in orders:
        if order.fate != "full pool":
            parts.append(
                f'[[network.location]]\nid = "{order.location}"\naccess_node = "{NODE}"\nport = "{order.port}"\n'
            )
        parts.append(
            f'[[customer]]\nid = {order.customer_id}\nname = "{NAMES[order.number]}"\n'
            f'email = "order{order.number}@customer.example"\n'
            f'[[site_survey]]\ncustomer_id = {order.customer_id}\nservice_location = "{order.location}"\n'
            'result = "feasible"\nsurveyed_at = 2026-03-02T10:30:00Z\n'
        )
    return "\n".join(parts)


async def take_orders(lab: Lab, say: Say) -> None:
    """Hands the tickets in and plays technician where there is one to play, until each stands where it is to stand.

    Raises: DemoFailed naming the run that needs a person before its visit.
    """
    runs: list[int] = []
    for order in ORDERS:
        async with lab.appliance.database.begin() as db:
            started = await lab.appliance.desk(db).accept(order.ticket(lab.appliance.clock()), by="demo")
        runs.append(started.run_id)
        if order.fate in VISITED:
            await _visited(lab, order, started.run_id)
    for order, run_id in zip(ORDERS, runs, strict=True):
        await until(lab, run_id, None if order.fate in VISITED else "visit")
    say(f"  {len(ORDERS)} orders are under way; some of them are broken on purpose")


async def _visited(lab: Lab, order: Order, run_id: int) -> None:
    view = await until(lab, run_id, "visit")
    if view.summary.waiting_for != "visit":
        summary = view.summary
        raise DemoFailed(f"run {summary.id} is {summary.state} in {summary.current_step}: {summary.reason}")
    spare = f"0/1/{FIRST_PORT + len(ORDERS)}"
    cpe = await lab.world.plug(order.serial, port=spare if order.fate == "other port" else order.port)
    if order.fate == "refuses":
        cpe.quirks.refuse[ROLES["TR-181"].ssid] = 9007
    visit_id = result_of(view, "schedule_installation")["visit_id"]
    async with lab.appliance.database.begin() as db:
        await lab.appliance.visit_desk(db).report(
            visit_id=visit_id, outcome="scanned", serial=order.serial, port=order.port, by="demo"
        )


async def until(lab: Lab, run_id: int, signal: str | None) -> RunView:
    """Until it has ended, is held, or waits for that signal."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            view = await look(lab.appliance, run_id)
            summary = view.summary
            if summary.state in ENDED or summary.state == "held" or (signal and summary.waiting_for == signal):
                return view
            await asyncio.sleep(LOOK_EVERY_SECONDS)
