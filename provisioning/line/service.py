"""The line orders, in the caller's transaction: asked for, answered, withdrawn."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from acs import canonical_serial
from provisioning.errors import InvalidRequest, RequestConflict
from provisioning.line.errors import (
    LineAnswerConflict,
    LineNotHandedOver,
    LineOrderClosed,
    LineStillOnOlt,
)
from provisioning.line.orders import as_line_order, busy, locked_order
from provisioning.line.tables import LIVE_STATES, LineOrderRecord, LineOrderRow
from provisioning.line.words import answer_faults, line_faults

REFUSAL_LENGTH: Final = 500


class LineService:
    """Line orders of one tenant. Writes only ``db``, never commits, talks to nobody."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Callable[[], datetime]) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def authorise_line(  # noqa: PLR0913 - a line has this many facts, each named at the call
        self,
        *,
        customer_id: int,
        service_id: int,
        device_serial: str,
        access_node: str,
        port: str | None,
        svlan: int,
        cvlan: int | None,
        management_vlan: int | None,
        line_profile: str,
        request_id: str | None = None,
    ) -> LineOrderRecord:
        """Ask for a line: state *requested*, nothing is on the OLT before ``LineHandOver.hand_over``.

        ``port`` is None while the scan hasn't told it. The serial is kept in the spelling that the ACS compares by, so
        that one ONT has one line however it was scanned. The same ``request_id`` again answers the same order, until
        that is withdrawn.

        Raises:
            InvalidRequest: every malformed word and number at once.
            RequestConflict: the request id came with other input before.
            LineBusy: the serial or the service has a live order; it must be withdrawn first (a swap does).
            LineRaced: transient.
        """
        asked: dict[str, Any] = {
            "customer_id": customer_id,
            "service_id": service_id,
            "device_serial": device_serial,
            "access_node": access_node,
            "port": port,
            "svlan": svlan,
            "cvlan": cvlan,
            "management_vlan": management_vlan,
            "line_profile": line_profile,
        }
        if faults := list(line_faults(asked)):
            raise InvalidRequest(f"The line for service {service_id}", faults)
        asked["device_serial"] = canonical_serial(device_serial)
        if request_id is not None and (earlier := await self._by_request(request_id)):
            return _answer_again(earlier, asked)
        row = LineOrderRow(
            tenant_id=self._tenant_id, request_id=request_id, state="requested", requested_at=self._now(), **asked
        )
        try:
            async with self._db.begin_nested():
                self._db.add(row)
                await self._db.flush()  # the constraints must speak here, and the id is the answer
        except IntegrityError as exc:
            return await self._give_way(request_id, asked, exc)
        return as_line_order(row)

    async def get_line_order(self, *, line_order_id: int) -> LineOrderRecord:
        """The order as it is now.

        Raises:
            LineOrderUnknown: there is none of this number.
        """
        return as_line_order(await self._order(line_order_id))

    async def find_live_line_order(self, *, service_id: int) -> LineOrderRecord | None:
        """The one live order of a service, if it has any."""
        row = await self._db.scalar(
            select(LineOrderRow).where(
                LineOrderRow.tenant_id == self._tenant_id,
                LineOrderRow.service_id == service_id,
                LineOrderRow.state.in_(LIVE_STATES),
            )
        )
        return None if row is None else as_line_order(row)

    async def record_answer(
        self,
        *,
        line_order_id: int,
        actual_port: str,
        onu_id: int | None = None,
        received_power_dbm: float | None = None,
    ) -> LineOrderRecord:
        """The OLT, or the operator who configured it, says that the line is there.

        The same answer again is welcome; the first reading of the light is kept, since every reading differs a little.

        Raises:
            InvalidRequest: a malformed port, ONU id or power.
            LineNotHandedOver, LineAnswerConflict, LineOrderClosed, LineOrderUnknown.
        """
        if faults := list(answer_faults(actual_port, onu_id, received_power_dbm)):
            raise InvalidRequest(f"The answer to line order {line_order_id}", faults)
        row = await self._order(line_order_id)
        _refuse_answer_if_closed(row)
        if row.state == "refused":
            raise LineAnswerConflict(line_order_id, f"refused, {row.refusal}")
        if row.state == "authorised":
            differs = actual_port != row.actual_port or (None not in (onu_id, row.onu_id) and onu_id != row.onu_id)
            if differs:
                raise LineAnswerConflict(line_order_id, f"port {row.actual_port}, ONU {row.onu_id}")
        else:
            row.state, row.answered_at = "authorised", self._now()
        row.actual_port = actual_port
        row.onu_id = onu_id if row.onu_id is None else row.onu_id
        row.received_power_dbm = received_power_dbm if row.received_power_dbm is None else row.received_power_dbm
        return await self._kept(row)

    async def record_refusal(self, *, line_order_id: int, reason: str) -> LineOrderRecord:
        """The OLT says no, and has done nothing. The order is no longer live; handing it over again makes it so.

        Raises:
            LineNotHandedOver, LineAnswerConflict, LineOrderClosed, LineOrderUnknown.
        """
        row = await self._order(line_order_id)
        _refuse_answer_if_closed(row)
        if row.state == "authorised":
            raise LineAnswerConflict(line_order_id, f"authorised on port {row.actual_port}")
        row.state = "refused"
        row.refusal = reason[:REFUSAL_LENGTH]
        row.answered_at = self._now()
        return await self._kept(row)

    async def record_removal(self, *, line_order_id: int) -> LineOrderRecord:
        """The OLT, or the operator who configured it, says that the line is gone from it.

        Raises:
            LineNotHandedOver: nobody asked for its removal.
            LineOrderUnknown.
        """
        row = await self._order(line_order_id)
        if row.removal_asked_at is None:
            raise LineNotHandedOver(line_order_id)
        row.removed_at = row.removed_at or self._now()
        return await self._kept(row)

    async def withdraw_line(self, *, line_order_id: int) -> LineOrderRecord:
        """The line is no longer wanted: its serial and service are free for another order.

        Raises:
            LineStillOnOlt: it was handed over, and nobody has confirmed that it is gone (``LineHandOver.withdraw``).
            LineOrderUnknown.
        """
        row = await self._order(line_order_id)
        if row.state in ("handed_over", "authorised") and row.removed_at is None:
            raise LineStillOnOlt(line_order_id, row.device_serial, row.access_node)
        if row.state != "withdrawn":
            row.state = "withdrawn"
            row.withdrawn_at = self._now()
        return await self._kept(row)

    async def _order(self, line_order_id: int) -> LineOrderRow:
        return await locked_order(self._db, self._tenant_id, line_order_id)

    async def _kept(self, row: LineOrderRow) -> LineOrderRecord:
        await self._db.flush()  # nothing flushes by itself here, and later reads of this transaction must see it
        return as_line_order(row)

    async def _by_request(self, request_id: str) -> LineOrderRow | None:
        return await self._db.scalar(
            select(LineOrderRow).where(
                LineOrderRow.tenant_id == self._tenant_id,
                LineOrderRow.request_id == request_id,
                LineOrderRow.state != "withdrawn",
            )
        )

    async def _give_way(self, request_id: str | None, asked: dict[str, Any], exc: IntegrityError) -> LineOrderRecord:
        """Another live order was first: our own earlier one, or somebody else's."""
        if request_id is not None and (earlier := await self._by_request(request_id)):
            return _answer_again(earlier, asked)
        raise await busy(
            self._db, self._tenant_id, device_serial=asked["device_serial"], service_id=asked["service_id"]
        ) from exc


def _answer_again(earlier: LineOrderRow, asked: dict[str, Any]) -> LineOrderRecord:
    if any(getattr(earlier, name) != value for name, value in asked.items()):
        raise RequestConflict(str(earlier.request_id), f"line order {earlier.id}")
    return as_line_order(earlier)


def _refuse_answer_if_closed(row: LineOrderRow) -> None:
    if row.state == "requested":
        raise LineNotHandedOver(row.id)
    if row.state == "withdrawn":
        raise LineOrderClosed(row.id)
