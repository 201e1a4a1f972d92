"""Operations on CPEs as the appliance carries them, and silent CPEs by the port they are on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from acs import LateCpe, LateCpes
from acs.testing import LabAcs, LabCpe, WallClock
from ipam import AllocatedResources
from provisioning.bootstrap import open_appliance
from provisioning.device_operations import OPERATION_ENDED, acs_side, by_port
from tests.support.appliances import Original
from workflows import list_events

SERIAL = "HWTC0000CAFE"


@pytest.fixture
async def lab() -> AsyncIterator[LabAcs]:
    lab = LabAcs(WallClock(0.1))
    await lab.start()
    yield lab
    for cpe in lab.cpes.values():
        await cpe.power_off()
    await lab.stop()


async def test_a_reboot_is_carried_out_and_its_end_is_published(
    migrated_sqlite: Original, tmp_path: Path, lab: LabAcs
) -> None:
    cpe = lab.attach(LabCpe(SERIAL))
    await cpe.power_on()
    async with open_appliance(migrated_sqlite.copy(tmp_path, genieacs_nbi_url=lab.url)) as appliance:
        async with appliance.database.begin() as db:
            await appliance.services(db).genieacs_service.provision_device(
                customer_id=42,
                device_serial=SERIAL,
                config_template="tr181-pppoe",
                values={"pppoe_username": "u42", "pppoe_password": "secret:subscriber/42"},
            )
            asked = await appliance.device_desk(db).operations.reboot(device_serial=SERIAL, by="nora")
        async with acs_side(appliance) as acs:
            done = await acs.carrier.wait(asked["operation_id"], seconds=30)
            light = {each["reading"]: each for each in (await acs.readings.of(SERIAL))["readings"]}["optical_rx"]
            late = await acs.readings.late(missed_at_least=1)
        async with appliance.database.read() as db:
            [event] = await list_events(db, tenant_id=appliance.tenant_id, event_type=OPERATION_ENDED)
    assert (done["state"], [rpc for rpc, _ in cpe.rpcs_seen].count("Reboot")) == ("done", 1)
    assert (event.subject, event.data["state"], event.data["customer_id"]) == ("device_operation/1", "done", 42)
    assert (light["value"], light["note"]) == (None, "the ACS has not read it from this CPE")
    assert late["late"] == []


def late(service_id: int | None, missed: int) -> LateCpe:
    return LateCpe(
        device_serial=f"HWTC{service_id or 0:08X}",
        customer_id=1,
        service_id=service_id,
        last_inform_at=datetime(2026, 3, 2, tzinfo=UTC),
        interval_seconds=300,
        missed=missed,
    )


def test_a_cut_fibre_shows_as_one_port_and_a_single_silent_cpe_as_itself() -> None:
    places = {1: "0/1/3", 2: "0/1/3", 3: "0/1/3", 4: "0/1/4", 5: "0/1/4", 6: None}
    resources = [
        AllocatedResources(  # type: ignore[typeddict-item]  # of all that a service holds its place counts here
            service_id=service_id, access_node="OLT-1", port=port
        )
        for service_id, port in places.items()
    ]
    found = LateCpes(late=[late(4, 9), late(1, 3), late(2, 3), late(3, 4), late(None, 2)], service_ids=[1, 2, 3, 4, 5])
    ports = by_port(found, resources)
    assert [(each["port"], each["silent"], each["cpes"], each["all_silent"]) for each in ports] == [
        ("0/1/3", 3, 3, True),
        (None, 1, 1, False),
        ("0/1/4", 1, 2, False),
    ]
    assert (ports[0]["longest_missed"], ports[0]["serials"][0]) == (4, "HWTC00000001")
