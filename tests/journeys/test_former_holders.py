"""An installation under a name that somebody else had before: a session of theirs proves nothing, and hides nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from radius.testing import LabSession, Usage
from tests.support.former_holders import had_by_another
from tests.support.lab import JourneyLab

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.both_databases]

OTHER_CPE = "02-00-00-00-00-78"


async def test_a_session_of_a_former_holder_of_the_name_makes_no_installation_online(lab: JourneyLab) -> None:
    house = lab.household()
    async with lab.no_dialling() as nas:
        run = await lab.order(house)
        await run.until_waiting_for("visit")
        given = await run.result("allocate_resources")
        label = await had_by_another(lab.appliance, given["username"])
        ghost = LabSession(given["username"], service_class=label.encode(), calling_station=OTHER_CPE)
        await nas.accounting_start(ghost)
        cpe = await run.plug_and_scan(house)
        await run.until_waiting_for("session_started")
        late = replace(ghost, session_id=f"late-{ghost.session_id}", framed_ip_address=given["ip_address"])
        await nas.accounting_start(late)
        assert await lab.worker.watchers.watch_sessions() == 0
        waiting = await run.until_waiting_for("session_started")
    assert waiting.summary.reason == "the CPE is configured: waiting for the subscriber's own login"
    assert (await run.result("see_open_sessions")) == {"sessions": []}  # one of its own by that id would count

    lab.world.dial(cpe)
    ended = await run.until_ended()
    assert ended.summary.state == "completed"
    assert (await run.result("session_started"))["session_id"] not in (ghost.session_id, late.session_id)
    for session in (ghost, late):
        await lab.nas.accounting_stop(session, Usage(seconds=60))
    assert await lab.broken_invariants() == []
