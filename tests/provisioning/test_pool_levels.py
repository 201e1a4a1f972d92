"""What the worker's clock tells of pools: each crossing once, as an event and to whom it concerns."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update

from ipam.tables import Pool
from provisioning.bootstrap import Appliance, open_appliance
from provisioning.webhooks.tables import Webhook, WebhookMessage
from tests.support.healthy_estate import HealthyEstate
from workflows import list_events

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
    now = STARTED
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


async def test_a_pool_that_leaves_the_network_is_told_as_recovered_in_the_same_commit(
    estate: HealthyEstate, tmp_path: Path
) -> None:
    now = STARTED
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
