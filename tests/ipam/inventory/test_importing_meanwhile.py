"""What others do on PostgreSQL while a file is brought in: they wait for as little as can be, and nobody takes anything
away from anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import pytest
from pytest import MonkeyPatch
from sqlalchemy import event, func, select

from ipam import AllocatedResources, ImportCounts, ImportRefused, PoolBusy, StaticResources, read_import
from ipam.allocation import patience
from ipam.allocation.patience import OthersWereQuicker
from ipam.estate.rows import EstateRows
from ipam.inventory import importing, new_services, reading
from ipam.inventory.reading import Standing
from ipam.tables import Service
from ipam.units import UnitKey
from tests.ipam.conftest import Network, lines_of, one_pool
from tests.support.postgres import until_it_waits_for_us

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer

FILE = "value,customer_id,username,location,plan\n192.0.2.5,5,ada,LOC-1,fiber-100\n192.0.2.6,6,bob,LOC-3,fiber-100\n"
WRONG = f"{FILE}192.0.2.7,7,carl,nowhere,fiber-100\n"


@pytest.fixture
async def isp(empty: Network) -> Network:
    await empty.apply(one_pool("192.0.2.0/26", quarantine_seconds=0))
    return empty


def once_it_has_looked(monkeypatch: MonkeyPatch, act: Callable[[], Awaitable[Any]]) -> list[Any]:
    """What comes of the act when the import has looked for the first time."""
    look, done = reading.standing, list[Any]()

    async def and_meanwhile(rows: EstateRows, units: Collection[UnitKey]) -> Standing:
        seen = await look(rows, units)
        if not done:
            done.append(await act())
        return seen

    monkeypatch.setattr(importing, "standing", and_meanwhile)
    return done


async def services(isp: Network) -> int:
    async with isp.database.read() as db:
        return await db.scalar(select(func.count()).select_from(Service)) or 0


@pytest.mark.parametrize("file", [FILE, WRONG], ids=["brought_in", "refused"])
async def test_others_are_given_addresses_of_the_pool_while_a_file_is_looked_at(
    isp: Network, monkeypatch: MonkeyPatch, file: str
) -> None:
    given = once_it_has_looked(monkeypatch, lambda: isp.allocate(1, ip_address="192.0.2.9"))

    if file == WRONG:
        with pytest.raises(ImportRefused, match="no premise is known as 'nowhere'"):
            await isp.bring_in(file)
    else:
        assert (await isp.bring_in(file))["assigned"] == 2

    assert [each["ip_address"] for each in given] == ["192.0.2.9"]
    assert await isp.violations() == []


async def test_a_file_that_changes_nothing_locks_nothing_of_a_pool(isp: Network) -> None:
    await isp.bring_in(FILE)
    async with isp.database.begin() as db:
        again = await isp.inventory(db).bring_in(read_import(lines_of(FILE), "csv"))
        given = await isp.allocate(1)  # before the import has ended
    assert again["unchanged"] == 2
    assert given["ip_address"] not in FILE


async def test_what_somebody_has_got_since_a_file_was_looked_at_stays_his_and_nothing_is_written(
    isp: Network, monkeypatch: MonkeyPatch
) -> None:
    given = once_it_has_looked(monkeypatch, lambda: isp.allocate(1, ip_address="192.0.2.6"))

    with pytest.raises(ImportRefused) as refused:
        await isp.bring_in(FILE)

    [holder] = given
    words = f"held by service {holder['service_id']} ({holder['username']}, customer 1)"
    assert refused.value.by_line == {3: (f"192.0.2.6 of pool cgnat is {words}",)}
    assert (await services(isp), (await isp.usage("cgnat"))["assigned"]) == (1, 1)
    assert await isp.violations() == []


async def test_who_has_got_something_while_a_file_is_just_being_looked_at_is_named(
    isp: Network, monkeypatch: MonkeyPatch
) -> None:
    """Of what becomes of a unit its row is read first, and then its history."""
    look, given = reading.used_units, list[AllocatedResources]()

    async def and_meanwhile(*asked: Any) -> Any:
        seen = await look(*asked)
        if not given:
            isp.clock.forward(seconds=1)
            given.append(await isp.allocate(1, ip_address="192.0.2.6"))
        return seen

    monkeypatch.setattr(reading, "used_units", and_meanwhile)
    with pytest.raises(ImportRefused) as refused:
        await isp.bring_in(FILE)

    [holder] = given
    words = f"held by service {holder['service_id']} ({holder['username']}, customer 1)"
    assert refused.value.by_line == {3: (f"192.0.2.6 of pool cgnat is {words}",)}


async def test_what_somebody_has_had_since_a_file_was_looked_at_is_brought_in_with_that_history(
    isp: Network, monkeypatch: MonkeyPatch
) -> None:
    async def come_and_go() -> None:
        await isp.release((await isp.allocate(1, ip_address="192.0.2.6"))["service_id"])

    once_it_has_looked(monkeypatch, come_and_go)
    counts = await isp.bring_in(FILE)

    assert (counts["assigned"], counts["services"], await services(isp)) == (2, 2, 3)
    history = await isp.keep("history", pool="cgnat", value="192.0.2.6")
    assert [(each["what"], each["customer_id"]) for each in history] == [
        ("assigned", 1),
        ("released", 1),
        ("assigned", 6),
    ]
    assert await isp.violations() == []


async def test_nothing_but_what_is_taken_is_written_while_allocations_wait(isp: Network) -> None:
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(isp.database.engine.sync_engine, "before_cursor_execute", note)
    await isp.bring_in(FILE)

    locked = next(i for i, statement in enumerate(seen) if "ipam_free_range" in statement and "FOR UPDATE" in statement)
    written = [statement.split(maxsplit=3)[2] for statement in seen if statement.startswith("INSERT INTO")]
    behind = [statement.split(maxsplit=3)[2] for statement in seen[locked:] if statement.startswith("INSERT INTO")]
    assert written[: -len(behind)] == ["ipam_service", "ipam_allocation_event"]
    assert behind == ["ipam_free_range", "ipam_allocation"]


async def test_others_are_given_what_lies_in_other_ranges_of_the_pool_until_the_import_has_ended(isp: Network) -> None:
    """Also by its number, for which they have to split a range meanwhile."""
    async with isp.database.begin() as db:
        await isp.inventory(db).bring_in(read_import(lines_of(FILE), "csv"))
        given = [await isp.allocate(20, ip_address="192.0.2.58")]
        given += [await isp.allocate(customer) for customer in range(1, 20)]

    assert not {str(each["ip_address"]) for each in given} & {"192.0.2.5", "192.0.2.6"}
    assert (await isp.usage("cgnat"))["assigned"] == 22
    assert await isp.violations() == []


async def test_who_is_just_splitting_another_range_of_the_pool_is_not_waited_for(isp: Network) -> None:
    scattered = "".join(f"192.0.2.{2 * n},{n},u{n},LOC-1,fiber-100\n" for n in range(2, 20))
    async with isp.database.begin() as db:
        await isp.service(db).allocate_resources(
            customer_id=99,
            service_location="LOC-1",
            bandwidth_plan="fiber-100",
            static=StaticResources(ip_address="192.0.2.58"),
        )
        assert (await isp.bring_in(f"value,customer_id,username,location,plan\n{scattered}"))["assigned"] == 18

    assert (await isp.usage("cgnat"))["assigned"] == 19
    assert len({(await isp.allocate(100 + n))["ip_address"] for n in range(62 - 19)}) == 43
    assert (await isp.usage("cgnat"))["free"] == 0
    assert await isp.violations() == []


async def test_what_is_just_being_given_is_waited_for_and_stays_whose_it_is(isp: Network) -> None:
    async with isp.database.begin() as db:
        await isp.service(db).allocate_resources(
            customer_id=1, service_location="LOC-1", bandwidth_plan="fiber-100"
        )  # whichever it is: its range is locked
        taken = (await isp.service(db).resources(1))["ip_address"]
        file = f"value,customer_id,username,location,plan\n{taken},5,ada,LOC-1,fiber-100\n"
        task: asyncio.Task[ImportCounts] = asyncio.create_task(isp.bring_in(file))
        await until_it_waits_for_us(db, task)
    with pytest.raises(ImportRefused, match=f"{taken} of pool cgnat is held by service 1"):
        await task
    assert await services(isp) == 1
    assert await isp.violations() == []


async def come_and_go(isp: Network) -> None:
    """What has rested is somebody else's for a moment, and has to rest once more."""
    await isp.release((await isp.allocate(9, ip_address="192.0.2.6"))["service_id"])


