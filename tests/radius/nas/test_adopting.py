"""An ISP's own NASes, known to its FreeRADIUS before Firstlight was: they go on with the secrets that they have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
from sqlalchemy import delete, insert, select

from radius import DefinedNas, ForeignRows, NothingToAdopt, secret_to_adopt
from radius.projection.freeradius_tables import nas as nas_table
from radius.testing import LabNas
from tests.radius.conftest import ADDRESSES, Site

THEIRS, HALL = "theirs-for-ten-years", "hall 3"


@pytest.fixture(autouse=True)
async def no_rows_left(site: Site) -> AsyncIterator[None]:
    """FreeRADIUS' tables are those of all tests."""
    yield
    async with site.radius_database.begin() as db:
        await db.execute(delete(nas_table).where(nas_table.c.description == HALL))


async def secret_read(_address: str) -> str:
    """As on a server of this one ISP: that of the tests serves many."""
    return THEIRS


async def known_before(site: Site) -> str:
    """A row of the ISP's own; the address."""
    address = site.backend.free_nas_address()
    row = {"nasname": address, "shortname": "old-name", "type": "other", "secret": THEIRS, "description": HALL}
    async with site.radius_database.begin() as db:
        await db.execute(insert(nas_table), [row])
    return address


async def defined(site: Site, address: str) -> DefinedNas:
    async with site.database.begin() as db:
        return await site.service(db).define_nas(name=f"bng-{address}", address=address, dialect="mikrotik")


async def adopt(site: Site, nas: DefinedNas, secret_at: Callable[[str], Awaitable[str]] = secret_read) -> bool:
    async with site.database.begin() as db:
        return (await site.service(db).adopt_nas(name=nas["name"], secret_at=secret_at))[1]


async def row_of(site: Site, address: str) -> tuple[str, str, str]:
    columns = (nas_table.c.shortname, nas_table.c.type, nas_table.c.secret)
    async with site.radius_database.begin() as db:
        [(name, type_, secret)] = (await db.execute(select(*columns).where(nas_table.c.nasname == address))).all()
        return name, type_, secret


async def test_a_nas_that_freeradius_knows_is_taken_over_with_its_secret_and_told_plans_from_then_on(
    site: Site,
) -> None:
    address, subscriber = await known_before(site), await site.active()
    nas = await defined(site, address)
    with pytest.raises(ForeignRows, match="let `firstlight nas adopt` take it over with its secret"):
        await site.projector.project_one("nas", nas["nas_id"])
    assert await row_of(site, address) == ("old-name", "other", THEIRS)

    assert [await adopt(site, nas) for _ in range(2)] == [True, False]
    await site.projector.project_one("nas", nas["nas_id"])
    assert await row_of(site, address) == (nas["name"], "mikrotik", THEIRS)
    assert await site.projector.drift() == []
    server = site.backend.server
    asking = LabNas(
        name="theirs",
        secret=THEIRS,
        auth_port=server.auth_port,
        acct_port=server.acct_port,
        source_address=address,
    )
    reply = await asking.login(subscriber["username"], await site.password(subscriber))
    assert (reply.code, reply.framed_ip_address, reply.rate_limit) == (
        "Access-Accept",
        ADDRESSES.ipv4,
        "20000k/100000k",
    )


async def test_it_is_taken_over_once_and_its_secret_is_ours_to_change_from_then_on(site: Site) -> None:
    address = await known_before(site)
    nas = await defined(site, address)
    await adopt(site, nas)
    async with site.database.begin() as db:  # before its rows are written
        await site.service(db).rotate_nas_secret(name=nas["name"])
    await site.projector.project_one("nas", nas["nas_id"])
    assert (await row_of(site, address))[2] != THEIRS


async def test_what_stands_at_another_address_was_not_taken_over(site: Site) -> None:
    address, other = await known_before(site), await known_before(site)
    nas = await defined(site, address)
    await adopt(site, nas)
    for moved in (other, address):
        async with site.database.begin() as db:
            await site.service(db).change_nas(name=nas["name"], said={"address": moved})
        with pytest.raises(ForeignRows):
            await site.projector.project_one("nas", nas["nas_id"])
    assert [(await row_of(site, each))[0] for each in (address, other)] == ["old-name"] * 2


async def test_where_other_isps_are_served_nobody_takes_what_may_be_theirs(site: Site) -> None:
    theirs = await site.nas()
    nas = await defined(site, await known_before(site))
    read = partial(secret_to_adopt, site.radius_database.read, tenant_id=site.tenant_id)
    with pytest.raises(NothingToAdopt, match="other ISPs are served there as well") as refused:
        await adopt(site, nas, read)
    assert THEIRS not in str(refused.value)
    with pytest.raises(NothingToAdopt, match="Firstlight has written it itself"):
        await read(theirs.source_address)
    with pytest.raises(NothingToAdopt, match="it is another ISP's"):
        await secret_to_adopt(site.radius_database.read, theirs.source_address, tenant_id="another")
