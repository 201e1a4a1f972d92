"""``/pools``: how full each pool is, how that came, and when it is full; of one pool a picture of where it is used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import Query, Response
from markupsafe import Markup

from ipam import DEFAULT_VRF, NetworkService, PoolOutlook, PoolSampleAt
from provisioning.api import Call, InCall
from provisioning.api.addresses import Picture
from provisioning.console.doors import ConsoleDoors
from provisioning.console.pages import HEADERS, show
from provisioning.console.words import spark
from provisioning.figures import POOLS_FOR, Point
from provisioning.forecast import forecast
from provisioning.occupation_svg import occupation_in_page, occupation_svg

LEVELS = {"ok": "good", "low": "warn", "critical": "bad", "exhausted": "bad"}
KINDS = {
    "ipv4": "IPv4",
    "ipv6_wan": "IPv6 WAN prefixes",
    "ipv6_pd": "delegated IPv6 prefixes",
    "cvlan": "C-VLANs",
    "ipv4_routed": "routed IPv4 prefixes",
    "ipv6_routed": "routed IPv6 prefixes",
}

doors = ConsoleDoors(name="addresses")

PoolName = Annotated[str, Query(min_length=1, max_length=120)]


@doors.page("/pools", permission="addresses.read")
async def pools(call: InCall) -> Response:
    """All pools, the fullest first."""
    network = _network(call)
    found, samples = await network.outlook(), await network.samples(since=call.appliance.clock() - POOLS_FOR)
    found.sort(key=lambda pool: (-pool["used_percent"], pool["pool"]))
    now = call.appliance.clock()
    rows = [(pool, _line(pool, samples, now), forecast(pool, now)) for pool in found]
    return show(
        call,
        "pools.html.j2",
        "Pools",
        rows=rows,
        hands_out=hands_out,
        levels=LEVELS,
        days=POOLS_FOR.days,
        default_vrf=DEFAULT_VRF,
    )


@doors.page("/pools/of", permission="addresses.read")
async def pool_of(call: InCall, pool: PoolName) -> Response:
    """One pool: its numbers, its forecast, its picture."""
    network, now = _network(call), call.appliance.clock()
    occupation = await call.appliance.address_lookup(call.db).occupation(pool)
    outlook = next((each for each in await network.outlook() if each["pool"] == pool), None)
    samples = await network.samples(since=now - POOLS_FOR)
    since = {} if outlook is None else await network.levels_since([outlook])
    return show(
        call,
        "pool.html.j2",
        f"Pool {pool}",
        occupation=occupation,
        drawn=Markup(occupation_in_page(occupation)),  # noqa: S704 - numbers, and names that it has quoted
        pool=outlook,
        level_since=since.get(pool),
        line="" if outlook is None else _line(outlook, samples, now),
        forecast="" if outlook is None else forecast(outlook, now),
        hands_out=hands_out,
        levels=LEVELS,
        days=POOLS_FOR.days,
    )


@doors.page("/pools/picture.svg", permission="addresses.read")
async def picture(call: InCall, pool: PoolName) -> Response:
    """Where in the pool its units are used, drawn."""
    drawn = occupation_svg(await call.appliance.address_lookup(call.db).occupation(pool))
    return Picture(drawn, headers={**HEADERS, "Content-Security-Policy": "default-src 'none'; sandbox"})


def hands_out(pool: PoolOutlook) -> str:
    """What a pool gives out, in words; of an IPv4 pool also to whom."""
    words = KINDS[pool["kind"]]
    return f"{words}, {pool['role']}" if pool["kind"] == "ipv4" and pool["role"] else words


def _line(pool: PoolOutlook, samples: dict[str, list[PoolSampleAt]], now: datetime) -> str:
    known: Sequence[PoolSampleAt] = samples.get(pool["pool"], [])
    points = [Point(each["at"], each["used_percent"]) for each in known]
    return spark([*points, Point(now, pool["used_percent"])] if points else [], f"Pool {pool['pool']}, used", 100.0)


def _network(call: Call) -> NetworkService:
    return call.appliance.services(call.db).network_service
