"""A CPE is configured in its very first session, and what is said of it afterwards is what was seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from acs import (
    AcsDevice,
    AcsDoor,
    Asking,
    FirstSessionRefused,
    FleetConvergence,
    PresetInstaller,
    SettingsRefused,
    baseline,
    examine_acs,
)
from acs.convergence.script_task import hand_out_tag
from acs.fleet.repairing import resume
from acs.testing import LabAcs, LabCpe
from tests.acs.bench import SECRETS, SERIAL, SSID, USERNAME, Bench
from tests.acs.conftest import TENANT
from tests.acs.test_first_sessions import ask
from tests.acs.test_first_sessions import code as right_code


class Answering:
    """The extension of a lab, answered here."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.asked: list[list[str]] = []

    async def __call__(self, function: str, args: Sequence[str]) -> str | None:
        self.asked.append([function, *args])
        acs, serial, data_model, code, manufacturer, product_class = args
        asking = Asking(acs, serial, data_model, code, manufacturer or None, product_class or None)
        try:
            return (await ask(self.bench, asking)).argument
        except FirstSessionRefused:
            return None


async def install(lab: LabAcs, bench: Bench) -> None:
    installer = PresetInstaller(
        bench.devices.database.begin,
        bench.nbi,
        acs_name="default",
        tenant_id=TENANT,
        now=lab.clock.now,
        wanted=baseline(first_session_at="default"),
        sleep=lab.clock.sleep,
    )
    assert (await installer.install(requested_by="ops"))["state"] == "installed"
    await lab.clock.sleep(6)


@pytest.fixture
async def answering(lab: LabAcs, bench: Bench) -> Answering:
    """An ACS that asks us, and the answers."""
    await install(lab, bench)
    extension = Answering(bench)
    lab.extensions["firstlight"] = extension
    return extension


async def plugged(lab: LabAcs, *, code: str | None = None, **identity: Any) -> LabCpe:
    made = LabCpe.of_model if "model" in identity else LabCpe
    cpe = lab.attach(made(**{"serial": SERIAL, **identity}))
    path = f"{cpe.roles.root}.DeviceInfo.ProvisioningCode"
    cpe.customer_sets(path, right_code() if code is None else code)
    await cpe.power_on()
    return cpe


@pytest.mark.parametrize(
    ("template", "identity"),
    [
        ("tr181-pppoe", {}),
        ("tr098-pppoe", {"data_model": "TR-098"}),
        ("huawei-tr098", {"model": "huawei-hg8245"}),
    ],
)
async def test_a_cpe_has_its_settings_after_its_first_session_and_no_task_was_needed(
    lab: LabAcs, bench: Bench, answering: Answering, template: str, identity: dict[str, Any]
) -> None:
    bound = await bench.bind(template=template)
    cpe = await plugged(lab, **identity)
    assert (cpe.ppp.username, bench.written(cpe)) == ("u42@isp", 2)  # the interval of new ones, and all of it
    assert (await bench.row()).state == "awaiting_first_inform"  # that it was handed out proves nothing
    assert len(answering.asked) == 1

    applied = await bench.convergence.apply(SERIAL)
    assert (applied["state"], applied["revision"], bench.written(cpe)) == ("applied", bound["revision"], 2)
    row = await bench.row()
    assert (row.queued_at, row.task_id, row.applied_revision) == (None, None, bound["revision"])
    assert (await bench.convergence.verify(SERIAL))["state"] == "accepted_unverifiable"
    assert await bench.plain_tags() == [f"cfg_{bound['revision']}"]


async def test_many_at_a_time_are_believed_by_the_same_proof(lab: LabAcs, bench: Bench, answering: Answering) -> None:
    await bench.bind()
    cpe = await plugged(lab)
    fleet = FleetConvergence(
        bench.devices.database.begin,
        bench.nbi,
        tenant_id=TENANT,
        now=lab.clock.now,
        secrets=bench.secrets,
        sleep=lab.clock.sleep,
    )
    progress = await fleet.converge_many([SERIAL])
    assert dict(progress.by_state) == {"accepted_unverifiable": 1}
    assert ((await bench.row()).queued_at, bench.written(cpe)) == (None, 2)


async def test_one_without_a_code_is_not_asked_about_and_gets_them_by_a_task(
    lab: LabAcs, bench: Bench, answering: Answering
) -> None:
    await bench.bind()
    cpe = await plugged(lab, code="TLCO.GRP2")
    assert (answering.asked, cpe.ppp.username) == ([], "")
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert ((await bench.row()).queued_at is not None, cpe.ppp.username) == (True, "u42@isp")


async def test_one_that_lied_in_its_first_session_is_found_out_afterwards(
    lab: LabAcs, bench: Bench, answering: Answering
) -> None:
    await bench.bind()
    cpe = lab.attach(LabCpe(SERIAL))
    cpe.customer_sets("Device.DeviceInfo.ProvisioningCode", right_code())
    cpe.quirks.lies = True
    await cpe.power_on()
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"  # by its own word
    assert (await bench.convergence.verify(SERIAL))["state"] == "drifted"


async def test_one_that_refused_them_in_its_first_session_says_so_when_a_task_brings_them(
    lab: LabAcs, bench: Bench, answering: Answering
) -> None:
    await bench.bind()
    cpe = lab.attach(LabCpe(SERIAL))
    cpe.customer_sets("Device.DeviceInfo.ProvisioningCode", right_code())
    cpe.quirks.refuse[USERNAME] = 9007
    await cpe.power_on()
    assert (cpe.ppp.username, await bench.plain_tags()) == ("", [])
    with pytest.raises(SettingsRefused, match="9007"):
        await bench.convergence.apply(SERIAL)
    assert (await bench.row()).state == "faulted"


