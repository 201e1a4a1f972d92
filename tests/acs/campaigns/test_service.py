"""What an operator does with campaigns."""

from __future__ import annotations

from datetime import time

import pytest
from sqlalchemy import update

from acs import AcsDevice, Pace, TemplateUnknown
from acs.campaigns.errors import CampaignNameTaken, CampaignNotThere, CampaignRefused, CampaignUnknown
from acs.campaigns.targets import Group, product_class
from tests.acs.campaigns.conftest import NEW, NIGHT, OLD, Fleet


async def test_the_same_plan_is_the_same_campaign_and_another_of_its_name_is_refused(fleet: Fleet) -> None:
    await fleet.bind([1, 2])
    planned = await fleet.plan(window=NIGHT)
    assert (planned["state"], planned["devices"]["waiting"], planned["window"]) == ("planned", 2, "23:00-05:00")
    assert planned["planned_by"] == "ann"
    assert await fleet.plan(window=NIGHT) == planned
    with pytest.raises(CampaignNameTaken, match="'wpa3' already"):
        await fleet.plan(window=NIGHT, canary=2)
    with pytest.raises(CampaignNameTaken, match="'wpa3' already"):
        await fleet.plan(window=NIGHT, group=Group(serials=(fleet.serial(1),)))
    async with fleet.devices.database.begin() as db:
        assert await fleet.service(db).campaigns() == [planned]


async def test_a_group_is_by_template_model_and_serial_all_at_once(fleet: Fleet) -> None:
    await fleet.bind([1, 2], model="HG8245%51")
    await fleet.bind([3], model="ONT%2D181")
    assert (await fleet.plan("one", group=Group(model="ONT-181")))["devices"]["waiting"] == 1
    assert (await fleet.plan("two", group=Group(template=OLD, model="HG8245Q")))["devices"]["waiting"] == 2
    spelt = Group(serials=(fleet.serial(3).lower(), f"48575443{3:08X}"))
    assert (await fleet.plan("three", group=spelt))["devices"]["waiting"] == 1, "two spellings, one CPE"


async def test_those_that_are_heard_go_first_and_the_plan_stays_the_same_when_one_is_back(fleet: Fleet) -> None:
    await fleet.bind([1])
    await fleet.bind([2, 3, 4], model="ONT")
    await unreached(fleet, 2, "offline")
    planned = await fleet.plan()
    async with fleet.devices.database.begin() as db:
        members = await fleet.service(db).members(name="wpa3")
    assert [each["device_serial"] for each in members] == [fleet.serial(number) for number in (3, 4, 1, 2)]
    await unreached(fleet, 2, None)
    assert await fleet.plan() == planned


async def unreached(fleet: Fleet, number: int, why: str | None) -> None:
    async with fleet.devices.database.begin() as db:
        since = None if why is None else fleet.clock.now()
        this = update(AcsDevice).where(AcsDevice.serial == fleet.serial(number))
        await db.execute(this.values(unreached_why=why, unreached_since=since))


async def test_every_fault_of_a_plan_is_named_at_once_and_nothing_is_left(fleet: Fleet) -> None:
    await fleet.bind([1])
    with pytest.raises(CampaignRefused) as refused:
        await fleet.plan(" x", group=Group(), canary=-1, batch_size=0, window=(time(5), time(5)), patience_seconds=1)
    assert refused.value.faults == (
        "a name has 1 to 64 printable characters",
        "the canaries are 0 or more",
        "a batch is 1 CPE or more",
        "patience is a minute to 30 days",
        "a window begins and ends at different times",
        "a group needs a template, a model or serial numbers",
    )
    with pytest.raises(CampaignRefused, match=f"{fleet.serial(9)} is bound to no service") as strangers:
        await fleet.plan(group=Group(serials=(fleet.serial(1), fleet.serial(9))))
    assert len(strangers.value.faults) == 1
    with pytest.raises(CampaignRefused, match="no bound CPE is in this group"):
        await fleet.plan(group=Group(template=NEW))
    with pytest.raises(CampaignRefused, match=r"'/x/\*' is no serial number"):
        await fleet.plan(group=Group(serials=("/x/*",)))
    with pytest.raises(TemplateUnknown):
        await fleet.do(
            lambda service: service.plan_template(
                name="x", template="none", group=Group(template=OLD), by="ann", pace=Pace()
            )
        )
    with pytest.raises(CampaignUnknown):
        await fleet.look()


async def test_a_verb_done_twice_is_done_once_and_one_out_of_place_is_refused(fleet: Fleet) -> None:
    await fleet.bind([1])
    await fleet.plan()
    with pytest.raises(CampaignNotThere, match="'wpa3' is planned; it can't be paused"):
        await fleet.do(lambda service: service.pause(name="wpa3"))
    started = await fleet.start()
    assert (started["state"], started["started_at"]) == ("running", fleet.clock.now())
    assert await fleet.start() == started
    paused = await fleet.do(lambda service: service.pause(name="wpa3"))
    assert paused["state"] == "paused"
    assert await fleet.do(lambda service: service.pause(name="wpa3")) == paused
    with pytest.raises(CampaignNotThere, match="is paused; it can't be started"):
        await fleet.start()
    cancelled = await fleet.do(lambda service: service.cancel(name="wpa3"))
    assert await fleet.do(lambda service: service.cancel(name="wpa3")) == cancelled
    with pytest.raises(CampaignNotThere, match="is cancelled; it can't be let go on"):
        await fleet.do(lambda service: service.resume(name="wpa3"))


@pytest.mark.parametrize(
    ("device_id", "model"),
    [
        ("00E0FC-HG8245-485754430000001", "HG8245"),
        ("00E0FC-ONT%2D181-485754430000001", "ONT-181"),
        ("00E0FC-485754430000001", None),
        (None, None),
    ],
)
def test_a_model_is_the_product_class_in_the_acs_s_id(device_id: str | None, model: str | None) -> None:
    assert product_class(device_id) == model
