"""A long import beside those who log in."""

from __future__ import annotations

from itertools import chain, repeat

import pytest
from sqlalchemy import event, text

from provisioning import projections
from provisioning.bootstrap import Appliance
from provisioning.subscriber_files import bring_in, check
from radius import LoginLog, read_subscribers
from tests.support.healthy_estate import HealthyEstate

LIST = ["username,customer_id,plan\n", *(f"n{each}@isp.example,7{each},fiber-300\n" for each in range(3))]


async def test_an_import_rests_between_its_batches_while_many_log_in(
    spoilable: Appliance, estate: HealthyEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = chain([0, 5000], repeat(5000))

    async def newest_id(_log: LoginLog) -> int:
        return next(newest)

    monkeypatch.setattr(LoginLog, "newest_id", newest_id)
    rested: list[float] = []

    async def sleep(seconds: float) -> None:
        rested.append(seconds)

    list_ = read_subscribers(LIST)
    done = await bring_in(
        spoilable, list_, batch=1, audited=lambda _counts: None, sleep=sleep, customers_elsewhere=True
    )
    assert (done.created, done.failed) == (3, [])
    assert 1 <= len(rested) <= 2  # for those of the last two seconds, however many batches these had
    assert 0 < rested[0] <= 20  # so long, or sixteen times as long as the batch took


@pytest.mark.both_databases
async def test_who_came_in_is_counted_anew_at_each_doubling_and_at_the_end(
    spoilable: Appliance, estate: HealthyEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or PostgreSQL goes on by plans that were made while the tables were empty."""
    monkeypatch.setattr(projections, "MANY_NEW", 2)
    lines, counted = len(LIST) * 3, list[tuple[int, str]]()
    list_ = [LIST[0], *(f"d{each}@isp.example,8{each},fiber-300\n" for each in range(lines))]
    done = list[int]()

    def execute(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("ANALYZE"):
            counted.append((sum(done), statement.split()[1].strip(",")))

    for database in (spoilable.database, spoilable.radius_database):
        event.listen(database.engine.sync_engine, "before_cursor_execute", execute)
    await bring_in(
        spoilable,
        read_subscribers(list_),
        batch=1,
        audited=lambda _counts: None,
        progress=done.append,
        customers_elsewhere=True,
    )
    doubled = [2, 4, 8, lines] if spoilable.database.is_postgresql else []
    for table in ("radius_subscriber", "radcheck"):
        assert [so_many for so_many, counted_table in counted if counted_table == table] == doubled


async def test_a_line_of_a_service_that_lacks_a_part_is_told_so_and_not_that_it_holds_nothing(
    spoilable: Appliance, estate: HealthyEstate
) -> None:
    async with spoilable.database.begin() as db:
        pools = "SELECT id FROM ipam_pool WHERE kind = 'ipv6_pd'"
        await db.execute(text(f"DELETE FROM ipam_allocation WHERE service_id = 1 AND pool_id IN ({pools})"))
    lines = [
        "username,customer_id,plan,service_id\n",
        *(f"n{each}@isp.example,7,fiber-300,{each}\n" for each in (1, 99)),
    ]

    checked = await check(spoilable, read_subscribers(lines), customers_elsewhere=True)

    of_services = {number: [each for each in told if "ervice" in each] for number, told in checked.faults.items()}
    assert of_services == {
        2: [
            "service_id: Service 1 is active but holds nothing of a pool of delegated prefixes, which its plan needs."
            " Somebody has changed the tables by hand. Release the service and allocate it again."
        ],
        3: ["service_id: no service 99 holds addresses"],
    }
