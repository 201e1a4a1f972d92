"""Reading, refreshing and setting by hand: what the CPE said when asked, and nothing that the ACS merely holds."""

from __future__ import annotations

import pytest

from acs import OperationRefused, ParameterOwned
from tests.acs.bench import PASSPHRASE, SERIAL, SSID
from tests.acs.operations.conftest import Ops, sent

pytestmark = pytest.mark.parametrize("acs_database", ["sqlite"], indirect=True)

CHANNEL = "Device.WiFi.Radio.1.Channel"


async def test_a_reading_is_the_cpes_own_and_a_secret_is_not_shown(ops: Ops) -> None:
    cpe = await ops.configured()
    cpe.customer_sets(SSID, "Bob's")
    done = await ops.done(await ops.ask("get", paths=[SSID, PASSPHRASE]))
    assert (done["state"], done["result"]) == ("done", done["result"])
    assert done["result"] is not None
    assert done["result"]["parameters"][SSID]["value"] == "Bob's"
    assert done["result"]["parameters"][PASSPHRASE]["value"] is None
    assert done["result"]["parameters"][PASSPHRASE]["read_at"] is not None


async def test_a_parameter_that_the_cpe_lacks_is_told_and_not_passed_over(ops: Ops) -> None:
    await ops.configured()
    lacking = "Device.WiFi.SSID.9.SSID"
    for verb in ("get", "refresh"):
        faulted = await ops.done(await ops.ask(verb, paths=[SSID.rpartition(".")[0], lacking][verb == "get" :]))
        assert (faulted["state"], faulted["reason"]) == ("faulted", f"The CPE has no {lacking}."), verb
    wrong = await ops.done(await ops.ask("get", paths=["InternetGatewayDevice.DeviceInfo.UpTime"]))
    assert wrong["reason"] == "The CPE speaks TR-181 and has no InternetGatewayDevice.DeviceInfo.UpTime."
    radio = CHANNEL.rpartition(".")[0]
    neither = await ops.done(await ops.ask("get", paths=[CHANNEL, radio, lacking]))
    assert neither["reason"] == (
        f"The CPE has no {lacking}. {radio} is an object; `firstlight devices refresh` reads what is in it."
    )
    for path in ("Device.ManagementServer", "Device.ManagementServer.ConnectionRequestPassword"):
        with pytest.raises(OperationRefused, match=r"would blank the password of connection requests"):
            await ops.ask("get", paths=[CHANNEL, path])


async def test_a_refresh_reads_what_the_settings_are_in_and_never_the_way_to_the_acs(ops: Ops) -> None:
    cpe = await ops.configured()
    cpe.customer_sets(CHANNEL, 11)
    done = await ops.done(await ops.ask("refresh"))
    assert (done["state"], done["arguments"]["paths"]) == (
        "done",
        ["Device.DeviceInfo", "Device.Ethernet", "Device.PPP", "Device.WiFi"],
    )
    document = ops.bench.lab.document(SERIAL)
    assert document is not None and document["Device"]["WiFi"]["Radio"]["1"]["Channel"]["_value"] == 11
    for path in ("Device", "Device.ManagementServer", "Device.ManagementServer.URL."):
        with pytest.raises(OperationRefused, match=r"blanks the password of connection requests"):
            await ops.ask("refresh", paths=[path])


async def test_a_setting_is_done_when_it_was_read_back_in_a_later_session(ops: Ops) -> None:
    cpe = await ops.configured()
    done = await ops.done(await ops.ask("set", values={CHANNEL: 11}))
    assert (done["state"], done["reason"]) == ("done", "The CPE has it: it was read back.")
    assert (cpe.value(CHANNEL), sent(cpe, "SetParameterValues")) == (11, 1)
    assert [tag for tag in await ops.bench.tags() if tag.startswith("cfg_op")] == []
    assert (await ops.bench.row()).state == "accepted_unverifiable"  # what it is to have is untouched

    cpe.customer_sets(CHANNEL, 6)  # and the ACS believes 11 still
    await ops.done(await ops.ask("set", values={CHANNEL: 11}))
    assert cpe.value(CHANNEL) == 11


async def test_a_cpe_that_lies_or_refuses_is_not_believed(ops: Ops) -> None:
    cpe = await ops.configured()
    cpe.quirks.lies = True
    lied = await ops.done(await ops.ask("set", values={CHANNEL: 11}))
    assert (lied["state"], lied["reason"]) == (
        "faulted",
        f"The CPE took it and does not have it: {CHANNEL} is 6 instead of 11.",
    )
    cpe.quirks.lies, cpe.quirks.refuse = False, {CHANNEL: 9007}
    refused = await ops.done(await ops.ask("set", values={CHANNEL: 12}))
    assert refused["reason"] == f"The CPE refused it: {CHANNEL}: the CPE does not accept this value (9007)."
    missing = await ops.done(await ops.ask("set", values={"Device.WiFi.Radio.7.Channel": 1}))
    assert missing["result"] is not None
    assert missing["result"]["refusals"][0]["code"] == "missing"


async def test_what_the_desired_state_sets_is_changed_there_and_every_fault_is_named(ops: Ops) -> None:
    cpe = await ops.configured()
    with pytest.raises(ParameterOwned) as owned:
        await ops.ask("set", values={SSID: "Other", "Device.PPP.Interface.1.Enable": False})
    assert owned.value.owners == {
        SSID: "input wifi_ssid of template tr181-pppoe",
        "Device.PPP.Interface.1.Enable": "template tr181-pppoe",
    }
    with pytest.raises(OperationRefused) as refused:
        await ops.ask("set", values={PASSPHRASE: "x", "Device.ManagementServer.URL": "http://evil", "no path": 1})
    assert len(refused.value.faults) == 3
    async with ops.verbs() as verbs:
        assert await verbs.operations() == []
    assert sent(cpe, "SetParameterValues") == 0
