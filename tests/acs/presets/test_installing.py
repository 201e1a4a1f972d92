"""Presets and scripts at the lab's ACS: what differs is put, what hurts is taken back, what is others' stays."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from acs import (
    AcsPresetInstall,
    Baseline,
    NbiClient,
    NbiUnreachable,
    NothingToRollBack,
    Preset,
    PresetInstaller,
    PresetInstallUnderWay,
    PresetInstallUnfinished,
    PresetsNotTaken,
    PresetsPoisoned,
)
from acs.testing import LabAcs, LabCpe
from acs.testing import presets as lab_presets
from provisioning.database import Database
from tests.acs.conftest import TENANT

INTERVAL = "Device.ManagementServer.PeriodicInformInterval"
SSID = "Device.WiFi.SSID.1.SSID"
APPLY = "firstlight_apply"
OURS = [APPLY, "firstlight_bootstrap", "firstlight_inform"]


@pytest.fixture
def installer(acs_database: Database, nbi: NbiClient, lab: LabAcs) -> PresetInstaller:
    return installer_of(acs_database, nbi, lab)


def installer_of(database: Database, nbi: NbiClient, lab: LabAcs, *, wanted: Baseline | None = None) -> PresetInstaller:
    return PresetInstaller(
        database.begin,
        nbi,
        acs_name="default",
        tenant_id=TENANT,
        now=lab.clock.now,
        sleep=lab.clock.sleep,
        wanted=wanted,
    )


def stored(lab: LabAcs) -> dict[str, Any]:
    return {kind: dict(lab.documents[kind]) for kind in ("presets", "provisions")}


async def states(database: Database) -> list[str]:
    async with database.begin() as db:
        return list(await db.scalars(select(AcsPresetInstall.state).order_by(AcsPresetInstall.id)))


async def test_what_differs_is_put_once_and_what_is_others_stays(
    installer: PresetInstaller, lab: LabAcs, nbi: NbiClient, acs_database: Database
) -> None:
    await nbi.put_provision("isp_own", "// theirs")
    cpe = lab.attach(LabCpe("HWTC12345678"))
    await cpe.power_on()
    found = await installer.differences()
    assert [(change["name"], change["action"]) for change in found["changes"]] == [
        *((name, "add") for name in OURS),
        ("firstlight_bootstrap", "add"),
        ("firstlight_inform", "add"),
    ]
    assert found["foreign"] == 1
    outcome = await installer.install(requested_by="noc")
    assert (outcome["state"], outcome["reason"]) == ("installed", "CPEs go on reporting.")
    assert sorted(lab.documents["provisions"]) == [*OURS, "isp_own"]
    assert (await installer.install(requested_by="noc"))["state"] == "unchanged"
    assert await states(acs_database) == ["installed"]


async def test_a_reset_cpe_is_forgotten_and_reports_every_minute(installer: PresetInstaller, lab: LabAcs) -> None:
    cpe = lab.attach(LabCpe("HWTC12345678", inform_interval_seconds=3600))
    await cpe.power_on()
    await installer.install(requested_by="noc")
    assert cpe.value(INTERVAL) == 3600
    lab.documents["devices"][cpe.device_id]["Device"]["WiFi"] = {"_object": True, "stale": {}}
    await cpe.factory_reset()
    await lab.clock.sleep(120)
    assert cpe.value(INTERVAL) == 60
    assert "stale" not in lab.documents["devices"][cpe.device_id]["Device"].get("WiFi", {})


async def test_what_somebody_changed_is_shown_and_put_right_and_what_is_no_longer_needed_goes(
    installer: PresetInstaller, lab: LabAcs, nbi: NbiClient
) -> None:
    await installer.install(requested_by="noc")
    lab.documents["presets"]["firstlight_inform"]["weight"] = 7
    await nbi.put_provision("firstlight_old", "// of an earlier release")
    changes = (await installer.differences())["changes"]
    assert [(change["name"], change["action"]) for change in changes] == [
        ("firstlight_inform", "change"),
        ("firstlight_old", "remove"),
    ]
    assert changes[0]["before"]["weight"] == 7
    await installer.install(requested_by="noc")
    assert (await installer.differences())["changes"] == []
    await installer.roll_back(requested_by="noc")
    assert lab.documents["presets"]["firstlight_inform"]["weight"] == 7
    assert "firstlight_old" in lab.documents["provisions"]


async def test_an_install_after_which_sessions_stop_is_taken_back_by_itself(
    installer: PresetInstaller, lab: LabAcs, acs_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpe = lab.attach(LabCpe("HWTC12345678", inform_interval_seconds=60))
    await cpe.power_on()
    before = stored(lab)
    check = lab_presets._check

    def dies_of_ours(preset: Any) -> None:
        if preset["_id"].startswith("firstlight_"):
            raise lab_presets.Poison("a GenieACS that nobody has seen yet")
        check(preset)

    monkeypatch.setattr(lab_presets, "_check", dies_of_ours)
    outcome = await installer.install(requested_by="noc", patience_seconds=90)
    assert lab.cwmp.crashes > 0
    assert outcome["state"] == "rolled_back"
    assert outcome["reason"] == (
        "Taken back: no CPE reported within 90 s, though some were called. CPEs report again. firstlight_apply stays:"
        " CPEs get their settings by it, and it is as this release has it."
    )
    assert stored(lab) == {**before, "provisions": {APPLY: lab.documents["provisions"][APPLY]}}
    assert await states(acs_database) == ["rolled_back"]
    assert await lab.cwmp.inform(cpe, ["2 PERIODIC"])


async def test_an_install_at_which_cpes_fail_is_taken_back(acs_database: Database, nbi: NbiClient, lab: LabAcs) -> None:
    preset = Preset(
        "firstlight_x", ({"type": "provision", "name": "firstlight_x", "args": None},), channel="firstlight_x"
    )
    wanted = Baseline({"firstlight_x": "throw new Error('no');"}, {"firstlight_x": preset})
    await lab.attach(LabCpe("HWTC12345678", inform_interval_seconds=60)).power_on()
    outcome = await installer_of(acs_database, nbi, lab, wanted=wanted).install(requested_by="noc")
    assert outcome["state"] == "rolled_back"
    assert "1 CPE(s) failed at what was new" in outcome["reason"]
    assert stored(lab) == {"presets": {}, "provisions": {}}


async def test_poison_of_somebody_else_is_named_and_nothing_is_changed(
    installer: PresetInstaller, lab: LabAcs, acs_database: Database
) -> None:
    lab.documents["presets"]["theirs"] = {"_id": "theirs", "weight": 0, "precondition": "true"}
    with pytest.raises(PresetsPoisoned, match="theirs: it has no configurations"):
        await installer.install(requested_by="noc")
    assert list(lab.documents["presets"]) == ["theirs"]
    assert await states(acs_database) == []


async def test_poison_under_our_name_is_replaced_and_never_put_back(installer: PresetInstaller, lab: LabAcs) -> None:
    lab.documents["presets"]["firstlight_inform"] = {"_id": "firstlight_inform", "weight": 0}
    await lab.attach(LabCpe("HWTC12345678")).power_on()
    assert (await installer.install(requested_by="noc"))["state"] == "installed"
    outcome = await installer.roll_back(requested_by="noc")
    assert "since it is not of our making: firstlight_inform. firstlight_apply stays" in outcome["reason"]
    assert lab.documents["presets"] == {}


async def test_a_script_that_the_acs_does_not_take_leaves_all_as_before(
    acs_database: Database, nbi: NbiClient, lab: LabAcs
) -> None:
    wanted = Baseline({"firstlight_a": "// fine", "firstlight_b": "declare("})
    with pytest.raises(PresetsNotTaken, match="firstlight_b: it says 400 SyntaxError"):
        await installer_of(acs_database, nbi, lab, wanted=wanted).install(requested_by="noc")
    assert stored(lab) == {"presets": {}, "provisions": {}}
    assert await states(acs_database) == ["rolled_back"]


async def test_a_preset_that_the_acs_cannot_be_sent_is_followed_by_all_as_before(
    installer: PresetInstaller, lab: LabAcs, acs_database: Database, nbi: NbiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreachable(*_: Any, **__: Any) -> None:
        raise NbiUnreachable

    with monkeypatch.context() as patched:
        patched.setattr(nbi, "put_preset", unreachable)
        with pytest.raises(NbiUnreachable):
            await installer.install(requested_by="noc")
    assert (lab.documents["presets"], list(lab.documents["provisions"])) == ({}, [APPLY])
    assert await states(acs_database) == ["rolled_back"]
    with pytest.raises(NothingToRollBack):
        await installer.roll_back(requested_by="noc")


async def goes_away_after(nbi: NbiClient, lab: LabAcs, patched: pytest.MonkeyPatch, name: str) -> None:
    """The ACS goes down once it has taken that script."""
    put = nbi.put_provision

    async def goes_down(script: str, content: str) -> Any:
        outcome = await put(script, content)
        if script == name:
            await lab.go_down()
        return outcome

    patched.setattr(nbi, "put_provision", goes_down)


async def test_an_acs_that_goes_away_in_the_middle_leaves_an_install_that_the_next_one_goes_on_with(
    installer: PresetInstaller, lab: LabAcs, acs_database: Database, nbi: NbiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await nbi.put_provision("firstlight_inform", "// of an earlier release")
    await lab.attach(LabCpe("HWTC12345678")).power_on()
    with monkeypatch.context() as patched:
        await goes_away_after(nbi, lab, patched, "firstlight_inform")
        with pytest.raises(PresetInstallUnfinished, match="Part of what was being changed at ACS default may be there"):
            await installer.install(requested_by="noc")
    assert await states(acs_database) == ["unfinished"]
    await lab.come_back()
    await lab.clock.sleep(60)
    assert (await installer.install(requested_by="noc"))["state"] == "installed"
    assert await states(acs_database) == ["installed"]
    await installer.roll_back(requested_by="noc")
    assert stored(lab)["presets"] == {}
    scripts = {name: document["script"] for name, document in lab.documents["provisions"].items()}
    assert scripts["firstlight_inform"] == "// of an earlier release"
    assert sorted(scripts) == [APPLY, "firstlight_inform"]


async def test_one_that_was_left_in_the_middle_is_taken_back_when_the_acs_answers_again(
    installer: PresetInstaller, lab: LabAcs, acs_database: Database, nbi: NbiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        await goes_away_after(nbi, lab, patched, "firstlight_inform")
        with pytest.raises(PresetInstallUnfinished):
            await installer.install(requested_by="noc")
    with pytest.raises(PresetInstallUnfinished):
        await installer.roll_back(requested_by="noc")
    assert await states(acs_database) == ["unfinished"]
    await lab.come_back()
    await lab.clock.sleep(60)
    await installer.roll_back(requested_by="noc")
    assert (lab.documents["presets"], list(lab.documents["provisions"])) == ({}, [APPLY])
    assert await states(acs_database) == ["rolled_back"]


async def test_nobody_overtakes_an_install_that_lives_and_one_that_was_killed_is_taken_up(
    installer: PresetInstaller, lab: LabAcs, acs_database: Database, nbi: NbiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    async def meanwhile(*_: Any) -> None:
        other = installer_of(acs_database, nbi, lab)
        for overtaking in (other.roll_back, other.install):
            with pytest.raises(PresetInstallUnderWay):
                await overtaking(requested_by="somebody else")
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(nbi, "put_preset", meanwhile)
        with pytest.raises(Killed):
            await installer.install(requested_by="noc")
    with pytest.raises(PresetInstallUnderWay):
        await installer.roll_back(requested_by="noc")
    await lab.clock.sleep(31)
    assert (await installer.roll_back(requested_by="noc"))["state"] == "rolled_back"
    assert (lab.documents["presets"], list(lab.documents["provisions"])) == ({}, [APPLY])
    assert await states(acs_database) == ["rolled_back"]


async def test_one_that_was_frozen_while_it_was_taken_back_changes_nothing_any_more(
    installer: PresetInstaller, lab: LabAcs, acs_database: Database, nbi: NbiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = nbi.put_provision

    async def frozen(name: str, script: str) -> Any:
        outcome = await put(name, script)
        if name == "firstlight_bootstrap":
            await lab.clock.sleep(31)
            await installer_of(acs_database, nbi, lab).roll_back(requested_by="somebody else")
        return outcome

    with monkeypatch.context() as patched:
        patched.setattr(nbi, "put_provision", frozen)
        with pytest.raises((PresetInstallUnderWay, PresetsNotTaken)):
            await installer.install(requested_by="noc")
    assert (lab.documents["presets"], list(lab.documents["provisions"])) == ({}, [APPLY])
    assert await states(acs_database) == ["rolled_back"]
