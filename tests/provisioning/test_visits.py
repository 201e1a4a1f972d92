"""A report and those who hear of it: every run that needs the visit, also one that came to need it at that moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.errors import ChangeRaced
from provisioning.estate import import_estate
from provisioning.field import Visits
from tests.provisioning.test_order_visits import install, waiting
from tests.support.appliances import ESTATE, Original
from tests.support.postgres import until_it_waits_for_us
from workflows.engine.journal import waits_on
from workflows.engine.tables import StepRow


@pytest.fixture
async def appliance(migrated_postgresql: Original, tmp_path: Path) -> AsyncIterator[Appliance]:
    async with open_appliance(migrated_postgresql.copy(tmp_path)) as opened:
        await import_estate(opened, ESTATE)
        yield opened


def needs(appliance: Appliance, run_id: int, visit_id: int) -> StepRow:
    """The wait of a run for this visit, before it has come to it."""
    about = {"waits_on": waits_on("visit", str(visit_id)), "started_at": appliance.clock()}
    return StepRow(run_id=run_id, step="visit", round=1, state="planned", effect="wait", key=f"{run_id}/visit", **about)


async def report(appliance: Appliance, visit_id: int) -> list[int]:
    async with appliance.database.begin() as db:
        _, told = await appliance.visit_desk(db).report(
            visit_id=visit_id, outcome="cancelled", note="gate locked", by="technician"
        )
    return told


async def test_a_report_on_a_visit_that_a_run_joins_at_that_moment_is_refused_and_told_to_both_the_next_time(
    appliance: Appliance,
) -> None:
    first, second = await waiting(appliance, "T-1"), await waiting(appliance, "T-2")
    visit_id = await install(appliance, appliance.clock() + timedelta(days=3), "ticket/T-1/schedule_installation")
    async with appliance.database.begin() as db:
        db.add(needs(appliance, first, visit_id))
    async with appliance.database.begin() as joining:
        await Visits(joining, tenant_id=appliance.tenant_id, now=appliance.clock).visit(visit_id, lock=True)
        reported = asyncio.create_task(report(appliance, visit_id))
        await until_it_waits_for_us(joining, reported)
        joining.add(needs(appliance, second, visit_id))
    with pytest.raises(ChangeRaced):
        await reported
    assert await report(appliance, visit_id) == [first, second]
