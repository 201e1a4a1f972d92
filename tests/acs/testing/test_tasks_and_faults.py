"""What becomes of a task: the status line, the queue, the faults, and how long it takes."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import pytest

from acs.testing import LabAcs, LabClock, LabCpe, Quirks
from tests.acs.testing.conftest import Nbi

CODE = "Device.DeviceInfo.ProvisioningCode"
SSID = "Device.WiFi.SSID.1.SSID"
VLAN = "Device.Ethernet.VLANTermination.1.VLANID"


@pytest.mark.parametrize(
    ("quirks", "reason", "seconds"),
    [
        (Quirks(reachable=False), "Device is offline", 2.0),
        (Quirks(cr_refused=True), "Device is offline", 0.0),
        (Quirks(cr_busy=True), "Device is offline", 0.0),
        (Quirks(cr_wrong_credentials=True), "Connection request error: Incorrect connection request credentials", 0.0),
        (Quirks(cr_ignored=True), "Task queued but not processed", 3.5),
    ],
)
async def test_a_202_says_why_in_its_reason_takes_its_time_and_leaves_the_task_in_the_queue(
    nbi: Nbi, cpe: LabCpe, quirks: Quirks, reason: str, seconds: float
) -> None:
    cpe.quirks = quirks
    answer = await nbi.set(cpe, (SSID, "Later"))
    assert (answer.status, answer.reason) == (202, reason)
    assert answer.seconds == pytest.approx(seconds, abs=0.05)
    assert [task["_id"] for task in await nbi.find("tasks")] == [json.loads(answer.body)["_id"]]
    cpe.quirks = Quirks()
    await cpe.periodic_inform()
    assert cpe.value(SSID) == "Later"
    assert await nbi.find("tasks") == []


async def test_a_task_that_is_done_is_200_after_the_half_second_of_the_poll(nbi: Nbi, cpe: LabCpe) -> None:
    answer = await nbi.set(cpe, (SSID, "Now"))
    assert (answer.status, answer.reason) == (200, "OK")
    assert answer.seconds == pytest.approx(0.5, abs=0.05)


async def test_only_calling_gives_200_or_504_with_the_words_as_reason_and_body(nbi: Nbi, cpe: LabCpe) -> None:
    assert (await nbi.post(cpe, None)).status == 200
    cpe.quirks.reachable = False
    answer = await nbi.post(cpe, None)
    assert (answer.status, answer.reason, answer.body) == (504, "Device is offline", "Device is offline")


async def test_before_the_first_inform_nothing_can_be_queued(nbi: Nbi, lab: LabAcs) -> None:
    stranger = lab.attach(LabCpe("NEVER-SEEN"))
    for call in (True, False):
        answer = await nbi.set(stranger, (SSID, "x"), call=call)
        assert (answer.status, answer.body) == (404, "No such device")


async def test_an_id_that_is_not_encoded_twice_is_no_such_device(nbi: Nbi, cpe: LabCpe) -> None:
    assert cpe.device_id == "ACDE48-ONT%2D181-SN%2D181"
    task = {"name": "reboot"}
    assert (await nbi.ask("POST", f"/devices/{cpe.device_id}/tasks", task)).status == 404
    assert (await nbi.ask("POST", f"/devices/{quote(cpe.device_id, safe='')}/tasks", task)).status == 202
    raw = f'/devices?query={{"_id":"{cpe.device_id}"}}'.replace('"', "%22")
    assert (await nbi.ask("GET", raw)).body == "[\n\n]"


async def test_the_same_unique_key_replaces_the_task_and_leaves_its_fault_behind(nbi: Nbi, cpe: LabCpe) -> None:
    task: dict[str, Any] = {"name": "setParameterValues", "uniqueKey": "cfg"}
    faulted = await nbi.post(cpe, task | {"parameterValues": [[VLAN, 5000]]})
    assert (faulted.status, faulted.reason) == (202, "Task faulted")
    replaced = await nbi.post(cpe, task | {"parameterValues": [[VLAN, 200]]})
    assert replaced.status == 200
    assert await nbi.find("tasks") == []
    old_id = json.loads(faulted.body)["_id"]
    assert [fault["channel"] for fault in await nbi.find("faults")] == [f"task_{old_id}"]


async def test_an_expired_task_is_dropped_without_a_trace(nbi: Nbi, cpe: LabCpe, clock: LabClock) -> None:
    values = [[SSID, "Too late"]]
    await nbi.post(cpe, {"name": "setParameterValues", "parameterValues": values, "expiry": 10}, call=False)
    await clock.sleep(11)
    await cpe.periodic_inform()
    assert cpe.value(SSID) == "Lab-1"
    assert await nbi.find("tasks") == []
    assert await nbi.find("faults") == []


async def test_a_refused_value_faults_by_parameter_and_nothing_of_the_task_is_written(nbi: Nbi, cpe: LabCpe) -> None:
    cpe.quirks.refuse = {SSID: 9001}
    await nbi.set(cpe, (SSID, "Home"), (VLAN, 5000), (CODE, "P"))
    [fault] = await nbi.find("faults")
    assert fault["code"] == "cwmp.9003"
    assert fault["detail"]["setParameterValuesFault"] == [
        {"parameterName": VLAN, "faultCode": "9007", "faultString": "Invalid parameter value"},
        {"parameterName": SSID, "faultCode": "9001", "faultString": "Request denied"},
    ]
    assert json.loads(fault["provisions"]) == [["value", SSID, "Home"], ["value", VLAN, 5000], ["value", CODE, "P"]]
    assert (cpe.value(SSID), cpe.value(VLAN), cpe.value(CODE)) == ("Lab-1", 1, "")


async def test_a_faulted_task_waits_300_then_600_seconds_and_blocks_no_other(
    nbi: Nbi, cpe: LabCpe, clock: LabClock
) -> None:
    await nbi.set(cpe, (VLAN, 5000))
    assert (await nbi.set(cpe, (SSID, "Home"))).status == 200
    await clock.sleep(290)
    await cpe.periodic_inform()
    assert (await nbi.find("faults"))[0]["retries"] == 0
    await clock.sleep(20)
    await cpe.periodic_inform()
    assert (await nbi.find("faults"))[0]["retries"] == 1
    await clock.sleep(500)
    await cpe.periodic_inform()
    assert (await nbi.find("faults"))[0]["retries"] == 1


async def test_retry_removes_the_fault_and_the_next_session_runs_the_task(nbi: Nbi, cpe: LabCpe) -> None:
    cpe.quirks.fault_all = 9002
    task_id = json.loads((await nbi.set(cpe, (SSID, "Home"))).body)["_id"]
    cpe.quirks.fault_all = None
    assert (await nbi.ask("POST", f"/tasks/{task_id}/retry")).status == 200
    assert await nbi.find("faults") == []
    assert cpe.value(SSID) == "Lab-1"
    await cpe.periodic_inform()
    assert cpe.value(SSID) == "Home"


async def test_deleting_a_task_fault_deletes_the_task_too(nbi: Nbi, cpe: LabCpe) -> None:
    await nbi.set(cpe, (VLAN, 5000))
    [fault] = await nbi.find("faults")
    assert (await nbi.ask("DELETE", f"/faults/{quote(fault['_id'], safe='')}")).status == 200
    assert await nbi.find("tasks") == []


async def test_in_session_deletes_are_503_tags_are_not_and_a_call_waits_30_seconds(nbi: Nbi, cpe: LabCpe) -> None:
    device = f"/devices/{quote(cpe.device_id, safe='')}"
    queued = json.loads((await nbi.set(cpe, (SSID, "Home"), call=False)).body)["_id"]
    async with cpe.session_held():
        await nbi.set(cpe, (CODE, "P"), call=False)
        for method, target in [("DELETE", f"/tasks/{queued}"), ("POST", f"/tasks/{queued}/retry"), ("DELETE", device)]:
            answer = await nbi.ask(method, target)
            assert (answer.status, answer.body) == (503, "Device is in session")
        assert (await nbi.ask("POST", f"{device}/tags/gold")).status == 200
        waited = await nbi.set(cpe, (CODE, "Q"))
        assert (waited.status, waited.reason) == (202, "Task queued but not processed")
        assert waited.seconds == pytest.approx(30, abs=0.6)
    assert lab_tags(await nbi.find("devices", projection="_tags")) == ["gold"]


def lab_tags(documents: list[dict[str, Any]]) -> list[str]:
    tags: list[str] = documents[0]["_tags"]
    return tags


async def test_four_tasks_at_once_for_one_device_are_all_done(nbi: Nbi, cpe: LabCpe) -> None:
    answers = await asyncio.gather(*(nbi.set(cpe, (CODE, f"C{number}")) for number in range(4)))
    assert [answer.status for answer in answers] == [200] * 4
    assert await nbi.find("tasks") == []


async def test_beyond_20_sessions_the_acs_turns_cpes_away_and_they_come_again(nbi: Nbi, lab: LabAcs) -> None:
    lab.cwmp.max_sessions = 1
    first, second = (lab.attach(LabCpe(serial)) for serial in ("A1", "A2"))
    await first.power_on()
    async with first.session_held():
        assert not await second.power_on()
        assert await nbi.ids({"_deviceId._SerialNumber": "A2"}) == []
    await nbi.clock.sleep(11)
    assert await nbi.ids({"_deviceId._SerialNumber": "A2"}) == [second.device_id]


async def test_a_cpe_that_loses_power_in_the_session_leaves_a_fault_and_the_task(nbi: Nbi, cpe: LabCpe) -> None:
    cpe.quirks.cr_ignored = True
    await nbi.set(cpe, (SSID, "Home"))
    session = asyncio.ensure_future(cpe.periodic_inform())
    await asyncio.sleep(0)
    await cpe.power_off()
    assert not await session
    [fault] = await nbi.find("faults")
    assert fault["code"] == "session_terminated"
    assert len(await nbi.find("tasks")) == 1
    assert cpe.value(SSID) == "Lab-1"


async def test_objects_are_added_with_values_and_deleted(nbi: Nbi, cpe: LabCpe) -> None:
    values = [["ExternalPort", 8080], ["InternalClient", "192.168.1.2"]]
    task = {"name": "addObject", "objectName": "Device.NAT.PortMapping", "parameterValues": values}
    assert (await nbi.post(cpe, task)).status == 200
    assert cpe.value("Device.NAT.PortMapping.1.ExternalPort") == 8080
    assert cpe.value("Device.NAT.PortMappingNumberOfEntries") == 1
    await nbi.post(cpe, {"name": "deleteObject", "objectName": "Device.NAT.PortMapping.1"})
    assert "Device.NAT.PortMapping.1.ExternalPort" not in cpe.tree
    missing = await nbi.post(cpe, {"name": "deleteObject", "objectName": "Device.NAT.PortMapping.1"})
    assert missing.status == 200


async def test_the_reason_of_an_unsupported_rpc_is_fault_9000(nbi: Nbi, cpe_098: LabCpe) -> None:
    cpe_098.quirks.unsupported = frozenset({"Reboot"})
    assert (await nbi.post(cpe_098, {"name": "reboot"})).reason == "Task faulted"
    assert (await nbi.find("faults"))[0]["code"] == "cwmp.9000"


async def test_a_download_is_pending_until_transfer_complete(nbi: Nbi, cpe: LabCpe, clock: LabClock) -> None:
    address = "/files/fw.bin"
    await nbi.ask("PUT", address, raw=b"firmware")
    nbi.lab.documents["files"]["fw.bin"]["metadata"]["version"] = "2.0.0"
    task = {"name": "download", "fileType": "1 Firmware Upgrade Image", "fileName": "fw.bin"}
    assert (await nbi.post(cpe, task)).status == 200
    assert len(await nbi.find("operations")) == 1
    assert cpe.value("Device.DeviceInfo.SoftwareVersion") == "1.0.0"
    await clock.sleep(61)
    assert await nbi.find("operations") == []
    assert (await nbi.leaf(cpe, "Device.DeviceInfo.SoftwareVersion"))["_value"] == "2.0.0"
