"""Every number and text of the face at its limits: both databases take the same and refuse the same, in typed words."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from radius import (
    FramedAddresses,
    NasRefused,
    PlanRefused,
    PlanTerms,
    PlanUnknown,
    RadiusError,
    RateNotExpressible,
    RequestRefused,
    SubscriberUnknown,
    UsernameRefused,
    ValueRefused,
)
from tests.radius.conftest import PLAN, Site, soon

BIGGEST = 2**63 - 1
UNSEEN = ["zero\x00", "bell\x07", "\x85", "\u200b", "\u2028", "\udc80"]


async def _plan(site: Site, db: AsyncSession, **terms: Any) -> dict[str, Any]:
    name = terms.pop("name", "home")
    given = {"download_kbps": 1000, "upload_kbps": 1000, **terms}
    defined = await site.service(db).define_plan(name=name, terms=PlanTerms(**given))
    return vars(defined["terms"])


@pytest.mark.parametrize(
    ("number", "lowest", "highest"),
    [
        ("download_kbps", 1, 400_000_000),
        ("upload_kbps", 1, 400_000_000),
        ("session_timeout_seconds", 60, 2**32 - 1),
        ("idle_timeout_seconds", 60, 2**32 - 1),
        ("interim_interval_seconds", 60, 86_400),
        ("session_cap_megabytes", 1, 1_000_000_000),
        ("priority", 1, 8),
    ],
)
async def test_the_numbers_of_a_plan_end_where_they_can_be_kept_and_told(
    site: Site, number: str, lowest: int, highest: int
) -> None:
    for value in (lowest, highest):
        async with site.database.begin() as db:
            assert (await _plan(site, db, **{number: value}))[number] == value
        async with site.database.begin() as db:
            assert getattr((await site.service(db).plan(name="home"))["terms"], number) == value
        await site.projector.project_plans()
    async with site.database.begin() as db:
        for value in (-1, 0, lowest - 1, highest + 1, 2**31, 2**63, 2**70):
            if not lowest <= value <= highest:
                with pytest.raises(PlanRefused):
                    await _plan(site, db, **{number: value})


async def test_the_port_of_a_nas_ends_where_ports_end(site: Site) -> None:
    async with site.database.begin() as db:
        service = site.service(db)
        for port in (1, 65_535):
            defined = await service.define_nas(name="bng", address="10.0.0.1", dialect="mikrotik", coa_port=port)
            assert defined["coa_port"] == port
        for port in (-1, 0, 65_536, 2**63):
            with pytest.raises(NasRefused):
                await service.define_nas(name="bng", address="10.0.0.1", dialect="mikrotik", coa_port=port)


@pytest.mark.parametrize("number", ["customer_id", "service_id"])
async def test_the_numbers_of_a_subscriber_end_where_they_can_be_kept(site: Site, number: str) -> None:
    async def ask(db: AsyncSession, value: int) -> int:
        given: dict[str, Any] = {"customer_id": 7, "username": f"u{value}", "bandwidth_profile": PLAN, number: value}
        return (await site.service(db).create_subscriber(**given))["subscriber_id"]

    for value in (1, BIGGEST):
        async with site.database.begin() as db:
            subscriber_id = await ask(db, value)
        async with site.database.begin() as db:
            view = await site.service(db).subscriber(subscriber_id=subscriber_id)
            assert view[number] == value  # type: ignore[literal-required]
    async with site.database.begin() as db:
        for value in (-1, 0, BIGGEST + 1, 2**70):
            with pytest.raises(RequestRefused, match=number):
                await ask(db, value)


@pytest.mark.parametrize("subscriber_id", [-1, 0, 2**31, BIGGEST, BIGGEST + 1, 2**70])
async def test_a_number_no_subscriber_can_have_is_an_unknown_one(site: Site, subscriber_id: int) -> None:
    async with site.database.begin() as db:
        service = site.service(db)
        with pytest.raises(SubscriberUnknown):
            await service.subscriber(subscriber_id=subscriber_id)
        with pytest.raises(SubscriberUnknown):
            await service.terminate(subscriber_id=subscriber_id)
    with pytest.raises(SubscriberUnknown):
        await site.projector.project_subscriber(subscriber_id)


async def test_texts_of_a_subscriber_may_be_as_long_as_they_are_said_to_be(site: Site) -> None:
    async with site.database.begin() as db:
        created = await site.service(db).create_subscriber(
            customer_id=7,
            username=f"{site.new_username()}{'x' * 128}"[:128],
            bandwidth_profile=PLAN,
            addresses=FramedAddresses(ipv4_pool="p" * 253),
            request_id="r" * 200,
        )
    await site.activate(created["subscriber_id"])
    async with site.database.begin() as db:
        view = await site.service(db).subscriber(subscriber_id=created["subscriber_id"])
    reply = await (await site.nas()).login(created["username"], await site.password(created))

    assert (len(view["username"]), view["ipv4_pool"]) == (128, "p" * 253)
    assert reply.first("Framed-Pool") == "p" * 253


async def test_texts_nobody_can_see_or_keep_are_refused(site: Site) -> None:
    asked: list[tuple[type[RadiusError], dict[str, Any]]] = [
        *((RequestRefused, {"request_id": text}) for text in [*UNSEEN, "", "r" * 201]),
        *((UsernameRefused, {"username": text}) for text in [*UNSEEN, "u" * 129]),
        *((PlanUnknown, {"bandwidth_profile": text}) for text in [*UNSEEN, "", "p" * 300]),
        *((ValueRefused, {"addresses": FramedAddresses(ipv4_pool=text)}) for text in [*UNSEEN, "", "p" * 254]),
        *((ValueRefused, {"addresses": FramedAddresses(ipv4=text)}) for text in UNSEEN),
        *((ValueRefused, {"addresses": FramedAddresses(ipv6_wan_prefix=text)}) for text in [*UNSEEN, "fe80::%e/128"]),
        *((ValueRefused, {"addresses": FramedAddresses(delegated_prefix=text)}) for text in UNSEEN),
    ]
    async with site.database.begin() as db:
        service = site.service(db)
        for error, odd in asked:
            given: dict[str, Any] = {"customer_id": 7, "username": "ida", "bandwidth_profile": PLAN, **odd}
            with pytest.raises(error):
                await service.create_subscriber(**given)
        for text in UNSEEN:
            with pytest.raises(PlanUnknown):
                await service.plan(name=text)
            with pytest.raises(PlanRefused):
                await _plan(site, db, name=text)
            for fault in ({"name": text}, {"address": text}, {"secret": f"{text}{'s' * 20}"}):
                nas = {"name": "bng", "address": "10.0.0.1", "dialect": "mikrotik", **fault}
                with pytest.raises(NasRefused):
                    await service.define_nas(**nas)  # type: ignore[arg-type]
    for text in UNSEEN:
        with pytest.raises(UsernameRefused):
            await site.sessions.open_sessions(text)


async def test_a_test_cannot_end_later_than_freeradius_can_be_told(site: Site) -> None:
    subscriber_id = (await site.create())["subscriber_id"]
    last = datetime.fromtimestamp(2**32 - 1, UTC)
    async with site.database.begin() as db:
        view = await site.service(db).begin_testing(subscriber_id=subscriber_id, until=last)
        for until in (last + timedelta(seconds=1), datetime.max.replace(tzinfo=UTC), soon().replace(tzinfo=None)):
            with pytest.raises(ValueRefused):
                await site.service(db).begin_testing(subscriber_id=subscriber_id, until=until)
    await site.projector.project_subscriber(subscriber_id)
    assert view["testing_until"] == last


async def test_a_plan_and_a_nas_that_cannot_be_meant_together_are_not_both_defined_at_once(site: Site) -> None:
    both_began = asyncio.Barrier(2)

    async def fast_plan() -> None:
        async with site.database.begin() as db:
            if site.database.is_postgresql:
                await both_began.wait()
            await _plan(site, db, download_kbps=10_000_000)

    async def hotspot() -> None:
        async with site.database.begin() as db:
            if site.database.is_postgresql:
                await both_began.wait()
            await site.service(db).define_nas(name="hotspot", address="10.0.0.9", dialect="wispr")

    ends = await asyncio.gather(fast_plan(), hotspot(), return_exceptions=True)
    assert [type(end) for end in ends if end is not None] == [RateNotExpressible]
