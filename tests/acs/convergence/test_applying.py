"""Settings on their way to the CPE, through the lab ACS; what counts is what the CPE itself holds."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from acs import (
    AcsDevice,
    AwaitingFirstInform,
    DeviceUnknown,
    DeviceUnreachable,
    NbiError,
    NotYet,
    SerialAmbiguous,
    SettingsFailed,
    SettingsRefused,
    Unknown,
    WrongDataModel,
)
from acs.testing import LabClock, LabCpe, Quirks
from acs.testing.parameter_tree import Parameter
from tests.acs.bench import PASSPHRASE, PASSWORD, SERIAL, SSID, USERNAME, VLAN, WIFI_REF, Bench


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
    assert await bench.plain_tags() == [f"cfg_{device['revision']}"]
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


@pytest.mark.parametrize(
    "quirks",
    [
        Quirks(refuse={PASSWORD: 9007}),
        Quirks(refuse={PASSWORD: 9800, PASSPHRASE: 9800}, echoes=True),
        Quirks(fault_all=9801, echoes=True),
    ],
    ids=["refuses", "repeats what it refuses", "repeats everything"],
)
async def test_no_secret_is_written_down_or_logged(
    bench: Bench, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, quirks: Quirks
) -> None:
    caplog.set_level("DEBUG")
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks = quirks
    with pytest.raises(SettingsRefused) as caught:
        await bench.convergence.apply(SERIAL)
    faulted = await bench.row()
    assert ("***" in faulted.reason) is quirks.echoes
    cpe.quirks = Quirks()
    outcome = await bench.convergence.apply(SERIAL)
    verified = await bench.convergence.verify(SERIAL)
    row = await bench.row()
    told = [
        repr(caught.value),
        repr(outcome),
        repr(verified),
        *(
            repr({column.name: getattr(each, column.name) for column in AcsDevice.__table__.columns})
            for each in (faulted, row)
        ),
        capsys.readouterr().out,
        caplog.text,
    ]
    for secret in bench.secrets.plaintexts.values():
        assert not [text for text in told if secret in text]


async def test_a_cpe_that_never_reported_is_waited_for(bench: Bench) -> None:
    await bench.bind()
    with pytest.raises(AwaitingFirstInform) as caught:
        await bench.convergence.apply(SERIAL)
    assert (caught.value.transient, caught.value.reason) == (True, "awaiting_first_inform")
    assert (await bench.row()).state == "awaiting_first_inform"


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


async def pass_an_hour(bench: Bench) -> None:
    assert isinstance(bench.lab.clock, LabClock)
    await bench.lab.clock.advance(3600)


async def test_what_was_refused_for_good_waits_no_longer_at_the_acs(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.refuse[VLAN] = 9007
    with pytest.raises(SettingsRefused):
        await bench.convergence.apply(SERIAL)
    assert (await bench.nbi.tasks(cpe.device_id), await bench.nbi.faults(cpe.device_id)) == ((), ())
    cpe.quirks.refuse.clear()
    await pass_an_hour(bench)  # an attempt of the ACS's own would be due
    assert await cpe.periodic_inform()
    assert (cpe.value(USERNAME), (await bench.row()).state) == ("", "faulted")
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"


async def test_while_the_refused_settings_cannot_be_taken_back_they_are_not_told_to_have_failed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.refuse[VLAN] = 9007

    async def no_answer(_: object) -> Unknown:
        return Unknown("no answer came in time")

    with monkeypatch.context() as patched:
        patched.setattr(bench.nbi, "delete_fault", no_answer)
        with pytest.raises(NbiError, match="no answer came in time"):
            await bench.convergence.apply(SERIAL)
    assert (await bench.row()).state == "queued"
    with pytest.raises(SettingsRefused):
        await bench.convergence.apply(SERIAL)
    assert ((await bench.row()).state, await bench.nbi.tasks(cpe.device_id)) == ("faulted", ())


async def test_settings_that_the_acs_got_across_before_they_were_taken_back_are_applied(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.refuse[VLAN] = 9007
    delete = bench.nbi.delete_fault

    async def too_late(fault_id: str) -> object:
        cpe.quirks.refuse.clear()
        await pass_an_hour(bench)  # the ACS's own next attempt is due
        assert await cpe.periodic_inform()
        return await delete(fault_id)

    monkeypatch.setattr(bench.nbi, "delete_fault", too_late)
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert (cpe.value(USERNAME), (await bench.row()).state) == ("u42@isp", "applied")


async def test_a_parameter_the_cpe_does_not_have_ends_it_before_anything_is_written(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    for path in (USERNAME, SSID):
        cpe.tree.remove(path)
    with pytest.raises(SettingsRefused) as caught:
        await bench.convergence.apply(SERIAL)
    refusals = [(each["path"], each["code"]) for each in caught.value.refusals]
    assert refusals == [(USERNAME, "missing"), (SSID, "missing")]
    assert bench.written(cpe) == 0


async def test_a_parameter_that_the_cpe_has_read_only_ends_it_before_anything_is_written(bench: Bench) -> None:
    """The ACS would answer 200 to all of it, and send the rest."""
    await bench.bind()
    cpe = bench.lab.attach(LabCpe(SERIAL, parameters={SSID: Parameter("Factory")}))
    await cpe.power_on()
    with pytest.raises(SettingsRefused) as caught:
        await bench.convergence.apply(SERIAL)
    assert [(each["path"], each["code"]) for each in caught.value.refusals] == [(SSID, "read-only")]
    assert (bench.written(cpe), cpe.value(SSID)) == (0, "Factory")


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
    cpe.quirks.fault_all = 9002
    with pytest.raises(SettingsFailed):
        await bench.convergence.apply(SERIAL)
    assert len(await bench.nbi.faults(cpe.device_id)) == 1
    cpe.quirks.fault_all = None
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
    assert sorted(await bench.plain_tags()) == sorted(["gold", f"cfg_{second['revision']}"])
    assert first["revision"] != second["revision"]


async def test_a_changed_secret_reaches_the_cpe(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    bench.secrets.plaintexts[WIFI_REF] = "correct horse"
    async with bench.devices.database.begin() as db:
        await bench.devices.service(db).secret_changed(ref=WIFI_REF)
    await bench.convergence.apply(SERIAL)
    assert cpe.value(PASSPHRASE) == "correct horse"


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
