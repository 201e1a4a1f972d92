"""What no run will carry over any more is carried over all the same: by the worker's clock, or at a person's word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update

from provisioning import projections, subscriber_files
from provisioning.bootstrap import Appliance, open_appliance
from provisioning.worker import Pace, open_worker
from radius import GivingWay, PlanTerms, RadiusDatabaseUnavailable, SubscriberUnknown
from radius.projection import standing
from radius.projection.freeradius_tables import nas as nas_rows
from radius.projection.freeradius_tables import (
    radcheck,
    radgroupcheck,
    radgroupreply,
    radius_line,
    radius_projection,
    radreply,
    radusergroup,
)
from radius.tables import Nas, Plan, Subscriber
from tests.support.busy_log import BusyLog
from tests.support.healthy_estate import HealthyEstate

DONE, WAITING, HELD = "c1001-s1@isp.example", "c1002-s2@isp.example", "c1003-s3@isp.example"
CANCELLED = "c1004-s4@isp.example"
NBI = "http://127.0.0.1:1"


@pytest.fixture
async def appliance(estate: HealthyEstate, tmp_path: Path) -> AsyncIterator[Appliance]:
    async with open_appliance(estate.copy(tmp_path / "copy", genieacs_nbi_url=NBI)) as opened:
        yield opened


async def change(appliance: Appliance, *usernames: str) -> None:
    """We want something else now, and nobody has told FreeRADIUS."""
    async with appliance.database.begin() as db:
        await db.execute(
            update(Subscriber)
            .where(Subscriber.username.in_(usernames))
            .values(framed_ipv4=None, framed_pool="dynamic-1", version=Subscriber.version + 1)
        )


async def all_projected(appliance: Appliance) -> projections.ProjectedAll:
    return await appliance.projections.project_all(await appliance.projections.look_at_all())


async def drifted(appliance: Appliance) -> list[str]:
    return sorted(drift.name for drift in await appliance.projector.drift())


async def test_a_change_in_nobodys_hands_is_carried_over_and_a_runs_own_is_left_to_it(appliance: Appliance) -> None:
    await change(appliance, DONE, WAITING, HELD)
    assert await appliance.projections.catch_up() == 2
    assert await drifted(appliance) == [WAITING]
    assert await appliance.projections.catch_up() == 0


async def test_a_plan_and_a_nas_that_are_behind_are_carried_over(appliance: Appliance) -> None:
    async with appliance.database.begin() as db:
        for table in (Plan, Nas):
            await db.execute(update(table).values(version=table.version + 1))
        await db.execute(update(Plan).values(vrf="home"))
        await db.execute(update(Nas).values(dialect="cisco"))
    names = await drifted(appliance)
    assert await appliance.projections.catch_up() == 0
    assert (len(names) > 1, await drifted(appliance)) == (True, [])


async def test_a_subscriber_who_cannot_be_projected_does_not_stop_the_others(appliance: Appliance) -> None:
    await change(appliance, DONE, HELD)
    async with appliance.database.begin() as db:
        await appliance.vault.discard(db, "secret:subscriber/1")
    assert await appliance.projections.catch_up() == 1
    done = await all_projected(appliance)
    assert (done.projected, done.changed) == (3, [])
    assert [(name, "secret:subscriber/1" in reason) for name, reason in done.failed] == [(DONE, True)]


async def test_a_nas_that_cannot_be_projected_stops_neither_the_other_nases_nor_a_subscriber(
    appliance: Appliance,
) -> None:
    """One whose secret is gone, one whose address has rows that are not ours, and a good one behind both."""
    async with appliance.database.begin() as db:
        service = appliance.services(db).radius_service
        for number in (1, 2, 3):
            await service.define_nas(name=f"bng-{number}", address=f"10.9.0.{number}", dialect="mikrotik")
        first = await db.scalar(select(Nas.id).where(Nas.name == "bng-1"))
        await appliance.vault.discard(db, f"secret:nas/{first}")
    async with appliance.radius_database.begin() as db:
        theirs = {"nasname": "10.9.0.2", "shortname": "theirs", "type": "other", "secret": "0123456789abcdef"}
        await db.execute(insert(nas_rows).values(theirs))
    await change(appliance, DONE)
    assert await appliance.projections.catch_up() == 1
    async with appliance.radius_database.read() as db:
        shown = (await db.scalars(select(nas_rows.c.shortname).where(nas_rows.c.nasname.like("10.9.%")))).all()
    assert sorted(shown) == ["bng-3", "theirs"]


async def test_many_are_carried_over_batch_by_batch_and_a_plan_that_is_changed_meanwhile_with_them(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projections, "AT_ONCE", 40)
    monkeypatch.setattr(projections, "MANY_NEW", 90)
    lines = "".join(f"many-{number}@isp.example,{7000 + number},fiber-300\n" for number in range(110))
    file = await subscriber_files.opened(f"username,customer_id,plan\n{lines}".encode())
    async with appliance.database.begin() as db:
        await appliance.subscriber_import(db).bring_in(file.lines)
    await change(appliance, DONE)
    rested: list[float] = []

    async def sleep(seconds: float) -> None:
        rested.append(seconds)
        async with appliance.database.begin() as db:
            await db.execute(update(Plan).values(version=Plan.version + 1, vrf=f"home-{len(rested)}"))

    appliance.projections._giving_way = GivingWay(BusyLog(), sleep=sleep)
    assert await appliance.projections.catch_up() == 111
    assert (len(rested), await drifted(appliance)) == (2, [])


async def test_a_worker_carries_over_what_an_ended_run_has_left(appliance: Appliance) -> None:
    await change(appliance, DONE)
    async with open_worker(appliance, pace=Pace(catch_up_every_seconds=0.05)), asyncio.timeout(30):
        while await behind(appliance):  # noqa: ASYNC110 - the worker's clock beats without a word to us
            await asyncio.sleep(0.05)
    assert await drifted(appliance) == []


async def behind(appliance: Appliance) -> dict[str, int]:
    async with appliance.database.read() as db:
        return await appliance.services(db).radius_service.subscriber_ids(unprojected=True)


async def test_rows_that_somebody_changed_by_hand_are_put_right_at_a_word(appliance: Appliance) -> None:
    async with appliance.radius_database.begin() as db:
        await db.execute(delete(radcheck).where(radcheck.c.username.in_([DONE, WAITING])))
    assert await appliance.projections.catch_up() == 0
    shown = await appliance.projections.project(DONE)
    assert (shown["state"], shown["changed"]) == ("active", True)
    assert await drifted(appliance) == [WAITING]
    done = await all_projected(appliance)
    assert (done.projected, done.changed, done.failed) == (4, [WAITING], [])
    assert await drifted(appliance) == []
    with pytest.raises(SubscriberUnknown, match="subscriber nobody"):
        await appliance.projections.project("nobody@isp.example")


async def test_a_name_that_was_given_back_and_taken_again_is_its_present_owners(appliance: Appliance) -> None:
    async with appliance.database.begin() as db:
        radius = appliance.services(db).radius_service
        ended = (await radius.subscriber_named(username=CANCELLED))["subscriber_id"]
        await db.execute(update(Subscriber).where(Subscriber.id == ended).values(version=Subscriber.version + 1))
        created = await radius.create_subscriber(customer_id=1004, username=CANCELLED, bandwidth_profile="fiber-300")
        assert await radius.subscriber_ids(unprojected=True) == {CANCELLED: created["subscriber_id"]}
    assert await appliance.projections.catch_up() == 1
    assert await behind(appliance) == {}  # the ended one's wish is nobody's any more
    async with appliance.radius_database.read() as db:
        found = await db.execute(select(radcheck.c.attribute, radcheck.c.value).where(radcheck.c.username == CANCELLED))
        assert found.all() == [("Auth-Type", "Reject")]


async def test_a_radius_database_that_is_away_is_tried_again_at_the_next_beat(
    estate: HealthyEstate, tmp_path: Path
) -> None:
    settings = estate.copy(tmp_path / "copy")
    away = settings.model_copy(
        update={"radius_database_url": f"sqlite+aiosqlite:///{tmp_path}", "radius_database_schema": None}
    )
    async with open_appliance(away) as cut_off:
        await change(cut_off, DONE, HELD)
        assert await cut_off.projections.catch_up() == 0
        with pytest.raises(RadiusDatabaseUnavailable):
            await all_projected(cut_off)
    async with open_appliance(settings) as appliance:
        assert await appliance.projections.catch_up() == 2


EVERY_TABLE = (radcheck, radreply, radusergroup, radgroupreply, radgroupcheck, nas_rows, radius_line, radius_projection)


@pytest.mark.parametrize("many", [2, 100])
async def test_a_radius_database_that_was_lost_is_whole_again_at_a_word(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    """Names of the terminated, plans and NASes as well, whether so few or so many."""
    monkeypatch.setattr(projections, "MANY", many)
    async with appliance.radius_database.begin() as db:
        ledger = select(radius_projection.c.name).order_by(radius_projection.c.name)
        names = list(await db.scalars(ledger))
        for table in EVERY_TABLE:
            await db.execute(delete(table))
    lost = await drifted(appliance)
    looked: list[int] = []
    unlike = await appliance.projections.look_at_all(looked=looked.append)
    assert (sum(looked), unlike.names, len(unlike.subscribers)) == (4, 4, 4)
    done_one_by_one: list[int] = []
    done = await appliance.projections.project_all(unlike, progress=done_one_by_one.append)
    assert (done.projected, done.failed, sum(done_one_by_one)) == (4, [], 4)
    assert [name for name in done.changed if " " in name] == ["plan fiber-300", "plan fiber-pool", "nas bng-north"]
    assert [name for name in done.changed if " " not in name] == [name for name in lost if "@" in name]
    async with appliance.radius_database.read() as db:
        assert (await drifted(appliance), list(await db.scalars(ledger))) == ([], names)
    again = await all_projected(appliance)
    assert (again.projected, again.definitions, again.changed) == (4, done.definitions, [])


async def test_of_many_those_with_a_later_wish_than_a_restored_database_has_are_taken_back(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projections, "MANY", 2)
    mine = radius_projection.c.name.in_([DONE, HELD])
    async with appliance.radius_database.begin() as db:
        ages = select(radius_projection.c.name, radius_projection.c.version).where(mine)
        before = (await db.execute(ages)).all()
        await db.execute(update(radius_projection).where(mine).values(version=radius_projection.c.version + 7))
        await db.execute(delete(radreply).where(radreply.c.username == HELD))
    done = await all_projected(appliance)
    assert (done.projected, done.changed, done.failed) == (4, [HELD], [])
    async with appliance.radius_database.read() as db:
        assert ((await db.execute(ages)).all(), await drifted(appliance)) == (before, [])


async def test_of_many_one_whose_password_does_not_open_is_named_and_the_others_are_put_right(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projections, "MANY", 2)
    async with appliance.radius_database.begin() as db:
        await db.execute(delete(radcheck).where(radcheck.c.username.in_([DONE, WAITING, HELD])))
    async with appliance.database.begin() as db:
        await appliance.vault.discard(db, "secret:subscriber/1")
    done = await all_projected(appliance)
    assert (done.projected, done.changed) == (3, sorted([WAITING, HELD]))
    assert [(name, "secret:subscriber/1" in reason) for name, reason in done.failed] == [(DONE, True)]


async def test_of_many_one_who_was_renamed_has_the_new_name_alone(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FreeRADIUS' tables are of before that."""
    monkeypatch.setattr(projections, "MANY", 2)
    renamed = "new-name@isp.example"
    async with appliance.database.begin() as db:
        mine = update(Subscriber).where(Subscriber.username == DONE)
        await db.execute(mine.values(username=renamed, version=Subscriber.version + 1))
    async with appliance.radius_database.begin() as db:
        await db.execute(delete(radcheck).where(radcheck.c.username == HELD))
    done = await all_projected(appliance)
    assert (done.projected, done.changed, done.failed) == (4, sorted([renamed, HELD]), [])
    async with appliance.radius_database.read() as db:
        names = set(await db.scalars(select(radcheck.c.username)))
    assert (renamed in names, DONE in names, await drifted(appliance)) == (True, False, [])


