"""What is done by hand to a subscriber waits for the run that installs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.subscriber_looks import LastKnownAs
from provisioning.under_way import ServiceUnderWay
from radius import RadiusService, SubscriberView
from tests.support.healthy_estate import HealthyEstate
from workflows.engine.tables import RunRow

WAITING = "c1002-s2@isp.example"
"""Of the household whose installation is waiting for its visit."""
VERBS: dict[str, dict[str, Any]] = {
    "change_plan": {"plan": "fiber-300"},
    "suspend": {},
    "resume": {},
    "rotate_password": {},
}


@pytest.fixture
async def appliance(estate: HealthyEstate, tmp_path: Path) -> AsyncIterator[Appliance]:
    """A copy of the estate whose run 2 has just given its subscriber the full plan, with its letter still to go."""
    async with open_appliance(estate.copy(tmp_path / "copy")) as opened:
        async with opened.database.begin() as db:
            radius = opened.services(db).radius_service
            number = (await radius.subscriber_named(username=WAITING))["subscriber_id"]
            await radius.activate(subscriber_id=number)
        yield opened


async def act(appliance: Appliance, verb: str) -> Any:
    async with appliance.database.begin() as db:
        return await getattr(appliance.subscriber_desk(db), verb)(WAITING, **VERBS[verb])


async def test_no_verb_reaches_a_subscriber_whose_installation_may_still_be_undone(appliance: Appliance) -> None:
    async with appliance.database.read() as db:
        before = await appliance.subscriber_desk(db).named(WAITING)
    for verb in VERBS:
        with pytest.raises(ServiceUnderWay, match=r"Runs go on with service 2 \(run 2\)"):
            await act(appliance, verb)
    async with appliance.database.begin() as db:
        assert await appliance.subscriber_desk(db).named(WAITING) == before
        # its undo finds what it left
        radius = appliance.services(db).radius_service
        undone = await radius.return_to_pending(subscriber_id=before["subscriber_id"])
        assert undone["state"] == "pending"


async def test_once_the_installation_is_over_its_subscriber_can_be_suspended(appliance: Appliance) -> None:
    async with appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id == 2).values(state="partial"))
    assert (await act(appliance, "suspend"))["subscriber"]["state"] == "suspended"


async def test_who_is_given_the_number_while_its_former_owner_is_ended_again_is_left_alone(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_id = {"external_id": "ERP 4711/a"}
    async with appliance.database.begin() as db:
        desk = appliance.subscriber_desk(db)
        ended = await desk.create(
            "new1@isp.example", customer_id=7, plan="fiber-300", customers_elsewhere=True, **own_id
        )
        await desk.end("new1@isp.example")
        heir = await desk.create("new2@isp.example", customer_id=7, plan="fiber-300", customers_elsewhere=True)
    asked = RadiusService.subscriber_last_known_as

    async def and_given_right_after(radius: RadiusService, *, external_id: str) -> SubscriberView:
        found = await asked(radius, external_id=external_id)
        await radius.give_external_id(subscriber_id=heir["subscriber_id"], external_id=external_id)
        return found

    monkeypatch.setattr(RadiusService, "subscriber_last_known_as", and_given_right_after)
    async with appliance.database.begin() as db:
        desk = appliance.subscriber_desk(db)
        done = await desk.end(LastKnownAs("ERP 4711/a"))
        assert done["subscriber"]["subscriber_id"] == ended["subscriber_id"]
        assert (await desk.named("new2@isp.example"))["state"] == "pending"
