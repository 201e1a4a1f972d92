"""A NAS that is removed: FreeRADIUS knows it no longer, whoever was about to tell it of the NAS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import NoResultFound
from sqlalchemy.ext.asyncio import AsyncSession

from radius import DefinedNas, NasUnknown, RadiusDatabaseUnavailable, RadiusProjector, is_left_by_others
from radius.projection.freeradius_tables import nas as nas_table
from radius.projection.freeradius_tables import radius_projection
from radius.testing import LabNas, NoAnswer
from tests.radius.conftest import Site


async def defined(site: Site, name: str, address: str) -> DefinedNas:
    async with site.database.begin() as db:
        return await site.service(db).define_nas(name=name, address=address, dialect="mikrotik")


async def removed(site: Site, name: str) -> DefinedNas:
    async with site.database.begin() as db:
        return await site.service(db).remove_nas(name=name)


async def known(site: Site, *addresses: str) -> tuple[list[str], list[str]]:
    """Which of them FreeRADIUS knows, and the ledger."""
    noted = radius_projection.c
    async with site.radius_database.begin() as db:
        rows = await db.scalars(select(nas_table.c.nasname).where(nas_table.c.nasname.in_(addresses)))
        entries = await db.scalars(select(noted.name).where(noted.kind == "nas", noted.name.in_(addresses)))
        return sorted(rows), sorted(entries)


def slow(site: Site, reached: asyncio.Event, go_on: asyncio.Event) -> RadiusProjector:
    """It has read what we want, and stops before it writes."""

    @asynccontextmanager
    async def radius_begin() -> AsyncIterator[AsyncSession]:
        reached.set()
        await go_on.wait()
        async with site.radius_database.begin() as db:
            yield db

    return RadiusProjector(
        site.database.begin, radius_begin, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets
    )


async def answers(nas: LabNas, site: Site, username: str, password: str) -> bool:
    try:
        await nas.login(username, password)
    except NoAnswer:
        return False
    return True


async def test_a_nas_that_was_removed_gets_no_answer_and_may_be_added_again_with_another_secret(site: Site) -> None:
    subscriber, nas = await site.active(), await site.nas(timeout_seconds=0.5)
    who = (subscriber["username"], await site.password(subscriber))
    assert (await nas.login(*who)).accepted
    gone = await removed(site, nas.name)
    [drift] = await site.projector.drift()
    assert (drift.name, drift.reason, drift.awaiting_projection) == (gone["address"], "extra", True)
    assert await site.projector.definitions(behind=True) == [("nas", gone["nas_id"], nas.name)]

    projected = await site.projector.project_one("nas", gone["nas_id"])
    assert (projected["name"], projected["changed"]) == (gone["address"], True)
    assert await known(site, gone["address"]) == ([], [])
    assert (await site.projector.drift(), await site.projector.definitions(behind=True)) == ([], [])
    assert not (await site.projector.project_one("nas", gone["nas_id"]))["changed"]
    async with asyncio.timeout(30):  # the server remembers a NAS for a second
        while await answers(nas, site, *who):
            pass
    async with site.database.begin() as db:
        with pytest.raises(NasUnknown):
            await site.service(db).remove_nas(name=nas.name)
        with pytest.raises(NoResultFound):
            await site.secrets.reveal(db, gone["secret"])

    again = await defined(site, nas.name, gone["address"])
    assert again["nas_id"] > gone["nas_id"]
    await site.projector.project_one("nas", again["nas_id"])
    async with site.database.begin() as db:
        secret = await site.secrets.reveal(db, again["secret"])
    ports = site.backend.server
    anew = LabNas(
        name=nas.name,
        secret=secret,
        auth_port=ports.auth_port,
        acct_port=ports.acct_port,
        source_address=gone["address"],
    )
    assert (await anew.login(*who)).accepted


async def test_what_was_about_to_tell_freeradius_of_a_nas_does_not_bring_it_back(site: Site) -> None:
    address, reached, go_on = site.backend.free_nas_address(), asyncio.Event(), asyncio.Event()
    nas = await defined(site, "bng", address)
    late = asyncio.create_task(slow(site, reached, go_on).project_one("nas", nas["nas_id"]))
    await reached.wait()
    await removed(site, "bng")
    await site.projector.project_one("nas", nas["nas_id"])
    go_on.set()
    assert not (await late)["changed"]
    assert await known(site, address) == ([], [])


async def test_a_nas_is_taken_away_under_each_address_that_it_has_had(site: Site) -> None:
    old, new = site.backend.free_nas_address(), site.backend.free_nas_address()
    await defined(site, "bng", old)
    await site.projector.project_nas()
    moved = await defined(site, "bng", new)
    await removed(site, "bng")
    await site.projector.project_one("nas", moved["nas_id"])
    assert await known(site, old, new) == ([], [])
    assert [drift for drift in await site.projector.drift() if drift.kind == "nas"] == []


async def test_an_address_that_another_nas_has_by_now_is_left_to_it(site: Site) -> None:
    address = site.backend.free_nas_address()
    first = await defined(site, "bng-1", address)
    await site.projector.project_nas()
    await removed(site, "bng-1")
    second = await defined(site, "bng-2", address)
    [drift] = [drift for drift in await site.projector.drift() if drift.kind == "nas"]
    assert (drift.reason, drift.awaiting_projection) == ("different", True)
    await site.projector.project_one("nas", second["nas_id"])
    assert not (await site.projector.project_one("nas", first["nas_id"]))["changed"]
    assert await known(site, address) == ([address], [address])
    assert [drift for drift in await site.projector.drift() if drift.kind == "nas"] == []


async def test_a_nas_that_could_not_be_taken_away_is_taken_away_later(site: Site) -> None:
    address = site.backend.free_nas_address()
    nas = await defined(site, "bng", address)
    await site.projector.project_nas()
    await removed(site, "bng")

    @asynccontextmanager
    async def goes_away() -> AsyncIterator[AsyncSession]:
        async with site.radius_database.begin() as db:
            yield db
            raise RadiusDatabaseUnavailable("it went away before the commit")

    failing = RadiusProjector(
        site.database.begin, goes_away, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets
    )
    with pytest.raises(RadiusDatabaseUnavailable):
        await failing.project_one("nas", nas["nas_id"])
    assert await known(site, address) == ([address], [address])
    assert [each.source_id for each in await site.projector.definitions(behind=True) if each.kind == "nas"] == [
        nas["nas_id"]
    ]
    await site.projector.project_one("nas", nas["nas_id"])
    assert await known(site, address) == ([], [])


@pytest.mark.parametrize("is_adopted", [True, False])
async def test_what_others_have_written_goes_with_a_nas_that_was_adopted_and_is_told_of_else(
    site: Site, is_adopted: bool
) -> None:
    """Before FreeRADIUS was told that it is ours."""
    address = site.backend.free_nas_address()
    row = {"nasname": address, "shortname": "hall", "type": "other", "secret": "theirs-since-2009"}
    async with site.radius_database.begin() as db:
        await db.execute(insert(nas_table).values(row))
    nas = await defined(site, f"bng-{address}", address)

    async def theirs(_address: str) -> str:
        return row["secret"]

    if is_adopted:
        async with site.database.begin() as db:
            await site.service(db).adopt_nas(name=nas["name"], secret_at=theirs)
    await removed(site, nas["name"])
    await site.projector.project_one("nas", nas["nas_id"])
    left = await is_left_by_others(site.radius_database.read, address)
    assert ((await known(site, address))[0], left) == (([], False) if is_adopted else ([address], True))
    async with site.radius_database.begin() as db:
        await db.execute(delete(nas_table).where(nas_table.c.nasname == address))
