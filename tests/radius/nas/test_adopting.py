"""An ISP's own NASes, known to its FreeRADIUS before Firstlight was: they go on with the secrets that they have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
from sqlalchemy import delete, insert, select, update

from radius import DefinedNas, ForeignRows, NothingToAdopt, secret_to_adopt
from radius.projection.freeradius_tables import nas as nas_table
from radius.projection.freeradius_tables import radius_projection
from radius.tables import Nas
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


async def known_before(site: Site, *, secret: str = THEIRS, address: str | None = None) -> str:
    """A row of the ISP's own; the address."""
    address = address or site.backend.free_nas_address()
    row = {"nasname": address, "shortname": "old-name", "type": "other", "secret": secret, "description": HALL}
    async with site.radius_database.begin() as db:
        await db.execute(insert(nas_table), [row])
    return address


def asking_as(site: Site, address: str, secret: str = THEIRS) -> LabNas:
    server = site.backend.server
    return LabNas(
        name="theirs",
        secret=secret,
        auth_port=server.auth_port,
        acct_port=server.acct_port,
        source_address=address,
    )


async def defined(site: Site, address: str) -> DefinedNas:
    async with site.database.begin() as db:
        return await site.service(db).define_nas(name=f"bng-{address}", address=address, dialect="mikrotik")


async def adopt(site: Site, nas: DefinedNas, secret_at: Callable[[str], Awaitable[str | None]] = secret_read) -> bool:
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
    reply = await asking_as(site, address).login(subscriber["username"], await site.password(subscriber))
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
    noted = {"kind": "plan", "name": f"of-another/{site.tenant_id}", "tenant_id": "of-another", "source_id": 1}
    noted |= {"version": 1, "digest": "0" * 64, "projected_at": site.now()}
    async with site.radius_database.begin() as db:
        await db.execute(insert(radius_projection).values(noted))
    with pytest.raises(NothingToAdopt, match="other ISPs are served there as well") as refused:
        await adopt(site, nas, read)
    async with site.radius_database.begin() as db:
        await db.execute(delete(radius_projection).where(radius_projection.c.name == noted["name"]))
    assert THEIRS not in str(refused.value)
    assert await read(theirs.source_address) is None  # it is ours already
    with pytest.raises(NothingToAdopt, match="it is another ISP's"):
        await secret_to_adopt(site.radius_database.read, theirs.source_address, tenant_id="another")


ODD = (
    "a\"b'c`d\"and'so`on",
    "100%-%%-%{User-Name}",
    "$ENV{HOME}${HOME}$1",
    "#x;y&z|!?*<>()[]^~",
    '"quoted-as-a-whole"',
    "'quoted-as-a-whole'",
    ",.:/+-=@_{}0123456789",
)


@pytest.mark.parametrize("secret", ODD)
async def test_a_secret_of_odd_characters_is_served_as_it_stands(site: Site, secret: str) -> None:
    """By the raddb, which has it by way of a query and an attribute (sites/nas.conf)."""
    subscriber = await site.active()
    address = await known_before(site, secret=secret)
    nas = await defined(site, address)

    async def read(_address: str) -> str:
        return secret

    await adopt(site, nas, read)
    await site.projector.project_one("nas", nas["nas_id"])
    reply = await asking_as(site, address, secret).login(subscriber["username"], await site.password(subscriber))
    assert reply.code == "Access-Accept"


async def written_by_others(site: Site, address: str, **columns: str) -> None:
    """As after a restore of FreeRADIUS' database from the time before: nothing says that we wrote there."""
    mine = (radius_projection.c.kind == "nas") & (radius_projection.c.name == address)
    async with site.radius_database.begin() as db:
        await db.execute(delete(radius_projection).where(mine))
        await db.execute(delete(nas_table).where(nas_table.c.nasname == address))
    await known_before(site, address=address)
    if columns:
        async with site.radius_database.begin() as db:
            await db.execute(update(nas_table).where(nas_table.c.nasname == address).values(columns))


async def test_what_others_write_there_later_is_theirs_until_it_is_taken_over_anew(site: Site) -> None:
    address = await known_before(site)
    nas = await defined(site, address)
    await adopt(site, nas)
    await site.projector.project_one("nas", nas["nas_id"])

    async def ours(_address: str) -> None:
        return None

    assert await adopt(site, nas, ours) is False
    await written_by_others(site, address)
    with pytest.raises(ForeignRows, match="let `firstlight nas adopt` take it over"):
        await site.projector.project_one("nas", nas["nas_id"])
    assert await row_of(site, address) == ("old-name", "other", THEIRS)
    assert await adopt(site, nas) is True
    await site.projector.project_one("nas", nas["nas_id"])
    assert await row_of(site, address) == (nas["name"], "mikrotik", THEIRS)


async def test_what_another_isp_has_written_is_not_taken_over_whatever_the_ledger_says(site: Site) -> None:
    address = await known_before(site)
    nas = await defined(site, address)
    await adopt(site, nas)
    await written_by_others(site, address, description="Firstlight another/bng-1")
    try:
        with pytest.raises(NothingToAdopt, match="its row says that Firstlight has written it for another ISP"):
            await secret_to_adopt(site.radius_database.read, address, tenant_id=site.tenant_id)
        with pytest.raises(ForeignRows) as refused:
            await site.projector.project_one("nas", nas["nas_id"])
    finally:
        await written_by_others(site, address)
    assert str(refused.value) == (
        f"The radius database has a nas {address} of another ISP, for which Firstlight wrote it. Nothing was changed:"
        " use another address."
    )


async def test_at_an_address_of_another_isp_nobody_is_told_to_take_it_over(site: Site) -> None:
    theirs = await site.nas()
    mine = (radius_projection.c.kind == "nas") & (radius_projection.c.name == theirs.source_address)
    async with site.radius_database.begin() as db:
        await db.execute(update(radius_projection).where(mine).values(tenant_id="another", source_id=1))
    nas = await defined(site, site.backend.free_nas_address())
    async with site.database.begin() as db:
        await db.execute(update(Nas).where(Nas.address == theirs.source_address).values(address="192.0.2.77"))
        await site.service(db).change_nas(name=nas["name"], said={"address": theirs.source_address})
    with pytest.raises(ForeignRows, match="of another ISP, for which Firstlight wrote it") as refused:
        await site.projector.project_one("nas", nas["nas_id"])
    assert "adopt" not in str(refused.value)
    async with site.radius_database.begin() as db:
        await db.execute(delete(radius_projection).where(mine))
        await db.execute(delete(nas_table).where(nas_table.c.nasname == theirs.source_address))


@pytest.mark.parametrize("kind", ["postgresql"])  # on SQLite the second one has not begun yet
async def test_a_nas_that_is_given_another_address_meanwhile_does_not_get_the_secret_of_its_former_one(
    site: Site,
) -> None:
    address, other = await known_before(site), site.backend.free_nas_address()
    nas = await defined(site, address)

    async def moved_meanwhile(_address: str) -> str:
        async with site.database.begin() as db:
            await site.service(db).change_nas(name=nas["name"], said={"address": other})
        return THEIRS

    with pytest.raises(NothingToAdopt, match="was given another address just now"):
        await adopt(site, nas, moved_meanwhile)
    async with site.database.begin() as db:
        assert await site.secrets.reveal(db, nas["secret"]) != THEIRS
