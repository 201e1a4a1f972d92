"""Our process, or an answer of the ACS, is lost at any moment: the reboot happens once, and its outcome is known."""

from __future__ import annotations

import pytest

from acs.testing import NbiTrouble

# the harness that strikes before or after any one request
from tests.acs.convergence.test_interruptions import Killed, Saboteur
from tests.acs.operations.conftest import Ops, sent
from tests.acs.operations.test_commands import IMAGE, upload

pytestmark = pytest.mark.parametrize("acs_database", ["sqlite"], indirect=True)

MOMENTS = 60
"""More requests than any of them makes; the sweep says when it went past the last."""


COMMANDS = [
    pytest.param("reboot", {}, "Reboot", id="reboot"),
    pytest.param("firmware", {"file": IMAGE}, "Download", id="firmware", marks=pytest.mark.second_half),
]


@pytest.mark.durability_sweep
@pytest.mark.parametrize(("verb", "arguments", "rpc"), COMMANDS)
@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
async def test_killed_at_any_request_the_cpe_is_sent_it_once_and_that_is_known(
    ops: Ops, monkeypatch: pytest.MonkeyPatch, after_effect: bool, verb: str, arguments: dict[str, str], rpc: str
) -> None:
    cpe = await ops.configured()
    ops.bench.lab.cwmp.dates_commands = True
    cpe.quirks.transfer_seconds = 5.0
    await upload(ops)
    saboteur = Saboteur(monkeypatch)
    for number in range(1, MOMENTS):
        cpe.rpcs_seen.clear()
        ops.bench.lab.documents["files"][IMAGE]["metadata"]["version"] = f"2.{number}"
        asked = await ops.ask(verb, **arguments)
        saboteur.strike(number, after_effect=after_effect)
        struck = False
        try:
            await ops.done(asked)
        except Killed:
            struck = True
        saboteur.rest()
        await ops.later(91)  # the dead process's lease is over
        over = await ops.done(asked)
        if (
            over["ended_at"] is None
        ):  # never sent, but the CPE had a session since: nobody knows that, so it is not sent
            await ops.later(76 * 60)
            over = await ops.carrier.carry(asked["operation_id"])
        outcome = (over["state"], over["ended_at"] is not None, sent(cpe, rpc))
        allowed = [("done", True, 1)] + [("unknown", True, 0)] * (struck and not after_effect)
        assert outcome in allowed, f"killed at request {number}: {over['reason']}"
        if not struck:
            break
    else:
        pytest.fail("the sweep did not reach the end")
    assert number > 5


async def test_an_answer_that_is_lost_is_looked_for_and_nothing_is_sent_again(ops: Ops) -> None:
    cpe = await ops.configured()
    cpe.quirks.reachable = False
    queue_task = ops.bench.nbi.queue_task

    asked = await ops.ask("reboot")

    async def loses_its_answer(*args: object, **more: object) -> object:
        ops.bench.lab.trouble = NbiTrouble(lose_answers=1)
        return await queue_task(*args, **more)  # type: ignore[arg-type]

    ops.bench.nbi.queue_task = loses_its_answer  # type: ignore[method-assign,assignment]
    unsure = await ops.carrier.carry(asked["operation_id"])
    assert (unsure["state"], unsure["ended_at"]) == ("unknown", None)
    assert unsure["reason"].startswith("Whether the ACS took it is not known, and is looked for:")
    known = await ops.done(asked, seconds=5.0)
    assert (known["state"], len(await ops.bench.nbi.tasks(cpe.device_id))) == ("queued", 1)
    await cpe.periodic_inform()
    assert ((await ops.done(asked))["state"], sent(cpe, "Reboot")) == ("done", 1)


@pytest.mark.parametrize("dates_commands", [False, True], ids=["undated", "dated"])
async def test_one_whose_task_is_gone_though_the_cpe_had_a_session_is_not_sent_again_on_a_guess(
    ops: Ops, dates_commands: bool
) -> None:
    cpe = await ops.configured()
    cpe.quirks.reachable = False
    asked = await ops.ask("reboot")
    await ops.carrier.carry(asked["operation_id"])
    async with ops.bench.devices.database.begin() as db:  # as a process leaves it that dies as it sends
        row = await ops.row(asked)
        row.stage, row.task_id, row.state = "sending", None, "requested"
        await db.merge(row)
    cpe.quirks.reboot_seconds = 50_000.0
    ops.bench.lab.cwmp.dates_commands = dates_commands
    await cpe.periodic_inform()
    await ops.later(120)
    unsure = await ops.done(asked, seconds=30.0)
    assert (unsure["state"], unsure["ended_at"], sent(cpe, "Reboot")) == ("unknown", None, 1)
    await cpe.power_on()
    await ops.done(asked)
    await ops.later(3600)
    assert ((await ops.done(asked))["state"], sent(cpe, "Reboot")) == ("done" if dates_commands else "unknown", 1)


async def test_an_acs_that_is_down_delays_it_and_loses_nothing(ops: Ops) -> None:
    cpe = await ops.configured()
    asked = await ops.ask("reboot")
    await ops.bench.lab.go_down()
    waiting = await ops.carrier.carry(asked["operation_id"])
    assert (waiting["state"], waiting["ended_at"]) == ("requested", None)
    await ops.bench.lab.come_back()
    await ops.later(60)
    assert await ops.carrier.drive() == 1
    assert ((await ops.done(asked))["state"], sent(cpe, "Reboot")) == ("done", 1)
