"""The apply script: all settings or none, in one session, and a tag as the proof."""

from __future__ import annotations

import json
from pathlib import Path

import acs
from acs.testing import LabCpe
from tests.acs.recorded.raw_http import Answer
from tests.acs.testing.conftest import Nbi

SSID = "Device.WiFi.SSID.1.SSID"
PASSPHRASE = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase"
USERNAME = "Device.PPP.Interface.1.Username"
PASSWORD = "Device.PPP.Interface.1.Password"
VLAN = "Device.Ethernet.VLANTermination.1.VLANID"
SCRIPT = (Path(acs.__file__).parent / "provisions" / "firstlight_apply.js").read_bytes()
SETTINGS: list[list[object]] = [
    [SSID, "Home", "xsd:string", False],
    [PASSPHRASE, "correct horse battery", "xsd:string", True],
    [USERNAME, "u42@isp", "xsd:string", False],
    [PASSWORD, "s3cret", "xsd:string", True],
    [VLAN, 100, "xsd:unsignedInt", False],
]


async def install(nbi: Nbi) -> None:
    assert (await nbi.ask("PUT", "/provisions/firstlight_apply", raw=SCRIPT)).status == 200


async def apply(
    nbi: Nbi, cpe: LabCpe, params: list[list[object]], rev: str = "r1", stale: list[str] | None = None
) -> Answer:
    args = json.dumps({"rev": rev, "params": params, "stale_tags": stale or []})
    return await nbi.post(cpe, {"name": "provisions", "provisions": [["firstlight_apply", args]], "uniqueKey": "cfg"})


async def tags(nbi: Nbi) -> list[str]:
    [document] = await nbi.find("devices", projection="_tags")
    found: list[str] = document.get("_tags", [])
    return found


async def test_everything_is_on_the_cpe_and_the_tag_says_so(nbi: Nbi, cpe: LabCpe) -> None:
    await install(nbi)
    assert (await apply(nbi, cpe, SETTINGS)).status == 200
    assert (cpe.ppp.username, cpe.ppp.password, cpe.ppp.vlan_id) == ("u42@isp", "s3cret", 100)
    assert (cpe.value(SSID), cpe.value(PASSPHRASE)) == ("Home", "correct horse battery")
    assert await tags(nbi) == ["cfg_r1"]


async def test_a_script_that_was_never_stored_is_silently_ignored(nbi: Nbi, cpe: LabCpe) -> None:
    assert (await apply(nbi, cpe, SETTINGS)).status == 200
    assert cpe.value(SSID) == "Lab-1"
    assert await tags(nbi) == []


async def test_a_missing_parameter_is_a_fault_that_names_it_and_nothing_is_applied(nbi: Nbi, cpe: LabCpe) -> None:
    await install(nbi)
    missing = ["Device.WiFi.SSID.9.SSID", "x", "xsd:string", False]
    answer = await apply(nbi, cpe, [*SETTINGS, missing])
    assert (answer.status, answer.reason) == (202, "Task faulted")
    [fault] = await nbi.find("faults")
    assert (fault["code"], fault["message"]) == ("script.Error", "missing Device.WiFi.SSID.9.SSID")
    assert cpe.value(SSID) == "Lab-1"
    assert await tags(nbi) == []


async def test_a_read_only_parameter_is_a_fault_that_names_it_and_nothing_is_applied(nbi: Nbi, cpe: LabCpe) -> None:
    await install(nbi)
    await apply(nbi, cpe, [*SETTINGS, ["Device.DeviceInfo.SerialNumber", "x", "xsd:string", False]])
    [fault] = await nbi.find("faults")
    assert fault["message"] == "read-only Device.DeviceInfo.SerialNumber"
    assert cpe.value(SSID) == "Lab-1"


async def test_drift_is_repaired_and_secrets_are_written_in_every_run(nbi: Nbi, cpe: LabCpe) -> None:
    await install(nbi)
    await apply(nbi, cpe, SETTINGS)
    cpe.customer_sets(SSID, "Mine")
    cpe.customer_sets(PASSPHRASE, "my own passphrase")
    cpe.rpcs_seen.clear()
    await apply(nbi, cpe, SETTINGS)
    assert (cpe.value(SSID), cpe.value(PASSPHRASE)) == ("Home", "correct horse battery")
    written = [paths for rpc, paths in cpe.rpcs_seen if rpc == "SetParameterValues"]
    assert written == [(SSID, PASSPHRASE, PASSWORD)]


async def test_a_refusal_is_shown_by_parameter_and_leaves_the_old_tag_and_settings(nbi: Nbi, cpe: LabCpe) -> None:
    await install(nbi)
    await apply(nbi, cpe, SETTINGS)
    changed = [[SSID, "Newer", "xsd:string", False], [VLAN, 5000, "xsd:unsignedInt", False]]
    await apply(nbi, cpe, changed, rev="r2", stale=["cfg_r1"])
    [fault] = await nbi.find("faults")
    assert fault["code"] == "cwmp.9003"
    assert fault["detail"]["setParameterValuesFault"] == [
        {"parameterName": VLAN, "faultCode": "9007", "faultString": "Invalid parameter value"}
    ]
    assert cpe.value(SSID) == "Home"
    assert await tags(nbi) == ["cfg_r1"]


async def test_stale_tags_go_and_others_stay(nbi: Nbi, cpe: LabCpe) -> None:
    await install(nbi)
    device = nbi.lab.documents["devices"][cpe.device_id]
    device["_tags"] = ["gold", "cfg_r0"]
    await apply(nbi, cpe, SETTINGS, stale=["cfg_r0"])
    assert await tags(nbi) == ["gold", "cfg_r1"]


async def test_an_edited_apply_script_is_not_run_by_the_twin_of_the_shipped_one(nbi: Nbi, cpe: LabCpe) -> None:
    assert (await nbi.ask("PUT", "/provisions/firstlight_apply", raw=SCRIPT + b"// edited\n")).status == 200
    assert (await apply(nbi, cpe, SETTINGS)).reason == "Task faulted"
    [fault] = await nbi.find("faults")
    assert fault["message"].endswith("firstlight_apply is not stored as it comes")
    assert (cpe.value(SSID), await tags(nbi)) == ("Lab-1", [])


async def test_a_script_the_lab_cannot_run_is_a_fault_and_never_a_silent_success(nbi: Nbi, cpe: LabCpe) -> None:
    await nbi.ask(
        "PUT", "/provisions/clever", raw=b"const x = ext('a', 'b'); declare('Tags.done', null, {value: true});"
    )
    answer = await nbi.post(cpe, {"name": "provisions", "provisions": [["clever"]]})
    assert answer.reason == "Task faulted"
    assert (await nbi.find("faults"))[0]["message"].startswith("the lab has no JavaScript engine")
    assert await tags(nbi) == []


async def test_a_script_of_plain_declarations_runs(nbi: Nbi, cpe: LabCpe) -> None:
    script = f"""
        // refresh, then set
        const now = Date.now();
        declare("{SSID}", {{value: now}}, {{value: "Plain"}});
        declare("Tags.plain", null, {{value: true}});
    """
    await nbi.ask("PUT", "/provisions/plain", raw=script.encode())
    assert (await nbi.post(cpe, {"name": "provisions", "provisions": [["plain"]]})).status == 200
    assert cpe.value(SSID) == "Plain"
    assert await tags(nbi) == ["plain"]


async def test_a_script_that_was_cut_off_is_refused(nbi: Nbi) -> None:
    answer = await nbi.ask("PUT", "/provisions/broken", raw=SCRIPT[:-10])
    assert answer.status == 400
    assert answer.body.startswith("SyntaxError")
