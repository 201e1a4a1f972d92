"""Free times: between visits, in working hours of the ISP's own zone, told in quarters of an hour."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from provisioning.commercial.mails.delivery import Begin
from provisioning.field.slots import Slot, Slots, free_starts, working_hours
from tests.provisioning.field.conftest import NOW, TEN, TENANT, at, book, visits

HOURS = (at(8), at(18))
TUESDAY = TEN.date()


@pytest.mark.parametrize(
    ("busy", "starts"),
    [
        ([], [at(8)]),
        ([(at(8), at(10))], [at(10)]),
        ([(at(9), at(11))], [at(11)]),  # the hour before it is too short
        ([(at(10), at(12))], [at(8), at(12)]),
        ([(at(7), at(8, 7))], [at(8, 15)]),
        ([(at(8), at(16, 1))], []),
        ([(at(8), at(16))], [at(16)]),
        ([(at(8), at(12)), (at(9), at(10)), (at(14), at(19))], [at(12)]),  # a visit within another one frees nothing
    ],
)
def test_each_gap_that_is_long_enough_gives_its_first_quarter(
    busy: list[tuple[datetime, datetime]], starts: list[datetime]
) -> None:
    assert free_starts(HOURS, busy, minutes=120) == starts


def test_working_hours_are_those_of_the_zone_on_that_day() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    hours = [working_hours(day, berlin) for day in (date(2026, 3, 28), date(2026, 3, 29))]  # the clock goes forward
    assert [(start.hour, end.hour) for start, end in hours] == [(7, 17), (6, 16)]
    assert all(moment.tzinfo is UTC for period in hours for moment in period)


async def test_the_earliest_time_comes_first_and_then_whoever_has_least_to_do(begin: Begin) -> None:
    async with begin() as db:
        await book(db, starts_at=at(8), technician_id=1)
        await book(db, starts_at=at(12), technician_id=1)
        gone = await book(db, starts_at=at(10), technician_id=2)
        await visits(db).cancel(visit_id=gone["visit_id"], reason="x")
        slots = Slots(db, tenant_id=TENANT, now=lambda: NOW, zone=ZoneInfo("UTC"))
        technicians = await slots.hold_technicians()
        assert technicians == [1, 2]
        assert await slots.on(TUESDAY, technicians, minutes=120) == [
            Slot(at(8), 0, 2),
            Slot(at(10), 2, 1),
            Slot(at(14), 2, 1),
        ]
        assert await slots.at(at(13), technicians, minutes=120) == [Slot(at(13), 0, 2)]
        assert await slots.at(at(10), technicians, minutes=120) == [Slot(at(10), 0, 2), Slot(at(10), 2, 1)]


async def test_today_begins_now(begin: Begin) -> None:
    async with begin() as db:
        slots = Slots(db, tenant_id=TENANT, now=lambda: at(13, 20), zone=ZoneInfo("UTC"))
        assert await slots.on(TUESDAY, [1], minutes=120) == [Slot(at(13, 30), 0, 1)]
        late = Slots(db, tenant_id=TENANT, now=lambda: at(20), zone=ZoneInfo("UTC"))
        assert await late.on(TUESDAY, [1], minutes=120) == []
        assert await late.next_after(TUESDAY, [1], minutes=120, days=3) == Slot(at(8).replace(day=4), 0, 1)
