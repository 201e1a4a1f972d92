"""The OLT is driven by the ISP's own system: told by webhook, which is no answer, and answering when it is done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from provisioning.api import create_app
from tests.support.http_receiver import SILENCE, HttpReceiver
from tests.support.lab import Installation, JourneyLab
from tests.support.line_system import LineSystem, line_webhook_settings
from tests.support.traces import NOTHING, traces_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def driven_by_webhook(lab: JourneyLab, folder: Path) -> AsyncIterator[LineSystem]:
    """The ISP sets its own system up; for the time of the block."""
    async with HttpReceiver() as receiver:
        settings = line_webhook_settings(folder, receiver)
        secret = settings["line_webhook_secret_file"].read_text()
        async with lab.restarted_with(line_adapter="webhook", **settings):
            transport = httpx.ASGITransport(create_app(lab.appliance))
            async with httpx.AsyncClient(transport=transport, base_url="https://isp.example") as appliance:
                yield LineSystem(receiver, secret, lab.world.olt.url, appliance, lab.clock.now)


@asynccontextmanager
async def told_of_runs(lab: JourneyLab) -> AsyncIterator[HttpReceiver]:
    """Another system that is told how runs go, for the time of the block."""
    async with HttpReceiver() as receiver:
        async with lab.appliance.database.begin() as db:
            added = await lab.appliance.webhooks(db).add(
                url=f"http://127.0.0.1:{receiver.port}/runs", event_types=["run.state_changed"], by="nora"
            )
        yield receiver
        async with lab.appliance.database.begin() as db:
            await lab.appliance.webhooks(db).disable(webhook_id=added["webhook_id"], reason="the test is over")


async def ordered_line(run: Installation) -> int:
    number: int = (await run.result("authorise_line"))["line_order_id"]
    return number


async def test_a_line_is_there_when_the_system_says_so_and_not_when_it_has_heard(
    lab: JourneyLab, tmp_path: Path
) -> None:
    house = lab.household()
    async with driven_by_webhook(lab, tmp_path) as system, told_of_runs(lab) as others:
        system.receiver.answer(SILENCE, 202)  # the first answer is lost, and the same message sent again
        run = await lab.order(house)
        await run.until_waiting_for("visit")
        cpe = await run.plug_and_scan(house)
        await run.until_waiting_for("line_answer")
        assert not cpe.online
        assert (await traces_of(lab, house)).line_orders == ("handed_over",)
        assert len({told.headers["webhook-id"] for told in system.receiver.received}) == 1
        assert len(system.receiver.received) == 2

        [heard] = await system.work()
        order = f"{lab.appliance.tenant_id}.{await ordered_line(run)}"
        assert (heard.status_code, heard.json()) == (200, {"order": order, "state": "authorised"})
        ended = await run.until_ended()

        assert ended.summary.state == "completed"
        answer = await run.result("line_answer")
        assert (answer["actual_port"], answer["received_power_dbm"]) == (house.port, -19.4)
        assert cpe.ppp.status == "Connected"
        assert await lab.broken_invariants() == []

        told: list[dict[str, Any]] = []
        while not told or told[-1]["state"] != "completed":
            await others.until_received(len(told) + 1)
            told.append(others.received[len(told)].body["data"])
        assert {each["run_id"] for each in told} == {run.id}
        assert told[0]["state"] == "acknowledged"
        assert [each["previous_state"] for each in told] == [None, *(each["state"] for each in told[:-1])]


async def test_a_call_back_that_never_comes_is_held_and_a_late_one_is_welcome(lab: JourneyLab, tmp_path: Path) -> None:
    house = lab.household()
    async with driven_by_webhook(lab, tmp_path) as system:
        run = await lab.order(house)
        await run.until_waiting_for("visit")
        await run.plug_and_scan(house)
        await run.until_waiting_for("line_answer")
        lab.clock.skip(hours=24)
        held = await run.until_held()
        assert held.summary.reason == (
            "the line has been handed over: waiting for the OLT side's answer: not heard of in time"
        )
        assert await lab.broken_invariants() == []

        await run.retry()
        await run.until_waiting_for("line_answer")
        [told] = system.receiver.received
        about = {"order": told.body["data"]["order"], "serial": house.serial}
        late = await system.answer({**about, "result": "refused", "reason": "splitter full"})
        assert late.json()["state"] == "refused"
        held = await run.until_held()
        assert held.summary.current_step == "confirm_port"
        assert held.summary.reason == (
            f"OLT-3 refused {house.serial}: splitter full; when the cause is gone, retry from authorise_line"
        )
        assert await lab.broken_invariants() == []

        system.receiver.received.clear()
        await run.retry(from_step="authorise_line")
        await run.until_waiting_for("line_answer")
        assert [each.status_code for each in await system.work()] == [200]
        assert (await run.until_ended()).summary.state == "completed"
        assert await lab.broken_invariants() == []


async def test_an_undo_waits_until_the_system_has_removed_the_line(lab: JourneyLab, tmp_path: Path) -> None:
    house = lab.household()
    async with driven_by_webhook(lab, tmp_path) as system:
        run = await lab.order(house)
        await run.until_waiting_for("visit")
        await run.report("scanned", serial=house.serial, port=house.port)
        await run.until_waiting_for("line_answer")
        assert [each.status_code for each in await system.work()] == [200]
        await run.until_waiting_for("device_informed")
        assert house.serial in lab.world.olt.lines

        await run.cancel("moves away")
        held = await run.until_held()  # it has been asked several times by now, as one and the same message
        assert held.summary.reason_code == "installation.line_removal_unconfirmed"
        assert str(held.summary.reason).startswith(f"The system that drives OLT-3 was asked to take ONT {house.serial}")
        unwanted = [each for each in system.receiver.received if each.body["type"] == "line.unwanted"]
        assert len(unwanted) > 1 and len({each.headers["webhook-id"] for each in unwanted}) == 1
        assert (await traces_of(lab, house)).on_the_olt == (house.serial,)

        assert [each.status_code for each in await system.work()] == [200]
        ended = await run.until_ended()
        assert (ended.summary.state, ended.summary.reason) == ("cancelled", "cancelled by operator: moves away")
        assert await traces_of(lab, house) == NOTHING
        assert await lab.broken_invariants() == []
