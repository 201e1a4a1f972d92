"""A CPE that reports to another ACS from now on, because somebody means it to.

Its binding, and what it is to have, stay. What the former ACS holds of it is remembered as that of a withdrawn binding,
and taken back there once the CPE has its settings through the new one.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import inspect, select
from sqlalchemy.ext.asyncio import AsyncSession

from acs.errors import AcsUnknown, RequestConflict
from acs.operations.book import OperationBook
from acs.operations.errors import OperationRefused, OperationUnderWay
from acs.operations.records import OperationRecord
from acs.operations.tables import AcsOperation
from acs.ports import Now
from acs.serials import canonical_serial
from acs.tables import AcsDevice
from acs.wishes import was_sent

log = structlog.get_logger(__name__)

FINDS_ITS_ACS = ("wifi", "swap")
"""Operations that ask anew with each look which ACS serves the CPE."""
KEPT = {
    *("id", "tenant_id", "serial", "serial_as_given", "customer_id", "service_id", "bound_at"),
    *("template", "data_model", "inputs", "parameters", "delivery", "plan", "overrides", "secret_version", "revision"),
}
"""Who it is, whom it serves, and what it is to have. All else is what the former ACS knew, by its ids and its clock."""


class DeviceMoving:
    """Within the caller's transaction."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Now, configured: Collection[str]) -> None:
        """``configured``: the names of the ACSes there are."""
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._configured = configured
        self._book = OperationBook(db, tenant_id=tenant_id, now=now)

    async def move(
        self, *, device_serial: str, acs_name: str, by: str, request_id: str | None = None
    ) -> OperationRecord:
        """Look for the CPE at that ACS from now on, and give it its settings there.

        Whoever asks sees to it that the CPE reports there: by DHCP, or at the CPE. A move that is still open, say to
        the wrong ACS, ends with this one, which may lead back.

        Raises: SerialMalformed, DeviceUnknown, AcsUnknown, OperationRefused, OperationUnderWay, RequestConflict.
        """
        serial = canonical_serial(device_serial)
        earlier = None if request_id is None else await self._book.by_request(request_id)
        if earlier is not None:
            asked = (earlier["kind"], earlier["device_serial"], earlier["arguments"].get("to"))
            if asked != ("move", serial, acs_name):
                raise RequestConflict(str(request_id))
            return earlier
        if acs_name not in self._configured:
            raise AcsUnknown(acs_name, self._configured)
        device = await self._book.bound(serial, locked=True)
        former = device.acs_name
        if former == acs_name:
            raise OperationRefused(serial, "The move", [f"it is bound to ACS {acs_name} already"])
        await self._require_nothing_in_between(serial)
        await self._supersede(serial, acs_name)
        now = self._now()
        self._db.add(_left_behind(device, acs_name, now))
        anew = {
            "acs_name": acs_name,
            "state": "awaiting_first_inform",
            "reason": f"It was moved to ACS {acs_name} and has not reported there yet.",
            "updated_at": now,
        }
        for name, value in (_as_of_a_new_one() | anew).items():
            setattr(device, name, value)
        await self._db.flush()
        log.info("cpe moved", serial=serial, former_acs=former, acs=acs_name)
        arguments = {"from": former, "to": acs_name}
        return await self._book.keep("move", device, arguments, by=by, request_id=request_id)

    async def _require_nothing_in_between(self, serial: str) -> None:
        """Raises: OperationUnderWay for what may be at the former ACS at this moment."""
        found = await self._db.scalars(
            select(AcsOperation).where(
                AcsOperation.tenant_id == self._tenant_id,
                AcsOperation.device_serial == serial,
                AcsOperation.ended_at.is_(None),
                AcsOperation.kind.not_in((*FINDS_ITS_ACS, "move")),
            )
        )
        if (row := found.first()) is not None:
            raise OperationUnderWay(serial, operation_id=row.id, kind=row.kind)

    async def _supersede(self, serial: str, acs_name: str) -> None:
        """Let the moves that are open end, at their next look; what they left anywhere is taken back by the new one."""
        found = await self._db.scalars(
            select(AcsOperation)
            .where(
                AcsOperation.tenant_id == self._tenant_id,
                AcsOperation.device_serial == serial,
                AcsOperation.ended_at.is_(None),
                AcsOperation.kind == "move",
            )
            .order_by(AcsOperation.id)
            .with_for_update()
        )
        for row in found:
            row.cancel_wanted, row.due_at = True, self._now()
            row.reason = f"The CPE was moved on to ACS {acs_name} before this had ended."
            row.leased_until = row.leased_by = None  # whoever carries it at this moment writes nothing more


def _as_of_a_new_one() -> dict[str, Any]:
    """What a row says of a CPE that has never reported, but for what is kept."""
    fresh: dict[str, Any] = {}
    for column in AcsDevice.__table__.columns:
        if column.name not in KEPT:
            default = column.default
            assert default is None or default.is_scalar or default.is_callable
            fresh[column.name] = None if default is None else default.arg(None) if default.is_callable else default.arg
    return fresh


def _left_behind(device: AcsDevice, acs_name: str, now: datetime) -> AcsDevice:
    """The binding as it was at the former ACS, withdrawn there."""
    known = {each.key: getattr(device, each.key) for each in inspect(AcsDevice).column_attrs if each.key != "id"}
    ended = {
        "state": "withdrawn",
        "reason": f"Moved to ACS {acs_name}.",
        "details": [],
        "withdrawn_at": now,
        "cleared_at": None if was_sent(device) else now,  # never sent: nothing is at the ACS
        "updated_at": now,
    }
    return AcsDevice(**known | ended)
