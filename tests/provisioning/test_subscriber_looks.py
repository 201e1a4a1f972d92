"""Who is meant by the ISP's own number: whoever had it last, also while it is given to somebody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.subscriber_looks import LastKnownAs
from radius import SubscriberUnknown
from radius.subscribers import external_ids
from radius.tables import Subscriber
from tests.support.healthy_estate import HealthyEstate


@pytest.fixture
async def appliance(estate: HealthyEstate, tmp_path: Path) -> AsyncIterator[Appliance]:
    async with open_appliance(estate.copy(tmp_path / "copy")) as opened:
        yield opened


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
