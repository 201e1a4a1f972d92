"""What a 200 of the NBI does not mean."""

from __future__ import annotations

from datetime import timedelta

from acs.testing import LabClock, LabCpe
from tests.acs.testing.conftest import Nbi

SSID = "Device.WiFi.SSID.1.SSID"
PASSPHRASE = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase"
PPP_PASSWORD = "Device.PPP.Interface.1.Password"
MANAGEMENT = "Device.ManagementServer"


def sent(cpe: LabCpe) -> list[tuple[str, ...]]:
    return [paths for rpc, paths in cpe.rpcs_seen if rpc == "SetParameterValues"]


async def test_an_unknown_parameter_is_dropped_and_the_known_ones_of_the_same_task_are_applied(
    nbi: Nbi, cpe: LabCpe
) -> None:
    answer = await nbi.set(cpe, (SSID, "Home"), ("Device.WiFi.SSID.9.SSID", "x"))
    assert (answer.status, answer.reason) == (200, "OK")
    assert cpe.value(SSID) == "Home"
    assert sent(cpe) == [(SSID,)]
    assert await nbi.find("faults") == []


async def test_a_parameter_that_has_gone_leaves_the_document_at_the_next_read(nbi: Nbi, cpe: LabCpe) -> None:
    await nbi.read(cpe, SSID)
    cpe.tree.remove(SSID)
    await nbi.next_slot(cpe)
    assert (await nbi.read(cpe, SSID)).status == 200
    [document] = await nbi.find("devices", projection=SSID)
    assert document["Device"]["WiFi"]["SSID"]["1"] == {}


async def test_a_read_only_parameter_is_200_and_never_sent(nbi: Nbi, cpe: LabCpe) -> None:
    answer = await nbi.set(cpe, ("Device.DeviceInfo.SerialNumber", "x"))
    assert answer.status == 200
    assert sent(cpe) == []
    assert cpe.value("Device.DeviceInfo.SerialNumber") == "SN-181"


async def test_the_value_that_the_document_holds_is_not_sent_though_the_customer_changed_it(
    nbi: Nbi, cpe: LabCpe
) -> None:
    await nbi.set(cpe, (SSID, "Home"))
    cpe.customer_sets(SSID, "Mine")
    answer = await nbi.set(cpe, (SSID, "Home"))
    assert answer.status == 200
    assert cpe.value(SSID) == "Mine"
    assert (await nbi.leaf(cpe, SSID))["_value"] == "Home"
    assert len(sent(cpe)) == 1


async def test_a_set_after_a_read_in_a_later_second_repairs_the_drift(nbi: Nbi, cpe: LabCpe) -> None:
    await nbi.set(cpe, (SSID, "Home"))
    cpe.customer_sets(SSID, "Mine")
    await nbi.next_slot(cpe)
    await nbi.read(cpe, SSID)
    assert (await nbi.leaf(cpe, SSID))["_value"] == "Mine"
    await nbi.set(cpe, (SSID, "Home"))
    assert cpe.value(SSID) == "Home"


async def test_the_document_shows_the_wish_of_a_cpe_that_lies_until_it_is_read_in_a_later_second(
    nbi: Nbi, cpe: LabCpe
) -> None:
    await nbi.next_slot(cpe)
    cpe.quirks.lies = True
    written = await nbi.set(cpe, (SSID, "Home"))
    assert written.status == 200
    assert cpe.value(SSID) == "Lab-1"
    assert (await nbi.leaf(cpe, SSID))["_value"] == "Home"

    before = (await nbi.leaf(cpe, SSID))["_timestamp"]
    same_slot = await nbi.read(cpe, SSID)
    assert same_slot.status == 200
    assert await nbi.leaf(cpe, SSID) | {"_value": "Home", "_timestamp": before} == await nbi.leaf(cpe, SSID)

    await nbi.next_slot(cpe)
    await nbi.read(cpe, SSID)
    leaf = await nbi.leaf(cpe, SSID)
    assert leaf["_value"] == "Lab-1"
    assert leaf["_timestamp"] > before


async def test_a_get_in_the_session_of_the_set_is_served_from_memory(nbi: Nbi, cpe: LabCpe) -> None:
    cpe.quirks.lies = True
    await nbi.set(cpe, (SSID, "Home"), call=False)
    await nbi.read(cpe, SSID)
    assert (await nbi.leaf(cpe, SSID))["_value"] == "Home"
    assert [rpc for rpc, _ in cpe.rpcs_seen].count("GetParameterValues") == 1  # the one before the set


async def test_a_set_that_the_cpe_applies_only_at_its_next_boot_is_200_all_the_same(nbi: Nbi, cpe: LabCpe) -> None:
    cpe.quirks.status_one = True
    answer = await nbi.set(cpe, (SSID, "Home"))
    assert answer.status == 200
    assert cpe.value(SSID) == "Lab-1"
    await cpe.power_off()
    await cpe.power_on()
    assert cpe.value(SSID) == "Home"


