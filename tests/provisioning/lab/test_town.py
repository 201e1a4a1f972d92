"""The laboratory's town: who lives there, when they came, and that its estate and files are of one piece."""

from __future__ import annotations

import csv
import tomllib
from collections import Counter
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Network
from pathlib import Path

import pytest

from provisioning.estate_spec import EstateSpec
from provisioning.lab.town import (
    BUSINESS,
    DISTRICTS,
    HISTORY,
    Home,
    address_file,
    arrivals,
    homes,
    moments,
    premises,
    subscriber_file,
)
from provisioning.lab.town_orders import ORDERS, estate_of

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
EXAMPLES = Path("deploy/examples")


@pytest.fixture(scope="module")
def everybody() -> list[Home]:
    return homes()


def test_two_thousand_live_there_and_share_nothing(everybody: list[Home]) -> None:
    assert len(everybody) == 2000
    for of in ("customer_id", "username", "email", "phone", "ipv4", "station"):
        assert len({getattr(home, of) for home in everybody}) == 2000, of
    delegated = [home.delegated_prefix for home in everybody if home.delegated_prefix]
    assert len(set(delegated)) == len(delegated)
    assert Counter(home.bng for home in everybody) == {"bng-harbour": 900, "bng-lakeside": 800, "bng-island": 300}
    assert sum(home.is_suspended for home in everybody) == 33


def test_every_address_is_one_that_its_district_s_pools_can_give(everybody: list[Home]) -> None:
    districts = {district.bng: district for district in DISTRICTS}
    for home in everybody:
        district = districts[home.bng]
        pool = district.businesses if home.plan == BUSINESS else district.homes
        assert IPv4Address(home.ipv4) in set(pool.hosts()) if pool.num_addresses < 70 else pool, home
        if home.delegated_prefix:
            assert IPv6Network(home.delegated_prefix).subnet_of(district.delegated), home
    island = [home for home in everybody if home.bng == "bng-island" and home.plan == BUSINESS]
    assert len(island) == 6  # its pool is full


def test_they_come_over_ninety_days_and_nobody_comes_twice(everybody: list[Home]) -> None:
    came = list(arrivals(everybody, NOW))
    assert [moment for moment, _ in came] == moments(NOW)
    assert (moments(NOW)[0], moments(NOW)[-1]) == (NOW - HISTORY, NOW)
    assert sorted(home.customer_id for _, some in came for home in some) == [home.customer_id for home in everybody]
    assert len(came[0][1]) == 1400
    assert all(some for moment, some in came if moment > NOW - timedelta(days=7))


def test_nobody_is_online_for_longer_than_they_have_been_there(everybody: list[Home]) -> None:
    for home in everybody:
        assert 1 <= home.online_for_minutes <= 1 + home.came_before_days * 24 * 60


def test_the_estate_names_fourteen_pools_and_every_house(everybody: list[Home]) -> None:
    lab = tomllib.loads((EXAMPLES / "lab-estate.toml").read_text())
    parts = [(EXAMPLES / "town-estate.toml").read_text(), premises(), estate_of(ORDERS)]
    spec = EstateSpec.model_validate(tomllib.loads("\n".join(parts)))
    assert len(lab["network"]["pool"]) + len(spec.network.pools) == 14
    assert {home.location for home in everybody} <= {location.id for location in spec.network.locations}
    assert {order.customer_id for order in ORDERS} == {customer.id for customer in spec.customers}
    served = {location.id for location in spec.network.locations}
    assert {order.location for order in ORDERS} <= served


def test_the_files_have_a_line_for_each(everybody: list[Home]) -> None:
    some = everybody[:40]
    addresses = list(csv.DictReader(address_file(some).splitlines()))
    assert len(addresses) == sum(1 if home.delegated_prefix is None else 2 for home in some)
    services = {home.username: number for number, home in enumerate(some, 1)}
    passwords = {home.username: f"pw{number}" for number, home in enumerate(some)}
    accounts = list(csv.DictReader(subscriber_file(some, services, passwords).splitlines()))
    assert [row["service_id"] for row in accounts] == [str(number) for number in range(1, 41)]
    assert accounts[0]["external_id"] == "CRM-10001"


def test_an_order_that_is_wanted_twice_asks_for_whom_the_one_before_has() -> None:
    [twice] = [order for order in ORDERS if order.fate == "twice"]
    before = ORDERS[twice.number - 1]
    assert twice.ticket(NOW)["appointment"] == before.ticket(NOW)["appointment"]
    assert len({order.serial for order in ORDERS}) == len(ORDERS)


def test_no_technician_is_wanted_at_two_places_but_by_the_order_that_is_to_be_held() -> None:
    wanted = Counter(str(order.ticket(NOW)["appointment"]) for order in ORDERS)
    assert sorted(wanted.values()) == [1] * (len(ORDERS) - 2) + [2]
