"""From desired state to the CPE and back, through the lab ACS; what counts is what the CPE itself holds."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from acs import (
    AcsDevice,
    AwaitingFirstInform,
    DesiredStateChanged,
    DeviceConvergence,
    DeviceDrifted,
    DeviceUnknown,
    DeviceUnreachable,
    NbiClient,
    NotYet,
    ProvisionedDevice,
    SerialAmbiguous,
    SettingsFailed,
    SettingsRefused,
    WrongDataModel,
    require_verified,
)
from acs.testing import LabAcs, LabCpe
from tests.acs.conftest import Devices, KeptSecrets

SERIAL = "HWTC12345678"
WIFI_REF = "secret:device/HWTC12345678/wifi"
USERNAME = "Device.PPP.Interface.1.Username"
PASSWORD = "Device.PPP.Interface.1.Password"
VLAN = "Device.Ethernet.VLANTermination.1.VLANID"
SSID = "Device.WiFi.SSID.1.SSID"
PASSPHRASE = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase"
SECRETS = [PASSWORD, PASSPHRASE]


@pytest.fixture
def bench(devices: Devices, convergence: DeviceConvergence, lab: LabAcs, nbi: NbiClient, secrets: KeptSecrets) -> Bench:
    return Bench(devices, convergence, lab, nbi, secrets)


class Bench:
    """A lab, a service and a convergence around one serial number."""

    def __init__(
        self, devices: Devices, convergence: DeviceConvergence, lab: LabAcs, nbi: NbiClient, secrets: KeptSecrets
    ) -> None:
        self.devices = devices
        self.convergence = convergence
        self.lab = lab
        self.nbi = nbi
        self.secrets = secrets

    async def bind(self, *, template: str = "tr181-pppoe", **values: str | int | None) -> ProvisionedDevice:
        inputs: dict[str, str | int | None] = {
            "pppoe_username": "u42@isp",
            "pppoe_password": "secret:subscriber/42",
            "cpe_vlan_id": 100,
            "wifi_ssid": "Home",
        }
        async with self.devices.database.begin() as db:
            return await self.devices.service(db).provision_device(
                customer_id=1,
                service_id=7,
                device_serial=SERIAL,
                config_template=template,
                values={**inputs, **values},
            )

    async def power_on(self, **identity: Any) -> LabCpe:
        cpe = self.lab.attach(LabCpe(**{"serial": SERIAL, **identity}))
        await cpe.power_on()
        return cpe

    async def row(self) -> AcsDevice:
        async with self.devices.database.begin() as db:
            return (await db.scalars(select(AcsDevice).order_by(AcsDevice.id.desc()).limit(1))).one()

    async def tags(self) -> list[str]:
        seen = await self.convergence.find(SERIAL)
        assert seen is not None
        return seen["tags"]

    def written(self, cpe: LabCpe) -> int:
        """How often the CPE was sent values."""
        return [name for name, _ in cpe.rpcs_seen].count("SetParameterValues")


async def test_the_cpe_itself_holds_what_it_should_have(bench: Bench) -> None:
    device = await bench.bind()
    cpe = await bench.power_on()
    outcome = await bench.convergence.apply(SERIAL)
    assert outcome["state"] == "applied"
    assert outcome["revision"] == device["revision"]
    assert (cpe.ppp.username, cpe.ppp.password, cpe.ppp.enabled, cpe.ppp.vlan_id) == (
        "u42@isp",
        "s3cret-of-42",
        True,
        100,
    )
    assert cpe.value(SSID) == "Home"
    assert cpe.value(PASSPHRASE) == bench.secrets.plaintexts[WIFI_REF]
    assert await bench.tags() == [f"cfg_{device['revision']}"]
    row = await bench.row()
    assert (row.state, row.applied_revision, row.task_id, row.device_id) == (
        "applied",
        device["revision"],
        None,
        cpe.device_id,
    )


async def test_a_tr098_cpe_that_reports_its_serial_in_hex_gets_its_settings(bench: Bench) -> None:
    await bench.bind(template="tr098-pppoe")
    cpe = await bench.power_on(serial="4857544312345678", data_model="TR-098")
    await bench.convergence.apply(SERIAL)
    assert (cpe.ppp.username, cpe.ppp.password, cpe.ppp.vlan_id) == ("u42@isp", "s3cret-of-42", 100)
    assert (await bench.convergence.verify(SERIAL))["state"] == "accepted_unverifiable"


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


async def test_no_secret_is_written_down_or_logged(
    bench: Bench, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.refuse[PASSWORD] = 9007
    with pytest.raises(SettingsRefused) as caught:
        await bench.convergence.apply(SERIAL)
    cpe.quirks.refuse.clear()
    outcome = await bench.convergence.apply(SERIAL)
    verified = await bench.convergence.verify(SERIAL)
    row = await bench.row()
    told = [
        repr(caught.value),
        repr(outcome),
        repr(verified),
        repr({column.name: getattr(row, column.name) for column in AcsDevice.__table__.columns}),
        capsys.readouterr().out,
        caplog.text,
    ]
    for secret in bench.secrets.plaintexts.values():
        assert not [text for text in told if secret in text]


async def test_a_cpe_that_never_reported_is_waited_for(bench: Bench) -> None:
    await bench.bind()
    assert await bench.convergence.find(SERIAL) is None
    assert await bench.convergence.informed(SERIAL, bench.lab.clock.now()) is None
    with pytest.raises(AwaitingFirstInform) as caught:
        await bench.convergence.apply(SERIAL)
    assert (caught.value.transient, caught.value.reason) == (True, "awaiting_first_inform")
    assert (await bench.row()).state == "awaiting_first_inform"


async def test_an_inform_counts_only_when_it_came_after_the_moment_asked_for(bench: Bench) -> None:
    cpe = await bench.power_on()
    await bench.lab.clock.sleep(60)
    await bench.bind()
    bound = bench.lab.clock.now()
    assert await bench.convergence.informed(SERIAL, bound) is None
    assert (await bench.row()).state == "awaiting_first_inform"
    await bench.lab.clock.sleep(1)
    await cpe.periodic_inform()
    seen = await bench.convergence.informed(SERIAL, bound)
    assert seen is not None
    assert seen["device_id"] == cpe.device_id
    assert ((await bench.row()).state, (await bench.row()).device_id) == ("queued", cpe.device_id)


async def test_nobody_is_configured_without_a_binding(bench: Bench) -> None:
    await bench.power_on()
    for verb in (bench.convergence.apply, bench.convergence.verify):
        with pytest.raises(DeviceUnknown):
            await verb(SERIAL)


async def test_two_cpes_with_the_same_serial_get_nothing(bench: Bench) -> None:
    await bench.bind()
    first = await bench.power_on()
    second = await bench.power_on(serial="4857544312345678", oui="ACDE48")
    with pytest.raises(SerialAmbiguous) as caught:
        await bench.convergence.apply(SERIAL)
    assert caught.value.device_ids == tuple(sorted([first.device_id, second.device_id]))
    assert bench.written(first) + bench.written(second) == 0


async def test_a_template_for_the_other_data_model_is_final(bench: Bench) -> None:
    await bench.bind(template="tr098-pppoe")
    cpe = await bench.power_on()
    with pytest.raises(WrongDataModel, match="speaks TR-181, but template tr098-pppoe is for TR-098") as caught:
        await bench.convergence.apply(SERIAL)
    assert not caught.value.transient
    assert bench.written(cpe) == 0
    assert (await bench.row()).state == "faulted"


async def test_what_a_cpe_refuses_is_shown_by_parameter_and_in_words(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.refuse[VLAN] = 9007
    with pytest.raises(SettingsRefused) as caught:
        await bench.convergence.apply(SERIAL)
    refusal = {"path": VLAN, "code": "9007", "meaning": "the CPE does not accept this value"}
    assert list(caught.value.refusals) == [refusal]
    assert str(caught.value) == (
        f"CPE {SERIAL} refused its settings: {VLAN}: the CPE does not accept this value (9007)."
    )
    assert not caught.value.transient
    row = await bench.row()
    assert (row.state, row.details) == ("faulted", [refusal])
    assert cpe.value(USERNAME) != "u42@isp"
    assert await bench.tags() == []


async def test_a_parameter_the_cpe_does_not_have_ends_it_before_anything_is_written(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    for path in (VLAN, SSID):
        cpe.tree.remove(path)
    with pytest.raises(SettingsRefused) as caught:
        await bench.convergence.apply(SERIAL)
    assert [(each["path"], each["code"]) for each in caught.value.refusals] == [(VLAN, "missing"), (SSID, "missing")]
    assert bench.written(cpe) == 0


async def test_a_failure_that_may_pass_is_transient_and_the_next_attempt_succeeds(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.fault_all = 9002
    with pytest.raises(SettingsFailed, match=r"an internal error of the CPE \(cwmp.9002") as caught:
        await bench.convergence.apply(SERIAL)
    assert caught.value.transient
    cpe.quirks.fault_all = None
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert cpe.value(USERNAME) == "u42@isp"


async def test_the_fault_of_a_replaced_task_does_not_stay_behind(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.refuse[VLAN] = 9007
    with pytest.raises(SettingsRefused):
        await bench.convergence.apply(SERIAL)
    assert len(await bench.nbi.faults(cpe.device_id)) == 1
    await bench.bind(cpe_vlan_id=None)
    await bench.convergence.apply(SERIAL)
    assert await bench.nbi.faults(cpe.device_id) == ()
    assert await bench.nbi.tasks(cpe.device_id) == ()


@pytest.mark.parametrize(
    ("quirk", "reason", "state", "words"),
    [
        ("reachable", "offline", "unreachable", "does not answer the ACS"),
        ("cr_refused", "offline", "unreachable", "does not answer the ACS"),
        ("cr_wrong_credentials", "connection_request_credentials", "unreachable", "credentials"),
        ("cr_ignored", "no_session", "queued", "has not finished a session yet"),
    ],
)
async def test_a_cpe_that_cannot_be_called_is_not_yet_done_and_gets_it_at_its_next_inform(
    bench: Bench, quirk: str, reason: str, state: str, words: str
) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    setattr(cpe.quirks, quirk, quirk != "reachable")
    with pytest.raises(NotYet, match=words) as caught:
        await bench.convergence.apply(SERIAL)
    assert isinstance(caught.value, DeviceUnreachable) == (state == "unreachable")
    assert (caught.value.reason, caught.value.transient) == (reason, True)
    assert ((await bench.row()).state, (await bench.row()).reason) == (state, str(caught.value))

    [task] = await bench.nbi.tasks(cpe.device_id)
    with pytest.raises(NotYet):  # asked again it waits for the task it has
        await bench.convergence.apply(SERIAL)
    assert [each.id for each in await bench.nbi.tasks(cpe.device_id)] == [task.id]

    await cpe.periodic_inform()
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert cpe.value(SSID) == "Home"
    assert bench.written(cpe) == 1


async def test_a_cpe_that_was_switched_off_gets_its_settings_when_it_is_back(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await cpe.power_off()
    with pytest.raises(DeviceUnreachable):
        await bench.convergence.apply(SERIAL)
    await cpe.power_on()
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert cpe.value(USERNAME) == "u42@isp"


async def test_a_slow_session_is_waited_for(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.session_seconds = 10
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"


async def test_applying_twice_writes_once(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    first = await bench.convergence.apply(SERIAL)
    assert await bench.convergence.apply(SERIAL) == first
    verified = await bench.convergence.verify(SERIAL)
    assert await bench.convergence.apply(SERIAL) == {**first, "state": verified["state"]}
    assert bench.written(cpe) == 1


async def test_two_who_apply_at_once_do_not_confuse_each_other(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.prepare()
    ended = await asyncio.gather(*(bench.convergence.apply(SERIAL) for _ in range(3)), return_exceptions=True)
    assert [each for each in ended if isinstance(each, dict)]
    assert not [each for each in ended if isinstance(each, BaseException) and not getattr(each, "transient", False)]
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert cpe.value(USERNAME) == "u42@isp"
    assert await bench.nbi.tasks(cpe.device_id) == ()


async def test_a_new_wish_replaces_the_old_tag(bench: Bench) -> None:
    first = await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    await bench.nbi.add_tag(cpe.device_id, "gold")
    second = await bench.bind(cpe_vlan_id=200)
    await bench.convergence.apply(SERIAL)
    assert cpe.ppp.vlan_id == 200
    assert sorted(await bench.tags()) == sorted(["gold", f"cfg_{second['revision']}"])
    assert first["revision"] != second["revision"]


async def test_a_changed_passphrase_reaches_the_cpe(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    async with bench.devices.database.begin() as db:
        await bench.devices.service(db).seal_wifi_passphrase(device_serial=SERIAL, passphrase="correct horse")
    await bench.convergence.apply(SERIAL)
    assert cpe.value(PASSPHRASE) == "correct horse"


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


async def test_settling_repairs_what_has_drifted_and_leaves_alone_what_has_not(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    assert (await bench.convergence.settle(SERIAL))["state"] == "accepted_unverifiable"
    assert bench.written(cpe) == 1
    cpe.customer_sets(SSID, "Mine")
    outcome = await bench.convergence.settle(SERIAL)
    assert (outcome["state"], outcome["drift"], cpe.value(SSID)) == ("accepted_unverifiable", [], "Home")
    assert bench.written(cpe) == 2


async def test_settling_does_not_hide_a_cpe_that_lies(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.lies = True
    outcome = await bench.convergence.settle(SERIAL)
    assert outcome["state"] == "drifted"
    assert SSID in [each["path"] for each in outcome["drift"]]
    assert bench.written(cpe) == 2
    cpe.quirks.lies = False
    assert (await bench.convergence.settle(SERIAL))["state"] == "accepted_unverifiable"


async def test_while_a_repair_waits_at_the_acs_nothing_is_called_verified(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    cpe.customer_sets(SSID, "Mine")
    assert (await bench.convergence.verify(SERIAL))["state"] == "drifted"
    cpe.quirks.cr_ignored = True
    for verb in (bench.convergence.apply, bench.convergence.settle):
        with pytest.raises(NotYet):
            await verb(SERIAL)
    with pytest.raises(NotYet) as caught:
        await bench.convergence.verify(SERIAL)
    assert caught.value.reason == "not_applied"
    await cpe.periodic_inform()
    cpe.quirks.cr_ignored = False
    assert (await bench.convergence.settle(SERIAL))["state"] == "accepted_unverifiable"
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


async def test_a_withdrawn_cpe_gets_nothing_that_was_queued_for_it(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.reachable = False
    with pytest.raises(DeviceUnreachable):
        await bench.convergence.apply(SERIAL)
    async with bench.devices.database.begin() as db:
        await bench.devices.service(db).withdraw_device(device_serial=SERIAL)
    assert await bench.convergence.withdraw(SERIAL) == {
        "device_serial": SERIAL,
        "device_id": cpe.device_id,
        "cleared": True,
    }
    await cpe.periodic_inform()
    assert bench.written(cpe) == 0
    assert await bench.nbi.tasks(cpe.device_id) == ()
    assert (await bench.row()).cleared_at is not None
    assert (await bench.convergence.withdraw(SERIAL))["cleared"]


async def test_releasing_a_cpe_unbinds_it_and_clears_the_acs_and_may_be_repeated(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    for _ in range(2):
        outcome = await bench.convergence.release(SERIAL, service_id=7)
        assert outcome["cleared"]
    assert (await bench.row()).state == "withdrawn"
    assert await bench.tags() == []
    assert WIFI_REF not in bench.secrets.plaintexts
    assert cpe.value(USERNAME) == "u42@isp"  # what the CPE holds stays on it


async def test_releasing_for_a_service_that_no_longer_has_the_cpe_leaves_it_to_the_other(bench: Bench) -> None:
    device = await bench.bind()
    await bench.power_on()
    await bench.convergence.apply(SERIAL)
    assert not (await bench.convergence.release(SERIAL, service_id=99))["cleared"]
    assert ((await bench.row()).state, await bench.tags()) == ("applied", [f"cfg_{device['revision']}"])


async def test_withdrawing_takes_faults_and_tags_along_and_nothing_of_others(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    await bench.nbi.add_tag(cpe.device_id, "gold")
    cpe.quirks.refuse[VLAN] = 9007
    await bench.bind(cpe_vlan_id=200)
    with pytest.raises(SettingsRefused):
        await bench.convergence.apply(SERIAL)
    async with bench.devices.database.begin() as db:
        await bench.devices.service(db).withdraw_device(device_serial=SERIAL)
    await bench.convergence.withdraw(SERIAL)
    assert await bench.tags() == ["gold"]
    assert await bench.nbi.faults(cpe.device_id) == ()


async def test_settings_on_their_way_from_a_killed_process_are_taken_back_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.reachable = False
    with pytest.raises(DeviceUnreachable):
        await bench.convergence.apply(SERIAL)
    [task] = await bench.nbi.tasks(cpe.device_id)
    late = dict(bench.lab.documents["tasks"][task.id])
    delete_task = bench.nbi.delete_task

    async def delete_and_let_it_arrive(task_id: str) -> object:
        monkeypatch.setattr(bench.nbi, "delete_task", delete_task)
        outcome = await delete_task(task_id)
        bench.lab.documents["tasks"]["5f" * 12] = {**late, "_id": "5f" * 12}
        return outcome

    monkeypatch.setattr(bench.nbi, "delete_task", delete_and_let_it_arrive)
    assert (await bench.convergence.release(SERIAL))["cleared"]
    assert await bench.nbi.tasks(cpe.device_id) == ()
    await cpe.periodic_inform()
    assert bench.written(cpe) == 0


async def test_queued_settings_expire_and_are_queued_again_when_they_are_still_wanted(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.reachable = False
    with pytest.raises(DeviceUnreachable):
        await bench.convergence.apply(SERIAL)
    await cpe.power_off()
    await bench.lab.clock.sleep(13 * 3600)
    await cpe.power_on()
    assert bench.written(cpe) == 0
    cpe.quirks.reachable = True
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert cpe.value(USERNAME) == "u42@isp"


async def test_a_tag_proves_nothing_of_a_cpe_that_was_reset_meanwhile(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.cr_ignored = True
    with pytest.raises(NotYet):
        await bench.convergence.apply(SERIAL)
    await cpe.periodic_inform()  # takes its settings and gets the tag; nobody of us looks
    assert cpe.value(USERNAME) == "u42@isp"
    cpe.quirks.cr_ignored = False
    await bench.lab.clock.sleep(60)
    await cpe.factory_reset()
    assert cpe.value(USERNAME) == ""
    with pytest.raises(NotYet, match="was reset to factory default") as caught:
        await bench.convergence.apply(SERIAL)
    assert (caught.value.reason, (await bench.row()).state) == ("not_applied", "queued")
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert cpe.value(USERNAME) == "u42@isp"


async def test_a_cpe_bound_anew_is_not_cleared(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    async with bench.devices.database.begin() as db:
        await bench.devices.service(db).withdraw_device(device_serial=SERIAL)
    second = await bench.bind()
    await bench.convergence.apply(SERIAL)
    await bench.convergence.withdraw(SERIAL)
    assert await bench.tags() == [f"cfg_{second['revision']}"]
    assert cpe.value(USERNAME) == "u42@isp"
    assert not (await bench.convergence.withdraw(SERIAL))["cleared"]


async def test_a_wish_that_changes_on_the_way_is_told_and_the_newer_one_follows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    call = bench.nbi.call

    async def change_and_call(device_id: str) -> object:
        monkeypatch.setattr(bench.nbi, "call", call)
        await bench.bind(cpe_vlan_id=200)
        return await call(device_id)

    monkeypatch.setattr(bench.nbi, "call", change_and_call)
    with pytest.raises(DesiredStateChanged) as caught:
        await bench.convergence.apply(SERIAL)
    assert caught.value.transient
    await bench.convergence.apply(SERIAL)
    assert cpe.ppp.vlan_id == 200


async def test_a_cpe_withdrawn_while_its_settings_are_queued_does_not_get_them(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    queue_task = bench.nbi.queue_task

    async def queue_and_withdraw(*args: Any, **kwargs: Any) -> object:
        outcome = await queue_task(*args, **kwargs)
        async with bench.devices.database.begin() as db:
            await bench.devices.service(db).withdraw_device(device_serial=SERIAL)
        return outcome

    monkeypatch.setattr(bench.nbi, "queue_task", queue_and_withdraw)
    with pytest.raises(DesiredStateChanged):
        await bench.convergence.apply(SERIAL)
    await cpe.periodic_inform()
    assert bench.written(cpe) == 0


async def test_a_cpe_deleted_at_the_acs_is_waited_for_again(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    bench.lab.documents.delete_device(cpe.device_id)
    with pytest.raises(AwaitingFirstInform):
        await bench.convergence.verify(SERIAL)
    await cpe.periodic_inform()
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"


async def test_the_apply_script_is_installed_once_and_again_when_somebody_changed_it(bench: Bench) -> None:
    await bench.convergence.prepare()
    script = await bench.nbi.provision("firstlight_apply")
    assert script is not None
    before = bench.lab.clock.now()
    await bench.convergence.prepare()
    assert bench.lab.clock.now() - before < timedelta(seconds=1)
    await bench.nbi.put_provision("firstlight_apply", script + "// edited\n")
    await bench.convergence.prepare()
    assert await bench.nbi.provision("firstlight_apply") == script
    assert bench.lab.clock.now() - before > timedelta(seconds=5)
