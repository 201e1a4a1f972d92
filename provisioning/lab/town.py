"""Who lives in the laboratory's town: customers, their lines, and when each came. Pure: the same town comes again."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Network

from provisioning.lab.names import name_of

CUSTOMERS = 2_000
FIRST_NUMBER = 10_001
HISTORY = timedelta(days=90)
WERE_THERE_BEFORE = 0.7
"""Of all customers so many had come before the history begins."""
EVERY_DAYS, EVERY_HOURS, CLOSELY_FOR_DAYS = 3, 6, 7
"""How often the history is looked at, and how often in its last days."""
PORTS = 16
DELEGATED_BITS = 56
LONGEST_ONLINE_MINUTES = 6_000
BUSINESS = "business-500"
PLANS = ("fiber-100", "fiber-100", "fiber-100", "fiber-1000")
MAKERS = ("a47b2c", "001e10", "48575a", "acde48", "f0761c", "2c94d8")


@dataclass(frozen=True)
class District:
    """What a BNG serves: its part of a hundred customers, the pools of its homes and of its businesses."""

    name: str
    share: range
    access_nodes: int
    homes: IPv4Network
    businesses: IPv4Network
    delegated: IPv6Network
    business_every: int

    @property
    def bng(self) -> str:
        return f"bng-{self.name}"

    @property
    def letter(self) -> str:
        return self.name[0].upper()


DISTRICTS = (
    District(
        "harbour",
        range(45),
        4,
        IPv4Network("100.66.0.0/22"),
        IPv4Network("192.0.2.0/27"),
        IPv6Network("2001:db8:9000::/40"),
        36,
    ),
    District(
        "lakeside",
        range(45, 85),
        4,
        IPv4Network("100.67.0.0/22"),
        IPv4Network("192.0.2.64/26"),
        IPv6Network("2001:db8:a000::/40"),
        40,
    ),
    District(
        "island",
        range(85, 100),
        1,
        IPv4Network("100.68.0.0/23"),
        IPv4Network("192.0.2.32/29"),
        IPv6Network("2001:db8:b000::/40"),
        50,
    ),
)
SILENT = "bng-island"
"""From this BNG no accounting comes any more."""


@dataclass(frozen=True)
class Home:
    """A customer and their line. ``came_before_days``: how long ago they came; ``online_for_minutes``: for how long
    their present session has been open when the laboratory begins."""

    customer_id: int
    name: str
    phone: str
    bng: str
    location: str
    port: str
    plan: str
    ipv4: str
    delegated_prefix: str | None
    station: str
    is_suspended: bool
    came_before_days: float
    online_for_minutes: float

    @property
    def username(self) -> str:
        return f"c{self.customer_id}@isp.example"

    @property
    def email(self) -> str:
        return f"customer{self.customer_id}@customer.example"


def homes(customers: int = CUSTOMERS) -> list[Home]:
    """Everybody, those who came first at the beginning."""
    lived = {district.name: 0 for district in DISTRICTS}
    businesses = dict(lived)
    made = []
    for number in range(customers):
        district = _district_of(number)
        lived[district.name] += 1
        is_business = lived[district.name] % district.business_every == 0
        if is_business:
            businesses[district.name] += 1
        made.append(_home(number, customers, district, lived[district.name], businesses[district.name], is_business))
    return made


def _district_of(number: int) -> District:
    """Of a hundred neighbours so many are in each, in no order."""
    place = number * 37 % 100
    return next(district for district in DISTRICTS if place in district.share)


def _home(number: int, customers: int, district: District, nth: int, business: int, is_business: bool) -> Home:
    place = nth % (district.access_nodes * PORTS)
    node, port = f"OLT-{district.letter}{place % district.access_nodes + 1}", f"0/1/{place // district.access_nodes}"
    share = (number + 1) / customers
    later = max(share - WERE_THERE_BEFORE, 0) / (1 - WERE_THERE_BEFORE)
    pool, unit = (district.businesses, business) if is_business else (district.homes, nth - business)
    return Home(
        customer_id=FIRST_NUMBER + number,
        name=name_of(number),
        phone=f"+4930{7_000_000 + number * 13}",
        bng=district.bng,
        location=location_of(node, port),
        port=f"{node} {port}",
        plan=BUSINESS if is_business else PLANS[number % len(PLANS)],
        ipv4=str(IPv4Address(int(pool.network_address) + unit)),
        delegated_prefix=None if is_business else _delegated(district, nth),
        station=f"{MAKERS[number % len(MAKERS)]}{number:06x}",
        is_suspended=number % 60 == 59,
        came_before_days=HISTORY.days * (1 - later),
        online_for_minutes=1 + min(number * 389 % LONGEST_ONLINE_MINUTES, HISTORY.days * (1 - later) * 24 * 60 / 2),
    )


def _delegated(district: District, nth: int) -> str:
    base = int(district.delegated.network_address) + (nth << 128 - DELEGATED_BITS)
    return str(IPv6Network((base, DELEGATED_BITS)))


def location_of(node: str, port: str) -> str:
    """The premise at a port: one house, in which several live."""
    return f"LOC-{node.removeprefix('OLT-')}-{port.replace('/', '-')}"


def premises() -> str:
    """The houses of every port, as an estate has them."""
    parts = []
    for district in DISTRICTS:
        for node in range(1, district.access_nodes + 1):
            for port in range(PORTS):
                name, line = f"OLT-{district.letter}{node}", f"0/1/{port}"
                house = f'id = "{location_of(name, line)}"\naccess_node = "{name}"\nport = "{line}"'
                parts.append(f"[[network.location]]\n{house}\n")
    return "\n".join(parts)


def moments(now: datetime) -> list[datetime]:
    """When the history is looked at, the oldest first; the last moment is now."""
    days = [float(day) for day in range(HISTORY.days, CLOSELY_FOR_DAYS, -EVERY_DAYS)]
    hours = range(CLOSELY_FOR_DAYS * 24, -1, -EVERY_HOURS)
    return [now - timedelta(days=day) for day in days] + [now - timedelta(hours=hour) for hour in hours]


def arrivals(everybody: Iterable[Home], now: datetime) -> Iterator[tuple[datetime, list[Home]]]:
    """At each moment of the history those who have come since the one before."""
    left = sorted(everybody, key=lambda home: -home.came_before_days)
    for moment in moments(now):
        came = [home for home in left if now - timedelta(days=home.came_before_days) <= moment]
        left = left[len(came) :]
        yield moment, came


def address_file(some: Sequence[Home]) -> str:
    """Their addresses, in our own columns."""
    rows: list[list[object]] = [["value", "state", "customer_id", "username", "location", "plan"]]
    for home in some:
        values = [home.ipv4] if home.delegated_prefix is None else [home.ipv4, home.delegated_prefix]
        rows += [[value, "assigned", home.customer_id, home.username, home.location, home.plan] for value in values]
    return _csv(rows)


def subscriber_file(some: Sequence[Home], services: dict[str, int], passwords: dict[str, str]) -> str:
    """Their accounts; ``services`` and ``passwords`` by username."""
    columns = ["username", "customer_id", "plan", "state", "password", "service_id", "ipv4", "delegated_prefix"]
    rows: list[list[object]] = [[*columns, "external_id"]]
    for home in some:
        state = "suspended" if home.is_suspended else "active"
        account = [home.username, home.customer_id, home.plan, state, passwords[home.username]]
        addresses = [services[home.username], home.ipv4, home.delegated_prefix or ""]
        rows.append([*account, *addresses, f"CRM-{home.customer_id}"])
    return _csv(rows)


def _csv(rows: Iterable[Sequence[object]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue()
