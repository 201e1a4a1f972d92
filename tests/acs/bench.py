"""One CPE, its service and its ACS, for the tests that follow settings all the way to the CPE."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from acs import AcsDevice, DeviceConvergence, NbiClient, ProvisionedDevice
from acs.convergence.seen_devices import find_device
from acs.templates.delivery import is_row_tag
from acs.testing import LabAcs, LabCpe
from tests.acs.conftest import Devices, KeptSecrets

SERIAL = "HWTC12345678"
WIFI_REF = "secret:device/HWTC12345678/wifi"
USERNAME = "Device.PPP.Interface.1.Username"
PASSWORD = "Device.PPP.Interface.1.Password"
VLAN = "Device.Ethernet.VLANTermination.1.VLANID"
SSID = "Device.WiFi.SSID.1.SSID"
PASSPHRASE = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase"
SECRETS = [PASSWORD, PASSPHRASE]


class Bench:
    """A lab, a service and a convergence around one serial number."""

    def __init__(
        self, devices: Devices, convergence: DeviceConvergence, lab: LabAcs, nbi: NbiClient, secrets: KeptSecrets
    ) -> None:
        self.devices = devices
        self.convergence = convergence
        self.lab = lab
        self.nbi = nbi
        self.secrets = secrets

    async def bind(self, *, template: str = "tr181-pppoe", **values: str | int | None) -> ProvisionedDevice:
        inputs: dict[str, str | int | None] = {
            "pppoe_username": "u42@isp",
            "pppoe_password": "secret:subscriber/42",
            "cpe_vlan_id": 100,
            "wifi_ssid": "Home",
        }
        async with self.devices.database.begin() as db:
            return await self.devices.service(db).provision_device(
                customer_id=1,
                service_id=7,
                device_serial=SERIAL,
                config_template=template,
                values={**inputs, **values},
            )

    async def power_on(self, **identity: Any) -> LabCpe:
        made = LabCpe.of_model if "model" in identity else LabCpe
        cpe = self.lab.attach(made(**{"serial": SERIAL, **identity}))
        await cpe.power_on()
        return cpe

    async def row(self) -> AcsDevice:
        async with self.devices.database.begin() as db:
            return (await db.scalars(select(AcsDevice).order_by(AcsDevice.id.desc()).limit(1))).one()

    async def tags(self) -> list[str]:
        seen = await find_device(self.nbi, SERIAL)
        assert seen is not None
        return seen["tags"]

    async def plain_tags(self) -> list[str]:
        """But for those that say which row a session has chosen."""
        return [tag for tag in await self.tags() if not is_row_tag(tag)]

    def written(self, cpe: LabCpe) -> int:
        """How often the CPE was sent values."""
        return [name for name, _ in cpe.rpcs_seen].count("SetParameterValues")
