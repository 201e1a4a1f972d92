"""Dispatch books for customers that there are, and who waits for a visit is written whom to expect now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.commercial import CustomerUnknown
from provisioning.errors import InvalidRequest
from provisioning.estate import import_estate
from provisioning.field import Jobs, TechnicianBusy, Technicians, Visits
from tests.provisioning.test_order_visits import CUSTOMER, ORDER, waiting, waiting_order
from tests.provisioning.test_visits import needs
from tests.support.appliances import ESTATE, Original
from workflows.engine.tables import RunRow

DAYS = timedelta(days=3)


@pytest.fixture(params=["migrated_sqlite", "migrated_postgresql"])
def migrated(request: pytest.FixtureRequest) -> Original:
    found: Original = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def appliance(migrated: Original, tmp_path: Path) -> AsyncIterator[Appliance]:
    async with open_appliance(migrated.copy(tmp_path, public_url="https://isp.example", isp_name="Isp")) as opened:
        await import_estate(opened, ESTATE)
        yield opened


async def prepared(appliance: Appliance) -> None:
    async with appliance.database.begin() as db:
        await Jobs(db, tenant_id=appliance.tenant_id).define(name="repair", duration_minutes=60)
        await Technicians(db, tenant_id=appliance.tenant_id).register(technician_id=8, name="Theo")


async def book(
    appliance: Appliance, customer_id: int, *, order_id: int | None = None, request_id: str | None = None
) -> int:
    async with appliance.database.begin() as db:
        booked = await appliance.dispatch_desk(db).book(
            customer_id=customer_id,
            technician_id=7,
            starts_at=(appliance.clock() + DAYS).replace(hour=9, minute=0, second=0, microsecond=0),
            address="here",
            job="repair",
            order_id=order_id,
            request_id=request_id,
            by="nora",
        )
    return booked["visit_id"]


async def written(appliance: Appliance) -> list[str]:
    """The keys of the mails that tell of a visit."""
    async with appliance.database.read() as db:
        keys = "SELECT request_id FROM mail WHERE template = 'installation_scheduled' ORDER BY id"
        return list(await db.scalars(text(keys)))


@pytest.mark.both_databases
async def test_nobody_is_sent_to_a_customer_whom_there_is_not(appliance: Appliance) -> None:
    await prepared(appliance)
    with pytest.raises(CustomerUnknown):
        await book(appliance, 999999)
    with pytest.raises(InvalidRequest, match="customer_id"):
        await book(appliance, 0)
    assert await book(appliance, CUSTOMER) > 0


@pytest.mark.both_databases
async def test_who_waits_for_a_visit_is_written_when_somebody_else_comes_and_not_for_nothing(
    appliance: Appliance,
) -> None:
    await prepared(appliance)
    run_id, visit_id = await waiting(appliance, "T-1"), await book(appliance, CUSTOMER)
    async with appliance.database.begin() as db:
        db.add(needs(appliance, run_id, visit_id))
    for technician_id in (8, 8):
        async with appliance.database.begin() as db:
            desk = appliance.dispatch_desk(db)
            seen = await Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock).visit(visit_id)
            await desk.reschedule(
                visit_id=visit_id,
                technician_id=technician_id,
                starts_at=seen["starts_at"],
                reason="Tess is ill",
                by="nora",
            )
    assert await written(appliance) == [f"visit/{visit_id}/{sequence}/scheduled" for sequence in (0, 1)]


async def test_who_may_not_move_a_visit_there_is_not_offered_to_leave_it_where_it_is(appliance: Appliance) -> None:
    await prepared(appliance)
    visit_id = await book(appliance, CUSTOMER)
    nine = (appliance.clock() + DAYS).replace(hour=9, minute=0, second=0, microsecond=0)
    async with appliance.database.begin() as db:
        await Technicians(db, tenant_id=appliance.tenant_id).register(technician_id=9, name="Thea")
        desk = appliance.dispatch_desk(db)
        theirs: dict[str, Any] = {"customer_id": CUSTOMER, "address": "there", "job": "repair", "by": "nora"}
        await desk.book(technician_id=8, starts_at=nine + timedelta(minutes=30), **theirs)
    with pytest.raises(TechnicianBusy) as refused:
        async with appliance.database.begin() as db:
            await appliance.dispatch_desk(db).reschedule(
                visit_id=visit_id, technician_id=8, starts_at=nine + timedelta(minutes=15), reason="rain", by="nora"
            )
    await appliance.alternatives.tell(refused.value)
    offered = [(one["technician_id"], one["starts_at"]) for one in refused.value.alternatives]
    assert offered == [(9, nine), (7, nine + timedelta(minutes=30)), (9, nine + timedelta(minutes=30))]


@pytest.mark.both_databases
async def test_whom_dispatch_books_for_is_written_once_with_the_link_to_move_it(appliance: Appliance) -> None:
    await prepared(appliance)
    visit_id = await book(appliance, CUSTOMER, request_id="desk/1")
    async with appliance.database.begin() as db:
        await db.execute(text("UPDATE customer SET email = 'other@example.net'"))
        await appliance.dispatch_desk(db).reschedule(
            visit_id=visit_id,
            technician_id=8,
            starts_at=(await Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock).visit(visit_id))[
                "starts_at"
            ],
            reason="Tess is ill",
            by="nora",
        )
        await appliance.dispatch_desk(db).reschedule(
            visit_id=visit_id,
            technician_id=7,
            starts_at=(await Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock).visit(visit_id))[
                "starts_at"
            ],
            reason="Tess is well",
            by="nora",
        )
    assert await book(appliance, CUSTOMER, request_id="desk/1") == visit_id
    assert await written(appliance) == [f"visit/{visit_id}/{sequence}/scheduled" for sequence in (0, 1, 2)]
    async with appliance.database.read() as db:
        letters = list(await db.scalars(text("SELECT text FROM mail ORDER BY id")))
    assert ["Theo" in letter for letter in letters] == [False, True, False]
    assert all("https://isp.example/links/v1.move_visit." in letter for letter in letters)


async def move_on(appliance: Appliance, visit_id: int) -> int:
    """Dispatch moves the visit by an hour; its sequence then."""
    async with appliance.database.begin() as db:
        visit = await Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock).visit(visit_id)
        moved = await appliance.dispatch_desk(db).reschedule(
            visit_id=visit_id,
            technician_id=visit["technician_id"],
            starts_at=visit["starts_at"] + timedelta(hours=1),
            reason="van broken",
            by="nora",
        )
    return moved["sequence"]


async def put(appliance: Appliance, run_id: int, **values: object) -> None:
    async with appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id == run_id).values(**values))


@pytest.mark.both_databases
@pytest.mark.parametrize("whose", ["installation", "order"])
async def test_of_an_order_s_visit_the_run_that_will_join_it_writes_and_where_none_does_the_desk(
    appliance: Appliance, whose: str
) -> None:
    await prepared(appliance)
    if whose == "order":
        order_id, run_id = await waiting_order(appliance)
    else:
        order_id, run_id = ORDER, await waiting(appliance, "T-1")
    visit_id = await book(appliance, CUSTOMER, order_id=order_id)
    await move_on(appliance, visit_id)
    await put(appliance, run_id, state="inProgress", waiting_for=None)
    await move_on(appliance, visit_id)
    assert await written(appliance) == []
    told = []
    for state in ("held", "completed"):
        await put(appliance, run_id, state=state)
        told.append(await move_on(appliance, visit_id))
    assert await written(appliance) == [f"visit/{visit_id}/{sequence}/scheduled" for sequence in told]


@pytest.mark.both_databases
async def test_of_an_order_that_no_run_knows_the_desk_writes_once_of_each_change(appliance: Appliance) -> None:
    await prepared(appliance)
    await waiting(appliance, "T-1", order_id=ORDER + 1)
    visit_id = await book(appliance, CUSTOMER, order_id=ORDER, request_id="desk/1")
    assert await book(appliance, CUSTOMER, order_id=ORDER, request_id="desk/1") == visit_id
    moved = await move_on(appliance, visit_id)
    assert await written(appliance) == [f"visit/{visit_id}/{sequence}/scheduled" for sequence in (0, moved)]
