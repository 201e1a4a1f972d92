"""The radius database's worst moments: nobody can see who logs in; the bill runs, and FreeRADIUS has not been told."""

from __future__ import annotations

import pytest

from provisioning.nas_probes import probe
from tests.support.lab import JourneyLab
from tests.support.outages import freeradius_down, radius_database_down
from tests.support.traces import radius_rows

pytestmark = pytest.mark.asyncio(loop_scope="session")


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


async def test_a_login_that_nobody_could_see_is_not_said_to_have_failed(lab: JourneyLab) -> None:
    house = lab.household()
    async with lab.no_dialling():
        run = await lab.order(house)
        await run.until_waiting_for("visit")
        cpe = await run.plug_and_scan(house)
        await run.until_waiting_for("session_started")
    async with radius_database_down(lab):
        waiting = await run.until_waiting_for("session_started", code="radius.database_unavailable")
        blind = str(waiting.summary.reason).split(", but ")[1]
        assert blind.startswith("accounting can't be read since ")
        lab.clock.skip(hours=1)
        held = await run.until_held()
        username = (await run.result("allocate_resources"))["username"]
        assert str(held.summary.reason).startswith(
            f"nobody knows whether {username} has logged in within 1 hour of the CPE's configuration: {blind}. Retry"
            " once that is mended; a session of meanwhile counts. The testing window ends "
        )

    lab.world.dial(cpe)
    await run.retry()
    assert (await run.until_ended()).summary.state == "completed"
    assert await lab.broken_invariants() == []


async def test_a_nas_is_tested_at_the_freeradius_of_its_laboratory(lab: JourneyLab) -> None:
    nas, server = lab.world.nas, lab.world.freeradius
    assert nas is not None and server is not None
    async with freeradius_down(lab):
        heard = {each["asked"]: each["heard"] for each in await probe(lab.appliance, nas.name)}
        assert (heard["login"], heard["coa"]) == ("silent", "answered")
    heard = {each["asked"]: each["heard"] for each in await probe(lab.appliance, nas.name)}
    assert (heard["login"], heard["coa"]) == ("answered", "answered")
    assert lab.appliance.settings.radius_log_file == server.log_file
    assert lab.appliance.settings.radius_nas_lifetime_seconds == server.nas_lifetime_seconds
