"""What a CPE is told in its very first session: the ACS asks in it, and is answered for one that proves who it is.

A CPE may claim any serial number at an ACS. So each is given a provisioning code of its own beforehand, by DHCP (TR-069
section 3.1: options 43 and 125, sub-option 2) or by whoever prepares it. The code is made of its serial number under a
key that only we have, so that no list of them is kept. It does not end by itself; what ends is the time in which it
opens anything: from the binding to the first settings that the CPE is known to have taken.

That something was handed out proves nothing. Whether the CPE took it is seen at the ACS afterwards, as for settings
that were queued (``acs.convergence.applying``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from acs.convergence.desired_states import Desired, desired_of
from acs.convergence.script_task import script_argument
from acs.convergence.unreached import AMBIGUOUS
from acs.errors import FirstSessionRefused, SettingsRefused
from acs.ports import Now, Secrets
from acs.provisioning_codes import WAITING, CodeKeys, Match, ProvisioningCodes
from acs.serials import canonical_serial, is_serial
from acs.tables import AcsDevice

log = structlog.get_logger(__name__)

_FAULTS: Mapping[Match | None, str] = {None: "no_code", "none": "wrong_code", "old": "old_code"}


@dataclass(frozen=True, slots=True)
class Asking:
    """What the ACS says of the CPE whose session it is in; all but the ACS's name is the CPE's own word."""

    acs_name: str
    serial: str
    data_model: str
    provisioning_code: str = field(repr=False)
    manufacturer: str | None = None
    product_class: str | None = None


@dataclass(frozen=True, slots=True)
class HandedOut:
    """``argument`` is what our script at the ACS is told, with the secrets open: to be sent and forgotten."""

    device_row_id: int
    serial: str
    customer_id: int
    revision: str
    argument: str = field(repr=False)


class FirstSessions:
    """Answers the ACS, within the caller's transaction."""

    def __init__(
        self, db: AsyncSession, *, tenant_id: str, now: Now, secrets: Secrets, codes: ProvisioningCodes
    ) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._secrets = secrets
        self._codes = codes

    async def hand_out(self, asking: Asking) -> HandedOut:
        """What that CPE is to have, as its next task would tell it; that it was handed out is written down.

        Raises: FirstSessionRefused, which says the same whatever it is for.
        """
        match = self._match(asking, await self._codes.keys())
        refused = _FAULTS.get(match)
        device = None if refused else await self._waiting(canonical_serial(asking.serial))
        desired = None if device is None else desired_of(device)
        refused = refused or _fault_of_device(device, desired, asking)
        if refused is None and device is not None and desired is not None:
            at = self._now()
            argument = await self._argument(desired, at)
            if argument is not None:
                device.handed_out_revision, device.handed_out_at = device.revision, at
                device.refused_at = device.refused_why = device.refused_by = None
                if match == "former":
                    await self._codes.former_was_used(device.serial)
                await self._db.flush()
                log.info("settings handed out in a first session", serial=device.serial, revision=device.revision)
                return HandedOut(device.id, device.serial, device.customer_id, device.revision, argument)
            refused = "settings_unsendable"
        serial = canonical_serial(asking.serial) if is_serial(asking.serial) else None
        log.info("nothing handed out in a first session", acs=asking.acs_name, serial=serial, why=refused)
        raise FirstSessionRefused(serial=serial, why=refused)

    def _match(self, asking: Asking, keys: CodeKeys) -> Match | None:
        """Nothing is looked up before the proof, so that who has none learns nothing by the time that it takes."""
        if keys.current is None or not is_serial(asking.serial):
            return None
        return keys.match(asking.provisioning_code, tenant_id=self._tenant_id, serial=asking.serial)

    async def _waiting(self, serial: str) -> AcsDevice | None:
        found = await self._db.scalars(
            select(AcsDevice)
            .where(
                AcsDevice.tenant_id == self._tenant_id,
                AcsDevice.serial == serial,
                AcsDevice.state.in_(WAITING),
            )
            .with_for_update(skip_locked=True)  # a session waits: who is busy with it at this moment gives it a task
        )
        return found.one_or_none()

    async def _argument(self, desired: Desired, handed_out_at: datetime) -> str | None:
        """None when a secret of it does not open, or cannot be sent."""
        refs = {str(setting.value) for setting in desired.settings if setting.secret}
        opened: Mapping[str, str] = await self._secrets.reveal_many(self._db, refs)
        if refs - set(opened):
            return None
        revealed = [replace(each, value=opened[str(each.value)]) if each.secret else each for each in desired.settings]
        try:
            return script_argument(desired, revealed, (), handed_out_at=handed_out_at)
        except SettingsRefused:
            return None


def _fault_of_device(device: AcsDevice | None, desired: Desired | None, asking: Asking) -> str | None:
    """Why this CPE, which has proven who it is, is told nothing."""
    if device is None or desired is None:
        return "not_waiting"
    if device.applied_at is not None or device.handed_over_at is not None:
        return "not_its_first"
    if device.unreached_why == AMBIGUOUS:
        return "ambiguous"
    if device.acs_name != asking.acs_name:
        return "other_acs"
    if device.data_model != asking.data_model:
        return "wrong_data_model"
    misfit = desired.delivery.misfit(asking.manufacturer, asking.product_class)
    return None if misfit is None else "wrong_model"
