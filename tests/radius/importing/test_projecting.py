"""Many subscribers who have changed are shown to FreeRADIUS in one go, exactly as one by one."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, select, update

from radius import FramedAddresses, LineIdentity, PlanTerms, SubscriberVerbs
from radius.projection.freeradius_tables import radcheck, radius_projection
from radius.tables import Subscriber
from tests.radius.conftest import Site
from tests.radius.importing.test_importing import bulk

pytestmark = pytest.mark.both_databases


async def act(site: Site, verb: str, number: int, **said: Any) -> None:
    async with site.database.begin() as db:
        verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        await getattr(verbs, verb)(subscriber_id=number, **said)


async def in_service(site: Site) -> int:
    """One that FreeRADIUS does not know of yet."""
    number = (await site.create(addresses=FramedAddresses()))["subscriber_id"]
    async with site.database.begin() as db:
        await site.service(db).activate(subscriber_id=number)
    return number


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


async def test_rows_that_somebody_added_go_away_and_a_later_wish_is_not_touched(site: Site) -> None:
    meddled, later = [(await site.active())["subscriber_id"] for _ in range(2)]
    for each in (meddled, later):
        await act(site, "suspend", each)
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

    done = await bulk(site).project_changed([meddled, later])

    assert (list(done.shown), list(done.left)) == ([meddled], [later])
    async with site.radius_database.begin() as db:
        theirs = radcheck.c.username == names[meddled]
        assert "Simultaneous-Use" not in list(await db.scalars(select(radcheck.c.attribute).where(theirs)))


async def test_lines_that_log_in_are_shown_too_but_not_one_that_still_logs_in_for_another(site: Site) -> None:
    await site.nas(lines=True)
    octets = ":".join(site.tenant_id[at : at + 2] for at in range(1, 11, 2))
    old, new = LineIdentity(station=f"02:{octets}"), LineIdentity(circuit=f"olt {site.tenant_id}#7")
    moved, heir, plain = [(await site.active())["subscriber_id"] for _ in range(3)]
    await site.define_plan(access="ipoe")
    await act(site, "bind", moved, line=old, logs_in=True)
    assert list((await bulk(site).project_changed([moved])).shown) == [moved]
    await act(site, "bind", moved, line=new, logs_in=True)
    await act(site, "bind", heir, line=old, logs_in=True)
    await act(site, "suspend", plain)

    done = await bulk(site).project_changed([heir, moved, plain])

    assert (sorted(done.shown), list(done.left)) == ([moved, plain], [heir])
    assert list((await bulk(site).project_changed([heir])).shown) == [heir]
    assert await site.projector.drift() == []
    assert await projected_versions(site) == {True}


async def test_a_line_logs_in_for_whoever_is_in_a_garden_and_for_nobody_who_is_refused(site: Site) -> None:
    nas = await site.nas(lines=True)
    octets = ":".join(site.tenant_id[at : at + 2] for at in range(1, 11, 2))
    stations = [f"02:{octets}", f"06:{octets}", f"0a:{octets}"]
    numbers = [(await site.active())["subscriber_id"] for _ in stations]
    refused, in_garden, resumed = numbers
    await site.define_plan(access="ipoe")
    async with site.database.begin() as db:
        await site.service(db).define_plan(name="garden", terms=PlanTerms(512, 128, access="ipoe"))
    for number, station in zip(numbers, stations, strict=True):
        await act(site, "bind", number, line=LineIdentity(station=station), logs_in=True)
    await act(site, "suspend", resumed)
    assert sorted((await bulk(site).project_changed(numbers)).shown) == sorted(numbers)
    await act(site, "suspend", refused)
    await act(site, "suspend", in_garden, garden="garden")
    await act(site, "resume", resumed)

    done = await bulk(site).project_changed(numbers)

    assert (sorted(done.shown), list(done.left)) == (sorted(numbers), [])
    assert await site.projector.drift() == []
    answers = [(await nas.line_login(station.replace(":", "-"), calling_station=station)).code for station in stations]
    assert answers == ["Access-Reject", "Access-Accept", "Access-Accept"]


async def test_one_that_is_new_and_whose_line_still_logs_in_for_another_is_left_out(site: Site) -> None:
    await site.nas(lines=True)
    line, number = LineIdentity(circuit=f"olt {site.tenant_id}#8"), (await site.active())["subscriber_id"]
    await site.define_plan(access="ipoe")
    await act(site, "bind", number, line=line, logs_in=True)
    assert list((await bulk(site).project_changed([number])).shown) == [number]
    await act(site, "bind", number, line=LineIdentity(port="ge-0/0/1"))
    new = [await in_service(site) for _ in range(2)]
    await act(site, "bind", new[0], line=line, logs_in=True)

    done = await bulk(site).project_new(new)

    assert (list(done.shown), list(done.left)) == ([new[1]], [new[0]])
    await site.projector.project_subscriber(number)
    assert list((await bulk(site).project_new(new)).shown) == [new[0]]
    assert await site.projector.drift() == []
