"""Who had a name when: also one that gave it up and took it back, and one that was terminated and came back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, update

from radius import HeldName, SubscriberVerbs, UsernameTaken
from radius.projection.freeradius_tables import radacct
from radius.subscribers.former_names import given_up_by, nobody_elses
from radius.subscribers.name_holders import names_of_each
from radius.tables import FormerUsername
from tests.radius.conftest import PLAN, Site

pytestmark = pytest.mark.both_databases

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def day(number: int) -> datetime:
    return BEGIN + timedelta(days=number)


@dataclass
class Names:
    """Subscribers of one customer, who are made, renamed and terminated on a day."""

    site: Site

    async def made(self, name: str, since: int, *, request_id: str | None = None) -> int:
        async with self.site.database.begin() as db:
            service = self.site.service(db)
            service._now = lambda: day(since)
            made = await service.create_subscriber(
                customer_id=7, username=name, bandwidth_profile=PLAN, request_id=request_id
            )
            await service.activate(subscriber_id=made["subscriber_id"])
        return made["subscriber_id"]

    async def renamed(self, number: int, name: str, on: int) -> None:
        async with self.site.database.begin() as db:
            verbs = SubscriberVerbs(db, tenant_id=self.site.tenant_id, now=lambda: day(on), secrets=self.site.secrets)
            await verbs.rename(subscriber_id=number, username=name)
            await db.execute(update(FormerUsername).values(free_at=day(on)))

    async def terminated(self, number: int) -> None:
        async with self.site.database.begin() as db:
            await self.site.service(db).terminate(subscriber_id=number)

    async def held(self, number: int) -> Mapping[str, HeldName]:
        async with self.site.database.read() as db:
            every = await names_of_each(db, self.site.tenant_id, [number])
        return {each.username: each for each in every[number]}


@pytest.fixture
def names(site: Site) -> Names:
    return Names(site)


def own_days(held: HeldName, until: int) -> list[int]:
    """The days on which a session without a Class that began then is its owner's."""
    return [number for number in range(until) if not held.is_anothers(None, day(number) + timedelta(hours=1))]


async def test_a_name_that_was_taken_back_was_its_owners_the_first_time_too(names: Names) -> None:
    a, b, c, d = (names.site.new_username() for _ in range(4))
    anna = await names.made(a, 0)
    await names.renamed(anna, b, 2)
    bob = await names.made(a, 3)
    await names.renamed(anna, c, 4)
    await names.renamed(bob, d, 6)
    await names.renamed(anna, a, 8)

    hers, his = await names.held(anna), await names.held(bob)
    assert (list(hers), list(his)) == ([a, c, b], [d, a])
    assert own_days(hers[a], 10) == [0, 1, 2, 8, 9]
    assert own_days(his[a], 10) == [3, 4, 5, 6, 7]
    assert hers[a].spans == [(None, day(3)), (day(8), None)]
    assert his[a].spans == [(day(3), day(8))]
    assert [[each.since for each in hers[name].holders] for name in (b, c)] == [[day(2)], [day(4)]]
    assert [hers[name].is_shared for name in (a, b, c)] == [True, False, False]
    async with names.site.database.read() as db:
        assert set(await nobody_elses(db, names.site.tenant_id, anna)) == {b, c}
        assert await given_up_by(db, names.site.tenant_id, [anna]) == {anna: {b: True, c: True}}

    await names.renamed(anna, b, 9)
    again = await names.held(anna)
    assert list(again) == [b, a, c]
    assert own_days(again[a], 10) == [0, 1, 2, 8, 9]
    with pytest.raises(UsernameTaken):
        async with names.site.database.begin() as db:
            await names.site.service(db).create_subscriber(customer_id=8, username=a, bandwidth_profile=PLAN)


async def test_one_that_was_terminated_and_is_ordered_anew_has_its_later_sessions(names: Names) -> None:
    name = names.site.new_username()
    anna = await names.made(name, 0, request_id=name)
    await names.terminated(anna)
    bob = await names.made(name, 3)
    await names.terminated(bob)
    assert await names.made(name, 6, request_id=name) == anna

    assert own_days((await names.held(anna))[name], 9) == [0, 1, 2, 6, 7, 8]
    assert own_days((await names.held(bob))[name], 9) == [3, 4, 5]
    async with names.site.database.read() as db:
        assert await given_up_by(db, names.site.tenant_id, [anna]) == {}


async def test_nothing_is_kept_of_one_whose_name_nobody_had_meanwhile(names: Names) -> None:
    name = names.site.new_username()
    anna = await names.made(name, 0, request_id=name)
    await names.terminated(anna)
    assert await names.made(name, 6, request_id=name) == anna
    held = (await names.held(anna))[name]
    assert (len(held.holders), held.is_shared) == (1, False)


async def test_the_last_session_of_a_name_is_looked_for_in_each_time_that_its_owner_had_it(names: Names) -> None:
    a, b = names.site.new_username(), names.site.new_username()
    anna = await names.made(a, 0)
    await names.renamed(anna, b, 2)
    bob = await names.made(a, 3)
    await names.terminated(bob)
    await names.renamed(anna, a, 8)
    async with names.site.radius_database.begin() as db:
        for number in (1, 5):
            began = day(number)
            row = {"acctsessionid": f"S-{number}", "acctuniqueid": f"{a}-{number}", "username": a}
            times = {"acctstarttime": began, "acctupdatetime": began, "acctstoptime": began + timedelta(hours=1)}
            await db.execute(insert(radacct).values(**row, **times, nasipaddress="192.0.2.7"))
    last = [await names.site.sessions.last_session_of((await names.held(number))[a]) for number in (anna, bob)]
    assert [each and each.session_id for each in last] == ["S-1", "S-5"]
