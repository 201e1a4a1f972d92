"""A deployment as it is wanted: what was said, once it has been read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import cast, get_args
from zoneinfo import ZoneInfo

from provisioning.commercial.tenants.tenant_tables import Deployment
from provisioning.days import day_of
from provisioning.intake import Faults
from workflows.answers import DeploymentPriority

LONGEST_ADDRESS = 500
LONGEST_AHEAD = timedelta(days=2 * 365)


@dataclass(frozen=True)
class WantedDeployment:
    """A deployment as it is wanted; ``day`` or ``moment``."""

    order_id: int
    customer_id: int
    priority: DeploymentPriority
    day: date | None
    moment: datetime | None
    address: str | None

    @property
    def wanted(self) -> str:
        return self.day.isoformat() if self.day else self.moment.isoformat() if self.moment else ""


def read_deployment(faults: Faults, scheduled_date: object, **given: object) -> WantedDeployment:
    """The deployment that is wanted, or faults."""
    day, moment = _day_or_moment(faults, scheduled_date)
    priority = given["priority"]
    if priority not in get_args(DeploymentPriority):
        faults.add("priority", f"{priority} is none of {', '.join(get_args(DeploymentPriority))}")
    return WantedDeployment(
        order_id=faults.number("order_id", given["order_id"]),
        customer_id=faults.number("customer_id", given["customer_id"]),
        priority=cast(DeploymentPriority, priority),
        day=day,
        moment=moment,
        address=faults.optional_line("installation_address", given["installation_address"], longest=LONGEST_ADDRESS),
    )


def find_time_fault(faults: Faults, wanted: date | None, *, now: datetime, zone: ZoneInfo) -> None:
    """Nobody can come on this day, or at this moment: it is over, or too far ahead."""
    if wanted is None:
        return
    day = wanted.date() if isinstance(wanted, datetime) else wanted
    if wanted <= now if isinstance(wanted, datetime) else wanted < day_of(now, zone):
        faults.add("scheduled_date", "is over already")
    elif day > (now + LONGEST_AHEAD).date():
        faults.add("scheduled_date", "lies more than two years ahead")


def is_wanted(row: Deployment, wanted: WantedDeployment) -> bool:
    """Whether this is what was wanted of it."""
    its = (row.order_id, row.customer_id, row.priority, row.wanted)
    return its == (wanted.order_id, wanted.customer_id, wanted.priority, wanted.wanted)


def _day_or_moment(faults: Faults, value: object) -> tuple[date | None, datetime | None]:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value, None
    moment = faults.moment("scheduled_date", value)
    return None, None if moment is None else moment.astimezone(UTC)
