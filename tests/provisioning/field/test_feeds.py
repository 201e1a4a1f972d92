"""Whose calendar a visit is in, and in whose it reads as off: an independent reader (vobject) looks, days apart."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import vobject  # type: ignore[import-untyped]
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.mails.delivery import Begin
from provisioning.days import UTC_DAYS
from provisioning.field import Feeds, Planning
from tests.provisioning.field.conftest import NOW, TEN, TENANT, at, book, visits

pytestmark = pytest.mark.both_databases

TOM, UMA = 1, 2
DAY = timedelta(days=1)
Seen = dict[int, tuple[str, int, datetime]]


class Calendars:
    """Feeds of Tom, Uma and both teams, read at any moment."""

    def __init__(self, db: AsyncSession) -> None:
        self._db = db
        self._tokens: dict[str, str] = {}

    def _feeds(self, now: datetime = NOW) -> Feeds:
        return Feeds(self._db, tenant_id=TENANT, now=lambda: now, zone=UTC_DAYS)

    async def make(self) -> Calendars:
        for name, technician_id in (("Tom", TOM), ("Uma", UMA)):
            self._tokens[name] = (await self._feeds().make(technician_id=technician_id, by="dora")).token
        for team in ("north", "south"):
            self._tokens[team] = (await self._feeds().make(team=team, by="dora")).token
        return self

    async def read(self, whose: str, now: datetime = NOW) -> Seen:
        """By visit: its status, its sequence, its begin."""
        text = await self._feeds(now).read(self._tokens[whose])
        assert text is not None
        events = vobject.readOne(text.decode()).contents.get("vevent", [])
        return {
            int(event.uid.value.split("@")[0].removeprefix("visit-")): (
                event.status.value,
                int(event.sequence.value),
                event.dtstart.value,
            )
            for event in events
        }


async def of_team(db: AsyncSession, technician_id: int, team: str | None, now: datetime = NOW) -> None:
    await Planning(db, tenant_id=TENANT, now=lambda: now).plan(technician_id=technician_id, team=team)


async def test_a_team_that_a_technician_leaves_reads_that_their_visits_are_off_and_the_new_one_that_they_are_on(
    begin: Begin,
) -> None:
    async with begin() as db:
        calendars = await Calendars(db).make()
        await of_team(db, TOM, "north")
        visit = (await book(db))["visit_id"]
        assert await calendars.read("north") == {visit: ("CONFIRMED", 0, TEN)}
        await of_team(db, TOM, "south")
        assert await calendars.read("north") == {visit: ("CANCELLED", 1, TEN)}
        for whose in ("south", "Tom"):
            assert await calendars.read(whose) == {visit: ("CONFIRMED", 1, TEN)}
        await of_team(db, TOM, "south")  # told again, nothing has changed
        assert (await visits(db).visit(visit))["sequence"] == 1
        assert await calendars.read("north", NOW + 29 * DAY) == {visit: ("CANCELLED", 1, TEN)}
        assert await calendars.read("north", NOW + 31 * DAY) == {}
        await of_team(db, TOM, "north")
        assert await calendars.read("north") == {visit: ("CONFIRMED", 2, TEN)}
        assert await calendars.read("south") == {visit: ("CANCELLED", 2, TEN)}
        await of_team(db, TOM, None)
        assert await calendars.read("north") == {visit: ("CANCELLED", 3, TEN)}


async def test_what_was_given_away_or_called_off_stays_so_in_the_calendar_of_the_team_that_it_was_of(
    begin: Begin,
) -> None:
    async with begin() as db:
        calendars = await Calendars(db).make()
        for technician_id in (TOM, UMA):
            await of_team(db, technician_id, "north")
        given, off = [(await book(db, starts_at=when))["visit_id"] for when in (TEN, at(15))]
        await visits(db).move(visit_id=given, technician_id=UMA, starts_at=TEN)
        await visits(db).cancel(visit_id=off, reason="the customer is ill")
        assert await calendars.read("Tom") == {given: ("CANCELLED", 1, TEN), off: ("CANCELLED", 1, at(15))}
        assert await calendars.read("Uma") == {given: ("CONFIRMED", 1, TEN)}
        both = {given: ("CONFIRMED", 1, TEN), off: ("CANCELLED", 1, at(15))}
        assert await calendars.read("north") == both
        await of_team(db, TOM, "south", NOW + DAY)
        assert await calendars.read("north", NOW + DAY) == both
        await of_team(db, UMA, "south", NOW + DAY)
        assert await calendars.read("north", NOW + DAY) == both | {given: ("CANCELLED", 2, TEN)}
        assert await calendars.read("south", NOW + DAY) == both | {given: ("CONFIRMED", 2, TEN)}
        # each for thirty days from when it was off
        assert await calendars.read("north", NOW + 30 * DAY) == {given: ("CANCELLED", 2, TEN)}
        assert await calendars.read("north", NOW + 31 * DAY) == {}


async def test_what_is_over_is_off_in_nobody_s_calendar(begin: Begin) -> None:
    async with begin() as db:
        calendars = await Calendars(db).make()
        await of_team(db, TOM, "north")
        visit = (await book(db))["visit_id"]
        await of_team(db, TOM, "south", TEN + DAY)
        assert await calendars.read("north", TEN + DAY) == {}
        assert await calendars.read("south", TEN + DAY) == {visit: ("CONFIRMED", 0, TEN)}
