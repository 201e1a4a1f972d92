"""All CPEs at a glance over HTTP: counted by state and cause, those of nobody, and some of them converged again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from acs import AcsDevice
from acs.tables import AcsSeenDevice
from tests.support.api import Api

SERIAL = "HWTC00000001"
SINCE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


async def write(api: Api, **facts: Any) -> AcsDevice:
    async with api.appliance.database.begin() as db:
        await db.execute(update(AcsDevice).where(AcsDevice.serial == SERIAL).values(**facts))
        return (await db.scalars(select(AcsDevice).where(AcsDevice.serial == SERIAL))).one()


async def test_cpes_are_counted_by_state_and_by_why_they_are_not_reached(any_api: Api) -> None:
    row = await write(any_api, unreached_why="ambiguous", unreached_since=SINCE)
    told = (await any_api.get("/fleet", role="read-only")).json()
    mine = next(each for each in told["states"] if each["state"] == row.state)
    assert mine["devices"] >= 1
    [cause] = told["unreached"]
    assert (cause["why"], cause["devices"], cause["oldest_serial"]) == ("ambiguous", 1, SERIAL)
    assert cause["words"] == "the ACS knows several CPEs with its serial number, so nothing is sent to any of them"
    assert cause["remedy"] == "Delete the wrong one at the ACS: `firstlight devices show` names them."
    assert datetime.fromisoformat(cause["oldest_since"]) == SINCE
    assert (told["handed_over"], told["unbound"]) == (0, 0)
    assert (await any_api.get("/fleet", role=None)).status_code == 401


async def test_cpes_of_nobody_are_listed_the_newest_first_and_by_pages(api: Api) -> None:
    async with api.appliance.database.begin() as db:
        for number in range(3):
            db.add(
                AcsSeenDevice(
                    tenant_id=api.appliance.tenant_id,
                    device_id=f"00259E-HG8245-LABC0000000{number}",
                    serial=f"LABC0000000{number}",
                    oui="00259E",
                    product_class="HG8245",
                    first_seen_at=SINCE + timedelta(minutes=number),
                    last_inform_at=SINCE,
                )
            )
    first = (await api.get("/fleet/unknown?limit=2", role="read-only")).json()
    assert [each["serial"] for each in first["items"]] == ["LABC00000002", "LABC00000001"]
    rest = (await api.get(first["next"], role="read-only")).json()
    assert ([each["serial"] for each in rest["items"]], rest["next"]) == (["LABC00000000"], None)
    assert (await api.get("/fleet", role="read-only")).json()["unbound"] == 3


async def test_whoever_may_has_a_cpe_converged_again_and_says_why(any_api: Api) -> None:
    await write(
        any_api, state="faulted", handed_over_at=SINCE, repairs=3, repairs_since=SINCE, failures=2, send_until=SINCE
    )
    wish = {"serials": [SERIAL.lower()], "reason": "the customer's box was swapped"}
    assert (await any_api.post("/fleet/converge", wish, role="read-only")).status_code == 403
    done = await any_api.post("/fleet/converge", wish, role="noc")
    assert (done.status_code, done.json()) == (200, {"serials": [SERIAL]})
    row = await write(any_api, reason="as it is")
    assert (row.state, row.handed_over_at, row.repairs, row.failures) == ("queued", None, 0, 0)
    assert (row.send_until, row.task_id, row.applied_revision) == (None, None, None)
    [entry] = await any_api.audit()
    assert (entry["action"], entry["subject"], entry["reason"]) == (
        "devices converge",
        f"device/{SERIAL}",
        "the customer's box was swapped",
    )


async def test_one_unknown_serial_refuses_all_and_changes_none(api: Api) -> None:
    await write(api, state="faulted")
    wish = {"serials": [SERIAL, "NOBODYS0001"], "reason": "why not"}
    refused = await api.post("/fleet/converge", wish, role="noc")
    assert (refused.status_code, refused.json()["code"]) == (404, "acs.device_unknown")
    assert (await write(api, reason="as it is")).state == "faulted"
    for body in ({"serials": [], "reason": "x"}, {"serials": [SERIAL]}, {"serials": [SERIAL], "reason": " "}):
        assert (await api.post("/fleet/converge", body, role="noc")).status_code == 422, body
