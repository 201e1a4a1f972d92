"""Many lines get other addresses in one go, each exactly as one by one."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from radius import FramedAddresses, PlanTerms, SubscriberVerbs, ValueRefused
from radius.coa.tables import SessionChange
from radius.tables import Subscriber
from tests.radius.conftest import ADDRESSES, PLAN, Site

pytestmark = pytest.mark.both_databases

OTHERS = replace(ADDRESSES, ipv4="100.64.7.10")


async def in_service(site: Site, service: int, addresses: FramedAddresses = ADDRESSES) -> int:
    async with site.database.begin() as db:
        made = await site.service(db).create_subscriber(
            customer_id=7,
            username=site.new_username(),
            bandwidth_profile=PLAN,
            service_id=service,
            addresses=addresses,
        )
        await site.service(db).activate(subscriber_id=made["subscriber_id"])
    return made["subscriber_id"]


async def act(site: Site, verb: str, **said: Any) -> Any:
    async with site.database.begin() as db:
        verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        return await getattr(verbs, verb)(**said)


async def rows(site: Site, subscriber_id: int) -> tuple[Any, list[Any]]:
    """What it is given and how often it was changed; and its changes, without what differs with the subscriber."""
    async with site.database.begin() as db:
        one = await db.get_one(Subscriber, subscriber_id)
        mine = select(SessionChange).where(SessionChange.subscriber_id == subscriber_id).order_by(SessionChange.id)
        changes = [
            (each.act, each.state, each.must_end, re.sub(r'"until_change": \d+', "", each.former))
            for each in await db.scalars(mine)
        ]
        return (one.framed_ipv4, one.delegated_prefix, one.version), changes


async def name_of(site: Site, subscriber_id: int) -> str:
    async with site.database.begin() as db:
        return (await db.get_one(Subscriber, subscriber_id)).username


async def test_each_is_changed_as_it_would_be_alone(site: Site) -> None:
    async with site.database.begin() as db:
        pool_garden = PlanTerms(download_kbps=512, upload_kbps=128, ipv4_pool="garden")
        await site.service(db).define_plan(name="pool-garden", terms=pool_garden)
        await site.service(db).define_plan(name="slow", terms=PlanTerms(download_kbps=1000, upload_kbps=500))
    alone = [await in_service(site, number) for number in range(101, 106)]
    together = [await in_service(site, number) for number in range(201, 206)]
    for plain, suspended, in_garden, waiting, same in (alone, together):
        assert plain
        await act(site, "suspend", subscriber_id=suspended)
        await act(site, "suspend", subscriber_id=in_garden, garden="pool-garden")
        await act(site, "change_plan", subscriber_id=waiting, plan="slow")
        await act(site, "readdress", subscriber_id=same, addresses=OTHERS)

    for each in alone:
        await act(site, "readdress", subscriber_id=each, addresses=OTHERS)
    names = [await name_of(site, each) for each in together]
    lines = {number: (name, OTHERS) for number, name in zip(range(201, 206), names, strict=True)}
    await act(site, "readdress_lines", lines=lines)

    assert [await rows(site, each) for each in together] == [await rows(site, each) for each in alone]
    (given, [change]), (_, of_suspended), *_ = [await rows(site, each) for each in together]
    assert (given[0], change[:3]) == ("100.64.7.10", ("readdress", "pending", True))
    assert [each[0] for each in of_suspended] == ["suspend"]


async def test_one_that_ended_and_one_of_another_name_keep_what_they_have(site: Site) -> None:
    ended, renamed, plain = [await in_service(site, number) for number in (301, 302, 303)]
    names = {number: await name_of(site, each) for number, each in ((301, ended), (302, renamed), (303, plain))}
    await act(site, "rename", subscriber_id=renamed, username=site.new_username())
    async with site.database.begin() as db:
        await site.service(db).terminate(subscriber_id=ended)
    before = [await rows(site, each) for each in (ended, renamed)]

    await act(site, "readdress_lines", lines={number: (name, OTHERS) for number, name in names.items()})

    assert [await rows(site, each) for each in (ended, renamed)] == before
    assert (await rows(site, plain))[0][0] == "100.64.7.10"
    await act(site, "readdress_lines", lines={})


async def test_what_freeradius_could_not_carry_changes_nobody(site: Site) -> None:
    numbers = {401: await in_service(site, 401), 402: await in_service(site, 402)}
    before = [await rows(site, each) for each in numbers.values()]
    lines = {number: (await name_of(site, each), OTHERS) for number, each in numbers.items()}
    lines[402] = (lines[402][0], replace(ADDRESSES, ipv4="not one"))
    with pytest.raises(ValueRefused):
        await act(site, "readdress_lines", lines=lines)
    assert [await rows(site, each) for each in numbers.values()] == before
