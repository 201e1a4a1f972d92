"""What was applied is read back in a later session, and only what was read counts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from acs import AcsDevice, DeviceDrifted, DeviceUnreachable, NotYet, require_verified
from tests.acs.bench import PASSPHRASE, SECRETS, SERIAL, SSID, USERNAME, VLAN, WIFI_REF, Bench


async def test_what_was_applied_is_read_back_and_secrets_are_not_pretended(bench: Bench) -> None:
    await bench.bind()
    await bench.power_on()
    await bench.convergence.apply(SERIAL)
    outcome = await bench.convergence.verify(SERIAL)
    assert outcome["state"] == "accepted_unverifiable"
    assert outcome["unverifiable"] == SECRETS
    assert {USERNAME, VLAN, SSID} < set(outcome["verified"])
    assert not {*SECRETS} & {*outcome["verified"]}
    assert require_verified(outcome) == outcome
    assert ((await bench.row()).state, (await bench.row()).verified_at) == (
        "accepted_unverifiable",
        outcome["verified_at"],
    )


async def test_what_a_verification_has_found_is_told_again_without_asking_anybody(bench: Bench) -> None:
    """For whoever was cut off between the finding and hearing of it."""
    await bench.bind()
    cpe = await bench.power_on()
    began = bench.lab.clock.now()
    await bench.convergence.apply(SERIAL)
    assert await bench.convergence.verified(SERIAL, since=began) is None
    outcome = await bench.convergence.verify(SERIAL)
    told = len(cpe.rpcs_seen)
    await bench.lab.go_down()
    assert await bench.convergence.verified(SERIAL, since=began) == outcome
    assert await bench.convergence.verified(SERIAL, since=outcome["verified_at"]) == outcome
    assert await bench.convergence.verified(SERIAL, since=outcome["verified_at"] + timedelta(seconds=1)) is None
    assert len(cpe.rpcs_seen) == told


async def test_what_was_found_of_an_older_wish_or_to_be_wrong_is_not_told_again(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    began = bench.lab.clock.now()
    await bench.convergence.apply(SERIAL)
    await bench.convergence.verify(SERIAL)
    cpe.customer_sets(SSID, "Mine")
    assert (await bench.convergence.verify(SERIAL))["state"] == "drifted"
    assert await bench.convergence.verified(SERIAL, since=began) is None
    await bench.convergence.apply(SERIAL)
    assert (await bench.convergence.verify(SERIAL))["state"] == "accepted_unverifiable"
    await bench.bind(wifi_ssid="Other")
    assert await bench.convergence.verified(SERIAL, since=began) is None


async def test_nothing_is_verified_before_it_is_applied(bench: Bench) -> None:
    await bench.bind()
    await bench.power_on()
    with pytest.raises(NotYet, match="has not taken its settings yet") as caught:
        await bench.convergence.verify(SERIAL)
    assert caught.value.reason == "not_applied"


async def test_a_cpe_that_lies_is_found_out_in_a_later_session(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    before = {path: cpe.value(path) for path in (USERNAME, SSID)}
    cpe.quirks.lies = True
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    document = bench.lab.document(SERIAL)
    assert document is not None
    assert document["Device"]["WiFi"]["SSID"]["1"]["SSID"]["_value"] == "Home"  # what the ACS believes

    outcome = await bench.convergence.verify(SERIAL)
    assert outcome["state"] == "drifted"
    found = {drift["path"]: (drift["wanted"], drift["reported"]) for drift in outcome["drift"]}
    assert found[USERNAME] == ("u42@isp", before[USERNAME])
    assert found[SSID] == ("Home", before[SSID])
    row = await bench.row()
    assert (row.state, row.details, row.verified_at) == ("drifted", outcome["drift"], None)
    with pytest.raises(DeviceDrifted) as caught:
        require_verified(outcome)
    assert caught.value.transient
    assert SSID in caught.value.paths


async def test_settings_that_wait_for_a_reboot_are_not_called_verified(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.status_one = True
    await bench.convergence.apply(SERIAL)
    assert (await bench.convergence.verify(SERIAL))["state"] == "drifted"


async def test_what_a_customer_changed_is_found_and_repaired(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    await bench.convergence.verify(SERIAL)
    cpe.customer_sets(SSID, "Mine")
    cpe.customer_sets(PASSPHRASE, "my own passphrase")
    outcome = await bench.convergence.verify(SERIAL)
    assert outcome["drift"] == [{"path": SSID, "wanted": "Home", "reported": "Mine"}]
    await bench.convergence.apply(SERIAL)
    assert cpe.value(SSID) == "Home"
    assert cpe.value(PASSPHRASE) == bench.secrets.plaintexts[WIFI_REF]
    assert (await bench.convergence.verify(SERIAL))["state"] == "accepted_unverifiable"


async def test_while_a_repair_waits_at_the_acs_nothing_is_called_verified(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    cpe.customer_sets(SSID, "Mine")
    assert (await bench.convergence.verify(SERIAL))["state"] == "drifted"
    cpe.quirks.cr_ignored = True
    with pytest.raises(NotYet):
        await bench.convergence.apply(SERIAL)
    with pytest.raises(NotYet) as caught:
        await bench.convergence.verify(SERIAL)
    assert caught.value.reason == "not_applied"
    await cpe.periodic_inform()
    cpe.quirks.cr_ignored = False
    await bench.convergence.apply(SERIAL)
    assert (await bench.convergence.verify(SERIAL))["state"] == "accepted_unverifiable"
    assert cpe.value(SSID) == "Home"


async def test_a_factory_reset_is_noticed_though_the_acs_remembers_other_values(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    await bench.convergence.verify(SERIAL)
    await bench.lab.clock.sleep(5)
    await cpe.factory_reset()
    outcome = await bench.convergence.verify(SERIAL)
    assert (outcome["state"], outcome["verified"]) == ("drifted", [])
    assert "reset to factory default" in outcome["reason"]
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert cpe.value(USERNAME) == "u42@isp"
    assert (await bench.convergence.verify(SERIAL))["state"] == "accepted_unverifiable"


async def test_a_factory_reset_alone_makes_apply_write_again(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    await bench.lab.clock.sleep(5)
    await cpe.factory_reset()
    await bench.convergence.apply(SERIAL)
    assert cpe.value(USERNAME) == "u42@isp"


async def test_reading_back_waits_for_the_inform_of_a_cpe_that_cannot_be_called(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    cpe.quirks.reachable = False
    with pytest.raises(DeviceUnreachable, match="it is read back at its next Inform"):
        await bench.convergence.verify(SERIAL)
    [task] = await bench.nbi.tasks(cpe.device_id)
    with pytest.raises(DeviceUnreachable):
        await bench.convergence.verify(SERIAL)
    assert [each.id for each in await bench.nbi.tasks(cpe.device_id)] == [task.id]
    await cpe.periodic_inform()
    assert (await bench.convergence.verify(SERIAL))["state"] == "accepted_unverifiable"


async def test_a_parameter_that_has_gone_is_drift(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    cpe.tree.remove(SSID)
    outcome = await bench.convergence.verify(SERIAL)
    assert outcome["drift"] == [{"path": SSID, "wanted": "Home", "reported": None}]


async def test_a_document_that_has_lost_every_parameter_is_no_reading_and_no_drift(bench: Bench) -> None:
    await bench.bind()
    async with bench.devices.database.begin() as db:  # its rows are named, so that it has none to choose
        rows = {"internet": "Device.PPP.Interface.1", "tagged": "Device.Ethernet.VLANTermination.1"}
        await bench.devices.settings(db).override(device_serial=SERIAL, changes=rows)
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    async with bench.devices.database.begin() as db:
        row = (await db.scalars(select(AcsDevice))).one()
        paths = [path for path, *_ in row.parameters]
    for path in paths:
        cpe.tree.remove(path)
    with pytest.raises(NotYet, match="has not read the settings of CPE HWTC12345678 back") as caught:
        await bench.convergence.verify(SERIAL)
    assert caught.value.reason == "not_read_back"
    assert (await bench.row()).state == "applied"


async def test_a_fault_while_reading_back_is_not_drift(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    cpe.quirks.unsupported = frozenset({"GetParameterValues"})
    with pytest.raises(NotYet, match="could not be read back") as caught:
        await bench.convergence.verify(SERIAL)
    assert caught.value.reason == "not_read_back"
    assert (await bench.row()).state == "applied"
    cpe.quirks.unsupported = frozenset()
    assert (await bench.convergence.verify(SERIAL))["state"] == "accepted_unverifiable"
