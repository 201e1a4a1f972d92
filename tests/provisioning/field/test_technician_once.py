"""The database itself keeps a technician from being in two places, whoever writes the rows."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from provisioning.commercial.mails.delivery import Begin
from provisioning.field import Visit
from tests.provisioning.field.conftest import NOW, TENANT, at


def row(starts_at: datetime, ends_at: datetime, state: str = "booked", technician_id: int = 1) -> dict[str, object]:
    return {
        "tenant_id": TENANT,
        "customer_id": 42,
        "technician_id": technician_id,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "address": "1 High Street",
        "state": state,
        "scanned_serial": "HWTC12345678" if state in ("scanned", "completed") else None,
        "booked_at": NOW,
    }


async def write(begin: Begin, *rows: dict[str, object]) -> list[int]:
    async with begin() as db:
        return list(await db.scalars(insert(Visit).returning(Visit.id, sort_by_parameter_order=True), rows))


@pytest.mark.scenario("D15")
@pytest.mark.parametrize("state", ["booked", "scanned"])
async def test_a_second_live_visit_at_the_same_time_cannot_be_inserted(begin: Begin, state: str) -> None:
    await write(begin, row(at(10), at(12), state))
    with pytest.raises(IntegrityError):
        await write(begin, row(at(11, 59), at(13)))
    async with begin() as db:
        assert list(await db.scalars(select(Visit.starts_at))) == [at(10)]


@pytest.mark.parametrize("state", ["no_access", "not_feasible", "cancelled", "completed"])
async def test_a_visit_that_has_ended_is_in_nobodys_way(begin: Begin, state: str) -> None:
    await write(begin, row(at(10), at(12), state), row(at(10), at(12)), row(at(10), at(12), state))


async def test_a_visit_cannot_be_moved_or_handed_into_another(begin: Begin) -> None:
    first, second, third = await write(
        begin, row(at(10), at(12)), row(at(12), at(14)), row(at(10), at(12), technician_id=2)
    )
    for visit_id, change in (
        (second, {"starts_at": at(11)}),
        (first, {"ends_at": at(12, 1)}),
        (third, {"technician_id": 1}),
    ):
        with pytest.raises(IntegrityError):
            async with begin() as db:
                await db.execute(update(Visit).where(Visit.id == visit_id).values(change))
    async with begin() as db:  # moving within one's own period is no conflict with oneself
        await db.execute(update(Visit).where(Visit.id == first).values(starts_at=at(10, 30), ends_at=at(11)))


async def test_a_visit_cannot_come_back_to_life_into_another(begin: Begin) -> None:
    cancelled, _ = await write(begin, row(at(10), at(12), "cancelled"), row(at(11), at(13)))
    with pytest.raises(IntegrityError):
        async with begin() as db:
            await db.execute(update(Visit).where(Visit.id == cancelled).values(state="booked"))


@pytest.mark.parametrize(
    "wrong",
    [
        row(at(12), at(12)),
        row(at(12), at(11)),
        row(at(10), at(12), "asleep"),
        row(at(10), at(12), technician_id=9),
        row(at(10), at(12), "scanned") | {"scanned_serial": None},
    ],
)
async def test_a_row_that_makes_no_sense_is_refused(begin: Begin, wrong: dict[str, object]) -> None:
    with pytest.raises(IntegrityError):
        await write(begin, wrong)
