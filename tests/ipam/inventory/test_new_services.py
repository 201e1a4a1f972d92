"""What services that come with a file log in as, and how they are told apart from all others."""

from __future__ import annotations

from typing import Any

import pytest
from pytest import MonkeyPatch
from sqlalchemy import select

from ipam import ImportCounts, ImportRefused, read_import
from ipam.inventory import new_services
from ipam.tables import Service
from tests.ipam.conftest import Network, lines_of, one_pool

NAMES = "value,customer_id,username,location,plan\n"


@pytest.fixture
async def isp(empty: Network) -> Network:
    await empty.apply(one_pool())
    return empty


async def usernames(isp: Network) -> dict[int, str]:
    async with isp.database.read() as db:
        rows = select(Service.service_id, Service.username).where(Service.tenant_id == isp.tenant_id)
        return {service_id: username for service_id, username in await db.execute(rows)}


async def tried_and_brought_in(isp: Network, lines: str) -> ImportCounts:
    """A dry run finds nothing wrong, and comes to the same."""
    file = read_import(lines_of(NAMES + lines), "csv")
    async with isp.database.read() as db:
        checked = await isp.inventory(db).check(file)
    counts = await isp.bring_in(NAMES + lines)
    assert (checked.faults, checked.counts) == ({}, counts)
    return counts


async def test_a_username_that_is_made_up_is_none_of_another_line_of_the_file(isp: Network) -> None:
    lines = "192.0.2.5,7,c7-s2@isp.example,LOC-1,fiber-100\n192.0.2.6,7,,LOC-3,fiber-100\n"
    lines += "192.0.2.7,8,,LOC-3,fiber-100\n192.0.2.8,8,c8-s1@isp.example,LOC-1,fiber-100\n"

    counts = await tried_and_brought_in(isp, lines)

    assert counts["services"] == 4
    names = await usernames(isp)
    assert {name.partition("-")[0] for name in names.values()} == {"c7", "c8"}
    made_up = {number: name for number, name in names.items() if name.endswith(f"-s{number}@isp.example")}
    assert sorted(name.partition("-")[0] for name in made_up.values()) == ["c7", "c8"]
    assert (await isp.bring_in(NAMES + lines))["unchanged"] == 4
    assert await isp.violations() == []


async def test_a_username_that_is_made_up_is_nobodys_of_any_isp_on_the_database(isp: Network) -> None:
    other = Network(isp.database, tenant_id="other")
    await other.apply(one_pool())
    taken = [f"192.0.2.{n},{n},c7-s{n + 1}@isp.example,LOC-1,fiber-100\n" for n in range(3, 14)]
    await isp.bring_in(NAMES + "".join(taken[:5]))
    await other.bring_in(NAMES + "".join(taken[5:]))  # with services 1..11 these names are c7-s4 .. c7-s14

    for each, value in ((isp, "192.0.2.13"), (other, "192.0.2.3")):
        assert (await tried_and_brought_in(each, f"{value},7,,LOC-3,fiber-100\n"))["services"] == 1

    for each in (isp, other):
        number, name = max((await usernames(each)).items())
        assert (number > 14, name) == (True, f"c7-s{number}@isp.example")


async def test_a_username_that_is_made_up_is_another_one_where_an_isp_that_we_do_not_see_has_it(
    isp: Network, monkeypatch: MonkeyPatch
) -> None:
    async def sees_nothing(*_: Any) -> set[str]:
        return set()

    other = Network(isp.database, tenant_id="other")
    await other.apply(one_pool())
    await other.bring_in(NAMES + "".join(f"192.0.2.{n},{n},c7-s{n}@isp.example,LOC-1,fiber-100\n" for n in (3, 4)))
    monkeypatch.setattr(new_services, "_logging_in", sees_nothing)

    await tried_and_brought_in(isp, "192.0.2.5,7,,LOC-1,fiber-100\n192.0.2.6,8,,LOC-1,fiber-100\n")

    assert sorted((await usernames(isp)).values()) == ["c7-s5@isp.example", "c8-s4@isp.example"]
    monkeypatch.setattr(new_services, "MOST_NAMES", 1)
    await other.bring_in(NAMES + "192.0.2.8,8,c9-s7@isp.example,LOC-1,fiber-100\n")
    with pytest.raises(ImportRefused) as refused:
        await isp.bring_in(NAMES + "192.0.2.7,9,,LOC-3,fiber-100\n")
    words = "which would be made up for it, is a service's of another ISP, on the same database"
    assert refused.value.by_line == {2: (f"username c9-s7@isp.example, {words}",)}


async def test_a_username_that_a_service_of_ours_has_got_meanwhile_is_told_as_its(
    isp: Network, monkeypatch: MonkeyPatch
) -> None:
    given, write = await isp.allocate(1, ip_address="192.0.2.4"), new_services._written_but

    async def and_meanwhile(rows: Any, services: Any, at: Any) -> Any:
        service = await rows.db.get(Service, given["service_id"])
        service.username = "ada"
        await rows.db.flush()
        return await write(rows, services, at)

    monkeypatch.setattr(new_services, "_written_but", and_meanwhile)
    with pytest.raises(ImportRefused) as refused:
        await isp.bring_in(NAMES + "192.0.2.9,5,ada,LOC-1,fiber-100\n")
    assert refused.value.by_line == {2: (f"username ada is service {given['service_id']}'s",)}


async def test_a_name_that_a_service_had_before_it_was_renamed_may_come_with_another_file(isp: Network) -> None:
    lines = "192.0.2.5,5,bob,LOC-1,fiber-100\n"
    await isp.bring_in(NAMES + lines)
    await isp.keep("rename_service", service_id=1, username="bobby")

    await tried_and_brought_in(isp, "192.0.2.6,6,bob,LOC-3,fiber-100\n")

    assert await usernames(isp) == {1: "bobby", 2: "bob"}
    assert (await isp.bring_in(NAMES + lines.replace("bob", "bobby")))["unchanged"] == 1
    async with isp.database.read() as db:
        assert await isp.inventory(db).imported_service_ids() == [1, 2]
    assert await isp.violations() == []
