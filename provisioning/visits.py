"""The door for reports from the field: the visit's row and the run that waits for it change in one commit."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.errors import ChangeRaced
from provisioning.field import VISIT, ReportedVisit, VanStock, VisitChanged, VisitMoving, VisitRecord, Visits
from provisioning.intake import Clock
from workflows import RunNotOpenFor, Runs
from workflows.definitions.installation import Appointment

Outcome = Literal["scanned", "no_access", "not_feasible", "cancelled"]


class VisitDesk:
    """Accepts reports within the caller's transaction."""

    def __init__(self, db: AsyncSession, *, runs: Runs, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._runs = runs
        self._visits = Visits(db, tenant_id=tenant_id, now=now)
        self._stock = VanStock(db, tenant_id=tenant_id, now=now)

    async def report(
        self,
        *,
        visit_id: int,
        outcome: Outcome,
        serial: str | None = None,
        port: str | None = None,
        note: str | None = None,
        next_appointment: Appointment | None = None,
        seen: VisitRecord | None = None,
        made_at: datetime | None = None,
        by: str,
    ) -> tuple[ReportedVisit, list[int]]:
        """Keeps the report and tells every run that waits for this visit; returns those that heard something new.

        A scan of another ONT after the first is a swap: the run goes back and binds the new one. The same ONT scanned
        again while its run is held (the fibre was moved, say) is tried again from the scan on. ``seen``: only if the
        visit still is as its reader saw it. ``made_at``: when it was seen, if not now.

        Raises: InvalidRequest, VisitUnknown, VisitOver, VisitNotBegun, VisitChanged, VisitMoving (what is told now
        would be forgotten with the visit), ChangeRaced (a run joins the visit at this moment, and its lock would have
        come before the visit's).
        """
        runs = await self._runs.about(self._db, VISIT, str(visit_id))
        await self._runs.lock(self._db, runs)
        if await self._runs.turns_back_before(self._db, runs, VISIT):
            raise VisitMoving(visit_id)
        if seen is not None and seen != await self._visits.visit(visit_id, lock=True):
            raise VisitChanged(visit_id)
        reported = await self._visits.report(
            visit_id=visit_id, outcome=outcome, serial=serial, port=port, note=note, made_at=made_at
        )
        if await self._runs.about(self._db, VISIT, str(visit_id)) != runs:
            raise ChangeRaced
        if reported["serial"] is not None:
            await self._stock.install(reported["serial"], await self._visits.visit(visit_id), made_at=made_at, by=by)
        payload: dict[str, Any] = {
            "outcome": outcome,
            "device_serial": reported["serial"],
            "port": reported["port"],
            "note": reported["note"],
            "next_appointment": next_appointment,
        }
        key = f"visit/{visit_id}/{outcome}/{reported['serial'] or ''}/{reported['reported_at'].isoformat()}"
        held = await self._runs.held(self._db, runs) if outcome == "scanned" else {}
        told = []
        for run_id in runs:
            anew = f"/held-{held[run_id]}" if run_id in held else ""
            if await self._tell(run_id, payload, key=key + anew, by=by, subject=str(visit_id)):
                told.append(run_id)
        return reported, told

    async def _tell(self, run_id: int, payload: dict[str, Any], *, key: str, by: str, subject: str) -> bool:
        """False if the run knows it already, or is undoing itself and listens no more."""
        try:
            return await self._runs.signal(self._db, run_id, VISIT, payload, key=key, by=by, subject=subject)
        except RunNotOpenFor:
            return False
