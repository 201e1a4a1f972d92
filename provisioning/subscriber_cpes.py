"""What becomes of a subscriber's CPEs when it is changed: their settings are written down anew, or they are withdrawn.

ProvisioningError
`-- CpeHoldsUsername    a CPE logs in under the name that is to change
"""

from __future__ import annotations

from collections.abc import Sequence

from acs import GenieAcsService, OverridesRefused, ProvisionedDevice, TemplateInputsRefused, TemplateUnknown
from provisioning.errors import ProvisioningError

LOGIN_INPUT = "pppoe_username"
"""What a CPE template calls the name its CPE logs in with."""


class CpeHoldsUsername(ProvisioningError):
    """A CPE logs in under this name."""

    code = "subscriber.cpe_holds_username"

    def __init__(self, username: str, serials: Sequence[str]) -> None:
        self.username = username
        self.serials = tuple(serials)
        super().__init__(
            f"CPE {', '.join(self.serials)} was given the name {username} and can't be told another one, since its"
            " template is gone or takes no such name; nothing was changed. Tell it the new name right after this, and"
            " say so: --cpe-by-hand."
        )


class SubscriberCpes:
    """The CPEs of a subscriber's service, within the caller's transaction.

    Each change answers with the serials of those whose settings were written down anew, which are to be applied then.
    """

    def __init__(self, cpes: GenieAcsService) -> None:
        self._cpes = cpes

    async def plan_changed(self, service_id: int, *, plan: str) -> list[str]:
        """What CPEs of the plan have otherwise than their templates say. Raises: as
        ``GenieAcsService.plan_changed``."""
        return _serials(await self._cpes.plan_changed(service_id=service_id, plan=plan))

    async def password_changed(self, service_id: int, *, ref: str) -> list[str]:
        """For those that log in by it."""
        return _serials(await self._cpes.secret_changed(ref=ref, service_id=service_id))

    async def renamed(self, service_id: int, *, former: str, username: str) -> list[str]:
        """For each that has the former name. Raises: CpeHoldsUsername."""
        bound = await self._cpes.devices_of_service(service_id=service_id)
        holding = [each for each in bound if each["inputs"].get(LOGIN_INPUT) == former]
        for each in holding:
            values = {**each["inputs"], LOGIN_INPUT: username}  # a WiFi may have the same name, and keeps it
            try:
                await self._cpes.provision_device(
                    customer_id=each["customer_id"],
                    device_serial=each["device_serial"],
                    config_template=each["template"],
                    service_id=service_id,
                    values=values,
                    plan=each["plan"],
                )
            except (TemplateUnknown, TemplateInputsRefused, OverridesRefused) as error:
                raise CpeHoldsUsername(former, [each["device_serial"]]) from error
        return [each["device_serial"] for each in holding]

    async def withdraw(self, service_id: int) -> None:
        """Nothing is sent to any of them any more."""
        for each in await self._cpes.devices_of_service(service_id=service_id):
            await self._cpes.withdraw_device(device_serial=each["device_serial"], service_id=service_id)

    async def held_back(self, serials: Sequence[str]) -> list[str]:
        """Those of them that get nothing before their campaign goes on, or its window opens."""
        return await self._cpes.held_back(device_serials=serials) if serials else []


def _serials(devices: Sequence[ProvisionedDevice]) -> list[str]:
    return [device["device_serial"] for device in devices]
