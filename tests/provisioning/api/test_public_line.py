"""The OLT system's answers: signed, about its own line and serial, taken once, and nothing else changes anything."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from provisioning.api import create_app
from provisioning.bootstrap import Appliance, open_appliance
from provisioning.line import LineOrderRecord, LineOrderRow, LineService
from provisioning.signatures import new_secret, sign
from tests.support.appliances import Original

SERIAL = "HWTC12345678"


@dataclass
class Side:
    """The appliance with one line handed over, and the OLT system's way to answer."""

    appliance: Appliance
    client: httpx.AsyncClient
    secret: str
    order_id: int = 0

    @property
    def authorised(self) -> dict[str, Any]:
        return {
            "order": f"default.{self.order_id}",
            "serial": SERIAL,
            "result": "authorised",
            "port": "0/1/3",
            "onu_id": 4,
            "received_power_dbm": -19.4,
        }

    async def hand_over(self, adapter: str = "webhook") -> None:
        async with self.appliance.database.begin() as db:
            lines = self.appliance.services(db).line_service
            ordered = await lines.authorise_line(
                customer_id=17,
                service_id=42,
                device_serial=SERIAL,
                access_node="OLT-1",
                port="0/1/3",
                svlan=200,
                cvlan=1203,
                management_vlan=None,
                line_profile="fiber-300",
                request_id="ticket/T-1/authorise_line",
            )
            self.order_id = ordered["line_order_id"]
            row = await db.get_one(LineOrderRow, self.order_id)
            row.state, row.adapter, row.handed_over_at = "handed_over", adapter, self.appliance.clock()

    async def say(
        self, said: Any, *, number: str = "msg_1", secret: str | None = None, age_seconds: float = 0
    ) -> httpx.Response:
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        sent = self.appliance.clock() - timedelta(seconds=age_seconds)
        headers = sign(number, body, [secret or self.secret], now=sent)
        return await self.client.post("/webhooks/line", content=body, headers=headers)

    async def order(self) -> LineOrderRecord:
        async with self.appliance.database.begin() as db:
            lines = LineService(db, tenant_id="default", now=self.appliance.clock)
            return await lines.get_line_order(line_order_id=self.order_id)


@asynccontextmanager
async def open_side(original: Original, tmp_path: Path) -> AsyncIterator[Side]:
    secret, file = new_secret(), tmp_path / "line-secret"
    file.write_text(secret + "\n")
    settings = original.copy(
        tmp_path / "copy",
        line_adapter="webhook",
        line_webhook_url="http://127.0.0.1:9/lines",
        line_webhook_secret_file=file,
    )
    async with open_appliance(settings) as appliance:
        transport = httpx.ASGITransport(create_app(appliance))
        async with httpx.AsyncClient(transport=transport, base_url="https://isp.example") as client:
            opened = Side(appliance, client, secret)
            await opened.hand_over()
            yield opened


@pytest.fixture
async def side(migrated_sqlite: Original, tmp_path: Path) -> AsyncIterator[Side]:
    async with open_side(migrated_sqlite, tmp_path) as opened:
        yield opened


@pytest.fixture
async def side_on_both(migrated: Original, tmp_path: Path) -> AsyncIterator[Side]:
    async with open_side(migrated, tmp_path) as opened:
        yield opened


async def test_an_answer_is_kept_once_however_often_it_comes(side_on_both: Side) -> None:
    side = side_on_both
    first = await side.say(side.authorised)
    assert (first.status_code, first.json()) == (200, {"order": f"default.{side.order_id}", "state": "authorised"})
    kept = await side.order()
    assert (kept["actual_port"], kept["onu_id"], kept["received_power_dbm"]) == ("0/1/3", 4, -19.4)
    again = await side.say(side.authorised)
    assert (again.status_code, again.json()) == (200, first.json())
    assert await side.order() == kept


