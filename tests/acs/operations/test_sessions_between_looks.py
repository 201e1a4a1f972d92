"""A session ends between two requests of one look: what the CPE took is never called unsent, and never sent again."""

from __future__ import annotations

import pytest

from acs.nbi.outcomes import Task
from acs.operations.task_looks import IN_FLIGHT
from tests.acs.operations.conftest import Ops, sent

pytestmark = pytest.mark.parametrize("acs_database", ["sqlite"], indirect=True)

Tasks = tuple[Task, ...]
BOOT_SECONDS = 150.0


async def test_a_session_whose_task_is_cleared_after_the_look_is_the_one_that_took_it(
    ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpe = await ops.configured()
    cpe.quirks.reachable, cpe.quirks.reboot_seconds = False, BOOT_SECONDS
    asked = await ops.ask("reboot")
    await ops.carrier.carry(asked["operation_id"])
    asks = ops.bench.nbi.tasks
    not_cleared_yet = await asks(cpe.device_id)
    await cpe.periodic_inform()  # saved, with its Inform

    async def still_listed(device_id: str, *, unique_key: str | None = None) -> Tasks:
        monkeypatch.setattr(ops.bench.nbi, "tasks", asks)
        return not_cleared_yet

    monkeypatch.setattr(ops.bench.nbi, "tasks", still_listed)
    await ops.later(5)
    assert (await ops.carrier.carry(asked["operation_id"]))["state"] == "queued"
    done = await ops.done(asked)
    assert (done["state"], sent(cpe, "Reboot")) == ("done", 1)


async def test_one_that_is_taken_away_after_two_looks_at_the_same_inform_was_not_sent(ops: Ops) -> None:
    cpe = await ops.configured()
    cpe.quirks.reachable = False
    asked = await ops.ask("reboot")
    await ops.carrier.carry(asked["operation_id"])
    queued = await ops.bench.nbi.tasks(cpe.device_id)
    await ops.later(5)
    await ops.carrier.carry(asked["operation_id"])
    await ops.later(5)
    await ops.carrier.carry(asked["operation_id"])
    await ops.bench.nbi.delete_task(queued[0].id)
    over = await ops.done(asked)
    assert (over["state"], sent(cpe, "Reboot")) == ("faulted", 0), over["reason"]
    assert over["reason"].startswith("Somebody has taken it away at the ACS, and the CPE had no session in between")


@pytest.mark.parametrize("ending", ["cancelled", "expired"])
async def test_one_that_a_session_takes_as_it_is_taken_back_ran(
    ops: Ops, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    cpe = await ops.configured()
    cpe.quirks.reachable = False
    asked = await ops.ask("reboot")
    await ops.carrier.carry(asked["operation_id"])
    if ending == "cancelled":
        async with ops.verbs() as verbs:
            await verbs.cancel(operation_id=asked["operation_id"])
    else:
        async with ops.bench.devices.database.begin() as db:
            row = await ops.row(asked)
            row.expires_at = ops.bench.lab.clock.now()
            await db.merge(row)
    await ops.later(5)
    asks, looks = ops.bench.nbi.tasks, 0

    async def tasks(device_id: str, *, unique_key: str | None = None) -> Tasks:
        nonlocal looks
        looks += 1
        if looks == 2:  # the first finds it queued, the second is to take it back
            await cpe.periodic_inform()
        return await asks(device_id, unique_key=unique_key)

    monkeypatch.setattr(ops.bench.nbi, "tasks", tasks)
    over = await ops.done(asked)
    assert (over["state"], sent(cpe, "Reboot")) == ("done", 1)


async def test_one_that_a_session_takes_as_its_request_is_looked_for_is_not_sent_again(
    ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpe = await ops.configured()
    cpe.quirks.reachable = False
    asked = await ops.ask("reboot")
    await ops.carrier.carry(asked["operation_id"])
    async with ops.bench.devices.database.begin() as db:  # as a process leaves it that dies as it sends
        row = await ops.row(asked)
        row.stage, row.task_id, row.state = "sending", None, "requested"
        row.sent_at = ops.bench.lab.clock.now() - IN_FLIGHT
        await db.merge(row)
    asks = ops.bench.nbi.tasks

    async def tasks(device_id: str, *, unique_key: str | None = None) -> Tasks:
        monkeypatch.setattr(ops.bench.nbi, "tasks", asks)
        await cpe.periodic_inform()
        return await asks(device_id, unique_key=unique_key)

    monkeypatch.setattr(ops.bench.nbi, "tasks", tasks)
    unsure = await ops.carrier.carry(asked["operation_id"])
    assert (unsure["state"], unsure["ended_at"]) == ("unknown", None)
    await ops.done(asked)
    assert sent(cpe, "Reboot") == 1
