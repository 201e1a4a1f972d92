"""CPEs are found by the beginning of a serial number in any of its spellings, on both databases."""

from __future__ import annotations

import pytest

from acs import DeviceSearch, beginnings_of_serial
from acs.fleet.seen_rows import note_unbound
from tests.acs.conftest import TENANT, Devices
from tests.acs.test_service import SERIAL, provision


@pytest.mark.both_databases
async def test_bound_ones_come_before_history_and_before_those_that_serve_nobody(devices: Devices) -> None:
    await provision(devices)
    await provision(devices, device_serial="HWTC1234ABCD", service_id=8, request_id="order-18/provision")
    async with devices.database.begin() as db:
        await devices.service(db).withdraw_device(device_serial="HWTC1234ABCD")
        seen = {"device_id": "00E0FC-HG8245-485754431234EEEE", "serial": "485754431234EEEE", "oui": "00E0FC"}
        there = [{**seen, "product_class": "HG8245", "last_inform": None}]
        await note_unbound(db, there, tenant_id=TENANT, now=devices.clock.now())  # type: ignore[arg-type]
    async with devices.database.begin() as db:
        search = DeviceSearch(db, tenant_id=TENANT)
        [beginning] = beginnings_of_serial("485754431234")[:1]
        found = await search.bound(beginning, limit=20)
        assert [(one["device_serial"], one["state"]) for one in found] == [
            (SERIAL, "awaiting_first_inform"),
            ("HWTC1234ABCD", "withdrawn"),
        ]
        assert [one["serial"] for one in await search.unbound(beginning, limit=20)] == ["HWTC1234EEEE"]
        assert [one["device_serial"] for one in await search.of_services([7, 8])] == [SERIAL]
        assert await search.bound("HWTC9", limit=20) == []
        assert await DeviceSearch(db, tenant_id="south").bound(beginning, limit=20) == []
