"""At the customer's: from the scan to five true ticks to done, as the technician's page asks for it."""

from __future__ import annotations

import httpx
import pytest

from provisioning.access import Tokens
from provisioning.api import create_app
from tests.support.lab import JourneyLab

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIVE = ("bound", "authorised", "informed", "configured", "online")


async def test_a_scan_turns_five_ticks_true_and_the_visit_is_done(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    booked = await run.result("schedule_installation")
    appliance = lab.appliance
    async with appliance.database.begin() as db:
        tokens = Tokens(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        made = await tokens.create(
            role="technician", name="page of the van", days=1, technician_id=booked["technician_id"]
        )
    page = httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(appliance)),
        base_url=f"http://isp.test/api/v1/visits/{booked['visit_id']}",
        headers={"Authorization": f"Bearer {made.secret}"},
    )

    async def act(key: str, kind: str, **content: object) -> httpx.Response:
        wish = {"key": key, "kind": kind, "made_at": appliance.clock().isoformat(), "content": content}
        return await page.post("/acts", json=wish, headers={"Idempotency-Key": key})

    async with page:
        before = (await page.get("/ticks")).json()
        assert (before["run_id"], before["all_true"]) == (run.id, False)
        assert [tick["is_true"] for tick in before["ticks"]] == [False] * 5
        early = await act("early", "done")
        assert (early.status_code, early.json()["code"]) == (409, "field.not_done")

        await lab.plug(house.serial, house)
        scanned = await act("scan", "scanned", serial=house.serial, port=house.port)
        assert (scanned.status_code, scanned.json()["runs"]) == (200, [run.id]), scanned.text
        assert (await run.until_ended()).summary.state == "completed"

        after = (await page.get("/ticks")).json()
        assert {tick["name"]: (tick["is_true"], tick["why"]) for tick in after["ticks"]} == {
            name: (True, None) for name in FIVE
        }
        assert after["all_true"] and all(tick["at"] for tick in after["ticks"])
        done = await act("done", "done")
        assert done.status_code == 200, done.text
        assert (done.json()["visit"]["state"], done.json()["sheet"]["done_reason"]) == ("completed", None)
    assert await lab.broken_invariants() == []
