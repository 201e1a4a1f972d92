"""The client against a GenieACS: the lab's, or the real one at FIRSTLIGHT_GENIEACS_NBI_URL.

Against a real one a CPE is chosen that has reported to it: that of FIRSTLIGHT_TEST_GENIEACS_SERIAL, else any. Nothing
is written to that CPE: tasks are queued and deleted again, tags and provisions begin with ``firstlight_test`` and are
removed.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest

from acs import (
    Condition,
    Done,
    NbiClient,
    NbiRequestInvalid,
    NotReached,
    Preset,
    Queued,
    Rejected,
    SerialAmbiguous,
    SerialMalformed,
    StoredFile,
    Why,
)
from acs.convergence.seen_devices import find_device, look_again, read_leaves
from acs.testing import LabAcs, LabClock, LabCpe

pytestmark = pytest.mark.genieacs

URL = "FIRSTLIGHT_TEST_GENIEACS_NBI_URL"  # where tests/conftest.py puts it
SERIAL = "FIRSTLIGHT_TEST_GENIEACS_SERIAL"
LOOKED_AT = 50
KEY = "firstlight_test:key"
UPTIME = {"name": "getParameterValues", "parameterNames": ["Device.DeviceInfo.UpTime"]}
UNKNOWN_DEVICE = "00259E-HG8245-NOBODY"
UNKNOWN_TASK = "5f0000000000000000000000"


@dataclass(frozen=True)
class Server:
    """The GenieACS under test and one CPE it knows."""

    nbi: NbiClient
    serial: str
    device_id: str


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    url = os.environ.get(URL)
    if url:
        async with NbiClient(url) as nbi:
            yield await _ready(nbi, os.environ.get(SERIAL) or await any_serial(nbi))
        return
    lab = LabAcs(clock=LabClock())
    await lab.start()
    # A hyphen in the product class is percent-encoded in the device's id, and once more in a URL.
    await lab.attach(LabCpe("HWTC12345678", product_class="HG-8245")).power_on()
    async with NbiClient(lab.url, sleep=lab.clock.sleep) as nbi:
        yield await _ready(nbi, "HWTC12345678")
    await lab.stop()


async def any_serial(nbi: NbiClient) -> str:
    """Of a CPE that can be told from all others at that GenieACS."""
    async for document in nbi.stream("devices", {}, ("_id", "_deviceId"), limit=LOOKED_AT):
        serial = str(document.get("_deviceId", {}).get("_SerialNumber", ""))
        with suppress(SerialMalformed, SerialAmbiguous):
            seen = await find_device(nbi, serial)
            if seen is not None and seen["data_models"] and seen["last_inform"] is not None:
                return serial
    pytest.fail(f"of the first {LOOKED_AT} CPEs at that GenieACS none has a serial of its own; name one in {SERIAL}")


async def _ready(nbi: NbiClient, serial: str) -> Server:
    seen = await find_device(nbi, serial)
    assert seen is not None, f"CPE {serial} has never reported to that GenieACS"
    return Server(nbi, serial, seen["device_id"])


async def test_a_device_is_found_by_its_exact_serial(server: Server) -> None:
    seen = await find_device(server.nbi, server.serial)
    assert seen is not None
    assert seen["serial"] == server.serial
    assert seen["data_models"] in (["TR-181"], ["TR-098"])
    assert seen["last_inform"] is not None


async def test_a_cpe_is_chosen_where_none_was_named(server: Server) -> None:
    serial = await any_serial(server.nbi)
    seen = await find_device(server.nbi, serial)
    assert seen is not None
    assert seen["serial"] == serial


async def test_a_device_is_found_by_its_id(server: Server) -> None:
    seen = await look_again(server.nbi, server.device_id)
    assert seen is not None
    assert seen["device_id"] == server.device_id


@pytest.mark.parametrize("serial", ["*", "/x/", "/.*/", "HWTC*", "", " ", "a b", "HWTC12345678\n*"])
async def test_a_serial_that_is_a_pattern_finds_nothing(server: Server, serial: str) -> None:
    with pytest.raises(SerialMalformed):
        await find_device(server.nbi, serial)


@pytest.mark.parametrize("serial", ["NOBODY", "~", "-", "0", "."])
async def test_a_serial_that_nobody_has_finds_nothing(server: Server, serial: str) -> None:
    assert await find_device(server.nbi, serial) is None


async def test_the_total_counts_what_the_limit_leaves_out(server: Server) -> None:
    found = await server.nbi.find("devices", {}, ("_id",), limit=1)
    assert len(found.documents) == 1
    assert found.total == await server.nbi.count("devices", {}) >= 1


async def test_a_stream_gives_the_same_documents(server: Server) -> None:
    query = {"_id": server.device_id}
    streamed = [document async for document in server.nbi.stream("devices", query, ("_id", "_deviceId"))]
    assert tuple(streamed) == (await server.nbi.find("devices", query, ("_id", "_deviceId"))).documents


async def test_the_version_of_the_server_is_known(server: Server) -> None:
    assert server.nbi.genieacs_version is not None
    assert server.nbi.genieacs_version.startswith("1.")


async def test_only_the_time_of_a_secret_is_fetched(server: Server) -> None:
    path = "Device.DeviceInfo.SoftwareVersion"
    leaves = await read_leaves(server.nbi, server.device_id, (), (path,))
    assert leaves is not None
    assert all(leaf.value is None and leaf.stamp is not None for leaf in leaves.values())


async def test_a_task_waits_in_the_queue_until_it_is_deleted(server: Server) -> None:
    outcome = await server.nbi.queue_task(server.device_id, UPTIME, unique_key=KEY, expiry_seconds=600)
    assert isinstance(outcome, Queued)
    assert outcome.why is Why.ACCEPTED
    [task] = await server.nbi.tasks(server.device_id, unique_key=KEY)
    assert (task.id, task.name, task.unique_key) == (outcome.task_id, "getParameterValues", KEY)
    assert task.expiry is not None
    assert await server.nbi.delete_task(outcome.task_id) == Done()
    assert await server.nbi.delete_task(outcome.task_id) == Rejected(404, "Task not found")
    assert await server.nbi.tasks(server.device_id, unique_key=KEY) == ()


async def test_a_later_task_with_the_same_key_takes_the_place_of_an_earlier_one(server: Server) -> None:
    for _ in range(3):
        outcome = await server.nbi.queue_task(server.device_id, UPTIME, unique_key=KEY)
    assert isinstance(outcome, Queued)
    assert [task.id for task in await server.nbi.tasks(server.device_id, unique_key=KEY)] == [outcome.task_id]
    assert await server.nbi.delete_task(outcome.task_id) == Done()


async def test_nothing_can_be_queued_or_tagged_before_the_first_inform(server: Server) -> None:
    nobody = Rejected(404, "No such device")
    assert await server.nbi.queue_task(UNKNOWN_DEVICE, UPTIME) == nobody
    assert await server.nbi.add_tag(UNKNOWN_DEVICE, "firstlight_test") == nobody
    assert await server.nbi.call(UNKNOWN_DEVICE) == nobody


async def test_a_retry_of_an_unknown_task_leaves_the_server_alive(server: Server) -> None:
    assert await server.nbi.retry_task(UNKNOWN_TASK) == Rejected(404, "Task not found")
    assert await server.nbi.count("devices", {"_id": server.device_id}) == 1


async def test_a_fault_nobody_has_is_deleted_without_complaint(server: Server) -> None:
    assert await server.nbi.delete_fault(f"{server.device_id}:task_{UNKNOWN_TASK}") == Done()
    assert await server.nbi.fault_of_task(server.device_id, UNKNOWN_TASK) is None


@pytest.mark.parametrize("tag", ["firstlight_test", "firstlight_test:100M/20M é.x"])
async def test_a_tag_comes_and_goes(server: Server, tag: str) -> None:
    async def has_tag() -> bool:
        seen = await look_again(server.nbi, server.device_id)
        return seen is not None and tag in seen["tags"]

    assert await server.nbi.add_tag(server.device_id, tag) == Done()
    assert await has_tag()
    assert await server.nbi.remove_tag(server.device_id, tag) == Done()
    assert await server.nbi.remove_tag(server.device_id, tag) == Done()
    assert not await has_tag()


async def test_a_provision_is_stored_as_it_was_sent(server: Server) -> None:
    script = 'declare("Tags.firstlight_test", null, {value: true}); // é\n'
    assert await server.nbi.provision("firstlight_test") is None
    assert await server.nbi.put_provision("firstlight_test", script) == Done()
    assert await server.nbi.provision("firstlight_test") == script
    assert await server.nbi.delete_provision("firstlight_test") == Done()
    assert await server.nbi.provision("firstlight_test") is None


async def test_a_provision_that_is_no_javascript_is_rejected(server: Server) -> None:
    outcome = await server.nbi.put_provision("firstlight_test", "declare(")
    assert isinstance(outcome, Rejected)
    assert outcome.status == 400
    assert outcome.said.startswith("SyntaxError")


async def test_a_preset_is_stored_as_it_was_built_and_fits_nobody(server: Server) -> None:
    nobody = Condition("DeviceID.SerialNumber", "=", "firstlight_test, nobody's")
    preset = Preset("firstlight_test", ({"type": "add_tag", "tag": "firstlight_test"},), conditions=(nobody,))
    with pytest.raises(NbiRequestInvalid):  # a quote is more than a precondition may carry
        await server.nbi.put_preset(preset)
    nobody = Condition("DeviceID.SerialNumber", "=", "firstlight_test, of nobody")
    preset = replace(preset, conditions=(nobody,))
    assert await server.nbi.put_preset(preset) == Done()
    assert await server.nbi.preset("firstlight_test") == preset.document
    assert "firstlight_test" in await server.nbi.presets()
    assert await server.nbi.delete_preset("firstlight_test") == Done()
    assert await server.nbi.preset("firstlight_test") is None


async def test_a_file_is_stored_and_a_missing_one_costs_no_worker(server: Server) -> None:
    name, kind = "firstlight_test.bin", "3 Vendor Configuration File"
    assert await server.nbi.delete_file(name) == Rejected(404, "No such file")
    assert await server.nbi.put_file(name, b"firstlight", file_type=kind, version="1") == Done()
    assert await server.nbi.file(name) == StoredFile(name, 10, kind, "", "", "1")
    assert await server.nbi.delete_file(name) == Done()
    assert await server.nbi.file(name) is None


async def test_a_virtual_parameter_and_an_object_come_and_go(server: Server) -> None:
    script = 'return {writable: false, value: ["x", "xsd:string"]};'
    assert await server.nbi.put_virtual_parameter("firstlight_test", script) == Done()
    assert await server.nbi.virtual_parameter("firstlight_test") == script
    assert await server.nbi.delete_virtual_parameter("firstlight_test") == Done()
    assert await server.nbi.put_object("firstlight_test", {"Enable": True}) == Done()
    assert await server.nbi.object("firstlight_test", ("Enable",)) == {"Enable": True}
    assert await server.nbi.delete_object("firstlight_test") == Done()


async def test_nothing_is_under_way_with_a_cpe_that_nothing_was_asked_of(server: Server) -> None:
    assert await server.nbi.operations(UNKNOWN_DEVICE) == ()
    found = [one["_id"] async for one in server.nbi.find_in("devices", "_id", [server.device_id, "a"], ("_id",))]
    assert found == [server.device_id]


async def test_a_connection_request_reaches_the_cpe_or_says_why_not(server: Server) -> None:
    assert isinstance(await server.nbi.call(server.device_id), Done | NotReached)


async def test_a_query_with_an_operator_the_server_would_die_of_is_not_sent(server: Server) -> None:
    with pytest.raises(NbiRequestInvalid):
        await server.nbi.find("devices", {"_id": {"$foo": 1}}, ("_id",))
    assert await server.nbi.count("devices", {"_id": server.device_id}) == 1
