"""The door for the OLT side's answers: the line order and the run that waits for it change in one commit."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.intake import Clock, Faults
from provisioning.line import LineService
from workflows import RunNotOpenFor, Runs
from workflows.services import LineRemoval

SIGNAL, REMOVED = "line_answer", "line_removed"
LONGEST_REASON = 500
REMOVAL_AWAITED = ("installation.line_removal_awaited", "installation.line_removal_unconfirmed")
"""Errors that the word of the line's removal cures."""


class LineDesk:
    """Accepts answers within the caller's transaction."""

    def __init__(self, db: AsyncSession, *, runs: Runs, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._runs = runs
        self._lines = LineService(db, tenant_id=tenant_id, now=now)

    async def answer(
        self,
        *,
        line_order_id: int,
        actual_port: str,
        onu_id: int | None = None,
        received_power_dbm: float | None = None,
        by: str,
    ) -> list[int]:
        """The line is on the OLT: keeps the answer and tells the runs that wait for it; returns their numbers.

        Raises: InvalidRequest, LineOrderUnknown, LineNotHandedOver, LineAnswerConflict, LineOrderClosed.
        """
        about = await self._lock(line_order_id)
        order = await self._lines.record_answer(
            line_order_id=line_order_id, actual_port=actual_port, onu_id=onu_id, received_power_dbm=received_power_dbm
        )
        payload = {
            "answered": True,
            "onu_id": order["onu_id"],
            "actual_port": order["actual_port"],
            "received_power_dbm": order["received_power_dbm"],
            "snippet": None,
        }
        return await self._tell(about, line_order_id, payload, what="answer", by=by)

    async def refuse(self, *, line_order_id: int, reason: str, by: str) -> list[int]:
        """The OLT's side says no after it had taken the order: keeps that and tells the runs that wait for it.

        Raises: InvalidRequest, LineOrderUnknown, LineNotHandedOver, LineAnswerConflict, LineOrderClosed.
        """
        faults = Faults(f"The answer to line order {line_order_id}")
        why = faults.line("reason", reason, longest=LONGEST_REASON)
        faults.refuse_if_any()
        about = await self._lock(line_order_id)
        await self._lines.record_refusal(line_order_id=line_order_id, reason=why)
        payload = {
            "answered": False,
            "onu_id": None,
            "actual_port": None,
            "received_power_dbm": None,
            "snippet": None,
            "refusal": why,
        }
        return await self._tell(about, line_order_id, payload, what="refusal", by=by)

    async def removed(self, *, line_order_id: int, by: str) -> list[int]:
        """The line is off the OLT: keeps that, tells the runs that wait for it, and lets those go on whose undo has
        stopped for it; returns their numbers.

        Raises: LineOrderUnknown, LineNotHandedOver if nobody asked for its removal.
        """
        subject = str(line_order_id)
        leaving = await self._runs.about(self._db, REMOVED, subject)
        undoing = await self._runs.about(self._db, SIGNAL, subject)
        await self._runs.lock(self._db, sorted({*leaving, *undoing}))
        await self._lines.record_removal(line_order_id=line_order_id)
        gone = LineRemoval(answered=True, snippet=None)
        told = [
            run_id
            for run_id in leaving
            if await self._runs.signal(
                self._db, run_id, REMOVED, gone, key=f"line/{line_order_id}/removed", by=by, subject=subject
            )
        ]
        stopped = await self._runs.stopped_by(self._db, undoing, REMOVAL_AWAITED)
        for run_id in stopped:
            await self._runs.retry(self._db, run_id, by=by)
        return told + stopped

    async def _lock(self, line_order_id: int) -> list[int]:
        about = await self._runs.about(self._db, SIGNAL, str(line_order_id))
        await self._runs.lock(self._db, about)
        return about

    async def _tell(
        self, about: list[int], line_order_id: int, payload: dict[str, Any], *, what: str, by: str
    ) -> list[int]:
        told, subject = [], str(line_order_id)
        for run_id in about:
            key = f"line/{line_order_id}/{what}"
            try:
                if await self._runs.signal(self._db, run_id, SIGNAL, payload, key=key, by=by, subject=subject):
                    told.append(run_id)
            except RunNotOpenFor:  # it is being undone: that takes the line off, whatever became of it
                continue
        return told
