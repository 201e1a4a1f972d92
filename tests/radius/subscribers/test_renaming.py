"""A subscriber gets another name: FreeRADIUS has one of the two at every moment, and sessions end or go on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from radius import SessionControl, SessionLooks, UsernameRefused, UsernameTaken
from radius.projection.freeradius_tables import radcheck, radius_projection
from radius.projection.radius_database import GIVEN_UP
from tests.radius.conftest import PLAN, Site
from tests.radius.online import QUICKLY, Line, go_online


@pytest.fixture
async def line(site: Site) -> AsyncIterator[Line]:
    async for made in go_online(site):
        yield made


async def names_in_freeradius(line: Line, *names: str) -> list[str]:
    async with line.site.radius_database.begin() as db:
        rows = set(await db.scalars(select(radcheck.c.username).where(radcheck.c.username.in_(names))))
        ours = radius_projection.c.name.in_(names) & (radius_projection.c.source_id != GIVEN_UP)
        ledger = set(await db.scalars(select(radius_projection.c.name).where(ours)))
    assert rows == ledger
    return sorted(rows)


async def test_a_renamed_subscriber_logs_in_by_the_new_name_alone_and_its_session_goes_on_until_it_ends(
    line: Line,
) -> None:
    old, new = line.subscriber["username"], line.site.new_username()
    password = await line.site.password(line.subscriber)
    change = await line.act("rename", username=new, request_id="n1")
    assert await names_in_freeradius(line, old, new) == [old]
    told = await line.changes.deliver(change["change_id"])
    assert await names_in_freeradius(line, old, new) == [new]
    site, [session] = line.site, told["sessions"]
    seen = []
    for tenant_id in (site.tenant_id, "another"):
        looks = SessionLooks(site.radius_database.read, site.radius_database.look, tenant_id=tenant_id, now=site.now)
        seen.append([one["session_id"] for one in await looks.of_user(old)])
    assert seen == [[line.session.session_id], []]  # the name is given up, its sessions are still the same ISP's
    assert (session["said"], session["reason"]) == (
        "as_wished",
        f"it has all of it already, and goes on as {old} until it ends",
    )
    assert line.nas.disconnects.requests == []
    assert [(await line.nas.login(name, password)).code for name in (new, old)] == ["Access-Accept", "Access-Reject"]

    assert (await line.later(change))["state"] == "pending"  # its name is not free
    for customer_id in (7, 8):
        words = (
            f"to customer {customer_id}: it was customer 7's until a rename, and that subscriber may still be online"
        )
        with pytest.raises(UsernameTaken, match=f"{words} under it. Choose another one."):
            await create(line.site, old, customer_id=customer_id)
    line.behind = timedelta(0)  # a NAS takes no request of an earlier or later time than 300 s
    # what is done to it now reaches the session that goes on under the former name
    suspended = await line.changes.deliver((await line.act("suspend"))["change_id"])
    assert [one["said"] for one in suspended["sessions"]] == ["disconnected"]
    await line.nas.stops_told()
    assert (await line.later(suspended))["state"] == "confirmed"
    with pytest.raises(UsernameTaken):
        await create(line.site, old, customer_id=8)
    again = await create(line.site, old, customer_id=7)
    await line.site.activate(again)
    assert await names_in_freeradius(line, old, new) == sorted([old, new])
    assert await line.act("rename", username=new, request_id="n1") == await line.shown(change)


async def create(site: Site, username: str, *, customer_id: int) -> int:
    async with site.database.begin() as db:
        made = await site.service(db).create_subscriber(
            customer_id=customer_id, username=username, bandwidth_profile=PLAN
        )
        return made["subscriber_id"]


async def test_its_sessions_can_be_ended_with_the_former_name_and_the_name_taken_back(line: Line) -> None:
    old, new = line.subscriber["username"], line.site.new_username()
    change = await line.act("rename", username=new, end_sessions=True)
    told = await line.changes.deliver(change["change_id"])
    assert [one["said"] for one in told["sessions"]] == ["disconnected"]
    assert (await line.nas.login(old, await line.site.password(line.subscriber))).code == "Access-Reject"

    back = await line.changes.deliver((await line.act("rename", username=old))["change_id"])
    assert (await line.shown(change))["state"] == "superseded"
    assert await names_in_freeradius(line, old, new) == [old]
    assert (await line.login()).code == "Access-Accept"
    await line.nas.stops_told()
    assert (await line.later(back))["state"] == "confirmed"


async def test_a_name_that_is_taken_or_that_freeradius_would_not_find_changes_nothing(line: Line) -> None:
    other = await line.site.active()
    for username, refused in ((other["username"], UsernameTaken), ("anna's", UsernameRefused)):
        with pytest.raises(refused):
            await line.act("rename", username=username)
    assert (await line.login()).code == "Access-Accept"


async def test_who_terminates_a_renamed_subscriber_ends_its_session_of_the_former_name(line: Line) -> None:
    new = line.site.new_username()
    await line.changes.deliver((await line.act("rename", username=new))["change_id"])
    site = line.site
    async with site.database.begin() as db:
        await site.service(db).terminate(subscriber_id=line.id)
    control = SessionControl(
        site.database.begin,
        site.radius_database.begin,
        tenant_id=site.tenant_id,
        now=line.now,
        secrets=site.secrets,
        retransmission=QUICKLY,
    )
    assert [one["said"] for one in (await control.require_ended(line.id))["asked"]] == ["disconnected"]


async def test_an_older_wish_that_comes_late_does_not_bring_the_former_name_back(line: Line) -> None:
    old, new = line.subscriber["username"], line.site.new_username()
    projector = line.site.projector
    overtaken: list[str] = []
    real = projector._carry_over

    async def held_up(wanted: object, seen: object) -> tuple[bool, list[str]]:
        if not overtaken:  # between its reading and its writing the rename comes and is shown
            overtaken.append(old)
            await line.changes.deliver((await line.act("rename", username=new))["change_id"])
        return await real(wanted, seen)  # type: ignore[arg-type]

    projector._carry_over = held_up  # type: ignore[method-assign]
    await projector.project_subscriber(line.id)
    assert (overtaken, await names_in_freeradius(line, old, new)) == ([old], [new])
