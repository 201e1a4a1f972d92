"""What else is free: looked for after the refusal, once for a crowd."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.mails.delivery import Begin
from provisioning.database import Database
from provisioning.days import UTC_DAYS
from provisioning.field import Alternatives, Asked, Search, SlotRefused
from tests.provisioning.field.conftest import NOW, TENANT, at, book


async def test_a_crowd_that_wants_the_same_slot_shares_few_looks(begin: Begin, database: Database) -> None:
    looks = 0

    def search(db: AsyncSession) -> Search:
        nonlocal looks
        looks += 1
        return Search(db, tenant_id=TENANT, now=lambda: NOW, zone=UTC_DAYS)

    async with begin() as db:
        await book(db)
    alternatives = Alternatives(database.read, search=search)
    refusals = [SlotRefused("no") for _ in range(50)]
    for refused in refusals:
        refused.asked = Asked(at(10), 60)
    await asyncio.gather(*(alternatives.tell(refused) for refused in refusals))
    assert looks == 1
    told = [[(one["technician_id"], one["starts_at"]) for one in refused.alternatives] for refused in refusals]
    assert told[0][0] == (2, at(10)) and len(told[0]) == 3
    assert all(each == told[0] for each in told)


async def test_who_is_refused_later_is_told_what_is_free_then(begin: Begin, database: Database) -> None:
    def search(db: AsyncSession) -> Search:
        return Search(db, tenant_id=TENANT, now=lambda: NOW, zone=UTC_DAYS)

    alternatives = Alternatives(database.read, search=search)
    free = (2, at(10))
    for taken in (False, True):
        if taken:
            async with begin() as db:
                await book(db, technician_id=2)
        refused = SlotRefused("no")
        refused.asked = Asked(at(10), 60)
        await alternatives.tell(refused)
        told = [(one["technician_id"], one["starts_at"]) for one in refused.alternatives]
        assert (free in told) is not taken


async def test_a_refusal_that_says_nothing_of_what_was_asked_is_left_as_it_is(database: Database) -> None:
    def search(db: AsyncSession) -> Search:
        raise AssertionError("nobody asked")

    refused = SlotRefused("no")
    await Alternatives(database.read, search=search).tell(refused)
    assert refused.alternatives == ()


async def test_where_little_is_free_soon_later_days_are_offered_and_each_slot_once(begin: Begin) -> None:
    async with begin() as db:
        await book(db, starts_at=at(8), minutes=600)
        await book(db, starts_at=at(8), minutes=540, technician_id=2)
        found = await Search(db, tenant_id=TENANT, now=lambda: NOW, zone=UTC_DAYS).near(Asked(at(10), 60))
    tomorrow = at(8) + timedelta(days=1)
    assert [(one["technician_id"], one["starts_at"]) for one in found] == [(2, at(17)), (1, tomorrow), (2, tomorrow)]