async def test_of_many_who_are_on_a_plan_that_cannot_be_written_are_named_and_others_are_not(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projections, "MANY", 2)
    monkeypatch.setattr(standing, "NAMES_AT_ONCE", 3)
    async with appliance.database.begin() as db:
        radius = appliance.services(db).radius_service
        await radius.define_plan(name="other", terms=PlanTerms(1000, 1000))
        other = await db.scalar(select(Plan.id).where(Plan.name == "other"))
        await db.execute(update(Subscriber).where(Subscriber.username == DONE).values(plan_id=other))
        first = await db.scalar(select(Nas.id))
        await appliance.vault.discard(db, f"secret:nas/{first}")
        nas = await db.scalar(select(Nas.name))
    async with appliance.radius_database.begin() as db:
        theirs = {"groupname": "default/other", "attribute": "Class", "op": ":=", "value": "theirs"}
        await db.execute(insert(radgroupreply).values(theirs))
        await db.execute(delete(radcheck).where(radcheck.c.username.in_([DONE, WAITING, HELD])))
    done = await all_projected(appliance)
    assert (done.projected, done.changed) == (3, sorted([WAITING, HELD]))
    assert sorted(name for name, _ in done.failed) == sorted(["plan other", f"nas {nas}", DONE])
    assert sum("Firstlight did not write" in reason for _, reason in done.failed) == 2


async def test_of_many_a_line_that_logs_in_for_nobody_we_know_of_makes_its_name_somebody_elses(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projections, "MANY", 2)
    async with appliance.radius_database.begin() as db:
        for table in EVERY_TABLE:
            await db.execute(delete(table))
        await db.execute(insert(radius_line).values(username=DONE, line="circuit stray"))
    done = await all_projected(appliance)
    assert (done.projected, [name for name, _ in done.failed]) == (3, [DONE])
