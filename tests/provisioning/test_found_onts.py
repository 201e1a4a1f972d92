"""An ONT that the OLT shows at the right port is bound to the visit that is at work there; on a guess none is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.errors import InvalidRequest
from provisioning.field import VisitRecord, Visits
from provisioning.field.tables import Visit
from provisioning.found_onts import FoundOnt, OntAmbiguous, OntNotAwaited, OntServes
from tests.support.healthy_estate import HealthyEstate

NEW, SERVING = "HWTC0000F0DA", "HWTC00000001"


async def booked(appliance: Appliance) -> VisitRecord:
    async with appliance.database.read() as db:
        found = await Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock).visits(states=["booked"])
    [visit] = [each for each in found if each["planned_port"] is not None]
    return visit


@asynccontextmanager
async def at_the_visit(
    estate: HealthyEstate, home: Path, *, early: timedelta = timedelta()
) -> AsyncIterator[tuple[Appliance, VisitRecord, str]]:
    """The appliance a quarter of an hour into the visit that a run waits for, and that visit's access node."""
    settings = estate.copy(home)
    async with open_appliance(settings) as appliance:
        visit = await booked(appliance)
        async with appliance.database.read() as db:
            place = await appliance.services(db).network_service.locate(str(visit["location"]))
    now = visit["starts_at"] + timedelta(minutes=15) - early
    async with open_appliance(settings, clock=lambda: now) as appliance:
        yield appliance, visit, place["access_node"]


async def found(appliance: Appliance, node: str, port: str, serial: str = NEW) -> FoundOnt:
    async with appliance.database.begin() as db:
        return await appliance.found_ont_desk(db).found(serial=serial, access_node=node, port=port, by="olt")


async def test_the_visit_at_work_at_that_port_gets_it_once_and_its_run_goes_on(
    sqlite_estate: HealthyEstate, tmp_path: Path
) -> None:
    async with at_the_visit(sqlite_estate, tmp_path / "copy") as (appliance, visit, node):
        port = str(visit["planned_port"])
        bound = await found(appliance, node, port, NEW.lower())
        assert (bound["visit_id"], bound["device_serial"], bound["is_new"]) == (visit["visit_id"], NEW, True)
        assert bound["runs"] == [sqlite_estate.waiting]
        again = await found(appliance, node, port)
        assert (again["visit_id"], again["is_new"], again["runs"]) == (visit["visit_id"], False, [])
        async with appliance.database.read() as db:
            seen = await Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock).visit(visit["visit_id"])
        assert (seen["state"], seen["scanned_serial"], seen["scanned_port"]) == ("scanned", NEW, port)


async def test_where_nobody_is_at_work_it_is_bound_to_nobody(sqlite_estate: HealthyEstate, tmp_path: Path) -> None:
    async with at_the_visit(sqlite_estate, tmp_path / "copy") as (appliance, visit, node):
        for place, port in (("OLT-NOWHERE", visit["planned_port"]), (node, "9/9/9")):
            with pytest.raises(OntNotAwaited, match="no visit is at work at this time; nothing was bound"):
                await found(appliance, place, str(port))
        with pytest.raises(OntServes, match="serves customer 1001 already"):
            await found(appliance, node, str(visit["planned_port"]), SERVING)
        with pytest.raises(InvalidRequest) as refused:
            await found(appliance, "", " ", "no serial!")
        assert len(refused.value.faults) == 3
        assert (await booked(appliance))["visit_id"] == visit["visit_id"]


async def test_before_the_visit_it_may_be_a_neighbours(sqlite_estate: HealthyEstate, tmp_path: Path) -> None:
    early = timedelta(hours=1)
    async with at_the_visit(sqlite_estate, tmp_path / "copy", early=early) as (appliance, visit, node):
        with pytest.raises(OntNotAwaited):
            await found(appliance, node, str(visit["planned_port"]))


async def test_two_visits_at_one_port_leave_it_to_a_scan(sqlite_estate: HealthyEstate, tmp_path: Path) -> None:
    async with at_the_visit(sqlite_estate, tmp_path / "copy") as (appliance, visit, node):
        async with appliance.database.begin() as db:
            await db.execute(
                update(Visit)
                .where(Visit.state == "cancelled")
                .values(
                    state="booked",
                    starts_at=visit["starts_at"],
                    ends_at=visit["ends_at"],
                    location=visit["location"],
                    planned_port=visit["planned_port"],
                    outcome_at=None,
                    outcome_note=None,
                )
            )
        with pytest.raises(OntAmbiguous) as several:
            await found(appliance, node, str(visit["planned_port"]))
        assert visit["visit_id"] in several.value.visit_ids and len(several.value.visit_ids) == 2
