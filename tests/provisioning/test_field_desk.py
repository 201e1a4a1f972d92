"""The technician's door: what is taken as done, and what is told as a conflict."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.mails.delivery import Begin
from provisioning.database import Database
from provisioning.dispatch import DispatchDesk
from provisioning.errors import InvalidRequest
from provisioning.field import NotDone, StockElsewhere, Technicians, VanStock, VisitOver, VisitRecord, Visits, Whose
from provisioning.field.invariants import visits_nobody_needs
from provisioning.field_desk import FieldDesk
from provisioning.visits import VisitDesk
from tests.conftest import DATABASES, migrated_copy

pytestmark = pytest.mark.both_databases

TENANT = "north"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TEN = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)


def now() -> datetime:
    return NOW


def visits(db: AsyncSession, at: datetime = NOW) -> Visits:
    return Visits(db, tenant_id=TENANT, now=lambda: at)


async def booked(db: AsyncSession, whose: Whose, **changes: Any) -> VisitRecord:
    wish: dict[str, Any] = {"customer_id": 42, "technician_id": 1, "starts_at": TEN, "duration_minutes": 60}
    return await visits(db).book(**wish | changes, address="1 High Street", whose=whose)


def desk_at(db: AsyncSession) -> FieldDesk:
    """None of what it is asked here is a report or another time, so the desks of those have no part in it."""
    other_desks: dict[str, Any] = {"visit_desk": cast(VisitDesk, None), "dispatch": cast(DispatchDesk, None)}
    return FieldDesk(db, **other_desks, definitions={}, tenant_id=TENANT, now=now)


async def act(db: AsyncSession, visit_id: int, kind: Any, **content: Any) -> Any:
    desk = FieldDesk(
        db,
        visit_desk=cast(VisitDesk, None),
        dispatch=cast(DispatchDesk, None),
        definitions={},
        tenant_id=TENANT,
        now=now,
    )
    key = f"{visit_id}/{kind}"
    return await desk.act(visit_id=visit_id, key=key, kind=kind, content=content, made_at=NOW, by="tom")


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return migrated_copy(request, tmp_path)


@pytest.fixture
async def begin(database: Database) -> Begin:
    async with database.begin() as db:
        await Technicians(db, tenant_id=TENANT).register(technician_id=1, name="Tom")
    return cast("Callable[[], Any]", database.begin)


async def test_a_repair_with_nothing_to_scan_ends_with_done_and_its_technician_is_free(begin: Begin) -> None:
    async with begin() as db:
        repair = await booked(db, Whose("dispatch"))
        taken = await act(db, repair["visit_id"], "done", reason="swapped the power supply")
        assert (taken["visit"]["state"], taken["visit"]["scanned_serial"]) == ("completed", None)
        assert taken["sheet"]["done_reason"] == "swapped the power supply"
        await booked(db, Whose("dispatch"), customer_id=43)  # the same technician, the same time
        assert await visits_nobody_needs(db, tenant_id=TENANT) == []


async def test_a_repair_is_done_without_a_reason_unless_something_was_scanned(begin: Begin) -> None:
    async with begin() as db:
        repair = await booked(db, Whose("dispatch"))
        taken = await act(db, repair["visit_id"], "done")
        assert (taken["visit"]["state"], taken["sheet"]["done_reason"]) == ("completed", None)
        swap = await booked(db, Whose("dispatch"))
        await visits(db).report(visit_id=swap["visit_id"], outcome="scanned", serial="HWTC12345678")
        with pytest.raises(NotDone, match="no run waits for this visit"):
            await act(db, swap["visit_id"], "done")


@pytest.mark.parametrize("purpose", ["installation", "deployment"])
async def test_what_a_line_or_an_order_waits_for_is_not_done_without_a_scan(begin: Begin, purpose: Any) -> None:
    async with begin() as db:
        visit = await booked(db, Whose("dispatch", 7))
        await visits(db).join(visit_id=visit["visit_id"], whose=Whose(purpose, 7))
        with pytest.raises(VisitOver, match="is booked and can't be done"):
            await act(db, visit["visit_id"], "done", reason="all works")
        assert await visits(db).visit(visit["visit_id"]) == visit
        await visits(db).report(visit_id=visit["visit_id"], outcome="scanned", serial="HWTC12345678")
        taken = await act(db, visit["visit_id"], "done", reason="all works")
        assert taken["sheet"]["done_by"] == "tom"


@pytest.mark.parametrize("outcome", ["cancelled", "no_access", "not_feasible"])
async def test_done_on_a_visit_that_came_to_nothing_is_a_conflict(begin: Begin, outcome: Any) -> None:
    async with begin() as db:
        visit_id = (await booked(db, Whose("dispatch")))["visit_id"]
        await visits(db, at=TEN).report(visit_id=visit_id, outcome=outcome, note="by dispatch")
        with pytest.raises(VisitOver, match=f"is {outcome} and can't be done"):
            await act(db, visit_id, "done", reason="did it")


@pytest.mark.parametrize("outcome", ["cancelled", "no_access"])
async def test_a_record_of_a_visit_at_which_nobody_was_is_a_conflict(begin: Begin, outcome: Any) -> None:
    async with begin() as db:
        visit_id = (await booked(db, Whose("dispatch")))["visit_id"]
        await visits(db, at=TEN).report(visit_id=visit_id, outcome=outcome, note="by dispatch")
        with pytest.raises(VisitOver, match="can't be written down"):
            await act(db, visit_id, "record", changes={"splitter": "S-1"})


async def test_what_is_taken_back_at_a_visit_is_in_its_technicians_van_once(begin: Begin) -> None:
    async with begin() as db:
        repair = await booked(db, Whose("dispatch"))
        for is_new in (True, False):
            taken = await act(db, repair["visit_id"], "returned", serial="hwtc12345678", note="no light")
            assert taken["is_new"] is is_new
        van = VanStock(db, tenant_id=TENANT, now=now)
        [item] = await van.stock(1)
        assert (item["serial"], item["state"]) == ("HWTC12345678", "returned")
        assert len((await van.history("HWTC12345678"))["movements"]) == 1
        with pytest.raises(InvalidRequest, match=r"content\.serial is missing"):
            await act(db, (await booked(db, Whose("dispatch"), starts_at=TEN.replace(hour=12)))["visit_id"], "returned")
        await visits(db).cancel(visit_id=repair["visit_id"], reason="rain")
        with pytest.raises(VisitOver, match="is cancelled and can't be written down"):
            desk = FieldDesk(
                db,
                visit_desk=cast(VisitDesk, None),
                dispatch=cast(DispatchDesk, None),
                definitions={},
                tenant_id=TENANT,
                now=now,
            )
            content = {"serial": "HWTC00000002"}
            await desk.act(
                visit_id=repair["visit_id"], key="later", kind="returned", content=content, made_at=NOW, by="tom"
            )


async def test_what_is_taken_back_late_undoes_nothing_and_takes_nothing_out_of_another_van(begin: Begin) -> None:
    async with begin() as db:
        await Technicians(db, tenant_id=TENANT).register(technician_id=2, name="Uma")
        repair, serial = (await booked(db, Whose("dispatch")))["visit_id"], "HWTC12345678"
        van = VanStock(db, tenant_id=TENANT, now=now)
        await van.book_in(technician_id=2, serials=[serial], by="dora")
        desk = FieldDesk(
            db,
            visit_desk=cast(VisitDesk, None),
            dispatch=cast(DispatchDesk, None),
            definitions={},
            tenant_id=TENANT,
            now=now,
        )
        act: dict[str, Any] = {"visit_id": repair, "kind": "returned", "content": {"serial": serial}, "by": "tom"}
        early = NOW - timedelta(minutes=5)
        with pytest.raises(StockElsewhere, match=r"technician 2"):
            await desk.act(**act, key="a", made_at=early)
        await van.book_out(technician_id=2, serials=[serial], reason="handed back", by="dora")
        await desk.act(**act, key="b", made_at=early)
        history = await van.history(serial)
        assert [await van.stock(number) for number in (1, 2)] == [[], []]
        assert (history["item"]["state"], history["movements"][0]["state"]) == ("out", "returned")
        await desk.act(**act, key="c", made_at=NOW)
        assert [item["state"] for item in await van.stock(1)] == ["returned"]
