"""Outside of its window, and once it has stopped, a campaign has nothing sent; what has begun says until when it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from acs import AcsDevice, Group, Pace
from acs.campaigns.changes import Standing, TemplateChange
from acs.operations.tables import AcsOperation
from tests.acs.campaigns.conftest import NIGHT, OLD, Fleet

OPENS, CLOSES = datetime(2026, 3, 2, 22, 0, tzinfo=UTC), datetime(2026, 3, 3, 4, 0, tzinfo=UTC)
"""The night by Berlin's clock."""
DAY = timedelta(days=1)


async def until(fleet: Fleet) -> list[datetime | None]:
    async with fleet.devices.database.begin() as db:
        return list(await db.scalars(select(AcsDevice.send_until).order_by(AcsDevice.id)))


async def test_what_has_begun_is_sent_until_the_window_closes_and_then_in_the_next(fleet: Fleet) -> None:
    await fleet.bind([1, 2, 3])
    fleet.clock.time = OPENS + timedelta(hours=1)
    await fleet.plan(canary=0, batch_size=2, window=NIGHT, patience_seconds=10 * 86_400)
    await fleet.start()
    await fleet.turns.turn()
    assert await until(fleet) == [CLOSES, CLOSES, None]
    fleet.clock.time = CLOSES + timedelta(hours=6)
    await fleet.turns.turn()
    assert await until(fleet) == [CLOSES, CLOSES, None], "its time is over"
    fleet.clock.time = OPENS + DAY
    await fleet.fare([2], "verified")
    await fleet.turns.turn()
    assert await until(fleet) == [CLOSES + DAY, CLOSES, CLOSES + DAY], "what came through is not its matter"


async def test_one_that_was_not_heard_in_time_still_gets_it_in_a_window_alone(fleet: Fleet) -> None:
    await fleet.bind([1])
    fleet.clock.time = OPENS
    await fleet.plan(canary=0, window=NIGHT, patience_seconds=3600)
    await fleet.start()
    await fleet.turns.turn()
    fleet.clock.time = CLOSES
    await fleet.turns.turn()
    await fleet.turns.turn()
    assert (await fleet.states(), (await fleet.look())["state"]) == (["unreached"], "completed")
    fleet.clock.time = OPENS + DAY
    await fleet.turns.turn()
    assert await until(fleet) == [CLOSES + DAY]


async def wish(fleet: Fleet) -> None:
    """Somebody, who knows nothing of the campaign, changes what the CPE is to have."""
    async with fleet.devices.database.begin() as db:
        await fleet.devices.service(db).secret_changed(ref="secret:subscriber/42")


@pytest.mark.parametrize("patience_seconds", [10 * 86_400, 3600])
async def test_somebody_else_s_wish_for_a_cpe_that_has_not_taken_the_template_waits_for_the_window_with_it(
    fleet: Fleet, patience_seconds: int
) -> None:
    await fleet.bind([1])
    fleet.clock.time = OPENS
    await fleet.plan(canary=0, window=NIGHT, patience_seconds=patience_seconds)
    await fleet.start()
    await fleet.turns.turn()
    fleet.clock.time = CLOSES + timedelta(hours=6)
    await fleet.turns.turn()
    await wish(fleet)
    await fleet.turns.turn()
    assert await until(fleet) == [CLOSES], "it holds the campaign's template as well"
    fleet.clock.time = OPENS + DAY
    await fleet.turns.turn()
    assert await until(fleet) == [CLOSES + DAY]


async def test_somebody_else_s_wish_is_sent_at_any_time_once_the_template_was_taken_or_is_another(fleet: Fleet) -> None:
    await fleet.bind([1, 2])
    fleet.clock.time = OPENS
    await fleet.plan(canary=0, window=NIGHT)
    await fleet.start()
    await fleet.turns.turn()
    await fleet.fare([1], "verified")
    async with fleet.devices.database.begin() as db:
        await fleet.devices.service(db).provision_device(
            customer_id=2,
            device_serial=fleet.serial(2),
            config_template="another",
            service_id=2,
            values={"pppoe_username": "c2@isp.example", "pppoe_password": "secret:subscriber/42"},
        )
    await wish(fleet)
    assert await until(fleet) == [None, None]
    await fleet.turns.turn()
    await fleet.turns.turn()
    assert await until(fleet) == [None, None]


