"""What a CPE would be set to, where each part is from, and what it and its plan have otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from acs import DeviceUnknown, OverridesRefused, RenderedDevice, TemplateInputsRefused
from acs.templates.overriding import OverrideValue
from tests.acs.conftest import Devices
from tests.acs.test_service import SERIAL, VALUES, WIFI_REF, provision, row

ROW = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.{wan}.WANPPPConnection.{ppp}"
INTERVAL = "InternetGatewayDevice.ManagementServer.PeriodicInformInterval"
WLAN = "InternetGatewayDevice.LANDevice.1.WLANConfiguration"
HUAWEI: dict[str, Any] = {"config_template": "huawei-tr098", "plan": "fiber-100"}


async def rendered(devices: Devices) -> RenderedDevice:
    async with devices.database.begin() as db:
        return await devices.settings(db).rendered(device_serial=SERIAL)


async def override(devices: Devices, *removed: str, **changes: OverrideValue) -> RenderedDevice:
    return await override_by_name(devices, changes, *removed)


async def override_by_name(devices: Devices, changes: dict[str, OverrideValue], *removed: str) -> RenderedDevice:
    async with devices.database.begin() as db:
        return await devices.settings(db).override(device_serial=SERIAL, changes=changes, removed=removed)


async def define_plan(devices: Devices, **overrides: OverrideValue) -> None:
    async with devices.database.begin() as db:
        await devices.settings(db).define_plan_overrides(plan="fiber-100", overrides=overrides)


def said(device: RenderedDevice) -> dict[str, tuple[object, str, str | None]]:
    return {each["path"]: (each["value"], each["origin"], each["name"]) for each in device["parameters"]}


async def test_every_parameter_is_shown_with_where_it_is_from_and_secrets_as_references(devices: Devices) -> None:
    await define_plan(devices, wifi_ssid="Fiber")
    await provision(devices, **HUAWEI)
    shown = await override_by_name(devices, {f"{WLAN}.1.Channel": 6, "wifi_ssid_5ghz": "Fast"})
    assert said(shown) == {
        f"{ROW}.Username": ("u42@isp", "input", "pppoe_username"),
        f"{ROW}.Password": ("secret:subscriber/42", "input", "pppoe_password"),
        f"{ROW}.Enable": (True, "template", None),
        f"{ROW}.X_HW_VLAN": (100, "input", "cpe_vlan_id"),
        f"{WLAN}.1.SSID": ("Fiber", "plan override", "wifi_ssid"),
        f"{WLAN}.1.BeaconType": ("WPAand11i", "template", None),
        f"{WLAN}.1.PreSharedKey.1.PreSharedKey": (WIFI_REF, "input", "wifi_passphrase"),
        f"{WLAN}.5.SSID": ("Fast", "device override", "wifi_ssid_5ghz"),
        f"{WLAN}.5.BeaconType": ("WPAand11i", "template", None),
        f"{WLAN}.5.PreSharedKey.1.PreSharedKey": (WIFI_REF, "input", "wifi_passphrase"),
        "InternetGatewayDevice.ManagementServer.PeriodicInformEnable": (True, "inform policy", None),
        INTERVAL: (60, "inform policy", None),
        f"{WLAN}.1.Channel": (6, "device override", None),
    }
    assert {each["path"] for each in shown["parameters"] if each["placed"] is None} == {
        f"{ROW}.{leaf}" for leaf in ("Username", "Password", "Enable", "X_HW_VLAN")
    }
    [choice] = shown["selectors"]
    assert (choice["row"], choice["chosen_by"]) == (
        None,
        "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.*.WANPPPConnection.*"
        " whose X_HW_SERVICELIST contains INTERNET or TR069_INTERNET",
    )
    sureness = {each["path"]: each["sureness"] for each in shown["parameters"]}
    assert (sureness[f"{ROW}.X_HW_VLAN"], sureness[f"{ROW}.Username"]) == ("seen", "standard")
    assert sureness[f"{WLAN}.1.Channel"] is None
    assert (shown["changes"], shown["problem"], shown["plan"]) == ([], None, "fiber-100")


async def test_the_cpe_s_own_word_goes_before_the_plan_s_and_both_before_the_ticket_s(devices: Devices) -> None:
    await provision(devices, **HUAWEI)
    assert said(await rendered(devices))[f"{WLAN}.1.SSID"] == ("Home", "input", "wifi_ssid")
    await define_plan(devices, wifi_ssid="Fiber")
    assert (await rendered(devices))["changes"] == [f"{WLAN}.1.SSID"]  # written down is still what it has
    first = (await row(devices)).revision
    await override(devices, wifi_ssid="Mine")
    assert said(await rendered(devices))[f"{WLAN}.1.SSID"] == ("Mine", "device override", "wifi_ssid")
    second = (await row(devices)).revision
    await override(devices, "wifi_ssid")
    assert said(await rendered(devices))[f"{WLAN}.1.SSID"] == ("Fiber", "plan override", "wifi_ssid")
    assert len({first, second, (await row(devices)).revision}) == 3


async def test_an_override_begins_the_way_to_the_cpe_anew_and_outlives_another_wish(devices: Devices) -> None:
    await provision(devices, **HUAWEI)
    async with devices.database.begin() as db:
        device = await db.merge(await row(devices))
        device.state, device.device_id, device.reason = "verified", "00259E-HG8245Q2-HWTC12345678", "done"
    await override(devices, wifi_ssid="Mine")
    changed = await row(devices)
    assert (changed.state, changed.reason) == (
        "queued",
        "What it has otherwise than its template was changed. They are on their way.",
    )
    await provision(devices, **HUAWEI, values={**VALUES, "wifi_ssid": "Ticket"}, request_id="another")
    assert said(await rendered(devices))[f"{WLAN}.1.SSID"][0] == "Mine"


async def test_a_parameter_may_be_left_alone_or_stand_at_another_path(devices: Devices) -> None:
    await provision(devices, **HUAWEI)
    shown = said(await override_by_name(devices, {f"{ROW}.X_HW_VLAN": None, f"{ROW}.X_CMCC_VLANIDMark": 100}))
    assert f"{ROW}.X_HW_VLAN" not in shown
    assert shown[f"{ROW}.X_CMCC_VLANIDMark"] == (100, "device override", None)


async def test_a_row_that_an_operator_knows_is_not_asked_for(devices: Devices) -> None:
    await provision(devices, **HUAWEI)
    fixed = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.3.WANPPPConnection.2"
    shown = await override(devices, internet=fixed)
    assert shown["selectors"] == []
    assert f"{fixed}.Username" in said(shown)


async def test_the_interval_of_a_verified_cpe_is_its_own_and_may_be_said(devices: Devices) -> None:
    await provision(devices, **HUAWEI)
    [before] = [each["once_verified"] for each in (await rendered(devices))["parameters"] if each["path"] == INTERVAL]
    assert isinstance(before, int) and 19440 <= before <= 23760
    shown = await override_by_name(devices, {"inform.verified_seconds": 3600})
    [after] = [each["once_verified"] for each in shown["parameters"] if each["path"] == INTERVAL]
    assert after == 3600


async def test_every_override_that_is_wrong_is_named_at_once_and_nothing_is_changed(devices: Devices) -> None:
    await provision(devices, **HUAWEI)
    before = await row(devices)
    with pytest.raises(OverridesRefused) as caught:
        await override_by_name(
            devices,
            {
                "colour": "red",
                "cpe_vlan_id": 5000,
                "management": "sideways",
                "inform.verified_seconds": 1,
                "internet": "InternetGatewayDevice.WANDevice.1",
                "pppoe_username": None,
                "Device.WiFi.SSID.1.SSID": "other model",
                f"{ROW}.Password": "hunter2",
                f"{ROW}.Enable": "yes",
                f"{ROW}.X_NEW_Passphrase": "hunter2",
                f"{WLAN}.9.SSID": None,
                f"{WLAN}.{{nowhere}}.SSID": "x",
            },
        )
    assert [fault.removeprefix("device override ") for fault in caught.value.faults] == [
        "Device.WiFi.SSID.1.SSID is neither an input nor a selector of it, nor a path of TR-098",
        f"{WLAN}.9.SSID is nothing the template sets",
        f"{WLAN}.{{nowhere}}.SSID is neither an input nor a selector of it, nor a path of TR-098",
        f"{ROW}.Enable does not fit xsd:boolean",
        f"{ROW}.Password has to be a reference (secret:...), never the secret itself",
        f"{ROW}.X_NEW_Passphrase has to be a reference (secret:...), never the secret itself",
        "colour is neither an input nor a selector of it, nor a path of TR-098",
        "cpe_vlan_id is 5000, the most is 4094",
        "inform.verified_seconds is 1, it may be 30 to 604800",
        "internet has to be a row of InternetGatewayDevice.WANDevice.1.WANConnectionDevice.*.WANPPPConnection.*",
        "management has to be separate_wan or same_wan",
        "pppoe_username cannot be left out",
    ]
    assert "hunter2" not in str(caught.value)
    after = await row(devices)
    assert (after.revision, after.overrides) == (before.revision, {})


async def test_only_what_is_overridden_can_be_removed(devices: Devices) -> None:
    await provision(devices, **HUAWEI)
    with pytest.raises(OverridesRefused, match="wifi_ssid is not overridden"):
        await override(devices, "wifi_ssid")


async def test_what_a_plan_says_of_other_cpes_is_passed_over_and_of_none_refused(devices: Devices) -> None:
    async with devices.database.begin() as db:
        settings = devices.settings(db)
        said_of_all: dict[str, OverrideValue] = {"Device.X_VENDOR_Band": "5", "wifi_ssid": "F"}
        await settings.define_plan_overrides(plan="fiber-100", overrides=said_of_all)
        with pytest.raises(OverridesRefused, match="colour is neither"):
            await settings.define_plan_overrides(plan="fiber-200", overrides={"colour": "red"})
        assert await settings.plans() == {"fiber-100": said_of_all}
    await provision(devices, **HUAWEI)
    shown = said(await rendered(devices))
    assert shown[f"{WLAN}.1.SSID"] == ("F", "plan override", "wifi_ssid")
    assert "Device.X_VENDOR_Band" not in shown


async def test_typed_text_is_what_the_parameter_is_of(devices: Devices) -> None:
    await provision(devices, **HUAWEI)
    texts = {
        "wifi_ssid": "5",
        "cpe_vlan_id": "5",
        f"{ROW}.Enable": "false",
        f"{ROW}.X_HW_VLAN": "null",
        f"{ROW}.X_NEW": '"5"',
        f"{ROW}.X_OTHER": "5",
    }
    async with devices.database.begin() as db:
        typed = await devices.settings(db).typed(device_serial=SERIAL, texts=texts)
    assert list(typed.values()) == ["5", 5, False, None, "5", 5]


async def test_another_tenant_sees_and_overrides_nothing(devices: Devices) -> None:
    await provision(devices, **HUAWEI)
    async with devices.database.begin() as db:
        settings = devices.settings(db, tenant_id="south")
        with pytest.raises(DeviceUnknown):
            await settings.rendered(device_serial=SERIAL)
        with pytest.raises(DeviceUnknown):
            await settings.override(device_serial=SERIAL, changes={"wifi_ssid": "x"})


async def test_the_templates_say_how_sure_they_are_and_what_they_refuse(devices: Devices) -> None:
    async with devices.database.begin() as db:
        entries = {each["name"]: each for each in devices.settings(db).templates()}
    assert entries["mikrotik-tr181"]["refuses"] == ["cpe_vlan_id"]
    assert entries["huawei-tr098"]["models"] == ["HG8*", "EG8*"]
    assert all(entry["sureness"].get("standard") for entry in entries.values())
    assert entries["tr181-pppoe"]["sureness"] == {"standard": 8}


async def test_a_vlan_is_refused_where_no_parameter_for_it_is_known(devices: Devices) -> None:
    with pytest.raises(TemplateInputsRefused, match="cpe_vlan_id cannot be set on this CPE: RouterOS has no TR-181"):
        await provision(devices, config_template="mikrotik-tr181")
    await provision(devices, config_template="mikrotik-tr181", values={**VALUES, "cpe_vlan_id": None})


async def test_a_change_of_plan_changes_what_the_plan_says_and_no_more(devices: Devices) -> None:
    await define_plan(devices, wifi_ssid="Fiber")
    await provision(devices, **HUAWEI)
    before = (await row(devices)).revision
    for plan, ssid in (("fiber-300", "Home"), ("fiber-500", "Home"), ("fiber-100", "Fiber")):
        async with devices.database.begin() as db:
            told = await devices.service(db).plan_changed(service_id=7, plan=plan)
        assert said(await rendered(devices))[f"{WLAN}.1.SSID"][0] == ssid
        assert [device["device_serial"] for device in told] == ([] if plan == "fiber-500" else [SERIAL])
    assert (await row(devices)).revision == before


async def test_a_wish_that_names_no_plan_keeps_the_plan(devices: Devices) -> None:
    await define_plan(devices, wifi_ssid="Fiber")
    await provision(devices, **HUAWEI)
    await provision(devices, config_template="huawei-tr098", request_id=None)
    assert said(await rendered(devices))[f"{WLAN}.1.SSID"][0] == "Fiber"


async def test_a_secret_that_only_an_override_names_makes_a_new_revision_when_it_changes(devices: Devices) -> None:
    await provision(devices, **HUAWEI)
    ref = "secret:device/guest/wifi"
    await override_by_name(devices, {f"{WLAN}.2.PreSharedKey.1.PreSharedKey": ref})
    before = (await row(devices)).revision
    async with devices.database.begin() as db:
        assert len(await devices.service(db).secret_changed(ref=ref)) == 1
    assert (await row(devices)).revision != before


async def test_a_cpe_in_the_place_of_another_takes_over_what_that_one_had_otherwise(devices: Devices) -> None:
    await provision(devices, **HUAWEI)
    fixed = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.3.WANPPPConnection.2"
    await override(devices, wifi_ssid="Mine", internet=fixed)
    async with devices.database.begin() as db:
        service = devices.service(db)
        await service.withdraw_device(device_serial=SERIAL)
        await service.provision_device(
            customer_id=1, device_serial="HWTC00000002", config_template="huawei-tr098", service_id=7, values=VALUES
        )
        await service.take_over_overrides(former_serial=SERIAL, device_serial="HWTC00000002")
        shown = await devices.settings(db).rendered(device_serial="HWTC00000002")
    assert shown["overrides"] == {"wifi_ssid": "Mine"}
    assert said(shown)[f"{WLAN}.1.SSID"] == ("Mine", "device override", "wifi_ssid")