async def test_secrets_are_in_clear_after_a_set_and_blank_after_a_get(nbi: Nbi, cpe: LabCpe) -> None:
    await nbi.set(cpe, (PASSPHRASE, "correct horse battery"), (PPP_PASSWORD, "s3cret"))
    assert (await nbi.leaf(cpe, PASSPHRASE))["_value"] == "correct horse battery"
    await nbi.next_slot(cpe)
    await nbi.read(cpe, PASSPHRASE, PPP_PASSWORD)
    assert (await nbi.leaf(cpe, PASSPHRASE))["_value"] == ""
    assert (await nbi.leaf(cpe, PPP_PASSWORD))["_value"] == ""
    assert cpe.value(PASSPHRASE) == "correct horse battery"
    assert cpe.ppp.password == "s3cret"


async def test_a_cpe_may_mask_its_secrets_instead_of_blanking_them(nbi: Nbi, cpe: LabCpe) -> None:
    cpe.quirks.secret_mask = "********"
    await nbi.read(cpe, PASSPHRASE)
    assert (await nbi.leaf(cpe, PASSPHRASE))["_value"] == "********"


async def test_a_star_in_the_path_of_a_get_stands_for_every_instance(nbi: Nbi, cpe: LabCpe) -> None:
    await nbi.read(cpe, "Device.WiFi.SSID.*.SSID")
    assert (await nbi.leaf(cpe, SSID))["_value"] == "Lab-1"
    assert (await nbi.leaf(cpe, "Device.WiFi.SSID.2.SSID"))["_value"] == "Lab-2"


async def test_after_a_factory_reset_the_old_values_survive_in_the_document_and_are_not_sent_again(
    nbi: Nbi, cpe: LabCpe, clock: LabClock
) -> None:
    await nbi.set(cpe, (SSID, "Home"))
    bootstrapped = (await nbi.find("devices", projection="_lastBootstrap"))[0]["_lastBootstrap"]
    await clock.sleep(5)
    await cpe.factory_reset()
    assert (await nbi.find("devices", projection="_lastBootstrap"))[0]["_lastBootstrap"] > bootstrapped
    assert (await nbi.leaf(cpe, SSID))["_value"] == "Home"
    answer = await nbi.set(cpe, (SSID, "Home"))
    assert answer.status == 200
    assert cpe.value(SSID) == "Lab-1"


async def test_refreshing_the_management_server_forgets_the_connection_request_password(nbi: Nbi, cpe: LabCpe) -> None:
    username, password = f"{MANAGEMENT}.ConnectionRequestUsername", f"{MANAGEMENT}.ConnectionRequestPassword"
    await nbi.set(cpe, (username, "acs"), (password, "pw12345"))
    await nbi.next_slot(cpe)
    refreshed = await nbi.post(cpe, {"name": "refreshObject", "objectName": MANAGEMENT})
    assert refreshed.status == 200
    answer = await nbi.set(cpe, (SSID, "Home"))
    assert (answer.status, answer.reason) == (
        202,
        "Connection request error: Incorrect connection request credentials",
    )


async def test_the_type_in_a_task_is_irrelevant_the_cpe_has_its_own(nbi: Nbi, cpe: LabCpe) -> None:
    await nbi.set(cpe, ("Device.Ethernet.VLANTermination.1.VLANID", "100", "xsd:string"))
    assert cpe.value("Device.Ethernet.VLANTermination.1.VLANID") == 100
    assert (await nbi.leaf(cpe, "Device.Ethernet.VLANTermination.1.VLANID"))["_value"] == 100


async def test_a_parameter_that_only_the_inform_told_of_has_no_writable_yet(nbi: Nbi, cpe: LabCpe) -> None:
    leaf = await nbi.leaf(cpe, "Device.DeviceInfo.SoftwareVersion")
    assert leaf.keys() == {"_object", "_value", "_type", "_timestamp"}


async def test_projecting_an_absent_parameter_gives_the_objects_on_the_way_empty(nbi: Nbi, cpe: LabCpe) -> None:
    [document] = await nbi.find("devices", projection="Device.DeviceInfo.Nope.Value")
    assert document == {"_id": cpe.device_id, "Device": {"DeviceInfo": {}}}


async def test_reboot_is_200_long_before_the_cpe_is_back(nbi: Nbi, cpe: LabCpe, clock: LabClock) -> None:
    booted = (await nbi.find("devices", projection="_lastBoot"))[0]["_lastBoot"]
    assert (await nbi.post(cpe, {"name": "reboot"})).status == 200
    assert (await nbi.find("devices", projection="_lastBoot"))[0]["_lastBoot"] == booted
    offline = await nbi.set(cpe, (SSID, "Home"))
    assert (offline.status, offline.reason) == (202, "Device is offline")
    await clock.sleep(timedelta(minutes=1).total_seconds())
    assert (await nbi.find("devices", projection="_lastBoot"))[0]["_lastBoot"] > booted
    assert cpe.value(SSID) == "Home"  # the queue ran at the boot
