"""A campaign's turns, on both databases; the CPEs fare as the test says."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from acs import Group, stopped_campaigns
from acs.campaigns.tables import AcsCampaign
from tests.acs.campaigns.conftest import NEW, NIGHT, OLD, Fleet
from tests.acs.conftest import TENANT


async def test_canaries_go_first_then_batches_and_all_are_done_when_all_are_verified(fleet: Fleet) -> None:
    await fleet.bind(range(1, 6))
    await fleet.plan()
    assert await fleet.turns.turn() == 0, "nothing begins before it is started"
    await fleet.start()

    assert await fleet.turns.turn() == 1
    assert await fleet.states() == ["under_way", *["waiting"] * 4]
    assert [await fleet.template_of(number) for number in (1, 2)] == [NEW, OLD]
    await fleet.fare([1], "applied", "The CPE has taken its settings; they are yet to be read back.")
    await fleet.turns.turn()
    assert await fleet.states() == ["under_way", *["waiting"] * 4], "applied is not verified"
    assert (await fleet.look())["reason"] == "The first CPE is looked at before the others follow."

    await fleet.fare([1], "verified", "The CPE has its settings.")
    await fleet.turns.turn()
    assert await fleet.states() == ["done", "under_way", "under_way", "waiting", "waiting"]
    await fleet.fare([2], "accepted_unverifiable")
    await fleet.turns.turn()
    assert await fleet.states() == ["done", "done", "under_way", "under_way", "waiting"]
    await fleet.fare([3, 4], "verified")
    await fleet.turns.turn()
    await fleet.fare([5], "verified")
    await fleet.turns.turn()
    campaign = await fleet.look()
    assert (campaign["state"], campaign["devices"]["done"]) == ("completed", 5)
    words = "5 CPEs are done, 0 failed, 0 were not heard in time, 0 were left out."
    assert fleet.told == [("completed", words)]
    assert campaign["ended_at"] == fleet.clock.now()
    assert await fleet.turns.turn() == 0
    assert fleet.told == [("completed", words)], "told once"


async def test_it_stops_by_itself_at_its_fault_rate_and_goes_on_when_a_person_says_so(fleet: Fleet) -> None:
    await fleet.bind(range(1, 6))
    await fleet.plan()
    await fleet.start()
    await fleet.turns.turn()
    await fleet.fare([1], "faulted", "WiFi.AccessPoint.1: fault 9007, the value is refused.")
    await fleet.turns.turn()
    stopped = await fleet.look()
    assert (stopped["state"], stopped["reason"]) == (
        "stopped",
        "1 of 1 CPEs failed, which is more than 30 %.",
    )
    assert fleet.told == [(stopped["state"], stopped["reason"])]
    assert await fleet.states() == ["failed", *["waiting"] * 4]
    assert await fleet.turns.turn() == 0
    assert await fleet.template_of(2) == OLD
    stopped_at = fleet.clock.time
    fleet.clock.time += timedelta(minutes=5)
    assert await fleet.turns.turn() == 0
    assert await stopped_now(fleet, TENANT) == [("wpa3", stopped_at, 4)]
    assert await stopped_now(fleet, "another-isp") == []

    await fleet.do(lambda service: service.resume(name="wpa3"))
    assert await stopped_now(fleet, TENANT) == []
    await fleet.turns.turn()
    assert await fleet.states() == ["failed", "under_way", "under_way", "waiting", "waiting"]
    await fleet.fare([2, 3], "faulted", "again")
    await fleet.turns.turn()
    assert (await fleet.look())["reason"] == "2 of 2 CPEs failed, which is more than 30 %."


async def stopped_now(fleet: Fleet, tenant_id: str) -> list[tuple[str, datetime, int]]:
    """Campaigns that need a person, since when, and how many of their CPEs wait for it."""
    async with fleet.devices.database.read() as db:
        found = await stopped_campaigns(db, tenant_id=tenant_id)
    return [(each["name"], each["stopped_at"], each["waiting"]) for each in found]


async def test_canaries_of_which_none_is_heard_stop_it_until_a_person_lets_the_others_follow(fleet: Fleet) -> None:
    await fleet.bind(range(1, 4))
    await fleet.plan(patience_seconds=3600)
    await fleet.start()
    await fleet.turns.turn()
    fleet.clock.time += timedelta(hours=1)
    await fleet.turns.turn()
    assert await fleet.states() == ["unreached", "waiting", "waiting"]
    assert (await fleet.look())["reason"] == "None of the first 1 CPEs has come through, so the others were left alone."
    await fleet.do(lambda service: service.resume(name="wpa3"))
    await fleet.turns.turn()
    assert await fleet.states() == ["unreached", "under_way", "under_way"]


async def test_a_pause_begins_nothing_more_and_a_cancelled_one_still_learns_how_its_cpes_ended(fleet: Fleet) -> None:
    await fleet.bind(range(1, 4))
    await fleet.plan(canary=0, batch_size=1)
    await fleet.start()
    await fleet.turns.turn()
    await fleet.do(lambda service: service.pause(name="wpa3"))
    await fleet.fare([1], "verified")
    await fleet.turns.turn()
    assert await fleet.states() == ["done", "waiting", "waiting"]
    await fleet.do(lambda service: service.resume(name="wpa3"))
    await fleet.turns.turn()
    cancelled = await fleet.do(lambda service: service.cancel(name="wpa3"))
    assert (cancelled["state"], cancelled["devices"]["under_way"]) == ("cancelled", 1)
    await fleet.fare([2], "verified")
    await fleet.turns.turn()
    assert await fleet.states() == ["done", "done", "waiting"]
    assert (await fleet.look())["state"] == "cancelled"


async def test_a_cpe_that_is_not_heard_in_time_is_no_fault_and_keeps_its_wish(fleet: Fleet) -> None:
    await fleet.bind([1, 2])
    await fleet.plan(canary=0, patience_seconds=3600)
    await fleet.start()
    await fleet.turns.turn()
    await fleet.fare([1], "verified")
    await fleet.fare([2], "unreachable", "CPE cannot be called, it is off.")
    fleet.clock.time += timedelta(minutes=59)
    await fleet.turns.turn()
    assert await fleet.states() == ["done", "under_way"]
    fleet.clock.time += timedelta(minutes=1)
    await fleet.turns.turn()
    assert await fleet.states() == ["done", "unreached"]
    assert (await fleet.look())["state"] == "completed"
    assert await fleet.template_of(2) == NEW


async def test_whoever_is_gone_or_was_given_something_else_is_left_out(fleet: Fleet) -> None:
    await fleet.bind([1, 2, 3])
    await fleet.plan(canary=0, batch_size=2)
    await fleet.start()
    await fleet.turns.turn()
    async with fleet.devices.database.begin() as db:
        service = fleet.devices.service(db)
        await service.withdraw_device(device_serial=fleet.serial(3))
        await service.render_again(device_serial=fleet.serial(1), config_template=OLD)
        await service.withdraw_device(device_serial=fleet.serial(2))
    await fleet.turns.turn()
    await fleet.turns.turn()
    assert await fleet.states() == ["skipped", "skipped", "skipped"]
    assert (await fleet.look())["reason"].endswith("3 were left out.")


async def test_inputs_that_the_template_does_not_know_fail_that_cpe_alone(fleet: Fleet) -> None:
    await fleet.bind([1, 2])
    async with fleet.devices.database.begin() as db:
        service = fleet.devices.service(db)
        await service.provision_device(
            customer_id=3,
            device_serial=fleet.serial(3),
            config_template="tr181-pppoe",
            values={"pppoe_username": "c3@isp.example", "pppoe_password": "secret:subscriber/42", "wifi_ssid": "Net 3"},
        )
    library = fleet.devices.templates
    new = library.get(NEW)
    trimmed = type(new)(
        new.name,
        new.title,
        new.data_model,
        {name: wanted for name, wanted in new.inputs.items() if name != "wifi_ssid"},
        [each for each in new.parameters if each.source != "wifi_ssid"],
    )
    fleet.devices.templates = type(library)([library.get(OLD), trimmed])
    await fleet.plan(canary=0, batch_size=5, most_failed_percent=50)
    await fleet.start()
    await fleet.turns.turn()
    assert await fleet.states() == ["under_way", "under_way", "failed"]
    assert await fleet.template_of(3) == OLD, "a CPE that can't have it keeps what it has"
    async with fleet.devices.database.begin() as db:
        [failed] = await fleet.service(db).members(name="wpa3", states=["failed"])
    assert "wifi_ssid is no input of it" in failed["reason"]


async def test_outside_of_its_window_nothing_begins(fleet: Fleet) -> None:
    await fleet.bind([1])
    fleet.clock.time = datetime(2026, 3, 2, 21, 59, tzinfo=UTC)  # 22:59 in Berlin
    await fleet.plan(canary=0, window=NIGHT)
    await fleet.start()
    assert await fleet.turns.turn() == 0
    assert (await fleet.look())["reason"] == "Outside of its window 23:00-05:00, which opens at 2026-03-02 22:00 UTC."
    fleet.clock.time += timedelta(minutes=1)
    assert await fleet.turns.turn() == 1


async def test_several_workers_begin_no_more_than_one_batch(fleet: Fleet) -> None:
    await fleet.bind(range(1, 10))
    await fleet.plan(canary=0, batch_size=2)
    await fleet.start()
    await asyncio.gather(*(fleet.turns.turn() for _ in range(3)))
    assert await fleet.states() == ["under_way", "under_way", *["waiting"] * 7]
    assert [await fleet.template_of(number) for number in range(1, 5)] == [NEW, NEW, OLD, OLD]


async def test_a_huge_batch_begins_in_parts_so_that_no_other_campaign_waits_for_it(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acs.campaigns.turning.AT_ONCE", 2)
    await fleet.bind(range(1, 8))
    huge = Group(serials=tuple(fleet.serial(number) for number in range(1, 6)))
    await fleet.plan(name="huge", group=huge, canary=0, batch_size=1_000)
    await fleet.plan(name="small", group=Group(serials=(fleet.serial(6), fleet.serial(7))), canary=0)
    await fleet.start("huge")
    await fleet.start("small")
    assert await fleet.turns.turn() == 4
    assert await fleet.states("huge") == ["under_way", "under_way", "waiting", "waiting", "waiting"]
    assert await fleet.states("small") == ["under_way", "under_way"]
    await fleet.turns.turn()
    await fleet.turns.turn()
    await fleet.fare(range(1, 8), "verified")
    await fleet.turns.turn()
    assert await fleet.states("huge") == ["done"] * 5, "all are looked at, in parts"


async def test_a_campaign_that_something_is_wrong_with_holds_up_no_other_and_is_told(fleet: Fleet) -> None:
    await fleet.bind([1, 2])
    for name, number in (("broken", 1), ("sound", 2)):
        await fleet.plan(name=name, group=Group(serials=(fleet.serial(number),)), canary=0)
        await fleet.start(name)
    async with fleet.devices.database.begin() as db:
        await db.execute(update(AcsCampaign).where(AcsCampaign.name == "broken").values(arguments={}))
    with pytest.raises(KeyError):
        await fleet.turns.turn()
    assert (await fleet.states("broken"), await fleet.states("sound")) == (["waiting"], ["under_way"])
