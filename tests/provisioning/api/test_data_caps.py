"""A data cap from the accounting of a session to the events that others hear of."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.worker import Pace, open_worker
from radius.projection.freeradius_tables import radacct
from tests.support.api import Api

GIGABYTE = 1_000_000_000
WHY = "asked for by phone"
CAPPED = {
    "download_kbps": 300_000,
    "upload_kbps": 100_000,
    "data_cap_octets": 100 * GIGABYTE,
    "at_cap": "throttle",
    "cap_plan": "slow",
    "reason": WHY,
}


async def _subscriber(api: Api) -> dict[str, Any]:
    """The one that is served, on a plan with a cap."""
    listed = (await api.get("/subscribers", params={"state": "active"})).json()["items"]
    for name, terms in (
        ("slow", {"download_kbps": 1_000, "upload_kbps": 500, "reason": WHY}),
        (listed[0]["plan"], CAPPED),
        ("unmetered", {"download_kbps": 300_000, "upload_kbps": 100_000, "reason": WHY}),
    ):
        answer = await api.post(f"/plans/{name}/define", terms)
        assert answer.status_code in (200, 201), answer.text
    return dict(listed[0])


async def _use(api: Api, username: str, octets: int) -> None:
    """What the NAS says of its session by now."""
    at = datetime.now(UTC).replace(microsecond=0)
    async with api.appliance.radius_database.begin() as db:
        row = {"acctoutputoctets": octets, "acctupdatetime": at}
        done = await db.execute(update(radacct).where(radacct.c.acctuniqueid == "capped").values(row))
        if not done.rowcount:  # type: ignore[attr-defined]
            first = {"acctsessionid": "capped", "acctuniqueid": "capped", "nasipaddress": "10.9.9.9"}
            began = {"username": username, "acctstarttime": at, "acctinputoctets": 0, "acctsessiontime": 1}
            await db.execute(insert(radacct).values(first | began | row))


async def _cap_events(api: Api) -> list[tuple[str, str]]:
    """What was told of caps and by which plan the subscriber is served since, the earliest first."""
    items = (await api.get("/events", params={"limit": 200})).json()["items"]
    caps = [item for item in items if item["type"].startswith("subscriber.data_cap")]
    return [(item["type"].removeprefix("subscriber.data_cap_"), item["data"]["served_by"]) for item in caps][::-1]


async def test_a_worker_throttles_who_has_used_up_its_cap_and_tells_of_it(any_api: Api) -> None:
    api = any_api
    before = await _subscriber(api)
    await _use(api, before["username"], 101 * GIGABYTE)
    api.appliance.settings = api.appliance.settings.model_copy(update={"genieacs_nbi_url": "http://127.0.0.1:1"})
    written = asyncio.Event()

    async def hear(_db: AsyncSession) -> None:
        written.set()

    api.appliance.database.witness = hear
    async with open_worker(api.appliance, pace=Pace(data_caps_every_seconds=0.2)), asyncio.timeout(30):
        while not (told := await _cap_events(api)):
            await written.wait()
            written.clear()
    assert told == [("reached", "slow")]
    shown = (await api.get(f"/subscribers/{before['username']}")).json()
    assert (shown["plan"], shown["capped"]) == (before["plan"], "slow")


async def test_octets_that_are_not_enough_for_what_was_used_since_lift_nothing_yet(any_api: Api) -> None:
    api = any_api
    before = await _subscriber(api)
    await _use(api, before["username"], 101 * GIGABYTE)
    assert await api.appliance.data_caps.look() == 1
    await _use(api, before["username"], 140 * GIGABYTE)

    lift = f"/subscribers/{before['username']}/lift-cap"
    for octets, capped in ((10 * GIGABYTE, "slow"), (50 * GIGABYTE, None)):
        answer = await api.post(lift, {"octets": octets, "reason": WHY})
        assert (answer.status_code, answer.json()["subscriber"]["capped"]) == (200, capped)
        assert await api.appliance.data_caps.look() == 1
    told = [("reached", "slow"), ("reached", "slow"), ("lifted", before["plan"]), ("warning", before["plan"])]
    assert await _cap_events(api) == told


async def test_a_plan_without_a_cap_ends_it_and_that_is_told_once(any_api: Api) -> None:
    api = any_api
    before = await _subscriber(api)
    await _use(api, before["username"], 101 * GIGABYTE)
    assert await api.appliance.data_caps.look() == 1
    for _ in range(2):
        answer = await api.post(
            f"/subscribers/{before['username']}/change-plan", {"plan": "unmetered", "reason": WHY}, key="once"
        )
        assert (answer.status_code, answer.json()["subscriber"]["capped"]) == (200, None)
    assert await _cap_events(api) == [("reached", "slow"), ("lifted", "unmetered")]
    assert await api.appliance.data_caps.look() == 0
