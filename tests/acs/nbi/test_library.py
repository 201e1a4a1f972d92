"""Presets, scripts, objects, files and devices at the lab's ACS: put, read back, gone, and no worker lost."""

from __future__ import annotations

import pytest

from acs import Condition, Done, NbiClient, NbiRequestInvalid, Preset, Rejected, StoredFile
from acs.nbi.calls import batches
from acs.nbi.requests import LONGEST_TARGET, query_target
from acs.testing import LabAcs, LabCpe
from tests.acs.nbi.test_preset import TAG

FIRMWARE = "1 Firmware Upgrade Image"


def crashes(lab: LabAcs) -> list[str]:
    return [happening.kind for happening in lab.happenings if happening.kind in ("nbi_crashed", "cwmp_crashed")]


async def test_a_preset_is_stored_as_it_was_built_and_works(nbi: NbiClient, lab: LabAcs) -> None:
    serial = Condition("DeviceID.SerialNumber", "=", "HWTC12345678")
    preset = Preset("gold", (TAG,), weight=5, channel="c1", events={"1 BOOT": True}, conditions=(serial,))
    assert await nbi.preset("gold") is None
    assert await nbi.put_preset(preset) == Done()
    assert await nbi.preset("gold") == preset.document
    assert await nbi.presets() == {"gold": preset.document}
    cpe = lab.attach(LabCpe("HWTC12345678"))
    await cpe.power_on()
    assert lab.documents["devices"][cpe.device_id]["_tags"] == ["seen"]
    assert [await nbi.delete_preset("gold") for _ in range(2)] == [Done(), Done()]
    assert await nbi.presets() == {}
    assert crashes(lab) == []


async def test_a_preset_that_would_stop_all_sessions_stops_here(nbi: NbiClient, lab: LabAcs) -> None:
    with pytest.raises(NbiRequestInvalid):
        await nbi.put_preset(Preset("poison", ()))
    assert lab.documents["presets"] == {}


async def test_a_file_is_listed_with_what_it_is_for_and_a_missing_one_costs_no_worker(
    nbi: NbiClient, lab: LabAcs
) -> None:
    put = await nbi.put_file("fw-1.1.bin", b"VERSION=1.1.0\n", file_type=FIRMWARE, oui="ACDE48", version="1.1.0")
    assert put == Done()
    stored = StoredFile("fw-1.1.bin", 14, FIRMWARE, "ACDE48", "", "1.1.0")
    assert (await nbi.files(), await nbi.file("fw-1.1.bin"), await nbi.file("none.bin")) == ((stored,), stored, None)
    assert await nbi.delete_file("fw-1.1.bin") == Done()
    assert await nbi.delete_file("fw-1.1.bin") == Rejected(404, "No such file")
    assert crashes(lab) == []


@pytest.mark.parametrize(
    ("file_type", "version", "content"),
    [(FIRMWARE, "1\r\nX: y", b"x"), ("", "1", b"x"), (FIRMWARE, "é", b"x"), (FIRMWARE, "1", b"")],
)
async def test_what_no_header_can_carry_is_not_sent(
    nbi: NbiClient, lab: LabAcs, file_type: str, version: str, content: bytes
) -> None:
    with pytest.raises(NbiRequestInvalid):
        await nbi.put_file("fw.bin", content, file_type=file_type, version=version)
    assert lab.documents["files"] == {}


async def test_a_download_is_an_operation_until_the_cpe_tells_its_end(nbi: NbiClient, lab: LabAcs) -> None:
    cpe, other = lab.attach(LabCpe("HWTC12345678")), lab.attach(LabCpe("HWTC123456789"))
    for one in (cpe, other):
        await one.power_on()
    await nbi.put_file("fw.bin", b"VERSION=2.0\n", file_type=FIRMWARE)
    cpe.quirks.transfer_seconds = 30
    task = {"name": "download", "fileType": FIRMWARE, "fileName": "fw.bin"}
    outcome = await nbi.queue_task(cpe.device_id, task, connection_request=True)
    assert isinstance(outcome, Done)
    [operation] = await nbi.operations(cpe.device_id)
    assert (operation.name, operation.device_id, operation.task_ids) == ("Download", cpe.device_id, (outcome.task_id,))
    assert await nbi.operations(other.device_id) == ()
    await lab.clock.sleep(60)
    assert await nbi.operations(cpe.device_id) == ()


async def test_a_device_that_is_deleted_takes_its_tasks_along(nbi: NbiClient, lab: LabAcs) -> None:
    cpe = lab.attach(LabCpe("HWTC12345678"))
    await cpe.power_on()
    await nbi.queue_task(cpe.device_id, {"name": "reboot"})
    assert [await nbi.delete_device(cpe.device_id) for _ in range(2)] == [Done(), Done()]
    assert (await nbi.count("devices", {}), await nbi.count("tasks", {})) == (0, 0)


async def test_many_are_asked_for_in_requests_that_the_acs_takes(nbi: NbiClient, lab: LabAcs) -> None:
    cpes = [lab.attach(LabCpe(f"HWTC{number:08X}", product_class="HG-8245")) for number in range(3)]
    for cpe in cpes:
        await cpe.power_on()
    wanted = [*(f"00259E-HG%2D8245-{'X' * 150}{number}" for number in range(250)), *(cpe.device_id for cpe in cpes)]
    found = [one["_id"] async for one in nbi.find_in("devices", "_id", wanted, ("_id", "_lastInform"))]
    assert sorted(found) == sorted(cpe.device_id for cpe in cpes)


async def test_no_batch_is_longer_than_a_hundred_or_than_the_request_line() -> None:
    for width in (1, 120):
        ids = [f"{number:0{width}d}" for number in range(350)]
        groups = list(batches("devices", "_id", [*ids, *ids], ("_id",)))
        assert [one for group in groups for one in group] == ids
        assert max(map(len, groups)) <= 100
        assert all(
            len(query_target("devices", {"_id": {"$in": group}}, ("_id",))) <= LONGEST_TARGET for group in groups
        )
    with pytest.raises(NbiRequestInvalid) as caught:
        list(batches("devices", "_id", ["a", "*", "/x/"], ("_id",)))
    assert len(caught.value.faults) == 2
