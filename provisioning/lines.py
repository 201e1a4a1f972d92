"""The door for the OLT side's answers: the line order and the run that waits for it change in one commit."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.intake import Clock
from provisioning.line import LineService
from workflows import Runs
from workflows.services import LineRemoval


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
        subject = str(line_order_id)
        about = await self._runs.about(self._db, "line_answer", subject)
        await self._runs.lock(self._db, about)
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
        told = []
        for run_id in about:
            key = f"line/{line_order_id}/answer"
            if await self._runs.signal(self._db, run_id, "line_answer", payload, key=key, by=by, subject=subject):
                told.append(run_id)
        return told

    async def removed(self, *, line_order_id: int, by: str) -> list[int]:
        """The line is off the OLT: keeps that and tells the runs that wait for it; returns their numbers.

        Raises: LineOrderUnknown, LineNotHandedOver if nobody asked for its removal.
        """
        subject = str(line_order_id)
        about = await self._runs.about(self._db, "line_removed", subject)
        await self._runs.lock(self._db, about)
        await self._lines.record_removal(line_order_id=line_order_id)
        gone = LineRemoval(answered=True, snippet=None)
        return [
            run_id
            for run_id in about
            if await self._runs.signal(
                self._db, run_id, "line_removed", gone, key=f"line/{line_order_id}/removed", by=by, subject=subject
            )
        ]
