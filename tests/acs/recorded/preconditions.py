"""What happened outside the NBI before a recorded request: somebody touched a CPE, waited, or cleaned up.

The lab doesn't know the recording; here its CPEs are brought into the state that the recorded ones were in. Every
request that is on the recording is sent; only what the recording doesn't show is done here.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from acs.testing import LabAcs, LabClock, LabCpe, Parameter, Quirks
from acs.testing.apply_script import firstlight_apply
from acs.testing.device_document import put_value
from acs.testing.device_session import DeviceSession, refresh_slot_phase
from acs.testing.parameter_tree import UNSIGNED

SSID = "Device.WiFi.SSID.1.SSID"
MANAGEMENT = "Device.ManagementServer"
ACME_VLAN = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANPPPConnection.1.X_ACME_VLANID"
CACHE_SECONDS = 6


@dataclass
class Rig:
    """The lab in the shape of the machine that the recording was made on."""

    lab: LabAcs
    clock: LabClock
    cpe: LabCpe  # TR-181
    cpe_098: LabCpe
    huawei: LabCpe
    open_until_the_end: AsyncExitStack = field(default_factory=AsyncExitStack)

    def clean_queue(self) -> None:
        """The recording's maker deleted tasks and faults between two groups of requests."""
        self.lab.documents["tasks"].clear()
        self.lab.documents["faults"].clear()

    async def next_refresh_slot(self) -> None:
        """Wait into the beginning of the next second of the device's refresh slot."""
        now = self.clock.now().timestamp()
        into = (now - refresh_slot_phase(self.cpe.device_id)) % 1.0
        await self.clock.sleep(1.0 - into + 0.02)


async def build_rig() -> Rig:
    clock = LabClock()
    lab = LabAcs(clock)
    await lab.start()
    cpe = LabCpe(
        "SN000000",
        oui="ACDE48",
        product_class="ONT-181",
        manufacturer="Acme Networks",
        parameters={f"{MANAGEMENT}.ConnectionRequestURL": Parameter("http://127.0.0.1:17581/SN000000")},
    )
    cpe_098 = LabCpe(
        "SN000001",
        oui="ACDE48",
        product_class="HG_098",
        manufacturer="Acme Networks",
        data_model="TR-098",
        parameters={ACME_VLAN: Parameter(0, UNSIGNED, writable=True, maximum=4094)},
    )
    huawei = LabCpe(
        "000000",
        oui="202BC1",
        product_class="BM632w",
        manufacturer="Huawei Technologies Co., Ltd.",
        data_model="TR-098",
        quirks=Quirks(unsupported=frozenset({"Reboot"})),
    )
    for one in (cpe, cpe_098, huawei):
        lab.attach(one)
        await one.power_on()
    lab.native_script("rig-ztp", _ztp)
    lab.native_script("rig-apply", _apply)
    return Rig(lab, clock, cpe, cpe_098, huawei)


async def _ztp(session: DeviceSession, args: Sequence[object]) -> None:
    """The recorded script rig-ztp asked somebody outside what to set; here nobody answers, and it sets nothing."""
    del session, args


async def _ztp_has_run(rig: Rig) -> None:
    """What later requests find: the recorded callback's answer on the CPE and in the ACS's document."""
    enable = "Device.PPP.Interface.1.Enable"
    rig.cpe.customer_sets(enable, True)
    document = rig.lab.documents["devices"][rig.cpe.device_id]
    put_value(document, enable, True, "xsd:boolean", rig.clock.now())
    document["_tags"] = [*document["_tags"], "ztp_r7"]


async def _apply(session: DeviceSession, args: Sequence[object]) -> None:
    """The recorded script rig-apply is the forerunner of firstlight_apply: pairs, and it finds stale tags itself."""
    wanted = json.loads(str(args[0]))
    stale = [tag for tag in session.tags if tag.startswith("cfg_") and tag != f"cfg_{wanted['rev']}"]
    params = [[path, value, "", False] for path, value in wanted["params"]]
    await firstlight_apply(session, [json.dumps({"rev": wanted["rev"], "params": params, "stale_tags": stale})])


async def _queue_runs(rig: Rig) -> None:
    rig.cpe.quirks = Quirks()
    await rig.cpe.periodic_inform()


async def _boot_over(rig: Rig) -> None:
    await rig.clock.sleep(rig.cpe.quirks.reboot_seconds + 1)


async def _cache_over(rig: Rig) -> None:
    await rig.clock.sleep(CACHE_SECONDS)


async def _preset_takes_effect(rig: Rig) -> None:
    await rig.clock.sleep(CACHE_SECONDS)
    await rig.cpe.periodic_inform()


