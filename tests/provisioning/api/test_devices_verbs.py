"""What is done to CPEs over HTTP: answered at once with its operation, by whoever may, and once however often asked."""

from __future__ import annotations

import pytest

from tests.support.api import Api

SERIAL = "HWTC00000001"
WHY = {"reason": "the customer asked"}
PASSPHRASE = "seven green bottles"


async def test_a_reboot_is_written_down_once_and_found_again(any_api: Api) -> None:
    asked = await any_api.post(f"/devices/{SERIAL.lower()}/reboot", WHY, role="noc", key="k1")
    assert asked.status_code == 202, asked.text
    assert (asked.json()["state"], asked.json()["device_serial"]) == ("requested", SERIAL)
    assert asked.json()["requested_by"] == "noc of the test"
    again = await any_api.post(f"/devices/{SERIAL.lower()}/reboot", WHY, role="noc", key="k1")
    assert (again.json(), again.headers["idempotent-replay"]) == (asked.json(), "true")
    second = await any_api.post(f"/devices/{SERIAL}/reboot", WHY, role="noc")
    assert (second.status_code, second.json()["code"]) == (409, "acs.operation_under_way")
    address = asked.headers["location"]
    assert (await any_api.get(address, role="read-only")).json() == asked.json()
    listed = await any_api.get(f"/device-operations?serial={SERIAL}&limit=1", role="dispatch")
    assert listed.json()["items"] == [asked.json()]
    [entry] = await any_api.audit()
    assert (entry["action"], entry["reason"]) == ("devices reboot", "the customer asked")
    assert (entry["subject"], entry["customer_id"]) == (f"device_operation/{asked.json()['operation_id']}", 1001)

    cancelled = await any_api.post(f"{address}/cancel", WHY, role="noc")
    assert cancelled.json()["state"] == "cancelled"
    late = await any_api.post(f"{address}/cancel", WHY, role="noc")
    assert (late.status_code, late.json()["code"]) == (409, "acs.operation_over")


async def test_every_verb_has_its_door_and_nobody_else_goes_through(api: Api) -> None:
    bodies = {
        "refresh": {},
        "get": {"paths": ["Device.DeviceInfo.UpTime"]},
        "set": {**WHY, "values": {"Device.WiFi.Radio.1.Channel": 11}},
        "ping": {"host": "192.0.2.1"},
        "factory-reset": WHY,
    }
    for verb, body in bodies.items():
        assert (await api.post(f"/devices/{SERIAL}/{verb}", body, role="dispatch")).status_code == 403, verb
        asked = await api.post(f"/devices/{SERIAL}/{verb}", body, role="noc")
        expected = 409 if verb == "factory-reset" else 202  # the ping is under way
        assert asked.status_code == expected, asked.text
    owned = await api.post(f"/devices/{SERIAL}/set", {**WHY, "values": {"Device.PPP.Interface.1.Enable": True}})
    assert (owned.status_code, owned.json()["code"]) == (409, "acs.parameter_owned")
    wrong = await api.post(f"/devices/{SERIAL}/refresh", {"paths": ["Device.ManagementServer"]})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "acs.operation_refused")
    blank = await api.post(f"/devices/{SERIAL}/set", {"reason": " ", "values": {"Device.WiFi.Radio.1.Channel": 11}})
    assert (blank.status_code, "reason" in str(blank.json()["errors"])) == (422, True), blank.text
    for path in ("/devices/NOBODYS/reboot", "/device-operations/999/cancel"):
        assert (await api.post(path, WHY)).status_code == 404, path


async def test_a_wifi_change_tells_its_passphrase_to_nobody_again(api: Api) -> None:
    wish = {**WHY, "request_id": "w1", "ssid": "Attic", "passphrase": PASSPHRASE}
    asked = await api.post(f"/devices/{SERIAL}/wifi", wish, role="noc")
    assert asked.status_code == 202, asked.text
    same = await api.post(f"/devices/{SERIAL}/wifi", wish, role="noc")
    assert same.json()["operation_id"] == asked.json()["operation_id"]
    other = await api.post(f"/devices/{SERIAL}/wifi", {**wish, "passphrase": "eight green bottles"}, role="noc")
    assert (other.status_code, other.json()["code"]) == (409, "acs.request_conflict")
    device = (await api.get(f"/devices/{SERIAL}")).json()
    assert (device["inputs"]["wifi_ssid"], device["state"]) == ("Attic", "queued")
    assert PASSPHRASE not in asked.text + str(await api.audit()) + str(device)
    async with api.appliance.database.read() as db:
        assert await api.appliance.vault.reveal(db, device["inputs"]["wifi_passphrase"]) == PASSPHRASE


@pytest.mark.parametrize("by_hand", [False, True])
async def test_a_swap_is_refused_while_the_olt_knows_the_old_one_unless_somebody_sees_to_it(
    api: Api, by_hand: bool
) -> None:
    wish = {**WHY, "new_serial": "HWTC0000BEEF", "line_by_hand": by_hand}
    swapped = await api.post(f"/devices/{SERIAL}/swap", wish, role="noc")
    if not by_hand:
        assert (swapped.status_code, swapped.json()["code"]) == (409, "device.olt_has_old_cpe")
        assert (await api.get(f"/devices/{SERIAL}")).status_code == 200
        return
    assert (swapped.status_code, swapped.json()["device_serial"]) == (202, "HWTC0000BEEF")
    assert (await api.get(f"/devices/{SERIAL}")).status_code == 404
    new = (await api.get("/devices/HWTC0000BEEF")).json()
    assert (new["customer_id"], new["state"]) == (1001, "awaiting_first_inform")