async def test_a_stop_holds_back_the_template_also_where_somebody_else_has_wished_something_since(fleet: Fleet) -> None:
    await fleet.bind(range(1, 5))
    await fleet.plan(canary=1, batch_size=3)
    await fleet.start()
    await fleet.turns.turn()
    await fleet.fare([1], "verified")
    await fleet.turns.turn()
    await wish(fleet)
    await fleet.fare([2, 3], "faulted")
    stopped_at = fleet.clock.now()
    await fleet.turns.turn()
    assert ((await fleet.look())["state"], (await until(fleet))[3]) == ("stopped", stopped_at)
    await wish(fleet)
    assert (await until(fleet))[3] == stopped_at
    await fleet.do(lambda service: service.resume(name="wpa3"))
    await fleet.turns.turn()
    assert await until(fleet) == [None] * 4


async def test_what_is_begun_while_the_window_closes_is_not_sent_after_it(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = TemplateChange.begin

    async def slow(self: TemplateChange, device_row_id: int, *, at: datetime, until: datetime | None) -> Standing:
        standing = await begin(self, device_row_id, at=at, until=until)
        fleet.clock.time = CLOSES + timedelta(seconds=1)
        return standing

    monkeypatch.setattr(TemplateChange, "begin", slow)
    await fleet.bind([1, 2])
    fleet.clock.time = CLOSES - timedelta(seconds=1)
    await fleet.plan(canary=0, window=NIGHT)
    await fleet.start()
    await fleet.turns.turn()
    assert (await fleet.states(), await until(fleet)) == (["under_way"] * 2, [CLOSES] * 2)


async def test_a_stop_takes_back_what_was_not_sent_and_a_person_lets_it_go_on(fleet: Fleet) -> None:
    await fleet.bind(range(1, 5))
    await fleet.plan(canary=1, batch_size=3)
    await fleet.start()
    await fleet.turns.turn()
    await fleet.fare([1], "verified")
    await fleet.turns.turn()
    assert await until(fleet) == [None] * 4
    await fleet.fare([2, 3], "faulted")
    stopped_at = fleet.clock.now()
    await fleet.turns.turn()
    assert ((await fleet.look())["state"], await fleet.states()) == (
        "stopped",
        ["done", "failed", "failed", "under_way"],
    )
    assert await until(fleet) == [None, None, None, stopped_at]
    fleet.clock.time += timedelta(hours=1)
    await fleet.turns.turn()
    assert await until(fleet) == [None, None, None, stopped_at]
    await fleet.do(lambda service: service.resume(name="wpa3"))
    await fleet.turns.turn()
    assert await until(fleet) == [None] * 4


async def test_one_that_is_cancelled_after_a_stop_sends_nothing_more(fleet: Fleet) -> None:
    await fleet.bind(range(1, 4))
    await fleet.plan(canary=1, batch_size=2)
    await fleet.start()
    await fleet.turns.turn()
    await fleet.fare([1], "verified")
    await fleet.turns.turn()
    await fleet.fare([2], "faulted")
    stopped_at = fleet.clock.now()
    await fleet.turns.turn()
    cancelled = await fleet.do(lambda service: service.cancel(name="wpa3"))
    assert cancelled["reason"] == "It was cancelled after it had stopped; what was not sent by then is not sent."
    assert await fleet.states() == ["done", "failed", "skipped"]
    fleet.clock.time += timedelta(hours=1)
    await fleet.turns.turn()
    assert await until(fleet) == [None, None, stopped_at]


async def test_a_failure_that_is_tried_again_is_no_failed_cpe(fleet: Fleet) -> None:
    await fleet.bind([1])
    await fleet.plan(canary=0)
    await fleet.start()
    await fleet.turns.turn()
    await fleet.fare([1], "faulted", "the CPE stopped answering")
    async with fleet.devices.database.begin() as db:
        await db.execute(update(AcsDevice).values(try_again_at=fleet.clock.now() + timedelta(minutes=1)))
    await fleet.turns.turn()
    assert await fleet.states() == ["under_way"]
    async with fleet.devices.database.begin() as db:
        await db.execute(update(AcsDevice).values(try_again_at=None))
    await fleet.turns.turn()
    assert await fleet.states() == ["failed"]


class Firmware:
    """A campaign that gives CPEs a firmware at night."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet

    async def begins(self, numbers: range, **terms: object) -> None:
        fleet = self.fleet
        await fleet.bind(numbers)
        pace = Pace(**{"canary": 0, "batch_size": 2, "window": NIGHT, **terms})  # type: ignore[arg-type]
        group = Group(template=OLD)
        await fleet.do(
            lambda service: service.plan_firmware(name="wpa3", file="v2.bin", group=group, by="ann", pace=pace)
        )
        await fleet.start()
        await fleet.turns.turn()

    async def operations(self) -> list[AcsOperation]:
        async with self.fleet.devices.database.begin() as db:
            return list(await db.scalars(select(AcsOperation).order_by(AcsOperation.id)))

    async def end(self, operation: AcsOperation, state: str) -> None:
        """As the carrier of operations would write it."""
        async with self.fleet.devices.database.begin() as db:
            row = await db.get_one(AcsOperation, operation.id)
            row.state, row.reason, row.ended_at = state, f"It is {state}.", self.fleet.clock.now()


@pytest.fixture
def firmware(fleet: Fleet) -> Firmware:
    return Firmware(fleet)


async def test_firmware_waits_for_the_cpe_until_the_window_closes_and_again_in_the_next(
    fleet: Fleet, firmware: Firmware
) -> None:
    fleet.clock.time = OPENS + timedelta(hours=1)
    await firmware.begins(range(1, 2), patience_seconds=30 * 3600)
    [first] = await firmware.operations()
    assert first.expires_at == CLOSES
    fleet.clock.time = CLOSES
    await firmware.end(first, "expired")
    await fleet.turns.turn()
    assert await fleet.states() == ["waiting"]
    fleet.clock.time = OPENS + DAY
    await fleet.turns.turn()
    [_, second] = await firmware.operations()
    assert (await fleet.states(), second.expires_at) == (["under_way"], CLOSES + DAY)
    fleet.clock.time = CLOSES + DAY
    await firmware.end(second, "expired")
    await fleet.turns.turn()
    assert await fleet.states() == ["waiting"]
    fleet.clock.time = OPENS + 2 * DAY
    await fleet.turns.turn()
    assert (await fleet.states(), len(await firmware.operations())) == (["unreached"], 2)


async def test_firmware_is_not_begun_in_the_last_minute_of_a_window(fleet: Fleet, firmware: Firmware) -> None:
    fleet.clock.time = CLOSES - timedelta(seconds=59)
    await firmware.begins(range(1, 2))
    assert (await fleet.states(), await firmware.operations()) == (["waiting"], [])


async def test_firmware_that_was_not_sent_when_it_stopped_waits_for_its_turn_again(
    fleet: Fleet, firmware: Firmware
) -> None:
    fleet.clock.time = OPENS
    await firmware.begins(range(1, 6), canary=1, batch_size=4, most_failed_percent=0)
    await firmware.end((await firmware.operations())[0], "done")
    await fleet.turns.turn()
    operations = await firmware.operations()
    async with fleet.devices.database.begin() as db:
        (await db.get_one(AcsOperation, operations[3].id)).stage = "queued"
        (await db.get_one(AcsOperation, operations[4].id)).stage = "ran"
    await firmware.end(operations[1], "faulted")
    await fleet.turns.turn()
    assert (await fleet.look())["state"] == "stopped"
    _, _, unsent, queued, ran = await firmware.operations()
    assert (unsent.state, queued.cancel_wanted, ran.cancel_wanted) == ("cancelled", True, False)
    await firmware.end(queued, "cancelled")
    await firmware.end(ran, "done")
    await fleet.turns.turn()
    assert await fleet.states() == ["done", "failed", "waiting", "waiting", "done"]
    fleet.clock.time += timedelta(minutes=1)
    await fleet.do(lambda service: service.resume(name="wpa3"))
    await fleet.turns.turn()
    assert await fleet.states() == ["done", "failed", "under_way", "under_way", "done"]
    assert len(await firmware.operations()) == 7


async def test_a_stop_takes_back_the_operations_of_a_huge_batch_in_parts(
    fleet: Fleet, firmware: Firmware, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acs.campaigns.turning.RECALLED_AT_ONCE", 2)
    monkeypatch.setattr("acs.campaigns.turning.RECALLS_IN_A_TURN", 1)
    fleet.clock.time = OPENS
    await firmware.begins(range(1, 8), canary=1, batch_size=6, most_failed_percent=0)
    await firmware.end((await firmware.operations())[0], "done")
    await fleet.turns.turn()
    operations = await firmware.operations()
    async with fleet.devices.database.begin() as db:
        (await db.get_one(AcsOperation, operations[2].id)).stage = "ran"
    await firmware.end(operations[1], "faulted")

    async def cancelled() -> list[bool]:
        return [each.state == "cancelled" for each in (await firmware.operations())[2:]]

    await fleet.turns.turn()
    assert ((await fleet.look())["state"], await cancelled()) == ("stopped", [False, True, False, False, False])
    await fleet.do(lambda service: service.cancel(name="wpa3"))
    await fleet.turns.turn()
    assert await cancelled() == [False, True, True, True, False]
    await fleet.turns.turn()
    assert await cancelled() == [False, True, True, True, True], "the one that was sent it is left to its end"
    await fleet.turns.turn()
    assert await fleet.states() == ["done", "failed", "under_way", *["waiting"] * 4]
