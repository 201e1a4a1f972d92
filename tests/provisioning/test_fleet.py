"""Which CPEs the fleet leaves to a run: those that a run is at this moment busy with, and no other of its customer."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from provisioning.bootstrap import Appliance
from provisioning.fleet import holder_of, in_hand
from workflows.engine.tables import RunRow, StepRow

SERIAL, RUN = "HWTC00000001", 1

pytestmark = pytest.mark.both_databases


async def holders(appliance: Appliance) -> dict[str, str]:
    async with appliance.database.read() as db:
        return {serial: holder for serial, holder in await db.execute(in_hand(appliance.tenant_id))}


async def at(appliance: Appliance, step: str, state: str = "pending") -> None:
    async with appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id == RUN).values(current_step=step, state=state))


@pytest.mark.parametrize("step", ["device_informed", "apply_device", "verify_device"])
async def test_a_cpe_is_left_to_the_run_that_configures_it_and_that_is_named(spoilable: Appliance, step: str) -> None:
    await at(spoilable, step, "held")
    words = f"run {RUN}, which is at {step}"
    assert await holders(spoilable) == {SERIAL: words}
    async with spoilable.database.read() as db:
        assert await holder_of(db, SERIAL, tenant_id=spoilable.tenant_id) == words
        assert await holder_of(db, SERIAL, tenant_id="another") is None


@pytest.mark.parametrize(
    ("step", "state"), [("activate_service", "held"), ("wait_session", "pending"), ("apply_device", "completed")]
)
async def test_a_run_that_is_elsewhere_or_over_leaves_its_cpe_to_the_fleet(
    spoilable: Appliance, step: str, state: str
) -> None:
    await at(spoilable, step, state)
    assert await holders(spoilable) == {}


async def test_a_cpe_that_was_swapped_for_another_is_not_the_runs_any_more(spoilable: Appliance) -> None:
    await at(spoilable, "device_informed")
    async with spoilable.database.begin() as db:
        await db.execute(
            update(StepRow).where(StepRow.run_id == RUN, StepRow.step == "device_informed").values(state="undone")
        )
    assert await holders(spoilable) == {}