@pytest.fixture
async def rested(empty: Network) -> Network:
    """Of the two addresses the second has cooled off, and the first cools off for whom the file has it."""
    await empty.apply(one_pool("192.0.2.0/26", quarantine_seconds=3600))
    await empty.release((await empty.allocate(8, ip_address="192.0.2.6"))["service_id"])
    empty.clock.forward(days=1)
    return empty


RESTS_AGAIN = {3: ("192.0.2.6 of pool cgnat is in quarantine until 2030-01-02 13:00:00 UTC",)}


async def test_what_has_rested_is_nobody_elses_from_when_the_import_looks_at_it_for_the_last_time(
    rested: Network, monkeypatch: MonkeyPatch
) -> None:
    look, refused = reading.used_units, list[str]()
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.0)

    async def and_then(*asked: Any) -> Any:
        seen = await look(*asked)
        with pytest.raises(PoolBusy) as busy:
            await come_and_go(rested)
        refused.append(busy.value.code)
        return seen

    monkeypatch.setattr(importing, "used_units", and_then)
    assert (await rested.bring_in(FILE))["assigned"] == 2
    assert len(refused) == 1
    assert await rested.violations() == []


async def test_what_has_rested_and_is_given_and_given_back_while_a_file_is_looked_at_behind_the_locks_rests_on(
    rested: Network, monkeypatch: MonkeyPatch
) -> None:
    write, times = new_services.write_services, list[int]()

    async def and_meanwhile(*given: Any, **more: Any) -> None:
        times.append(1)
        if len(times) == 1:
            raise OthersWereQuicker(["cgnat"])
        if len(times) == 2:
            await come_and_go(rested)
        await write(*given, **more)

    monkeypatch.setattr(importing, "write_services", and_meanwhile)
    with pytest.raises(ImportRefused) as refused:
        await rested.bring_in(FILE)
    assert refused.value.by_line == RESTS_AGAIN
    assert await rested.violations() == []
