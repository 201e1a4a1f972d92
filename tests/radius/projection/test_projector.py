"""The projection: safe to repeat and to race, repairable, honest about a database that does not answer."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.database import Database
from radius import (
    ForeignRows,
    RadiusDatabaseUnavailable,
    RadiusDatabaseUnfit,
    RadiusProjector,
    SubscriberUnknown,
    SubscriberView,
    drift_findings,
)
from radius.dialects import DIALECTS
from radius.ports import Begin
from radius.projection.freeradius_tables import nas, radcheck, radgroupreply, radius_projection, radreply, radusergroup
from radius.projection.radius_database import actual_rows
from radius.tables import Nas, Plan, Subscriber
from tests.radius.conftest import ADDRESSES, PLAN, Site, soon


async def _view(site: Site, subscriber_id: int) -> SubscriberView:
    async with site.database.begin() as db:
        return await site.service(db).subscriber(subscriber_id=subscriber_id)


async def _ids(site: Site, username: str) -> list[int]:
    async with site.radius_database.begin() as db:
        return [
            row_id
            for table in (radcheck, radreply, radusergroup)
            for row_id in await db.scalars(select(table.c.id).where(table.c.username == username).order_by(table.c.id))
        ]


def _projector(site: Site, *, begin: Begin | None = None, radius_begin: Begin | None = None) -> RadiusProjector:
    return RadiusProjector(
        begin or site.database.begin,
        radius_begin or site.radius_database.begin,
        tenant_id=site.tenant_id,
        now=site.now,
        secrets=site.secrets,
    )


async def test_a_projection_says_what_it_did_and_doing_it_again_changes_no_row(site: Site) -> None:
    subscriber = await site.create()
    first = await site.projector.project_subscriber(subscriber["subscriber_id"])
    rows = await _ids(site, subscriber["username"])
    again = await site.projector.project_subscriber(subscriber["subscriber_id"])

    assert (first["changed"], again["changed"]) == (True, False)
    assert first == {
        "subscriber_id": subscriber["subscriber_id"],
        "username": subscriber["username"],
        "state": "pending",
        "version": 1,
        "digest": again["digest"],
        "changed": True,
    }
    assert await _ids(site, subscriber["username"]) == rows
    assert (await _view(site, subscriber["subscriber_id"]))["projected"]


async def test_a_change_is_marked_until_it_is_projected(site: Site) -> None:
    subscriber = await site.active()
    async with site.database.begin() as db:
        changed = await site.service(db).return_to_pending(subscriber_id=subscriber["subscriber_id"])
    (drift,) = await site.projector.drift()
    await site.projector.project_subscriber(subscriber["subscriber_id"])

    assert not changed["projected"]
    assert (drift.name, drift.reason, drift.awaiting_projection) == (subscriber["username"], "different", True)
    assert (await _view(site, subscriber["subscriber_id"]))["projected"]
    assert await site.projector.drift() == []


async def test_a_subscribers_plan_is_there_before_it_is(site: Site) -> None:
    subscriber = await site.create()
    await site.projector.project_subscriber(subscriber["subscriber_id"])
    async with site.radius_database.begin() as db:
        groupname = radgroupreply.c.groupname
        groups = await db.scalars(select(groupname).where(groupname.startswith(site.tenant_id)).distinct())
    group = f"{site.tenant_id}/{PLAN}"
    assert sorted(groups) == [group, *(f"{group}:{dialect}" for dialect in sorted(DIALECTS))]


async def test_rows_that_somebody_changed_by_hand_are_found_and_repaired(site: Site) -> None:
    changed, emptied, doubled = [await site.active() for _ in range(3)]
    await site.projector.project_plans()
    async with site.radius_database.begin() as db:
        await db.execute(
            update(radreply)
            .where(radreply.c.username == changed["username"], radreply.c.attribute == "Framed-IP-Address")
            .values(value="100.64.66.66")
        )
        for table in (radcheck, radreply, radusergroup):
            await db.execute(delete(table).where(table.c.username == emptied["username"]))
        more = {"username": doubled["username"], "attribute": "Framed-IP-Address", "op": ":=", "value": "100.64.1.1"}
        await db.execute(insert(radreply).values(more))
        await db.execute(delete(radgroupreply).where(radgroupreply.c.groupname == f"{site.tenant_id}/{PLAN}:wispr"))
    found = {drift.name: (drift.kind, drift.reason) for drift in await site.projector.drift()}
    (plan,) = await site.projector.project_plans()
    for subscriber in (changed, emptied, doubled):
        assert (await site.projector.project_subscriber(subscriber["subscriber_id"]))["changed"]

    assert found == {
        changed["username"]: ("subscriber", "different"),
        emptied["username"]: ("subscriber", "missing"),
        doubled["username"]: ("subscriber", "different"),
        f"{site.tenant_id}/{PLAN}": ("plan", "different"),
    }
    assert plan["changed"]
    assert await site.projector.drift() == []


async def test_rows_without_a_subscriber_are_found(site: Site) -> None:
    restored = await site.active()
    intruder = site.new_username()
    async with site.database.begin() as db:  # the appliance's database came back from an older backup
        await db.execute(delete(Subscriber).where(Subscriber.username == restored["username"]))
    row = {"username": intruder, "attribute": "Cleartext-Password", "op": ":=", "value": "free-service"}
    async with site.radius_database.begin() as db:
        await db.execute(insert(radcheck).values(row))
    drifts = [drift for drift in await site.projector.drift() if drift.name in (restored["username"], intruder)]
    async with site.radius_database.begin() as db:
        await db.execute(delete(radcheck).where(radcheck.c.username == intruder))

    assert {drift.name: drift.reason for drift in drifts} == {restored["username"]: "extra", intruder: "foreign"}
    sentences = [finding.sentence for finding in drift_findings(drifts)]
    assert f"subscriber {intruder} has rows in FreeRADIUS' tables that Firstlight did not write." in sentences
    assert all("free-service" not in sentence for sentence in sentences)


async def test_a_username_that_is_in_the_radius_database_already_is_left_alone(site: Site) -> None:
    subscriber = await site.create()
    row = {"username": subscriber["username"], "attribute": "Cleartext-Password", "op": ":=", "value": "older-than-us"}
    async with site.radius_database.begin() as db:
        await db.execute(insert(radcheck).values(row))
    with pytest.raises(ForeignRows) as refused:
        await site.projector.project_subscriber(subscriber["subscriber_id"])
    async with site.radius_database.begin() as db:
        mine = select(radcheck.c.value).where(radcheck.c.username == subscriber["username"])
        kept = list(await db.scalars(mine))
        await db.execute(delete(radcheck).where(radcheck.c.username == subscriber["username"]))

    assert kept == ["older-than-us"]
    assert refused.value.tables == ("radcheck",)
    assert not (await _view(site, subscriber["subscriber_id"]))["projected"]


async def test_a_projector_that_was_frozen_does_not_put_an_older_wish_over_a_newer_one(site: Site) -> None:
    subscriber = await site.create()
    await site.test_until(subscriber["subscriber_id"], soon())
    frozen, thaw = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def slow_radius() -> AsyncIterator[AsyncSession]:
        if not frozen.is_set():  # it has read its wish and now stops before it writes
            frozen.set()
            await thaw.wait()
        async with site.radius_database.begin() as db:
            yield db

    slow = asyncio.create_task(
        _projector(site, radius_begin=slow_radius).project_subscriber(subscriber["subscriber_id"])
    )
    await frozen.wait()
    await site.projector.withdraw_subscriber(subscriber["subscriber_id"])
    thaw.set()
    late = await slow

    assert (late["state"], late["changed"]) == ("terminated", False)
    assert await _ids(site, subscriber["username"]) == []
    assert await site.projector.drift() == []


async def test_many_projectors_at_once_end_in_what_is_wished_and_one_of_them_has_done_it(site: Site) -> None:
    subscriber = await site.create()
    answers = await asyncio.gather(
        *(_projector(site).project_subscriber(subscriber["subscriber_id"]) for _ in range(6)),
    )
    plans = await asyncio.gather(*(_projector(site).project_plans() for _ in range(3)))

    assert [answer["changed"] for answer in answers].count(True) == 1
    assert {answer["digest"] for answer in answers} == {answers[0]["digest"]}
    assert [answer["changed"] for (answer,) in plans] == [False] * 3
    assert await site.projector.drift() == []


async def _table_rows(site: Site, username: str) -> dict[str, list[str]]:
    async with site.radius_database.begin() as db:
        rows = (await actual_rows(db, "subscriber", [username]))[username].values()
    return {
        table: sorted(dict(row.columns).get("attribute", "group") for row in rows if row.table == table)
        for table in ("radcheck", "radreply", "radusergroup")
    }


async def test_between_the_two_commits_of_a_withdrawal_every_login_is_refused(site: Site) -> None:
    subscriber = await site.active()
    password = await site.password(subscriber)
    nas_of_site = await site.nas()
    transactions = itertools.count(1)

    @asynccontextmanager
    async def dies_before_the_second() -> AsyncIterator[AsyncSession]:
        if next(transactions) > 1:
            raise RuntimeError("the process dies here")
        async with site.radius_database.begin() as db:
            yield db

    before = await _table_rows(site, subscriber["username"])
    with pytest.raises(RuntimeError):
        await _projector(site, radius_begin=dies_before_the_second).withdraw_subscriber(subscriber["subscriber_id"])
    between = await _table_rows(site, subscriber["username"])
    reply = await nas_of_site.login(subscriber["username"], password)
    repeated = await site.projector.withdraw_subscriber(subscriber["subscriber_id"])

    assert before["radcheck"] == ["Cleartext-Password"]
    assert between == {**before, "radcheck": ["Auth-Type"]}
    assert reply.code == "Access-Reject"
    assert (repeated["state"], repeated["changed"]) == ("terminated", True)
    assert await _ids(site, subscriber["username"]) == []
    assert await site.projector.drift() == []


async def test_between_the_two_commits_of_a_withdrawal_nobody_is_let_in_again(site: Site) -> None:
    """A projector that had read the wish before the withdrawal gets its turn just in between."""
    subscriber = await site.active()
    before_it, thaw = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def slow_radius() -> AsyncIterator[AsyncSession]:
        before_it.set()
        await thaw.wait()
        async with site.radius_database.begin() as db:
            yield db

    slow = asyncio.create_task(
        _projector(site, radius_begin=slow_radius).project_subscriber(subscriber["subscriber_id"])
    )
    await before_it.wait()
    transactions = itertools.count(1)

    @asynccontextmanager
    async def lets_the_other_go_first() -> AsyncIterator[AsyncSession]:
        if next(transactions) == 2:
            thaw.set()
            await slow
        async with site.radius_database.begin() as db:
            yield db

    last = await _projector(site, radius_begin=lets_the_other_go_first).withdraw_subscriber(subscriber["subscriber_id"])

    assert ((await slow)["state"], last["state"]) == ("terminated", "terminated")
    assert await _ids(site, subscriber["username"]) == []
    assert await site.projector.drift() == []


async def test_a_wish_that_is_read_again_is_not_put_over_one_that_came_after_the_reading(site: Site) -> None:
    """Old rows of a backup are overruled; what is wished while that is being decided is not."""
    subscriber = await site.active()
    async with site.database.begin() as db:
        mine = update(Subscriber).where(Subscriber.id == subscriber["subscriber_id"])
        await db.execute(mine.values(state="pending", version=1, projected_version=1))
    transactions = itertools.count(1)

    @asynccontextmanager
    async def overtaken() -> AsyncIterator[AsyncSession]:
        if next(transactions) == 2:
            async with site.database.begin() as db:
                await db.execute(mine.values(version=2))
            await site.activate(subscriber["subscriber_id"])
        async with site.radius_database.begin() as db:
            yield db

    late = await _projector(site, radius_begin=overtaken).project_subscriber(subscriber["subscriber_id"])

    assert (late["state"], late["version"], late["changed"]) == ("active", 3, False)
    assert await site.projector.drift() == []


async def test_plan_rows_that_somebody_took_away_are_there_again_before_the_subscriber_is(site: Site) -> None:
    first = await site.active()
    group = f"{site.tenant_id}/{PLAN}"
    async with site.radius_database.begin() as db:
        await db.execute(delete(radgroupreply).where(radgroupreply.c.groupname == f"{group}:mikrotik"))
    await site.active()

    assert await site.projector.drift() == []
    reply = await (await site.nas()).login(first["username"], await site.password(first))
    assert reply.rate_limit == "20000k/100000k"


async def test_after_an_old_backup_the_rows_follow_the_appliance_again(site: Site) -> None:
    subscriber = await site.active()
    async with site.database.begin() as db:
        mine = update(Subscriber).where(Subscriber.id == subscriber["subscriber_id"])
        await db.execute(mine.values(state="pending", version=1, projected_version=1))
    assert (await site.projector.project_subscriber(subscriber["subscriber_id"]))["changed"]
    assert await site.projector.drift() == []


async def test_the_withdrawal_of_an_ended_subscriber_spares_the_next_one_of_that_name(site: Site) -> None:
    first = await site.active()
    await site.projector.withdraw_subscriber(first["subscriber_id"])
    second = await site.create(first["username"])
    await site.activate(second["subscriber_id"])
    late = await site.projector.withdraw_subscriber(first["subscriber_id"])

    assert late["state"] == "terminated"
    assert (await _view(site, second["subscriber_id"]))["state"] == "active"
    assert await site.projector.drift() == []
    nas_of_site = await site.nas()
    reply = await nas_of_site.login(second["username"], await site.password(second))
    assert reply.framed_ip_address == ADDRESSES.ipv4


async def test_a_withdrawal_may_be_repeated_and_leaves_nothing(site: Site) -> None:
    subscriber = await site.active()
    first = await site.projector.withdraw_subscriber(subscriber["subscriber_id"])
    again = await site.projector.withdraw_subscriber(subscriber["subscriber_id"])

    assert (first["changed"], again["changed"]) == (True, False)
    assert await _ids(site, subscriber["username"]) == []


async def test_letting_somebody_in_is_undone_by_a_refusal_and_an_ended_one_stays_ended(site: Site) -> None:
    subscriber, ended = await site.active(), await site.active()
    await site.projector.withdraw_subscriber(ended["subscriber_id"])
    refused = [await site.projector.return_to_pending(subscriber["subscriber_id"]) for _ in range(2)]
    still_ended = await site.projector.return_to_pending(ended["subscriber_id"])

    assert [(one["state"], one["changed"]) for one in refused] == [("pending", True), ("pending", False)]
    assert (still_ended["state"], still_ended["changed"]) == ("terminated", False)


async def test_an_unknown_subscriber_is_an_error(site: Site) -> None:
    with pytest.raises(SubscriberUnknown):
        await site.projector.project_subscriber(4711)


async def test_a_radius_database_that_is_down_is_a_passing_trouble_and_the_change_stays_marked(
    site: Site, tmp_path: Path
) -> None:
    (tmp_path / "a-folder").mkdir()
    nowhere = f"sqlite+aiosqlite:///{tmp_path}/a-folder"
    if site.backend.is_postgresql:
        nowhere = f"postgresql+psycopg://postgres@/x?host={tmp_path}"
    down = Database(nowhere)
    subscriber = await site.create()
    with pytest.raises(RadiusDatabaseUnavailable) as failed:
        await _projector(site, radius_begin=down.begin).project_subscriber(subscriber["subscriber_id"])
    await down.close()

    assert failed.value.transient
    assert not (await _view(site, subscriber["subscriber_id"]))["projected"]
    assert (await site.projector.project_subscriber(subscriber["subscriber_id"]))["changed"]


async def test_a_radius_database_without_tables_is_a_lasting_trouble(site: Site) -> None:
    subscriber = await site.create()
    with pytest.raises(RadiusDatabaseUnfit) as failed:
        await _projector(site, radius_begin=site.database.begin).project_subscriber(subscriber["subscriber_id"])
    assert not failed.value.transient


async def test_a_failure_never_shows_the_password(site: Site) -> None:
    subscriber = await site.create()
    await site.test_until(subscriber["subscriber_id"], soon())
    async with site.radius_database.begin() as db:
        await db.execute(delete(radcheck).where(radcheck.c.username == subscriber["username"]))
    password = await site.password(subscriber)

    @asynccontextmanager
    async def torn() -> AsyncIterator[AsyncSession]:
        async with site.radius_database.begin() as db:
            yield db
            row = {"username": "x", "attribute": "Cleartext-Password", "op": "!!", "value": password}
            await db.execute(insert(radcheck).values(row))

    with pytest.raises(RadiusDatabaseUnfit) as failed:
        await _projector(site, radius_begin=torn).project_subscriber(subscriber["subscriber_id"])
    assert password not in str(failed.value)
    assert failed.value.__cause__ is None


async def test_plans_of_the_same_name_belong_to_their_isps(site: Site) -> None:
    other = RadiusProjector(
        site.database.begin,
        site.radius_database.begin,
        tenant_id=f"{site.tenant_id}-other",
        now=site.now,
        secrets=site.secrets,
    )
    await site.projector.project_plans()
    async with site.database.begin() as db:
        now = site.now()
        db.add(
            Plan(
                tenant_id=f"{site.tenant_id}-other",
                name=PLAN,
                download_kbps=1,
                upload_kbps=1,
                interim_interval_seconds=300,
                version=1,
                created_at=now,
                updated_at=now,
            )
        )
    (theirs,) = await other.project_plans()
    (ours,) = await site.projector.project_plans()
    assert theirs["changed"]
    assert not ours["changed"]
    assert await site.projector.drift() == []


async def test_a_nas_that_moves_is_known_at_its_new_address_only(site: Site) -> None:
    old, new = site.backend.free_nas_address(), site.backend.free_nas_address()
    async with site.database.begin() as db:
        await site.service(db).define_nas(name="bng", address=old, dialect="mikrotik")
    await site.projector.project_nas()
    async with site.database.begin() as db:
        await site.service(db).define_nas(name="bng", address=new, dialect="wispr")
    (projected,) = await site.projector.project_nas()

    async with site.radius_database.begin() as db:
        mine = select(nas.c.nasname, nas.c.type, nas.c.shortname).where(nas.c.nasname.in_([old, new]))
        rows = (await db.execute(mine)).all()
        notes = await db.scalar(
            select(func.count()).select_from(radius_projection).where(radius_projection.c.name == old)
        )
    assert [tuple(row) for row in rows] == [(new, "wispr", "bng")]
    assert notes == 0
    assert projected["changed"]
    assert [drift for drift in await site.projector.drift() if drift.kind == "nas"] == []


async def test_a_projector_that_was_frozen_does_not_move_a_nas_back(site: Site) -> None:
    old, new = site.backend.free_nas_address(), site.backend.free_nas_address()
    frozen, thaw = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def slow_radius() -> AsyncIterator[AsyncSession]:
        frozen.set()
        await thaw.wait()
        async with site.radius_database.begin() as db:
            yield db

    async with site.database.begin() as db:
        await site.service(db).define_nas(name="bng", address=old, dialect="mikrotik")
    slow = asyncio.create_task(_projector(site, radius_begin=slow_radius).project_nas())
    await frozen.wait()
    async with site.database.begin() as db:
        await site.service(db).define_nas(name="bng", address=new, dialect="mikrotik")
    await site.projector.project_nas()
    thaw.set()
    (late,) = await slow

    async with site.radius_database.begin() as db:
        known = list(await db.scalars(select(nas.c.nasname).where(nas.c.nasname.in_([old, new]))))
    assert known == [new]
    assert (late["name"], late["changed"]) == (new, False)


async def test_an_address_that_another_nas_was_given_meanwhile_is_left_to_it(site: Site) -> None:
    old, new, third = (site.backend.free_nas_address() for _ in range(3))

    async def define(name: str, address: str) -> None:
        async with site.database.begin() as db:
            await site.service(db).define_nas(name=name, address=address, dialect="mikrotik")

    transactions = itertools.count(1)

    @asynccontextmanager
    async def overtaken() -> AsyncIterator[AsyncSession]:
        if next(transactions) == 2:  # the new address is shown, the old one not yet forgotten
            await define("bng-2", old)
            await site.projector.project_nas()
        async with site.radius_database.begin() as db:
            yield db

    await define("bng-1", old)
    await define("bng-2", third)
    await site.projector.project_nas()
    await define("bng-1", new)
    await _projector(site, radius_begin=overtaken).project_nas()

    async with site.radius_database.begin() as db:
        mine = select(nas.c.nasname, nas.c.shortname).where(nas.c.nasname.in_([old, new, third]))
        known = {tuple(row) for row in await db.execute(mine)}
    assert known == {(new, "bng-1"), (old, "bng-2")}
    assert [drift for drift in await site.projector.drift() if drift.kind == "nas"] == []


async def test_after_an_old_backup_a_nas_is_where_the_appliance_says(site: Site) -> None:
    old, new = site.backend.free_nas_address(), site.backend.free_nas_address()
    for address in (old, new):
        async with site.database.begin() as db:
            await site.service(db).define_nas(name="bng", address=address, dialect="mikrotik")
        await site.projector.project_nas()
    async with site.database.begin() as db:
        await db.execute(update(Nas).where(Nas.name == "bng").values(address=old, version=1, projected_version=1))
    (projected,) = await site.projector.project_nas()

    async with site.radius_database.begin() as db:
        known = list(await db.scalars(select(nas.c.nasname).where(nas.c.nasname.in_([old, new]))))
    assert (known, projected["changed"]) == ([old], True)
