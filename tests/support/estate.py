"""A small ISP for tests: many alike households, each with its own port, technician and ONT; some at a tight OLT."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

HOUSEHOLDS = 150
AT_THE_TIGHT_OLT = range(90, 95)

NETWORK = """
[[network.bng]]
name = "bng-north"
[[network.bng]]
name = "bng-tight"
[[network.site]]
name = "northtown"

[[network.plan]]
name = "fiber-300"
access = "pppoe"
ipv6_wan = true
ipv6_pd = true
[[network.plan]]
name = "fiber-pool"
access = "pppoe"
addressing = "framed_pool"

[[network.pool]]
name = "north-v4"
kind = "ipv4"
network = "100.64.0.0/22"
bindings = [{ bng = "bng-north", plan = "fiber-300" }]
[[network.pool]]
name = "north-wan6"
kind = "ipv6_wan"
network = "2001:db8:100::/48"
bindings = [{ bng = "bng-north" }, { bng = "bng-tight" }]
[[network.pool]]
name = "north-pd"
kind = "ipv6_pd"
network = "2001:db8:8000::/40"
bindings = [{ bng = "bng-north" }, { bng = "bng-tight" }]
[[network.pool]]
name = "north-dynamic"
kind = "ipv4"
network = "100.64.64.0/18"
framed_pool = "dynamic-1"
bindings = [{ bng = "bng-north", plan = "fiber-pool" }]
[[network.pool]]
name = "tight-v4"
kind = "ipv4"
network = "192.0.2.0/30"
gateway = "192.0.2.1"
bindings = [{ bng = "bng-tight" }]

[[network.vlan_group]]
name = "aggregation-north"
vids = ["100-199"]
[[network.svlan]]
group = "aggregation-north"
vid = 101
cvlans = ["2-4093"]
bindings = [{ access_node = "OLT-3" }, { access_node = "OLT-TIGHT" }]

[[rate]]
plan = "fiber-300"
download_kbps = 300000
upload_kbps = 150000
[[rate]]
plan = "fiber-pool"
download_kbps = 50000
upload_kbps = 10000

[[nas]]
name = "bng-north"
address = "127.0.0.1"
dialect = "mikrotik"

[[offer]]
id = 1
title = "Fibre 300"
plan = "fiber-300"
price_minor = 3990
currency = "EUR"
setup_fee_minor = 4900
term_months = 24
payment_terms = "postpaid"
license_template_id = 1
[[offer]]
id = 2
title = "Mesh WiFi, two units"
price_minor = 590
currency = "EUR"
term_months = 12
payment_terms = "postpaid"
license_template_id = 1
[[offer]]
id = 3
title = "Setup at home"
price_minor = 4900
currency = "EUR"
term_months = 1
payment_terms = "postpaid"

[[team]]
name = "onboarding"
email = "onboarding@isp.example"
[[team]]
name = "noc"
email = "noc@isp.example"
[[team]]
name = "dispatch"
email = "dispatch@isp.example"

[[license_template]]
id = 1
name = "Portal"
seats = 10
valid_months = 12

[[partner]]
id = 21
name = "Nordnetz"
email = "orders@nordnetz.example"
license_template = 1
license_quota = 50
commission = { type = "percentage", basis_points = 1250, currency = "EUR" }
"""

ACCESS_NODE = """
[[network.access_node]]
name = "{name}"
kind = "olt"
site = "northtown"
bng = "{bng}"
vlan_model = "one_to_one"
cpe_vlan_id = 100
management_vlan = 4000
ports = {ports}
"""

LOCATION = """
[[network.location]]
id = "{location}"
access_node = "{access_node}"
port = "{port}"
aliases = ["drop-{number}"]
"""

PEOPLE = """
[[technician]]
id = {technician_id}
name = "{technician}"
[[customer]]
id = {customer_id}
name = "{name}"
email = "{email}"
[[site_survey]]
customer_id = {customer_id}
service_location = "{location}"
result = "feasible"
surveyed_at = 2026-03-02T10:30:00Z
"""

MORE_ADDRESSES = """
[[network.pool]]
name = "tight-v4-more"
kind = "ipv4"
network = "192.0.2.8/29"
bindings = [{ bng = "bng-tight", priority = 20 }]
"""
"""What an operator imports when the tight OLT's pool has run full."""


@dataclass(frozen=True)
class Household:
    """One customer at one premise, with a technician of its own, so that visits are never in each other's way."""

    number: int

    @property
    def customer_id(self) -> int:
        return 1000 + self.number

    @property
    def name(self) -> str:
        return f"Customer {self.number}"

    @property
    def email(self) -> str:
        return f"customer{self.number}@example.net"

    @property
    def technician_id(self) -> int:
        return 7000 + self.number

    @property
    def technician(self) -> str:
        return f"Technician {self.number}"

    @property
    def location(self) -> str:
        return f"LOC-{20000 + self.number}"

    @property
    def access_node(self) -> str:
        return "OLT-TIGHT" if self.number in AT_THE_TIGHT_OLT else "OLT-3"

    @property
    def port(self) -> str:
        return f"0/{self.number // 16}/{self.number % 16}"

    @property
    def serial(self) -> str:
        """The ONT that is planned for it."""
        return f"HWTC{self.number:08X}"

    @property
    def spare_serial(self) -> str:
        """The ONT that the technician has in the van."""
        return f"HWTC{0xA000 + self.number:08X}"

    @property
    def ssid(self) -> str:
        return f"Home-{self.number}"

    def ticket(self, visit_at: datetime, **changes: Any) -> dict[str, Any]:
        """An approved installation ticket; ``changes`` replace its fields, None takes one out."""
        ticket: dict[str, Any] = {
            "ticket_id": f"T-{self.number}",
            "order_id": 5000 + self.number,
            "customer_id": self.customer_id,
            "service_location": self.location,
            "installation_address": f"Lindenweg {self.number}, Northtown",
            "bandwidth_plan": "fiber-300",
            "config_template": "tr181-pppoe",
            "wifi_ssid": self.ssid,
            "device_serial": self.serial,
            "appointment": self.appointment(visit_at),
        }
        return {field: value for field, value in (ticket | changes).items() if value is not None}

    def location_at(self, port: str) -> str:
        """The correction an operator imports when the fibre ends at another port than was thought."""
        return LOCATION.format(location=self.location, access_node=self.access_node, port=port, number=self.number)

    def appointment(self, at: datetime) -> dict[str, Any]:
        return {"technician_id": self.technician_id, "scheduled_date": at.isoformat()}


def estate_toml(first: int = HOUSEHOLDS) -> str:
    """The estate, as ``firstlight import`` reads it: whole, or with the first households and those at the tight OLT."""
    numbers = (number for number in range(1, HOUSEHOLDS) if number <= first or number in AT_THE_TIGHT_OLT)
    households = [Household(number) for number in numbers]
    nodes = {"OLT-3": "bng-north", "OLT-TIGHT": "bng-tight"}
    parts = [NETWORK]
    for node, bng in nodes.items():
        ports = sorted({house.port for house in households if house.access_node == node})
        parts.append(ACCESS_NODE.format(name=node, bng=bng, ports=ports))
    fields = (
        "number",
        "customer_id",
        "name",
        "email",
        "technician_id",
        "technician",
        "location",
        "access_node",
        "port",
    )
    parts += [(LOCATION + PEOPLE).format(**{name: getattr(house, name) for name in fields}) for house in households]
    return "\n".join(parts)


def tomorrow(now: datetime) -> datetime:
    """A time for a visit."""
    return (now + timedelta(days=1)).replace(minute=0, second=0, microsecond=0)
