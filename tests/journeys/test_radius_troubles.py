"""The radius database's worst moment: the bill runs, and FreeRADIUS has not been told that the test is over."""

from __future__ import annotations

import pytest

from tests.support.lab import JourneyLab
from tests.support.outages import radius_database_down
from tests.support.traces import radius_rows

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.by_turns]


@pytest.mark.by_turns
async def test_an_activation_that_an_operator_passed_over_is_found_and_made_good(lab: JourneyLab) -> None:
    house = lab.household()
    async with lab.no_dialling():
        run = await lab.order(house)
        await run.until_waiting_for("visit")
        await run.plug_and_scan(house)
        await run.until_waiting_for("session_started")
    given = await run.result("allocate_resources")
    username = given["username"]
    async with radius_database_down(lab):
        async with lab.appliance.database.begin() as db:
            seen = {
                "username": username,
                "framed_ip_address": given["ip_address"],
                "nas_address": "127.0.0.1",
                "session_id": "0001",
                "started_at": lab.clock.now(),
            }
            await lab.appliance.runs.signal(db, run.id, "session_started", seen, key="by hand", by="nora")
        held = await run.until_held()
        assert (held.summary.current_step, held.summary.reason_code) == (
            "project_active",
            "radius.database_unavailable",
        )
        await run.skip("the radius database is being moved")
        assert (await run.until_ended()).summary.state == "partial"
        await lab.stop_worker()

    try:
        assert await lab.broken_invariants() == [
            f"radius.rows_as_wished: {username}: subscriber {username} has other rows in FreeRADIUS' tables than it"
            " should (its last change is not projected yet)."
        ]
        assert "Expiration" in await radius_rows(lab, (username,))
        assert await lab.appliance.projections.catch_up() == 1
        assert "Expiration" not in await radius_rows(lab, (username,))
        assert await lab.broken_invariants() == []
    finally:
        await lab.start_worker()
