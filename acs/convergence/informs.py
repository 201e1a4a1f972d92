"""Who has reported to the ACS: many CPEs in one question, since a look-up by serial costs the ACS a full scan.

Two clocks are at work. A CPE counts as reported after a moment of ours when

* the ACS's time of its last Inform is later than that moment, which is right while both clocks agree, or
* that time has changed since this process first looked, and it looked after that moment: true whatever the ACS's clock
  says. The first look after a start only sets the mark, so with an ACS whose clock is behind a CPE is noticed one
  Inform later.

An ACS whose clock is ahead can make an Inform of shortly before the moment count; nothing is taken for done by that,
since ``apply`` looks for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import structlog

from acs.convergence.desired_states import Desired, DesiredStates
from acs.convergence.seen_devices import SeenDevice, find_devices
from acs.errors import DesiredStateChanged, SerialMalformed
from acs.nbi.client import NbiClient
from acs.ports import Now
from acs.serials import canonical_serial

log = structlog.get_logger(__name__)


class Informs:
    """Looks for Informs on behalf of ``DeviceConvergence``."""

    def __init__(self, nbi: NbiClient, states: DesiredStates, *, now: Now) -> None:
        self._nbi = nbi
        self._states = states
        self._now = now
        self._first_looks: dict[str, tuple[datetime, datetime | None]] = {}

    async def many(self, serials: Mapping[str, datetime]) -> dict[str, SeenDevice]:
        """Raises: NbiError; NbiLeftInPeace without asking while the ACS is left in peace."""
        self._forget_all_but(serials)
        if not serials:
            return {}
        looked_at = self._now()
        bound = await self._states.live_of(serials)
        known = {serial: bound[serial].device_id if serial in bound else None for serial in serials}
        found = await find_devices(self._nbi, known)
        informed: dict[str, SeenDevice] = {}
        for serial, since in serials.items():
            try:
                seen = await self._counted(
                    bound.get(serial), canonical_serial(serial), found.get(serial), since, looked_at
                )
            except (DesiredStateChanged, SerialMalformed) as error:
                log.info("cpe passed over at this look", serial=serial, why=str(error))
                continue
            if seen is not None:
                informed[serial] = seen
        return informed

    async def _counted(
        self, desired: Desired | None, serial: str, seen: SeenDevice | None, since: datetime, looked_at: datetime
    ) -> SeenDevice | None:
        """The CPE when it has reported after ``since``, which is then written down."""
        last_inform = None if seen is None else seen["last_inform"]
        first_look, mark = self._first_looks.setdefault(serial, (looked_at, last_inform))
        if first_look < since:  # that mark proves nothing about this moment
            first_look, mark = self._first_looks[serial] = (looked_at, last_inform)
        has_changed = first_look >= since and last_inform != mark
        if seen is None or last_inform is None or not (last_inform > since or has_changed):
            return None
        if desired is not None:
            facts: dict[str, Any] = {"device_id": seen["device_id"], "last_inform_at": last_inform}
            if desired.state == "awaiting_first_inform":
                facts |= {"state": "queued", "reason": "The CPE has reported; its settings are next."}
            await self._states.record(desired, **facts)
        return seen

    def _forget_all_but(self, serials: Iterable[str]) -> None:
        """Only those still waited for are remembered."""
        waited_for = set()
        for serial in serials:
            try:
                waited_for.add(canonical_serial(serial))
            except SerialMalformed:
                continue
        self._first_looks = {serial: look for serial, look in self._first_looks.items() if serial in waited_for}
