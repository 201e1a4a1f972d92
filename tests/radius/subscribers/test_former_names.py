"""Who gave up a name is found by the name, however many names the tenant's subscribers gave up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncSession

from radius import SubscriberSearch, SubscriberVerbs
from radius.subscribers.former_names import given_again
from radius.tables import FormerUsername, Subscriber
from tests.radius.conftest import Site

pytestmark = pytest.mark.both_databases

Ask = Callable[[AsyncSession], Awaitable[Any]]


async def renamed(site: Site) -> tuple[int, str]:
    """Somebody who gave up a name, and that name."""
    made = await site.active()
    async with site.database.begin() as db:
        verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        await verbs.rename(subscriber_id=made["subscriber_id"], username=site.new_username())
    return made["subscriber_id"], made["username"]


async def looks_at_former_names(site: Site, ask: Ask) -> list[str]:
    """How SQLite looks among former names for what is asked."""
    asked: list[tuple[str, Any]] = []

    def heard(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if statement.startswith("SELECT") and "FROM radius_former_username" in statement:
            asked.append((statement, parameters))

    async with site.database.begin() as db:
        engine = site.database.engine.sync_engine
        event.listen(engine, "before_cursor_execute", heard)
        await ask(db)
        event.remove(engine, "before_cursor_execute", heard)
    assert asked
    if site.database.is_postgresql:
        return []  # of few rows it reads all
    plans = []
    async with site.database.engine.connect() as connection:
        for statement, parameters in asked:
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans += [row.detail for row in plan]
    return plans


def by_name(site: Site) -> list[str]:
    looked = "SEARCH radius_former_username USING INDEX ix_radius_former_username_named (username=?)"
    return [] if site.database.is_postgresql else [looked]


async def test_who_had_a_name_before_is_found_by_the_name(site: Site) -> None:
    number, name = await renamed(site)
    found: list[int] = []

    async def ask(db: AsyncSession) -> None:
        for tenant_id in (site.tenant_id, "somebody-else"):
            search = SubscriberSearch(db, tenant_id=tenant_id)
            found.extend(each["subscriber_id"] for each in await search.formerly_named(name))

    assert await looks_at_former_names(site, ask) == by_name(site) * 2
    assert found == [number]


@pytest.mark.parametrize("is_anothers", [True, False])
async def test_one_that_has_its_name_anew_asks_by_the_name_who_had_it_meanwhile(site: Site, is_anothers: bool) -> None:
    number, name = await renamed(site)
    other = (await site.create())["subscriber_id"]
    who = other if is_anothers else number

    async def ask(db: AsyncSession) -> None:
        back = await db.get_one(Subscriber, who)
        back.username = name
        await db.flush()
        await given_again(db, back, now=site.now())

    assert await looks_at_former_names(site, ask) == by_name(site)
    taken_back = FormerUsername.taken_back_at.is_not(None)
    async with site.database.read() as db:
        rows = select(FormerUsername.subscriber_id).where(FormerUsername.username == name, taken_back)
        assert list(await db.scalars(rows)) == ([other] if is_anothers else [])
