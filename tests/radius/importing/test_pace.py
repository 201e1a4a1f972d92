"""Work on thousands of subscribers rests while many log in, and comes to its end."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from radius import GivingWay, LoginLog
from radius.importing.pace import rest_seconds
from radius.logins.tables import radius_login
from tests.radius.conftest import Site


class BurstLog(LoginLog):
    newest = 0

    def __init__(self) -> None:
        """It needs no database."""

    async def newest_id(self) -> int:
        return self.newest


@pytest.mark.parametrize(
    ("logins", "rest"),
    [(0, 0.0), (10, 0.04), (1000, 4.0), (1_000_000, 32.0), (-3, 0.0)],
    ids=["nobody", "a few", "many", "more than there is time for", "the log was emptied meanwhile"],
)
def test_a_batch_of_two_seconds_is_rested_from_by_how_many_logged_in(logins: int, rest: float) -> None:
    assert rest_seconds(2.0, logins) == rest


async def test_each_batch_but_the_first_waits_for_those_who_logged_in_during_the_last_one(site: Site) -> None:
    database = site.radius_database
    rested: list[float] = []
    clock = [0.0]

    async def sleep(seconds: float) -> None:
        rested.append(seconds)
        clock[0] += seconds

    way = GivingWay(LoginLog(database.read, database.begin), sleep=sleep, monotonic=lambda: clock[0])
    login = {
        "username": "nora",
        "accepted": True,
        "method": "pap",
        "nas_address": "10.0.0.1",
        "happened_at": site.now(),
    }
    async with database.begin() as db:  # what others have rolled back leaves numbers out, before this one
        await db.execute(insert(radius_login), [login])
    for logins in (250, 0, 500):
        async with way.batch(), database.begin() as db:
            clock[0] += 2.0
            if logins:
                await db.execute(insert(radius_login), [login] * logins)
    async with way.batch(), database.begin() as db:
        clock[0] += 2.0
        await db.execute(insert(radius_login), [login] * 375)
    assert rested == [1.0, 1.0]  # the 500 came within four seconds, of which it worked two
    clock[0] += 0.75
    await way.rest()
    assert rested == [1.0, 1.0, 0.25]
    await way.rest()
    assert rested == [1.0, 1.0, 0.25]


async def test_logins_that_come_into_the_log_many_at_once_count_for_each_batch_of_these_seconds() -> None:
    """As those that FreeRADIUS writes to files do: once a second."""
    log, clock, rested = BurstLog(), [0.0], list[float]()

    async def sleep(seconds: float) -> None:
        rested.append(round(seconds, 3))
        clock[0] += seconds

    way = GivingWay(log, sleep=sleep, monotonic=lambda: clock[0])
    for newest in (0, 500, 500, 500):
        async with way.batch():
            clock[0] += 0.5
            log.newest = newest
    assert rested == [1.0, 0.4]  # of the 500 half came while the second one worked, and a fifth with the third
    clock[0] += 60.0
    async with way.work():
        clock[0] += 0.5
    async with way.work():
        log.newest = 1000
        clock[0] += 0.5
    await way.rest()
    assert rested[2:] == [1.0]
