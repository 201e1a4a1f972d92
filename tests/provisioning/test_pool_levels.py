"""What the worker's clock tells of pools: each crossing once, as an event and to whom it concerns."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

from ipam import NotServed, PoolExhausted
from ipam.allocation.refusals import note_exhausted
from ipam.tables import Pool
from provisioning import pool_levels
from provisioning.bootstrap import Appliance, open_appliance, utc_now
from provisioning.pool_levels import LOOKED_AT_AGAIN, LOOKS_APART, Refusals
from provisioning.webhooks.tables import Webhook, WebhookMessage
from provisioning.worker import open_worker
from tests.support.healthy_estate import HealthyEstate
from workflows import EventView, list_events

NBI = "http://127.0.0.1:1"
STARTED = datetime(2026, 6, 1, 9, tzinfo=UTC)


async def told(appliance: Appliance) -> list[tuple[str, str, str]]:
    """The events about pools: type, state, by whom; the newest first."""
    await appliance.events.take_up(appliance.database.begin)
    async with appliance.database.read() as db:
        events = await list_events(db, tenant_id=appliance.tenant_id)
        return [(each.type, each.state, each.published_by) for each in events if each.type.startswith("pool.")]


async def set_limits(appliance: Appliance, pool: str = "north-v4", **limits: int) -> int:
    async with appliance.database.begin() as db:
        await db.execute(update(Pool).where(Pool.name == pool).values(**limits))
        return await db.scalar(select(Pool.id).where(Pool.name == pool)) or 0


async def add_webhook(appliance: Appliance) -> None:
    row: dict[str, Any] = {
        "url": "https://noc.example/",
        "event_types": ["pool.critical", "pool.recovered"],
        "state": "enabled",
    }
    async with appliance.database.begin() as db:
        row |= {"tenant_id": appliance.tenant_id, "added_at": STARTED, "added_by": "nora"}
        await db.execute(insert(Webhook).values(**row))


async def test_a_pool_that_crosses_a_threshold_is_told_of_once(sqlite_estate: HealthyEstate, tmp_path: Path) -> None:
    now = datetime.now(UTC)  # later than what the worker saw that has made the estate
    async with open_appliance(sqlite_estate.copy(tmp_path), clock=lambda: now) as appliance:
        await add_webhook(appliance)
        assert await appliance.tell_pool_levels() == 0

        pool_id = await set_limits(appliance, minimum_free=1020)
        now += timedelta(minutes=5)
        assert [await appliance.tell_pool_levels() for _ in range(2)] == [1, 0]
        assert await told(appliance) == [("pool.critical", "ignored", "clock")]
        async with appliance.database.read() as db:
            [event] = await list_events(db, tenant_id=appliance.tenant_id, event_type="pool.critical")
            [message] = await db.scalars(select(WebhookMessage).where(WebhookMessage.type == "pool.critical"))
        said = {name: event.data[name] for name in ("pool", "level", "previous_level", "size", "free")}
        assert said == {"pool": "north-v4", "level": "critical", "previous_level": "ok", "size": 1022, "free": 1018}
        assert (event.subject, message.subject) == (f"pool/{pool_id}", f"pool/{pool_id}")
        assert message.data == {"event_id": event.id, "pool_id": pool_id}
        assert json.dumps(message.data)

        await set_limits(appliance, minimum_free=0)
        now += timedelta(minutes=5)
        await appliance.tell_pool_levels()
        assert await told(appliance) == [("pool.recovered", "ignored", "clock"), ("pool.critical", "ignored", "clock")]


async def test_a_worker_tells_of_a_pool_as_soon_as_it_starts(estate: HealthyEstate, tmp_path: Path) -> None:
    settings = estate.copy(tmp_path).model_copy(update={"genieacs_nbi_url": NBI})
    async with open_appliance(settings) as appliance:
        await set_limits(appliance, minimum_free=1020)
        written = asyncio.Event()

        async def hear(_db: AsyncSession) -> None:
            written.set()

        appliance.database.witness = hear
        async with open_worker(appliance), asyncio.timeout(30):  # at its usual pace: every five minutes
            found: list[EventView] = []
            while not found:
                await written.wait()
                written.clear()
                async with appliance.database.read() as db:
                    found = await list_events(db, tenant_id=appliance.tenant_id, event_type="pool.critical")
    assert [(each.data["pool"], each.published_by) for each in found] == [("north-v4", "clock")]


async def test_a_pool_that_leaves_the_network_is_told_as_recovered_in_the_same_commit(
    estate: HealthyEstate, tmp_path: Path
) -> None:
    now = datetime.now(UTC)  # later than what the worker saw that has made the estate
    small = {"name": "tight-v4-more", "kind": "ipv4", "network": "198.51.100.0/29", "bindings": [{"bng": "bng-tight"}]}
    async with open_appliance(estate.copy(tmp_path), clock=lambda: now) as appliance:
        await add_webhook(appliance)
        for leaves in ("replaced", "retired"):
            async with appliance.database.begin() as db:
                await appliance.network_estate(db).apply({"pool": [small]})
            pool_id = await set_limits(appliance, "tight-v4-more", minimum_free=1000)
            now += timedelta(minutes=5)
            assert await appliance.tell_pool_levels() == 1
            async with appliance.database.begin() as db:
                if leaves == "replaced":
                    await appliance.network_estate(db).apply({"pool": [small | {"network": "198.51.100.8/29"}]})
                else:
                    await appliance.network_upkeep(db).retire(pool="tight-v4-more", note="sold")
            now += timedelta(minutes=5)
            assert await appliance.tell_pool_levels() == 0
            assert (await told(appliance))[0] == ("pool.recovered", "ignored", "operator")
            async with appliance.database.read() as db:
                of_pool = select(WebhookMessage.type).where(WebhookMessage.subject == f"pool/{pool_id}")
                types = list(await db.scalars(of_pool.order_by(WebhookMessage.id)))
            assert types[-2:] == ["pool.critical", "pool.recovered"]  # SQLite gives a number again


NORTH, TIGHT = "LOC-20005", "LOC-20090"
"""Premises; the second is served by the pool ``tight-v4``, which has one address."""


async def allocate(appliance: Appliance, customer: int, at: str = TIGHT) -> int:
    async with appliance.database.begin() as db:
        given = await appliance.address_desk(db).allocate(
            customer_id=customer, service_location=at, bandwidth_plan="fiber-300", request_id=f"line-{customer}"
        )
    return given.resources["service_id"]


async def crossings(appliance: Appliance, pool: str = "tight-v4") -> list[tuple[str, str, str, int]]:
    """What was told of the pool: from which level, to which, by whom, and how much was free; the oldest first."""
    async with appliance.database.read() as db:
        events = await list_events(db, tenant_id=appliance.tenant_id)
    told = [each for each in reversed(events) if each.type.startswith("pool.") and each.data["pool"] == pool]
    return [(each.data["previous_level"], each.data["level"], each.published_by, each.data["free"]) for each in told]


@pytest.mark.both_databases
async def test_a_refusal_has_its_full_pool_told_at_once_and_the_clock_tells_that_it_has_room_again(
    estate: HealthyEstate, tmp_path: Path
) -> None:
    now = utc_now()
    async with open_appliance(estate.copy(tmp_path), clock=lambda: now) as appliance:
        held, north = await allocate(appliance, 1090), await allocate(appliance, 1005, NORTH)
        assert await crossings(appliance) == []
        refused = await asyncio.gather(*(allocate(appliance, n) for n in range(1091, 1111)), return_exceptions=True)
        assert {type(each) for each in refused} == {PoolExhausted}
        full = ("ok", "exhausted", "clock", 0)
        assert await crossings(appliance) == [full]

        now += timedelta(minutes=1)
        with pytest.raises(PoolExhausted):
            await allocate(appliance, 1111)
        with pytest.raises(PoolExhausted):
            async with appliance.database.begin() as db:
                await appliance.address_desk(db).move(service_id=north, service_location=TIGHT, note="moves house")
        assert await appliance.tell_pool_levels() == 0
        assert await crossings(appliance) == [full]

        async with appliance.database.begin() as db:
            await appliance.address_desk(db).release(service_id=held, reason="moves away")
            await appliance.network_upkeep(db).lift(pool="tight-v4", value="192.0.2.2", note="needed")
        now += timedelta(minutes=5)
        assert await appliance.tell_pool_levels() == 1
        assert await crossings(appliance) == [full, ("exhausted", "ok", "clock", 1)]


@pytest.mark.both_databases
async def test_a_route_and_a_move_that_are_refused_have_the_pool_told_where_it_is_full(
    estate: HealthyEstate, tmp_path: Path
) -> None:
    now = utc_now()
    routed = {"name": "nets", "kind": "ipv4_routed", "network": "198.51.100.0/28", "unit_length": 29}
    async with open_appliance(estate.copy(tmp_path), clock=lambda: now) as appliance:
        async with appliance.database.begin() as db:
            await appliance.network_estate(db).apply({"pool": [routed | {"bindings": [{"bng": "bng-north"}]}]})
        north = await allocate(appliance, 1005, NORTH)
        await allocate(appliance, 1090)

        async def route(count: int) -> None:
            async with appliance.database.begin() as db:
                desk = appliance.address_desk(db)
                await desk.route(service_id=north, pool="nets", count=count, reason="an office moves in")

        with pytest.raises(PoolExhausted, match="has too few"):
            await route(3)
        assert await crossings(appliance, "nets") == []  # two are free, as the clock would see it
        await route(2)
        now += timedelta(minutes=1)
        with pytest.raises(PoolExhausted):
            await route(3)
        now += LOOKS_APART
        with pytest.raises(NotServed, match="Pool tight-v4 is full"):  # besides the routes, which lead nowhere there
            async with appliance.database.begin() as db:
                await appliance.address_desk(db).move(service_id=north, service_location=TIGHT, note="moves house")
        assert [await crossings(appliance, pool) for pool in ("nets", "tight-v4")] == [
            [("ok", "exhausted", "clock", 0)],
            [("ok", "exhausted", "clock", 0)],
        ]


async def test_however_many_pools_refuse_at_once_they_are_looked_at_once_a_second() -> None:
    now, looks = utc_now(), list[datetime]()

    async def look() -> int:
        looks.append(now)
        return 0

    refusals = Refusals(look, now=lambda: now)
    for number in range(40):
        await refusals.follow(refused_by(f"pool-{number}"))
    now += LOOKS_APART
    await refusals.follow(refused_by("pool-0"))  # which was looked at just now
    await refusals.follow(refused_by("pool-7"))
    await refusals.follow(refused_by("pool-8"))
    assert looks == [now - LOOKS_APART, now]


def refused_by(pool: str) -> AsyncSession:
    db = AsyncSession()
    note_exhausted(db, [pool])
    return db


@pytest.mark.both_databases
async def test_a_look_that_fails_leaves_the_refusal_as_it_is_and_the_next_one_looks_again(
    estate: HealthyEstate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = utc_now()
    async with open_appliance(estate.copy(tmp_path), clock=lambda: now) as appliance:
        await allocate(appliance, 1090)
        for fault in (KeyError("north-v4"), OperationalError("SELECT", {}, Exception("locked"))):
            with monkeypatch.context() as broken:
                broken.setattr(pool_levels, "sample_pools", AsyncMock(side_effect=fault))
                with capture_logs() as logged, pytest.raises(PoolExhausted, match="Pool tight-v4 is full"):
                    await allocate(appliance, 1091)
            said = [(each["event"], each["pools"]) for each in logged if each["log_level"] == "error"]
            assert said == [("pools that refused could not be looked at", ["tight-v4"])]
            now += LOOKED_AT_AGAIN
        assert await crossings(appliance) == []
        with pytest.raises(PoolExhausted):
            await allocate(appliance, 1091)
        assert await crossings(appliance) == [("ok", "exhausted", "clock", 0)]
