"""The parameters of the lab's two kinds of CPE: a TR-181 (`Device.`) and a TR-098 (`InternetGatewayDevice.`) tree.

Only what an access line needs, in the standards' names; `X_HW_VLAN` and `PreSharedKey.1.PreSharedKey` are Huawei's.
`ROLES` says where the same thing stands in each tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from acs.testing.parameter_tree import BOOLEAN, DATE_TIME, INTEGER, STRING, UNSIGNED, Parameter, ParameterTree

DataModel = Literal["TR-181", "TR-098"]


@dataclass(frozen=True)
class Roles:
    """Where a data model keeps what the lab itself reads or writes."""

    root: str
    ppp_username: str
    ppp_password: str
    ppp_enable: str
    ppp_status: str
    ppp_address: str
    vlan_id: str
    ssid: str
    passphrase: str


_WAN = "WANDevice.1.WANConnectionDevice.1.WANPPPConnection.1"
_WLAN = "LANDevice.1.WLANConfiguration"

ROLES: Mapping[DataModel, Roles] = {
    "TR-181": Roles(
        root="Device",
        ppp_username="Device.PPP.Interface.1.Username",
        ppp_password="Device.PPP.Interface.1.Password",
        ppp_enable="Device.PPP.Interface.1.Enable",
        ppp_status="Device.PPP.Interface.1.ConnectionStatus",
        ppp_address="Device.PPP.Interface.1.IPCP.LocalIPAddress",
        vlan_id="Device.Ethernet.VLANTermination.1.VLANID",
        ssid="Device.WiFi.SSID.1.SSID",
        passphrase="Device.WiFi.AccessPoint.1.Security.KeyPassphrase",
    ),
    "TR-098": Roles(
        root="InternetGatewayDevice",
        ppp_username=f"InternetGatewayDevice.{_WAN}.Username",
        ppp_password=f"InternetGatewayDevice.{_WAN}.Password",
        ppp_enable=f"InternetGatewayDevice.{_WAN}.Enable",
        ppp_status=f"InternetGatewayDevice.{_WAN}.ConnectionStatus",
        ppp_address=f"InternetGatewayDevice.{_WAN}.ExternalIPAddress",
        vlan_id=f"InternetGatewayDevice.{_WAN}.X_HW_VLAN",
        ssid=f"InternetGatewayDevice.{_WLAN}.1.SSID",
        passphrase=f"InternetGatewayDevice.{_WLAN}.1.PreSharedKey.1.KeyPassphrase",
    ),
}

_TEXT = Parameter("")
_TEXT_W = Parameter("", writable=True, maximum=256)
_SECRET_W = Parameter("", writable=True, secret=True, maximum=256)
_FLAG = Parameter(False, BOOLEAN)
_FLAG_W = Parameter(False, BOOLEAN, writable=True)
_COUNT = Parameter(0, UNSIGNED)
_COUNT_W = Parameter(0, UNSIGNED, writable=True)
_VLAN_W = Parameter(0, UNSIGNED, writable=True, minimum=0, maximum=4094)
_USERNAME_W = Parameter("", writable=True, maximum=64)
_SSID_W = Parameter("", writable=True, minimum=1, maximum=32)
_PASSPHRASE_W = Parameter("", writable=True, secret=True, minimum=8, maximum=63)

_COMMON: dict[str, Parameter] = {
    "DeviceInfo.Manufacturer": _TEXT,
    "DeviceInfo.ManufacturerOUI": _TEXT,
    "DeviceInfo.ModelName": _TEXT,
    "DeviceInfo.ProductClass": _TEXT,
    "DeviceInfo.SerialNumber": _TEXT,
    "DeviceInfo.HardwareVersion": Parameter("A1"),
    "DeviceInfo.SoftwareVersion": Parameter("1.0.0"),
    "DeviceInfo.ProvisioningCode": _TEXT_W,
    "DeviceInfo.UpTime": _COUNT,
    "ManagementServer.URL": Parameter("http://acs.lab:7547/", writable=True, maximum=256),
    "ManagementServer.Username": _TEXT_W,
    "ManagementServer.Password": _SECRET_W,
    "ManagementServer.PeriodicInformEnable": replace(_FLAG_W, value=True),
    "ManagementServer.PeriodicInformInterval": replace(_COUNT_W, value=300, minimum=1),
    "ManagementServer.PeriodicInformTime": Parameter("0001-01-01T00:00:00Z", DATE_TIME, writable=True),
    "ManagementServer.ParameterKey": _TEXT,
    "ManagementServer.ConnectionRequestURL": _TEXT,
    "ManagementServer.ConnectionRequestUsername": _TEXT_W,
    "ManagementServer.ConnectionRequestPassword": _SECRET_W,
}

_TR181: dict[str, Parameter] = {
    "PPP.InterfaceNumberOfEntries": replace(_COUNT, value=1),
    "PPP.Interface.1.Enable": _FLAG_W,
    "PPP.Interface.1.Status": Parameter("Down"),
    "PPP.Interface.1.Alias": _TEXT_W,
    "PPP.Interface.1.ConnectionStatus": Parameter("Unconfigured"),
    "PPP.Interface.1.LastConnectionError": Parameter("ERROR_NONE"),
    "PPP.Interface.1.LastChange": _COUNT,
    "PPP.Interface.1.Username": _USERNAME_W,
    "PPP.Interface.1.Password": replace(_SECRET_W, maximum=64),
    "PPP.Interface.1.PPPoE.ServiceName": _TEXT_W,
    "PPP.Interface.1.IPCP.LocalIPAddress": Parameter("0.0.0.0"),
    "PPP.Interface.1.IPCP.RemoteIPAddress": Parameter("0.0.0.0"),
    "Ethernet.VLANTerminationNumberOfEntries": replace(_COUNT, value=1),
    "Ethernet.VLANTermination.1.Enable": _FLAG_W,
    "Ethernet.VLANTermination.1.Alias": _TEXT_W,
    "Ethernet.VLANTermination.1.VLANID": replace(_VLAN_W, value=1, minimum=1),
    "IP.Interface.1.Enable": replace(_FLAG_W, value=True),
    "IP.Interface.1.IPv4Address.1.IPAddress": Parameter("192.168.1.1"),
    "Optical.Interface.1.OpticalSignalLevel": Parameter(-19500, INTEGER),
    "NAT.PortMappingNumberOfEntries": _COUNT,
    "WiFi.Radio.1.OperatingFrequencyBand": Parameter("2.4GHz"),
    "WiFi.Radio.1.AutoChannelEnable": replace(_FLAG_W, value=True),
    "WiFi.Radio.1.Channel": replace(_COUNT_W, value=6, minimum=1, maximum=165),
    "WiFi.Radio.2.OperatingFrequencyBand": Parameter("5GHz"),
    "WiFi.Radio.2.AutoChannelEnable": replace(_FLAG_W, value=True),
    "WiFi.Radio.2.Channel": replace(_COUNT_W, value=36, minimum=1, maximum=165),
}
_PORT_MAPPING = {
    "Enable": _FLAG_W,
    "ExternalPort": replace(_COUNT_W, maximum=65535),
    "InternalPort": replace(_COUNT_W, maximum=65535),
    "InternalClient": _TEXT_W,
    "Protocol": replace(_TEXT_W, value="TCP"),
}
_WIFI_181 = {
    "SSID.{n}.Enable": replace(_FLAG_W, value=True),
    "SSID.{n}.SSID": replace(_SSID_W, value="Lab-{n}"),
    "SSID.{n}.LowerLayers": Parameter("Device.WiFi.Radio.{n}."),
    "AccessPoint.{n}.Enable": replace(_FLAG_W, value=True),
    "AccessPoint.{n}.AssociatedDeviceNumberOfEntries": _COUNT,
    "AccessPoint.{n}.SSIDReference": Parameter("Device.WiFi.SSID.{n}."),
    "AccessPoint.{n}.Security.ModesSupported": Parameter("None,WPA2-Personal,WPA3-Personal"),
    "AccessPoint.{n}.Security.ModeEnabled": replace(_TEXT_W, value="WPA2-Personal"),
    "AccessPoint.{n}.Security.KeyPassphrase": replace(_PASSPHRASE_W, value="factory-{n}-passphrase"),
}

_TR098: dict[str, Parameter] = {
    f"{_WAN}.Enable": _FLAG_W,
    f"{_WAN}.Name": replace(_TEXT_W, value="1_INTERNET_R_VID"),
    f"{_WAN}.ConnectionType": replace(_TEXT_W, value="IP_Routed"),
    f"{_WAN}.ConnectionStatus": Parameter("Unconfigured"),
    f"{_WAN}.LastConnectionError": Parameter("ERROR_NONE"),
    f"{_WAN}.Uptime": _COUNT,
    f"{_WAN}.ExternalIPAddress": Parameter("0.0.0.0"),
    f"{_WAN}.Username": _USERNAME_W,
    f"{_WAN}.Password": replace(_SECRET_W, maximum=64),
    f"{_WAN}.X_HW_SERVICELIST": replace(_TEXT_W, value="INTERNET"),
    f"{_WAN}.X_HW_VLAN": _VLAN_W,
    "WANDevice.1.WANConnectionDevice.1.WANPPPConnectionNumberOfEntries": replace(_COUNT, value=1),
    "WANDevice.1.X_GponInterafceConfig.RXPower": Parameter("-21"),
    "LANDevice.1.LANHostConfigManagement.IPInterface.1.IPInterfaceIPAddress": replace(_TEXT_W, value="192.168.1.1"),
}
_WIFI_098 = {
    "{n}.Enable": replace(_FLAG_W, value=True),
    "{n}.SSID": replace(_SSID_W, value="Lab-{n}"),
    "{n}.BeaconType": replace(_TEXT_W, value="WPAand11i"),
    "{n}.Channel": replace(_COUNT_W, value=6, maximum=165),
    "{n}.AutoChannelEnable": replace(_FLAG_W, value=True),
    "{n}.TotalAssociations": _COUNT,
    "{n}.KeyPassphrase": replace(_PASSPHRASE_W, value="factory-{n}-passphrase"),
    "{n}.PreSharedKey.1.KeyPassphrase": replace(_PASSPHRASE_W, value="factory-{n}-passphrase"),
    "{n}.PreSharedKey.1.PreSharedKey": replace(_PASSPHRASE_W, value="factory-{n}-passphrase"),
}


_PING = {
    "DiagnosticsState": replace(_TEXT_W, value="None"),
    "Interface": _TEXT_W,
    "Host": _TEXT_W,
    "NumberOfRepetitions": replace(_COUNT_W, value=1, minimum=1),
    "Timeout": replace(_COUNT_W, value=1000, minimum=1),
    "DataBlockSize": replace(_COUNT_W, value=32, minimum=1, maximum=65535),
    "SuccessCount": _COUNT,
    "FailureCount": _COUNT,
    "AverageResponseTime": _COUNT,
    "MinimumResponseTime": _COUNT,
    "MaximumResponseTime": _COUNT,
}
_DOWNLOAD = {
    "DiagnosticsState": replace(_TEXT_W, value="None"),
    "Interface": _TEXT_W,
    "DownloadURL": _TEXT_W,
    "BOMTime": Parameter("0001-01-01T00:00:00Z", DATE_TIME),
    "EOMTime": Parameter("0001-01-01T00:00:00Z", DATE_TIME),
    "TestBytesReceived": _COUNT,
}
_TESTS_181 = {"IP.Diagnostics.IPPing": _PING, "IP.Diagnostics.DownloadDiagnostics": _DOWNLOAD}
_TESTS_098 = {"IPPingDiagnostics": _PING, "DownloadDiagnostics": _DOWNLOAD}


def _tests(objects: Mapping[str, Mapping[str, Parameter]]) -> dict[str, Parameter]:
    return {f"{base}.{name}": parameter for base, leaves in objects.items() for name, parameter in leaves.items()}


def build_tree(data_model: DataModel, identity: Mapping[str, str], extra: Mapping[str, Parameter]) -> ParameterTree:
    """A CPE's tree at factory default. `identity` fills `DeviceInfo`, `extra` adds or replaces leaves by full path."""
    root = ROLES[data_model].root
    relative = dict(_COMMON)
    if data_model == "TR-181":
        relative |= _TR181 | _instances("WiFi.", _WIFI_181) | _tests(_TESTS_181)
        tables = {f"{root}.NAT.PortMapping": _PORT_MAPPING}
    else:
        relative |= _TR098 | _instances(f"{_WLAN}.", _WIFI_098) | _tests(_TESTS_098)
        tables = {f"{root}.{_WAN}.PortMapping": _PORT_MAPPING}
    for name, value in identity.items():
        relative[name] = replace(relative.get(name, Parameter("", STRING)), value=value)
    return ParameterTree({f"{root}.{path}": one for path, one in relative.items()} | dict(extra), tables)


def _instances(prefix: str, template: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """Two WLANs: 1 is 2.4 GHz, 2 is 5 GHz."""
    made: dict[str, Parameter] = {}
    for number in ("1", "2"):
        for path, parameter in template.items():
            value = parameter.value
            filled = value.replace("{n}", number) if isinstance(value, str) else value
            made[prefix + path.replace("{n}", number)] = replace(parameter, value=filled)
    return made
