"""The WAN that gets the settings is the one that the CPE itself reports to be meant, never a number of ours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from acs import DeviceUnreachable, NotYet, SettingsFailed, SettingsRefused, WrongModel
from acs.testing import LabCpe
from acs.testing.cpe_models import MANAGEMENT_ADDRESS
from acs.testing.parameter_tree import BOOLEAN, Parameter
from tests.acs.bench import SERIAL, Bench

CONNECTION = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice"
ACS_WAN, CUSTOMER_WAN = f"{CONNECTION}.1.WANPPPConnection.1", f"{CONNECTION}.2.WANPPPConnection.1"
LIST = "X_HW_SERVICELIST"
HUAWEI = {"model": "huawei-hg8245"}


async def test_the_settings_go_into_the_internet_wan_and_the_acs_s_own_is_left_alone(bench: Bench) -> None:
    device = await bench.bind(template="huawei-tr098")
    cpe = await bench.power_on(**HUAWEI)
    before = {path: cpe.value(path) for path in cpe.tree.leaves(ACS_WAN)}
    await bench.convergence.apply(SERIAL)
    assert cpe.value(f"{CUSTOMER_WAN}.Username") == "u42@isp"
    assert cpe.value(f"{CUSTOMER_WAN}.Password") == "s3cret-of-42"
    assert cpe.value(f"{CUSTOMER_WAN}.X_HW_VLAN") == 100
    assert {path: cpe.value(path) for path in cpe.tree.leaves(ACS_WAN)} == before
    assert sorted(await bench.tags()) == [f"cfg_{device['revision']}", "row_internet_2_1"]
    assert (await bench.row()).rows == {"internet": CUSTOMER_WAN}

    outcome = await bench.convergence.verify(SERIAL)
    assert outcome["state"] == "accepted_unverifiable"
    assert {f"{CUSTOMER_WAN}.Username", f"{CUSTOMER_WAN}.X_HW_VLAN"} < set(outcome["verified"])
    assert f"{CUSTOMER_WAN}.Password" in outcome["unverifiable"]


PPP, VLAN = "Device.PPP.Interface", "Device.Ethernet.VLANTermination"


def ppp_interface(number: int) -> dict[str, Parameter]:
    text = Parameter("", writable=True, maximum=64)
    return {
        f"{PPP}.{number}.Enable": Parameter(False, BOOLEAN, writable=True),
        f"{PPP}.{number}.Username": text,
        f"{PPP}.{number}.Password": replace(text, secret=True),
        f"{PPP}.{number}.ConnectionStatus": Parameter("Unconfigured"),
        f"{PPP}.{number}.IPCP.LocalIPAddress": Parameter("0.0.0.0"),
    }


def without(cpe: LabCpe, row: str) -> None:
    for path in list(cpe.tree.leaves(row)):
        cpe.tree.remove(path)
    cpe.tree.keep_as_factory_default()


async def test_of_the_tr_181_standard_the_wan_is_the_only_one_whatever_its_number(bench: Bench) -> None:
    await bench.bind(template="tr181-pppoe")
    cpe = bench.lab.attach(LabCpe(SERIAL, parameters=ppp_interface(3)))
    cpe.roles = replace(
        cpe.roles,
        ppp_username=f"{PPP}.3.Username",
        ppp_password=f"{PPP}.3.Password",
        ppp_enable=f"{PPP}.3.Enable",
        ppp_status=f"{PPP}.3.ConnectionStatus",
        ppp_address=f"{PPP}.3.IPCP.LocalIPAddress",
    )
    without(cpe, f"{PPP}.1")
    await cpe.power_on()
    await bench.convergence.apply(SERIAL)
    assert (await bench.convergence.verify(SERIAL))["state"] == "accepted_unverifiable"
    assert (cpe.value(f"{PPP}.3.Username"), cpe.value(f"{PPP}.3.Enable")) == ("u42@isp", True)
    assert (await bench.row()).rows == {"internet": f"{PPP}.3", "tagged": f"{VLAN}.1"}


async def test_of_the_tr_181_standard_none_of_several_wans_is_taken_on_a_guess(bench: Bench) -> None:
    await bench.bind(template="tr181-pppoe")
    cpe = bench.lab.attach(LabCpe(SERIAL, parameters=ppp_interface(2)))
    await cpe.power_on()
    with pytest.raises(SettingsRefused, match=r"several rows that may be its internet.*Interface.1.*Interface.2"):
        await bench.convergence.apply(SERIAL)
    assert bench.written(cpe) == 0


@pytest.mark.parametrize("template", ["tr181-pppoe", "tp-link-tr181"])
async def test_a_line_that_comes_untagged_needs_no_row_for_its_vlan(bench: Bench, template: str) -> None:
    await bench.bind(template=template, cpe_vlan_id=None)
    cpe = bench.lab.attach(LabCpe.of_model(SERIAL, "tp-link-xx230"))
    without(cpe, f"{VLAN}.1")
    await cpe.power_on()
    await bench.convergence.apply(SERIAL)
    assert (await bench.convergence.verify(SERIAL))["state"] == "accepted_unverifiable"
    assert cpe.value(f"{PPP}.1.Username") == "u42@isp"


async def test_the_revision_is_the_same_whichever_row_it_is(bench: Bench) -> None:
    device = await bench.bind(template="huawei-tr098")
    cpe = await bench.power_on(**HUAWEI)
    cpe.tree.put(f"{ACS_WAN}.{LIST}", "INTERNET")
    cpe.tree.put(f"{CUSTOMER_WAN}.{LIST}", "TR069")
    cpe.tree.put(f"{ACS_WAN}.ExternalIPAddress", "0.0.0.0")
    assert (await bench.convergence.apply(SERIAL))["revision"] == device["revision"]
    assert cpe.value(f"{ACS_WAN}.Username") == "u42@isp"
    assert (await bench.convergence.verify(SERIAL))["state"] == "accepted_unverifiable"


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        (
            ("TR069", "VOIP"),
            f"internet: the CPE has no row that is its internet; it has {ACS_WAN}=TR069, {CUSTOMER_WAN}=VOIP"
            " (no_instance).",
        ),
        (
            ("INTERNET", "VOIP,INTERNET"),
            "internet: the CPE has several rows that may be its internet:"
            f" {ACS_WAN}=INTERNET, {CUSTOMER_WAN}=VOIP,INTERNET (ambiguous).",
        ),
    ],
)
async def test_none_or_several_that_fit_is_said_in_words_and_nothing_is_written(
    bench: Bench, lists: tuple[str, str], said: str
) -> None:
    await bench.bind(template="huawei-tr098")
    cpe = await bench.power_on(**HUAWEI)
    for wan, value in zip((ACS_WAN, CUSTOMER_WAN), lists, strict=True):
        cpe.tree.put(f"{wan}.{LIST}", value)
    with pytest.raises(SettingsRefused) as caught:
        await bench.convergence.apply(SERIAL)
    row = await bench.row()
    assert (row.state, row.reason) == ("faulted", said)
    assert said in str(caught.value)
    assert bench.written(cpe) == 0
    assert await bench.tags() == []


async def test_rows_that_change_their_numbers_are_found_and_the_settings_follow(bench: Bench) -> None:
    """A firmware that renumbers: what is read back is the row that is meant now, not the one of last time."""
    await bench.bind(template="huawei-tr098")
    cpe = await bench.power_on(**HUAWEI)
    await bench.convergence.apply(SERIAL)
    await bench.convergence.verify(SERIAL)
    cpe.tree.put(f"{ACS_WAN}.{LIST}", "INTERNET")
    cpe.tree.put(f"{ACS_WAN}.ExternalIPAddress", "0.0.0.0")
    cpe.tree.put(f"{CUSTOMER_WAN}.{LIST}", "TR069")
    outcome = await bench.convergence.verify(SERIAL)
    assert outcome["state"] == "drifted"
    assert f"{ACS_WAN}.Username" in {drift["path"] for drift in outcome["drift"]}
    await bench.convergence.apply(SERIAL)
    assert cpe.value(f"{ACS_WAN}.Username") == "u42@isp"
    assert (await bench.convergence.verify(SERIAL))["state"] == "accepted_unverifiable"
    assert [tag for tag in await bench.tags() if tag.startswith("row_")] == ["row_internet_1_1"]


async def test_a_row_that_has_gone_is_drift(bench: Bench) -> None:
    await bench.bind(template="huawei-tr098")
    cpe = await bench.power_on(**HUAWEI)
    await bench.convergence.apply(SERIAL)
    cpe.tree.put(f"{CUSTOMER_WAN}.{LIST}", "VOIP")
    outcome = await bench.convergence.verify(SERIAL)
    assert (outcome["state"], [drift["path"] for drift in outcome["drift"]]) == ("drifted", ["internet"])
    assert "no row that is its internet" in outcome["reason"]
    assert await bench.nbi.faults(cpe.device_id) == ()


async def test_a_release_takes_the_choice_back_as_well(bench: Bench) -> None:
    await bench.bind(template="huawei-tr098")
    await bench.power_on(**HUAWEI)
    await bench.convergence.apply(SERIAL)
    await bench.convergence.release(SERIAL)
    assert await bench.tags() == []


async def test_a_change_that_would_cut_off_the_acs_is_refused_and_nothing_is_written(bench: Bench) -> None:
    await bench.bind(template="huawei-tr098")
    cpe = await bench.power_on(**HUAWEI)
    cpe.tree.put(f"{ACS_WAN}.{LIST}", "TR069_INTERNET")
    cpe.tree.put(f"{CUSTOMER_WAN}.{LIST}", "VOIP")
    with pytest.raises(SettingsRefused, match="the ACS reaches it over this very WAN") as caught:
        await bench.convergence.apply(SERIAL)
    refused = {refusal["path"] for refusal in caught.value.refusals}
    assert refused == {f"{ACS_WAN}.Username", f"{ACS_WAN}.X_HW_VLAN"}
    assert bench.written(cpe) == 0


async def test_the_address_of_the_connection_request_gives_such_a_wan_away_too(bench: Bench) -> None:
    await bench.bind(template="huawei-tr098")
    cpe = await bench.power_on(**HUAWEI)
    cpe.tree.put(f"{CUSTOMER_WAN}.ExternalIPAddress", MANAGEMENT_ADDRESS)
    with pytest.raises(SettingsRefused, match="cuts management"):
        await bench.convergence.apply(SERIAL)
    assert bench.written(cpe) == 0


async def test_a_template_for_other_cpes_is_noticed_before_anything_is_sent(bench: Bench) -> None:
    await bench.bind(template="zte-tr098")
    cpe = await bench.power_on(**HUAWEI)
    with pytest.raises(WrongModel, match=r"is a Huawei Technologies Co., Ltd, but template zte-tr098 is for ZTE\*"):
        await bench.convergence.apply(SERIAL)
    assert ((await bench.row()).state, bench.written(cpe)) == ("faulted", 0)
    await bench.bind(template="huawei-tr098")
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"


async def test_an_operator_may_know_that_a_template_fits_another_model(bench: Bench) -> None:
    await bench.bind(template="huawei-tr098")
    cpe = await bench.power_on(**HUAWEI, product_class="XG8010", manufacturer="OEM")
    with pytest.raises(WrongModel):
        await bench.convergence.apply(SERIAL)
    async with bench.devices.database.begin() as db:
        await bench.devices.settings(db).override(device_serial=SERIAL, changes={"models": "XG80*"})
    await bench.convergence.apply(SERIAL)
    assert cpe.value(f"{CUSTOMER_WAN}.Username") == "u42@isp"


@pytest.mark.parametrize(
    ("template", "model", "vlan"),
    [
        ("zte-tr098", "zte-f660", f"{CUSTOMER_WAN}.X_ZTE-COM_VLANID"),
        ("fiberhome-tr098", "fiberhome-hg6", f"{CONNECTION}.2.X_FH_WANGponLinkConfig.VLANID"),
        ("nokia-tr098", "nokia-g2425", f"{CONNECTION}.2.X_CT-COM_WANGponLinkConfig.VLANIDMark"),
        ("tp-link-tr098", "tp-link-ec220", f"{CONNECTION}.2.WANEthernetLinkConfig.X_TP_VID"),
        ("tp-link-tr181", "tp-link-xx230", "Device.Ethernet.VLANTermination.1.VLANID"),
        ("mikrotik-tr181", "mikrotik-hap", None),
        ("nokia-tr181", "nokia-g2425-tr181", None),
    ],
)
async def test_each_maker_s_cpe_takes_its_template(bench: Bench, template: str, model: str, vlan: str | None) -> None:
    await bench.bind(template=template, cpe_vlan_id=None if vlan is None else 100)
    cpe = await bench.power_on(model=model)
    await bench.convergence.apply(SERIAL)
    assert (cpe.ppp.username, cpe.ppp.password, cpe.ppp.enabled) == ("u42@isp", "s3cret-of-42", True)
    assert cpe.value(cpe.roles.passphrase) == bench.secrets.plaintexts[f"secret:device/{SERIAL}/wifi"]
    if vlan is not None:
        assert cpe.value(vlan) == 100
    assert (await bench.convergence.verify(SERIAL))["state"] == "accepted_unverifiable"


async def over_the_same_wan(bench: Bench, cpe: LabCpe) -> None:
    """A CPE with one WAN for everything, and an operator who knows it."""
    cpe.tree.put(f"{CUSTOMER_WAN}.{LIST}", "TR069_INTERNET")
    async with bench.devices.database.begin() as db:
        settings = bench.devices.settings(db)
        await settings.override(device_serial=SERIAL, changes={"management": "same_wan"})


async def test_a_wan_that_carries_the_acs_may_restart_where_that_is_meant(bench: Bench) -> None:
    """The drop is expected: no alarm, and the next Inform brings the proof."""
    await bench.bind(template="huawei-tr098")
    cpe = await bench.power_on(**HUAWEI)
    await over_the_same_wan(bench, cpe)
    cpe.quirks.wan_restart_seconds = 45.0
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    with pytest.raises(NotYet, match="as was to be expected; it is read back at its next Inform") as caught:
        await bench.convergence.verify(SERIAL)
    assert (type(caught.value), caught.value.reason) == (NotYet, "path_restarting")
    assert (await bench.row()).state == "applied"
    await bench.lab.clock.sleep(60)
    assert (await bench.convergence.verify(SERIAL))["state"] == "accepted_unverifiable"


async def test_a_cpe_that_does_not_come_back_after_its_restart_is_called_unreachable(bench: Bench) -> None:
    await bench.bind(template="huawei-tr098")
    cpe = await bench.power_on(**HUAWEI)
    await over_the_same_wan(bench, cpe)
    cpe.quirks.wan_restart_seconds = 5.0
    await bench.convergence.apply(SERIAL)
    await bench.lab.clock.sleep(60)  # it came back and informed
    await cpe.darken()
    with pytest.raises(DeviceUnreachable):
        await bench.convergence.verify(SERIAL)


async def test_a_session_that_the_restart_cuts_is_no_failure_of_the_cpe(bench: Bench) -> None:
    await bench.bind(template="huawei-tr098")
    cpe = await bench.power_on(**HUAWEI)
    await over_the_same_wan(bench, cpe)
    cpe.quirks.wan_restart_seconds, cpe.quirks.wan_restart_cuts_session = 45.0, True
    with pytest.raises(NotYet, match="the session broke off") as caught:
        await bench.convergence.apply(SERIAL)
    assert (caught.value.reason, (await bench.row()).state) == ("path_restarting", "queued")
    await bench.lab.clock.sleep(60)
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert (await bench.convergence.verify(SERIAL))["state"] == "accepted_unverifiable"


async def test_the_same_cut_session_without_that_word_is_a_failure(bench: Bench) -> None:
    await bench.bind(template="huawei-tr098")
    cpe = await bench.power_on(**HUAWEI)
    cpe.quirks.wan_restart_seconds, cpe.quirks.wan_restart_cuts_session = 45.0, True
    with pytest.raises(SettingsFailed):
        await bench.convergence.apply(SERIAL)