async def _bootstrap_with_presets(rig: Rig) -> None:
    await rig.clock.sleep(CACHE_SECONDS)
    await rig.cpe.factory_reset()


async def _expires(rig: Rig) -> None:
    await rig.clock.sleep(1.5)
    await rig.cpe.periodic_inform()


async def _two_hundred_more(rig: Rig) -> None:
    for number in range(200):
        await rig.lab.attach(LabCpe(f"LV{number:06d}", oui="ACDE48", product_class="ONT-181")).power_on()


async def _session_stays_open(rig: Rig) -> None:
    rig.clean_queue()
    await rig.open_until_the_end.enter_async_context(rig.cpe.session_held())


async def _inform_without_retry(rig: Rig) -> None:
    rig.cpe.quirks = Quirks()
    await rig.cpe.periodic_inform()


async def _known_again(rig: Rig) -> None:
    await rig.cpe_098.periodic_inform()


async def _session_runs(rig: Rig) -> None:
    await rig.clock.sleep(1)


def _quirks(quirks: Quirks) -> Callable[[Rig], Awaitable[None]]:
    async def behave(rig: Rig) -> None:
        rig.cpe.quirks = quirks

    return behave


def _customer_sets(value: str, path: str = SSID) -> Callable[[Rig], Awaitable[None]]:
    async def change(rig: Rig) -> None:
        rig.cpe.customer_sets(path, value)

    return change


async def _faulted_tasks_deleted(rig: Rig) -> None:
    for fault in list(rig.lab.documents["faults"].values()):
        rig.lab.documents["tasks"].pop(fault["channel"].removeprefix("task_"), None)
    rig.lab.documents["faults"].clear()


async def _clean(rig: Rig) -> None:
    rig.clean_queue()


async def _next_slot(rig: Rig) -> None:
    await rig.next_refresh_slot()


async def _no_cr_password(rig: Rig) -> None:
    rig.clean_queue()
    rig.cpe.customer_sets(f"{MANAGEMENT}.ConnectionRequestPassword", "")


PRECONDITIONS: dict[str, Sequence[Callable[[Rig], Awaitable[None]]]] = {
    "task.get_cr_online": [_next_slot],
    "task.retry.faulted_again": [_session_runs],
    "tasks.after_fault_delete": [_faulted_tasks_deleted],
    "task.cr_offline_503": [_quirks(Quirks(cr_busy=True))],
    "task.cr_timeout": [_quirks(Quirks(reachable=False))],
    "task.cr_ignored": [_quirks(Quirks(cr_ignored=True))],
    "tasks.queue_after_inform": [_queue_runs],
    "task.unknown_device": [_clean],
    "tasks.after_reboot": [_boot_over],
    "file.put": [_clean],
    "task.download": [_quirks(Quirks(transfer_seconds=2))],
    "operations.done": [_boot_over],
    "task.download_missing_file": [_quirks(Quirks(transfer_seconds=0.03))],
    "file.delete": [_clean, _quirks(Quirks())],
    "preset.effect": [_preset_takes_effect],
    "drift.set_same_again": [_customer_sets("CustomerChangedIt")],
    "drift.get": [_next_slot],
    "lie.set": [_quirks(Quirks(lies=True))],
    "lie.get": [_next_slot],
    "status1.set": [_quirks(Quirks(status_one=True))],
    "internal.set": [_quirks(Quirks(fault_all=9002))],
    "fault.next_inform": [_inform_without_retry],
    "uk.fault": [_clean],
    "expiry.put": [_clean],
    "expiry.tasks": [_expires],
    "crauth.unknown": [_quirks(Quirks(cr_wrong_credentials=True))],
    "crauth.provision": [_quirks(Quirks())],
    "crauth.refresh_ms": [_next_slot],
    "concurrent.same_device_2": [_no_cr_password],
    "factory.doc": [_boot_over],
    "device.back": [_known_again],
    "poison.faults.no_configurations": [_cache_over],
    "poison.faults.no_type": [_cache_over],
    "poison.faults.bad_precondition": [_cache_over],
    "poison.faults.unknown_provision": [_cache_over],
    "ztp.result": [_bootstrap_with_presets],
    "preprovision.task": [_ztp_has_run],
    "verify2.set": [_quirks(Quirks(lies=True))],
    "verify2.get_after_1500ms": [_next_slot],
    "apply.put": [_quirks(Quirks())],
    "apply.rerun_drift": [_customer_sets("CustomerAgain")],
    "apply.rejected": [_clean],
    "locked.task_no_cr": [_session_stays_open],
    "trailing_slash": [_two_hundred_more],
}
