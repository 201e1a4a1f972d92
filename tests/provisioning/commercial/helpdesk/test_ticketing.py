"""Appointments as a journey sees them: booked, waited for, ended, taken back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import TicketingService
from provisioning.commercial.mails.delivery import Begin
from provisioning.errors import InvalidRequest, RequestConflict
from provisioning.field import TechnicianBusy, Technicians, TechnicianUnknown, Visit, VisitOver
from tests.provisioning.commercial.conftest import NOW, TENANT

TEN = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)
WISH: dict[str, Any] = {
    "customer_id": 42,
    "installation_address": "1 High Street",
    "technician_id": 1,
    "scheduled_date": TEN,
    "service_location": "LOC-1",
    "request_id": "order/1/visit",
}


async def ticketing(db: AsyncSession) -> TicketingService:
    await Technicians(db, tenant_id=TENANT).register(technician_id=1, name="Tom")
    return TicketingService(db, tenant_id=TENANT, now=lambda: NOW)


async def test_an_installation_is_booked_for_two_hours(begin: Begin) -> None:
    async with begin() as db:
        scheduled = await (await ticketing(db)).schedule_installation(**WISH)
    assert scheduled == {
        "visit_id": scheduled["visit_id"],
        "technician_id": 1,
        "technician_name": "Tom",
        "starts_at": TEN,
        "ends_at": TEN.replace(hour=12),
        "state": "booked",
        "is_announced": False,
    }
    async with begin() as db:
        assert await (await ticketing(db)).schedule_installation(**WISH) == scheduled
        with pytest.raises(TechnicianBusy):
            await (await ticketing(db)).schedule_installation(**WISH | {"request_id": "order/2/visit"})


async def test_an_installation_that_cannot_be_booked_is_refused_and_nobody_is_booked(begin: Begin) -> None:
    async with begin() as db:
        service = await ticketing(db)
        with pytest.raises(InvalidRequest) as refused:
            await service.schedule_installation(
                **WISH | {"customer_id": 0, "installation_address": " ", "scheduled_date": TEN.replace(tzinfo=None)}
            )
        with pytest.raises(TechnicianUnknown, match="There is no technician 9"):
            await service.schedule_installation(**WISH | {"technician_id": 9})
        assert list(await db.scalars(select(Visit.id))) == []
    assert {fault.field for fault in refused.value.faults} == {"customer_id", "installation_address", "scheduled_date"}


async def test_the_same_request_at_the_same_moment_is_one_visit_and_with_other_input_a_conflict(begin: Begin) -> None:
    async with begin() as db:
        await ticketing(db)

    async def attempt() -> int:
        async with begin() as db:
            service = TicketingService(db, tenant_id=TENANT, now=lambda: NOW)
            return (await service.schedule_installation(**WISH))["visit_id"]

    [visit_id] = set(await asyncio.gather(*(attempt() for _ in range(4))))
    async with begin() as db:
        service = TicketingService(db, tenant_id=TENANT, now=lambda: NOW)
        with pytest.raises(RequestConflict, match=f"already made visit {visit_id}"):
            await service.schedule_installation(**WISH | {"scheduled_date": TEN.replace(hour=15)})
        await service.release_visit(visit_id=visit_id, reason="run undone")
        with pytest.raises(VisitOver, match="is cancelled and can't be booked again by the same request"):
            await service.schedule_installation(**WISH)


async def test_a_visit_goes_from_scan_to_done(begin: Begin) -> None:
    async with begin() as db:
        service = await ticketing(db)
        visit_id = (await service.schedule_installation(**WISH))["visit_id"]
        with pytest.raises(VisitOver, match="is booked and can't be completed"):
            await service.complete_visit(visit_id=visit_id)
        scanned = await service.report_visit(visit_id=visit_id, outcome="scanned", serial="hwtc12345678")
        done = await service.complete_visit(visit_id=visit_id, note="all green")
    assert (scanned["outcome"], scanned["serial"]) == ("scanned", "HWTC12345678")
    assert (done["outcome"], done["note"]) == ("completed", "all green")


async def test_taking_a_booking_back_frees_the_technician(begin: Begin) -> None:
    async with begin() as db:
        service = await ticketing(db)
        visit_id = (await service.schedule_installation(**WISH))["visit_id"]
        released = await service.release_visit(visit_id=visit_id, reason="run undone")
        assert (released["state"], released["outcome_note"]) == ("cancelled", "run undone")
        assert await service.release_visit(visit_id=visit_id, reason="again") == released
        await service.schedule_installation(**WISH | {"request_id": "order/2/visit"})


async def test_taking_back_a_visit_that_has_ended_leaves_what_happened(begin: Begin) -> None:
    async with begin() as db:
        service = await ticketing(db)
        visit_id = (await service.schedule_installation(**WISH))["visit_id"]
        await service.report_visit(visit_id=visit_id, outcome="not_feasible", note="no duct")
        with pytest.raises(VisitOver, match="is not_feasible and can't be cancelled"):
            await service.cancel_visit(visit_id=visit_id, reason="customer asked")
        released = await service.release_visit(visit_id=visit_id, reason="run undone")
    assert (released["state"], released["outcome_note"]) == ("not_feasible", "no duct")


async def test_a_dispatcher_cancels_with_a_reason(begin: Begin) -> None:
    async with begin() as db:
        service = await ticketing(db)
        visit_id = (await service.schedule_installation(**WISH))["visit_id"]
        cancelled = await service.cancel_visit(visit_id=visit_id, reason="customer ill", request_id="board/9")
        assert await service.cancel_visit(visit_id=visit_id, reason="customer ill", request_id="board/9") == cancelled
    assert (cancelled["outcome"], cancelled["note"], cancelled["reported_at"]) == ("cancelled", "customer ill", NOW)
