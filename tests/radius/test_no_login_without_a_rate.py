"""Nobody is let in without a rate, whatever happens to NASes, plans and rows meanwhile. The real server is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from radius.projection.freeradius_tables import nas as nas_table
from radius.projection.freeradius_tables import radgroupreply, radreply, radusergroup
from radius.testing import FreeRadiusServer, LoginReply
from tests.radius.conftest import PLAN, Site
from tests.support.freeradius import RADDB

UNKNOWN_RATE = "No rate is known for this line at this NAS."


@pytest.fixture
async def remembering(site: Site, run_dir: Path) -> AsyncIterator[FreeRadiusServer]:
    """A second server on the same tables that remembers a NAS for as long as this test takes."""
    server = FreeRadiusServer(
        raddb=RADDB,
        run_dir=run_dir,
        database_url=site.backend.database_url,
        schema=site.backend.schema,
        nas_lifetime_seconds=300,
    )
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.stop)


def _refused_for_its_rate(reply: LoginReply) -> bool:
    return (reply.code, reply.first("Reply-Message"), len(reply.attributes)) == ("Access-Reject", UNKNOWN_RATE, 2)


async def test_a_nas_that_is_remembered_is_told_the_rate_in_the_words_it_had(
    site: Site, remembering: FreeRadiusServer
) -> None:
    subscriber = await site.active()
    password = await site.password(subscriber)
    nas = await site.nas(server=remembering)
    before = await nas.login(subscriber["username"], password)
    mine = nas_table.c.nasname == nas.source_address
    async with site.radius_database.begin() as db:
        await db.execute(update(nas_table).where(mine).values(type="other"))
    changed = await nas.login(subscriber["username"], password)
    async with site.radius_database.begin() as db:
        await db.execute(delete(nas_table).where(mine))
    gone = await nas.login(subscriber["username"], password)

    assert [reply.rate_limit for reply in (before, changed, gone)] == ["20000k/100000k"] * 3


async def test_at_a_nas_whose_type_is_no_dialect_nobody_is_let_in(site: Site) -> None:
    subscriber = await site.active()
    nas = await site.nas()
    async with site.radius_database.begin() as db:
        mine = nas_table.c.nasname == nas.source_address
        await db.execute(update(nas_table).where(mine).values(type="other"))

    assert _refused_for_its_rate(await nas.login(subscriber["username"], await site.password(subscriber)))


async def test_without_the_plans_rows_nobody_is_let_in(site: Site) -> None:
    subscriber = await site.active()
    nas = await site.nas()
    async with site.radius_database.begin() as db:
        rate = radgroupreply.c.groupname == f"{site.tenant_id}/{PLAN}:mikrotik"
        await db.execute(delete(radgroupreply).where(rate))

    assert _refused_for_its_rate(await nas.login(subscriber["username"], await site.password(subscriber)))


async def test_a_password_that_was_read_before_everything_was_deleted_lets_nobody_in(site: Site) -> None:
    """What a login sees whose first question came before a deletion, and whose next ones come after it."""
    subscriber = await site.active()
    nas = await site.nas()
    async with site.radius_database.begin() as db:
        for table in (radreply, radusergroup):
            await db.execute(delete(table).where(table.c.username == subscriber["username"]))

    assert _refused_for_its_rate(await nas.login(subscriber["username"], await site.password(subscriber)))


async def test_an_unknown_username_is_not_told_from_a_wrong_password(site: Site) -> None:
    subscriber = await site.active()
    nas = await site.nas()
    unknown = await nas.login(site.new_username(), "whatever")
    wrong = await nas.login(subscriber["username"], "whatever")
    assert unknown.code == wrong.code == "Access-Reject"
    assert set(unknown.attributes) == set(wrong.attributes)
