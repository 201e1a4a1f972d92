"""CPEs of makers, as far as their templates need them: where each keeps the WAN, its VLAN and the WiFi passphrase.

`LabCpe.of_model("HWTC...", "huawei-hg8245")`. In all of the TR-098 ones instance 1 is a WAN of the ACS's own, and the
one for the customer comes after it, as on many ONTs. Paths are the templates'; no CPE was at hand to compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from acs.testing.data_models import ROLES, DataModel, Roles
from acs.testing.parameter_tree import BOOLEAN, UNSIGNED, Parameter

_IGD = "InternetGatewayDevice"
_CONNECTION = f"{_IGD}.WANDevice.1.WANConnectionDevice"
_WLAN = f"{_IGD}.LANDevice.1.WLANConfiguration"
_TEXT = Parameter("", writable=True, maximum=256)
_SECRET = Parameter("", writable=True, secret=True, maximum=64)
_FLAG = Parameter(False, BOOLEAN, writable=True)
_VLAN = Parameter(0, UNSIGNED, writable=True, minimum=0, maximum=4094)
_HUAWEIS = tuple(f"{_CONNECTION}.1.WANPPPConnection.1.{leaf}" for leaf in ("X_HW_SERVICELIST", "X_HW_VLAN"))
MANAGEMENT_ADDRESS = "10.64.0.9"
"""Of the WAN that the ACS reaches such a CPE over."""


@dataclass(frozen=True)
class CpeModel:
    """One kind of CPE: who it says it is, and what it has beside or instead of the data model's common parameters."""

    manufacturer: str
    product_class: str
    data_model: DataModel
    roles: Roles
    parameters: Mapping[str, Parameter]
    removed: tuple[str, ...] = field(default=())
    """Paths of the common tree it does not have."""


def _wan(connection: int, ppp: int, **values: str | bool) -> dict[str, Parameter]:
    """A PPP connection of TR-098, with what the maker adds to it."""
    row = f"{_CONNECTION}.{connection}.WANPPPConnection.{ppp}"
    standard = {
        "Enable": _FLAG,
        "Name": _TEXT,
        "ConnectionType": replace(_TEXT, value="IP_Routed"),
        "ConnectionStatus": Parameter("Unconfigured"),
        "ExternalIPAddress": Parameter("0.0.0.0"),
        "Username": replace(_TEXT, maximum=64),
        "Password": _SECRET,
    }
    made = {f"{row}.{name}": parameter for name, parameter in standard.items()}
    for name, value in values.items():
        leaf = f"{row}.{name.replace('X_ZTE_COM_', 'X_ZTE-COM_')}"
        made[leaf] = replace(made.get(leaf, _TEXT), value=value)
    return made


def _roles(connection: int, ppp: int, *, vlan_id: str, passphrase: str) -> Roles:
    row = f"{_CONNECTION}.{connection}.WANPPPConnection.{ppp}"
    return replace(
        ROLES["TR-098"],
        ppp_username=f"{row}.Username",
        ppp_password=f"{row}.Password",
        ppp_enable=f"{row}.Enable",
        ppp_status=f"{row}.ConnectionStatus",
        ppp_address=f"{row}.ExternalIPAddress",
        vlan_id=vlan_id,
        passphrase=passphrase,
    )


def _tr098(
    manufacturer: str, product_class: str, *, managed_by: Mapping[str, str], for_customer: Mapping[str, str], vlan: str,
    passphrase: str, further: Mapping[str, Parameter],
) -> CpeModel:  # fmt: skip
    """Instance 1 is the ACS's, the customer's is 2; `vlan` is relative to the second WANConnectionDevice."""
    vlan_id = f"{_CONNECTION}.2.{vlan}"
    secret = f"{_WLAN}.1.{passphrase}"
    managed = _wan(1, 1, Enable=True, ExternalIPAddress=MANAGEMENT_ADDRESS, **managed_by)
    return CpeModel(
        manufacturer=manufacturer,
        product_class=product_class,
        data_model="TR-098",
        roles=_roles(2, 1, vlan_id=vlan_id, passphrase=secret),
        parameters={
            **managed,
            **_wan(2, 1, **for_customer),
            vlan_id: _VLAN,
            secret: replace(_SECRET, value="factory-passphrase", minimum=8, maximum=63),
            f"{_IGD}.ManagementServer.ConnectionRequestURL": Parameter(f"http://{MANAGEMENT_ADDRESS}:7547/cr"),
            **further,
        },
        removed=tuple(leaf for leaf in _HUAWEIS if leaf not in {**managed, **further}),
    )


MODELS: Mapping[str, CpeModel] = {
    "huawei-hg8245": _tr098(
        "Huawei Technologies Co., Ltd",
        "HG8245Q2",
        managed_by={"X_HW_SERVICELIST": "TR069", "Name": "1_TR069_R_VID_7"},
        for_customer={"X_HW_SERVICELIST": "INTERNET", "Name": "2_INTERNET_R_VID"},
        vlan="WANPPPConnection.1.X_HW_VLAN",
        passphrase="PreSharedKey.1.PreSharedKey",
        further={f"{_CONNECTION}.1.WANPPPConnection.1.X_HW_VLAN": _VLAN},
    ),
    "zte-f660": _tr098(
        "ZTE",
        "F660",
        managed_by={"X_ZTE_COM_ServiceList": "TR069"},
        for_customer={"X_ZTE_COM_ServiceList": "INTERNET"},
        vlan="WANPPPConnection.1.X_ZTE-COM_VLANID",
        passphrase="KeyPassphrase",
        further={f"{_CONNECTION}.2.WANPPPConnection.1.X_ZTE-COM_VLANEnable": _FLAG},
    ),
    "fiberhome-hg6": _tr098(
        "FiberHome",
        "HG6243C",
        managed_by={"ConnectionType": "PPPoE_Bridged"},
        for_customer={},
        vlan="X_FH_WANGponLinkConfig.VLANID",
        passphrase="PreSharedKey.1.KeyPassphrase",
        further={},
    ),
    "nokia-g2425": _tr098(
        "Nokia",
        "G-2425G-A",
        managed_by={"ConnectionType": "PPPoE_Bridged"},
        for_customer={},
        vlan="X_CT-COM_WANGponLinkConfig.VLANIDMark",
        passphrase="PreSharedKey.1.KeyPassphrase",
        further={},
    ),
    "tp-link-ec220": _tr098(
        "TP-Link",
        "EC220-G5",
        managed_by={"ConnectionType": "PPPoE_Bridged"},
        for_customer={},
        vlan="WANEthernetLinkConfig.X_TP_VID",
        passphrase="X_TP_PreSharedKey",
        further={},
    ),
    "tp-link-xx230": CpeModel("TP-Link", "XX230v", "TR-181", ROLES["TR-181"], {}),
    "nokia-g2425-tr181": CpeModel("Nokia", "G-2425G-A", "TR-181", ROLES["TR-181"], {}),
    "mikrotik-hap": CpeModel("MikroTik", "hAP ac3", "TR-181", ROLES["TR-181"], {}),
}
