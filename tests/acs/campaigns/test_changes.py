"""Firmware by campaign: an operation for each CPE, and how it ends is how the CPE ends."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from acs import CampaignRefused, Group, Pace
from acs.operations.tables import AcsOperation
from tests.acs.campaigns.conftest import NEW, OLD, Fleet


async def planned(fleet: Fleet, numbers: range) -> None:
    await fleet.bind(numbers)
    pace = Pace(canary=0, batch_size=10, most_failed_percent=60)
    group = Group(template=OLD)
    await fleet.do(lambda service: service.plan_firmware(name="wpa3", file="v2.bin", group=group, by="ann", pace=pace))
    await fleet.start()


async def end(fleet: Fleet, number: int, state: str) -> None:
    """As the carrier of operations would write it."""
    async with fleet.devices.database.begin() as db:
        await db.execute(
            update(AcsOperation)
            .where(AcsOperation.device_serial == fleet.serial(number))
            .values(state=state, reason=f"It is {state}.", ended_at=fleet.clock.now())
        )


async def test_each_cpe_gets_one_operation_and_ends_as_it_does(fleet: Fleet) -> None:
    await planned(fleet, range(1, 7))
    await fleet.turns.turn()
    assert set(await fleet.states()) == {"under_way"}
    async with fleet.devices.database.begin() as db:
        asked = list(await db.scalars(select(AcsOperation).order_by(AcsOperation.id)))
    assert [(each.kind, each.arguments, each.requested_by) for each in asked] == [
        ("firmware", {"file": "v2.bin"}, "campaign 1")
    ] * 6
    assert (asked[0].expires_at - asked[0].requested_at).total_seconds() == 86_400
    for number, state in enumerate(("done", "done", "faulted", "unknown", "expired", "cancelled"), start=1):
        await end(fleet, number, state)
    await fleet.turns.turn()
    assert await fleet.states() == ["done", "done", "failed", "failed", "unreached", "skipped"]
    assert (await fleet.look())["state"] == "completed"
    async with fleet.devices.database.begin() as db:
        [failed, unknown] = await fleet.service(db).members(name="wpa3", states=["failed"])
    assert failed["reason"] == f"Operation {asked[2].id}: It is faulted."
    assert unknown["reason"] == f"Operation {asked[3].id}: It is unknown."


async def test_a_cpe_whose_outcome_is_still_looked_for_has_not_failed(fleet: Fleet) -> None:
    """As after an answer of the ACS that did not come, or a session that broke off."""
    await planned(fleet, range(1, 2))
    await fleet.turns.turn()
    async with fleet.devices.database.begin() as db:
        await db.execute(update(AcsOperation).values(state="unknown", reason="Its effect is looked for."))
    await fleet.turns.turn()
    assert (await fleet.states(), (await fleet.look())["state"]) == (["under_way"], "running")
    await end(fleet, 1, "done")
    await fleet.turns.turn()
    assert (await fleet.states(), (await fleet.look())["state"]) == (["done"], "completed")


async def test_a_cpe_that_is_in_the_middle_of_something_else_is_left_out(fleet: Fleet) -> None:
    await planned(fleet, range(1, 3))
    async with fleet.devices.database.begin() as db:
        await fleet.desks(db).operations.reboot(device_serial=fleet.serial(1), by="nora")
    await fleet.turns.turn()
    assert await fleet.states() == ["skipped", "under_way"]


@pytest.mark.parametrize("file", ["*", "a/b", ""])
async def test_a_file_that_is_none_is_refused_when_it_is_planned(fleet: Fleet, file: str) -> None:
    await fleet.bind([1, 2])
    pace, group = Pace(canary=-1), Group(template=OLD)
    with pytest.raises(CampaignRefused) as refused:
        await fleet.do(lambda service: service.plan_firmware(name="wpa3", file=file, group=group, by="ann", pace=pace))
    assert refused.value.faults == (f"{file!r} is no name of a file", "the canaries are 0 or more")


async def test_whoever_left_the_group_before_their_turn_is_left_out(fleet: Fleet) -> None:
    await fleet.bind([1, 2])
    await fleet.plan(canary=0)
    async with fleet.devices.database.begin() as db:
        await fleet.devices.service(db).render_again(device_serial=fleet.serial(1), config_template="another")
    await fleet.start()
    await fleet.turns.turn()
    assert await fleet.states() == ["skipped", "under_way"]
    assert [await fleet.template_of(number) for number in (1, 2)] == ["another", NEW]
