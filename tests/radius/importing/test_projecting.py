"""Many subscribers who have changed are shown to FreeRADIUS in one go, exactly as one by one."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, select, update

from radius import LineIdentity, PlanTerms, SubscriberVerbs
from radius.projection.freeradius_tables import radcheck, radius_projection
from radius.tables import Subscriber
from tests.radius.conftest import Site
from tests.radius.importing.test_importing import bulk

pytestmark = pytest.mark.both_databases


async def act(site: Site, verb: str, number: int, **said: Any) -> None:
    async with site.database.begin() as db:
        verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        await getattr(verbs, verb)(subscriber_id=number, **said)


async def projected_versions(site: Site) -> set[bool]:
    async with site.database.begin() as db:
        found = await db.execute(select(Subscriber.version, Subscriber.projected_version))
        return {version == projected for version, projected in found}


async def test_many_who_changed_are_shown_as_they_shall_be_and_no_row_is_left_of_before(site: Site) -> None:
    numbers = [(await site.active())["subscriber_id"] for _ in range(4)]
    refused, in_garden, renamed, untouched = numbers
    async with site.database.begin() as db:
        await site.service(db).define_plan(name="garden", terms=PlanTerms(download_kbps=512, upload_kbps=128))
    await act(site, "suspend", refused)
    await act(site, "suspend", in_garden, garden="garden")
    await act(site, "rename", renamed, username="another@isp.example")

    done = await bulk(site).project_changed(numbers)

    assert (sorted(done.shown), list(done.left)) == ([refused, in_garden], [renamed])
    await site.projector.project_subscriber(renamed)
    assert await site.projector.drift() == []
    assert await projected_versions(site) == {True}
    again = await bulk(site).project_changed(numbers)
    assert (list(again.shown), list(again.left)) == ([], [])
    await act(site, "resume", refused)
    assert list((await bulk(site).project_changed([refused, untouched])).shown) == [refused]
    assert await site.projector.drift() == []


async def test_rows_that_somebody_added_go_away_and_a_later_wish_or_a_login_by_line_is_not_touched(site: Site) -> None:
    meddled, later, by_line = [(await site.active())["subscriber_id"] for _ in range(3)]
    await site.define_plan(access="ipoe")
    for each in (meddled, later):
        await act(site, "suspend", each)
    await act(site, "bind", by_line, line=LineIdentity(station="00:1a:2b:3c:4d:5e"), logs_in=True)
    async with site.radius_database.begin() as db:
        ledger = radius_projection.c
        known = await db.execute(
            select(ledger.source_id, ledger.name).where(ledger.tenant_id == site.tenant_id, ledger.kind == "subscriber")
        )
        names = {number: name for number, name in known}
        added = {"username": names[meddled], "attribute": "Simultaneous-Use", "op": ":=", "value": "1"}
        await db.execute(insert(radcheck).values(**added))
        mine = ledger.name == names[later]
        await db.execute(update(radius_projection).where(mine).values(version=99))

    done = await bulk(site).project_changed([meddled, later, by_line])

    assert (list(done.shown), sorted(done.left)) == ([meddled], sorted([later, by_line]))
    async with site.radius_database.begin() as db:
        theirs = radcheck.c.username == names[meddled]
        assert "Simultaneous-Use" not in list(await db.scalars(select(radcheck.c.attribute).where(theirs)))