async def test_another_content_under_the_same_number_is_refused(side_on_both: Side) -> None:
    side = side_on_both
    await side.say(side.authorised)
    other = await side.say({**side.authorised, "port": "0/1/9"})
    assert (other.status_code, other.json()["code"]) == (409, "provisioning.request_conflict")
    contradiction = await side.say({**side.authorised, "port": "0/1/9"}, number="msg_2")
    assert (contradiction.status_code, contradiction.json()["code"]) == (409, "line.answer_conflict")
    assert (await side.order())["actual_port"] == "0/1/3"


async def test_while_the_secret_is_replaced_both_sides_may_still_have_the_one_before(side: Side) -> None:
    file, before = side.appliance.settings.line_webhook_secret_file, side.secret
    assert file is not None
    file.write_text(f"{new_secret()}\n{before}\n")
    assert (await side.say(side.authorised)).status_code == 200
    file.write_text(new_secret())
    assert (await side.say(side.authorised, number="msg_2")).json()["code"] == "signature.refused"


async def test_who_is_not_that_system_changes_nothing(side: Side) -> None:
    forged = await side.say(side.authorised, secret=new_secret())
    old = await side.say(side.authorised, age_seconds=301)
    unsigned = await side.client.post("/webhooks/line", json=side.authorised)
    for refused in (forged, old, unsigned):
        assert (refused.status_code, refused.json()["code"]) == (400, "signature.refused")
    assert (await side.order())["state"] == "handed_over"


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"serial": "HWTC87654321"}, 422, "serial"),
        ({"serial": "../x y"}, 422, "serial"),
        ({"order": "south.1"}, 422, "order"),
        ({"order": "default"}, 422, "order"),
        ({"order": "default.999"}, 404, None),
        ({"port": None}, 422, "port"),
        ({"port": "0/1/3; reboot"}, 422, "actual_port"),
        ({"result": "refused"}, 422, "reason"),
        ({"result": "perhaps"}, 422, "result"),
        ({"onu_id": "4"}, 422, "onu_id"),
        ({"received_power_dbm": 99}, 422, "received_power_dbm"),
        ({"extra": 1}, 422, "extra"),
    ],
)
async def test_a_wrong_answer_is_refused(side: Side, change: dict[str, Any], status: int, field: str | None) -> None:
    refused = await side.say({**side.authorised, **change})
    assert refused.status_code == status, refused.text
    assert field in [fault["field"] for fault in refused.json().get("errors", [])] or field is None
    assert (await side.order())["state"] == "handed_over"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null"])
async def test_what_is_no_answer_is_refused(side: Side, body: bytes) -> None:
    refused = await side.say(body)
    assert (refused.status_code, refused.json()["code"]) == (422, "provisioning.invalid_request")
    assert refused.json()["errors"][0]["field"] == "body"
    assert (await side.order())["state"] == "handed_over"


async def test_what_is_no_text_is_refused_though_it_is_signed(side: Side) -> None:
    headers = sign("msg_1", b"", [side.secret], now=side.appliance.clock())
    refused = await side.client.post("/webhooks/line", content=b"\xff", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (400, "signature.refused")
    assert "no text in UTF-8" in refused.json()["detail"]


async def test_a_line_that_another_way_was_taken_is_not_that_systems(side: Side) -> None:
    async with side.appliance.database.begin() as db:
        (await db.get_one(LineOrderRow, side.order_id)).adapter = "manual"
    assert (await side.say(side.authorised)).status_code == 404


async def test_a_removal_that_nobody_asked_for_is_none(side: Side) -> None:
    removed = {"order": f"default.{side.order_id}", "serial": SERIAL, "result": "removed"}
    refused = await side.say(removed)
    assert (refused.status_code, refused.json()["code"]) == (409, "line.not_handed_over")


async def test_without_such_a_system_nobody_is_believed(appliance: Appliance, browser: httpx.AsyncClient) -> None:
    body = b"{}"
    headers = sign("msg_1", body, [new_secret()], now=appliance.clock())
    assert (await browser.post("/webhooks/line", content=body, headers=headers)).status_code == 400