async def test_a_wish_that_changed_since_is_brought_by_a_task(lab: LabAcs, bench: Bench, answering: Answering) -> None:
    await bench.bind()
    cpe = await plugged(lab)
    await bench.bind(wifi_ssid="Attic")
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert cpe.value("Device.WiFi.SSID.1.SSID") == "Attic"
    assert (await bench.convergence.verify(SERIAL))["state"] == "accepted_unverifiable"


async def test_a_tag_of_an_earlier_binding_proves_nothing(lab: LabAcs, bench: Bench, answering: Answering) -> None:
    bound = await bench.bind()
    cpe = await plugged(lab, code="")
    await bench.nbi.add_tag(cpe.device_id, f"cfg_{bound['revision']}")
    async with bench.devices.database.begin() as db:
        said = {"handed_out_revision": bound["revision"], "handed_out_at": lab.clock.now()}
        await db.execute(update(AcsDevice).values(said))
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert ((await bench.row()).queued_at is not None, cpe.ppp.username) == (True, "u42@isp")


async def test_tags_of_an_earlier_session_and_a_script_that_failed_since_prove_nothing(
    lab: LabAcs, bench: Bench, answering: Answering
) -> None:
    bound = await bench.bind()
    cpe = await plugged(lab)
    assert f"cfg_{bound['revision']}" in await bench.tags()
    await cpe.power_off()
    bench.devices.clock.time += timedelta(minutes=1)
    cpe.forget_settings()
    cpe.customer_sets("Device.DeviceInfo.ProvisioningCode", right_code())
    cpe.quirks.refuse[USERNAME] = 9007
    await cpe.power_on()
    assert (len(answering.asked), cpe.ppp.username) == (2, "")
    with pytest.raises(SettingsRefused, match="9007"):
        await bench.convergence.apply(SERIAL)
    assert ((await bench.row()).queued_at is not None, (await bench.row()).applied_at) == (True, None)


async def test_what_a_customer_changes_after_a_first_session_is_repaired_as_any_other(
    lab: LabAcs, bench: Bench, answering: Answering
) -> None:
    await bench.bind()
    cpe = await plugged(lab)
    await bench.convergence.apply(SERIAL)
    await bench.convergence.verify(SERIAL)
    cpe.customer_sets(SSID, "Mine")
    assert (await bench.convergence.verify(SERIAL))["state"] == "drifted"
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert ((await bench.row()).queued_at is not None, cpe.value(SSID)) == (True, "Home")
    assert (await bench.convergence.verify(SERIAL))["state"] == "accepted_unverifiable"


@pytest.mark.parametrize("by_a_person", [False, True])
async def test_secrets_that_are_read_after_a_reset_are_no_proof_that_it_has_them(
    lab: LabAcs, bench: Bench, answering: Answering, by_a_person: bool
) -> None:
    bound = await bench.bind()
    cpe = await plugged(lab)
    await bench.convergence.apply(SERIAL)
    await bench.convergence.verify(SERIAL)
    handed_out_at = (await bench.row()).handed_out_at
    assert handed_out_at is not None
    assert await bench.plain_tags() == [f"cfg_{bound['revision']}"]
    cpe.customer_sets(SSID, "Mine")
    await bench.convergence.verify(SERIAL)
    if by_a_person:
        async with bench.devices.database.begin() as db:
            resume((await db.scalars(select(AcsDevice))).one(), now=lab.clock.now())
    asked = len(answering.asked)
    await cpe.factory_reset()
    await bench.nbi.queue_task(cpe.device_id, {"name": "getParameterValues", "parameterNames": SECRETS})
    await cpe.periodic_inform()
    await bench.nbi.add_tag(cpe.device_id, hand_out_tag(handed_out_at))  # even then
    assert (len(answering.asked), cpe.ppp.username) == (asked, "")
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert ((await bench.row()).queued_at is not None, cpe.ppp.username) == (True, "u42@isp")


async def test_one_that_was_reset_later_is_told_nothing_and_repaired_as_any_other(
    lab: LabAcs, bench: Bench, answering: Answering
) -> None:
    await bench.bind()
    cpe = await plugged(lab)
    await bench.convergence.apply(SERIAL)
    await bench.convergence.verify(SERIAL)
    asked = len(answering.asked)
    await cpe.factory_reset()
    cpe.customer_sets("Device.DeviceInfo.ProvisioningCode", right_code())
    assert (len(answering.asked) - asked, cpe.ppp.username) == (0, "")
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert cpe.ppp.username == "u42@isp"


async def test_a_program_beside_the_acs_that_is_not_there_costs_no_inform(lab: LabAcs, bench: Bench) -> None:
    await install(lab, bench)
    await bench.bind()
    cpe = await plugged(lab)
    fault = f"{cpe.device_id}:firstlight_first_session"
    assert lab.documents["faults"][fault]["code"] == "timeout"
    door = AcsDoor("default", lab.url, authenticated=False, own_addresses=())
    found = await examine_acs(door, bench.nbi, now=lab.clock.now, wanted=baseline(first_session_at="default"))
    assert [trap["trap"] for trap in found["traps"]] == ["first_session_extension_silent"]
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert (await bench.convergence.verify(SERIAL))["state"] == "accepted_unverifiable"
    assert cpe.ppp.username == "u42@isp"
