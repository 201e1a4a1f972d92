"""Handing a line order to whoever drives the OLT, and taking it back; both safe to repeat at any point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.line.errors import LineAdapterMissing, LineOrderClosed, LineRefused
from provisioning.line.orders import busy, locked_order
from provisioning.line.ports import AdapterAnswer, LineAdapter, LineRequest
from provisioning.line.service import LineService
from provisioning.line.tables import LineOrderRow
from workflows.services import LineAnswer

Begin = Callable[[], AbstractAsyncContextManager[AsyncSession]]

log = structlog.get_logger(__name__)


class WithdrawalAnswer(TypedDict):
    """``answered``: the OLT doesn't have the line. Else that comes later, by ``record_removal``."""

    answered: bool
    snippet: str | None


class LineHandOver:
    """Talks to the OLT through its adapter, and owns its short transactions before and after."""

    def __init__(
        self,
        begin: Begin,
        adapters: Mapping[str, LineAdapter],
        *,
        tenant_id: str,
        now: Callable[[], datetime],
        adapter: str = "manual",
    ) -> None:
        self._begin = begin
        self._adapters = adapters
        self._tenant_id = tenant_id
        self._now = now
        self._adapter = adapter

    async def hand_over(self, line_order_id: int) -> LineAnswer:
        """Put the line on the OLT. Repeat it after any error or crash; the OLT acts once.

        Raises:
            LineRefused: final; the order is *refused*, and may be handed over again when the cause is gone.
            OltUnreachable, OltOutcomeUnknown: transient, repeat.
            OltAnswerMalformed, LineAdapterMissing, LineOrderClosed, LineBusy, LineOrderUnknown: final.
        """
        row, adapter = await self._begin_hand_over(line_order_id)
        if row.state == "authorised":
            return _answer_of(row)
        line = _request(row)
        try:
            said = await adapter.authorise(line, key=f"line-order/{line.order}/authorise")
        except LineRefused as refusal:
            async with self._begin() as db:
                await self._orders(db).record_refusal(line_order_id=line_order_id, reason=refusal.reason)
            log.warning("line refused", line_order_id=line_order_id, customer_id=row.customer_id, reason=refusal.reason)
            raise
        if not said.answered:
            return LineAnswer(
                answered=False, onu_id=None, actual_port=None, received_power_dbm=None, snippet=said.snippet
            )
        return await self._record(line_order_id, said)

    async def withdraw(self, line_order_id: int) -> WithdrawalAnswer:
        """Take the line off the OLT, if it may be there. ``LineService.withdraw_line`` then ends the order.

        From the first call on nobody hands the order over any more, not even a worker that was frozen before it began.

        Raises:
            LineRefused, OltAnswerMalformed, LineAdapterMissing, LineOrderUnknown: final.
            OltUnreachable, OltOutcomeUnknown: transient, repeat.
        """
        row = await self._begin_removal(line_order_id)
        if row.removal_asked_at is None or row.removed_at is not None:
            return WithdrawalAnswer(answered=True, snippet=None)
        line = _request(row)
        said = await self._adapter_named(row.adapter).withdraw(line, key=f"line-order/{line.order}/withdraw")
        if not said.answered:
            return WithdrawalAnswer(answered=False, snippet=said.snippet)
        async with self._begin() as db:
            await self._orders(db).record_removal(line_order_id=line_order_id)
        log.info("line withdrawn", line_order_id=line_order_id, customer_id=row.customer_id)
        return WithdrawalAnswer(answered=True, snippet=None)

    async def _begin_hand_over(self, line_order_id: int) -> tuple[LineOrderRow, LineAdapter]:
        """Write down that the OLT may have the line from now on, before it is asked."""
        async with self._begin() as db:
            row = await locked_order(db, self._tenant_id, line_order_id)
            if row.state == "withdrawn" or row.removal_asked_at is not None:
                raise LineOrderClosed(line_order_id)
            asked_before = row.state in ("handed_over", "authorised")
            adapter = self._adapter_named(row.adapter if asked_before else self._adapter)
            if not asked_before:
                await self._mark_handed_over(db, row)
            return row, adapter

    async def _mark_handed_over(self, db: AsyncSession, row: LineOrderRow) -> None:
        """A refused order gave up its serial and service, and meanwhile another order may have taken them."""
        device_serial, service_id = row.device_serial, row.service_id
        try:
            async with db.begin_nested():
                row.state, row.refusal, row.answered_at = "handed_over", None, None
                row.adapter, row.handed_over_at = self._adapter, self._now()
                await db.flush()  # the constraints must speak before the OLT is asked
        except IntegrityError as exc:
            raise await busy(db, self._tenant_id, device_serial=device_serial, service_id=service_id) from exc

    async def _begin_removal(self, line_order_id: int) -> LineOrderRow:
        """Close the order to any hand-over. What the OLT was never asked for, or refused, is off it already."""
        async with self._begin() as db:
            row = await locked_order(db, self._tenant_id, line_order_id)
            if row.state != "withdrawn" and row.removal_asked_at is None:
                row.removal_asked_at = self._now()
                if row.state in ("requested", "refused"):
                    row.removed_at = row.removal_asked_at
            return row

    async def _record(self, line_order_id: int, said: AdapterAnswer) -> LineAnswer:
        async with self._begin() as db:
            order = await self._orders(db).record_answer(
                line_order_id=line_order_id,
                actual_port=str(said.actual_port),
                onu_id=said.onu_id,
                received_power_dbm=said.received_power_dbm,
            )
        log.info(
            "line authorised",
            line_order_id=line_order_id,
            customer_id=order["customer_id"],
            port=order["port"],
            actual_port=order["actual_port"],
        )
        return LineAnswer(
            answered=True,
            onu_id=order["onu_id"],
            actual_port=order["actual_port"],
            received_power_dbm=order["received_power_dbm"],
            snippet=None,
        )

    def _orders(self, db: AsyncSession) -> LineService:
        return LineService(db, tenant_id=self._tenant_id, now=self._now)

    def _adapter_named(self, name: str | None) -> LineAdapter:
        try:
            return self._adapters[str(name)]
        except KeyError as exc:
            raise LineAdapterMissing(str(name), tuple(sorted(self._adapters))) from exc


def _request(row: LineOrderRow) -> LineRequest:
    return LineRequest(
        order=f"{row.tenant_id}.{row.id}",
        customer_id=row.customer_id,
        service_id=row.service_id,
        device_serial=row.device_serial,
        access_node=row.access_node,
        port=row.port,
        svlan=row.svlan,
        cvlan=row.cvlan,
        management_vlan=row.management_vlan,
        line_profile=row.line_profile,
        actual_port=row.actual_port,
        onu_id=row.onu_id,
    )


def _answer_of(row: LineOrderRow) -> LineAnswer:
    return LineAnswer(
        answered=True,
        onu_id=row.onu_id,
        actual_port=row.actual_port,
        received_power_dbm=row.received_power_dbm,
        snippet=None,
    )
