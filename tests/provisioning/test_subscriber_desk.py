"""What is done by hand to a subscriber waits for the run that installs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.subscriber_desk import LastKnownAs
from provisioning.under_way import ServiceUnderWay
from radius import RadiusService, SubscriberUnknown, SubscriberView
from radius.subscribers import external_ids
from radius.tables import Subscriber
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


async def test_of_several_that_had_a_number_the_one_that_ended_last_is_meant(appliance: Appliance) -> None:
    async with appliance.database.begin() as db:
        desk = appliance.subscriber_desk(db)
        numbers = []
        for name in ("new1@isp.example", "new2@isp.example"):
            made = await desk.create(
                name, customer_id=7, plan="fiber-300", external_id="ERP-1", customers_elsewhere=True
            )
            numbers.append(made["subscriber_id"])
            await desk.end(name)
        earlier = {"updated_at": appliance.clock() - timedelta(days=1)}
        await db.execute(update(Subscriber).where(Subscriber.id == numbers[1]).values(earlier))
        db.expire_all()
        assert (await desk.named(LastKnownAs("ERP-1")))["subscriber_id"] == numbers[0]


async def test_who_is_given_the_number_while_it_is_looked_for_is_not_taken_for_one_that_has_ended(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_id: dict[str, Any] = {"external_id": "ERP-1", "customers_elsewhere": True}
    async with appliance.database.begin() as db:
        desk = appliance.subscriber_desk(db)
        ended = await desk.create("new1@isp.example", customer_id=7, plan="fiber-300", **own_id)
        await desk.end("new1@isp.example")
        heir = await desk.create("new2@isp.example", customer_id=7, plan="fiber-300", customers_elsewhere=True)
    asked = external_ids.known_as

    async def and_given_right_after(db: AsyncSession, tenant_id: str, external_id: str) -> Subscriber:
        try:
            return await asked(db, tenant_id, external_id)
        except SubscriberUnknown:
            given = update(Subscriber).where(Subscriber.id == heir["subscriber_id"])
            await db.execute(given.values(external_id=external_id))
            raise

    monkeypatch.setattr(external_ids, "known_as", and_given_right_after)
    async with appliance.database.begin() as db:
        found = await appliance.subscriber_desk(db).named(LastKnownAs("ERP-1"))
    assert found["subscriber_id"] == ended["subscriber_id"]
