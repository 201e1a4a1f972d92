"""What is reported of visits, and what each is then: one state machine, whoever reports.

    +-----+--> rescheduled: booked, at another time
    v     +--> no_access (once it has begun)
booked ---+--> not_feasible <---+
          +--> cancelled    <---+
          +--> scanned  --------+--> completed
               (again, with another serial: a swap)

A visit that dispatch alone needs may have nothing to scan: done, it is completed from booked. That nobody is there
tells something of the time that was agreed on, so nobody knows it before; what is found out of the place, or is done
there, may be known sooner.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.errors import RequestConflict
from provisioning.field.errors import VisitNotBegun, VisitOver
from provisioning.field.reports import Report
from provisioning.field.tables import ReportKind, Visit, VisitOutcome, VisitReport
from provisioning.intake import Clock
from workflows.services import VisitState

ALLOWED: dict[VisitState, frozenset[VisitOutcome]] = {
    "booked": frozenset({"scanned", "no_access", "not_feasible", "cancelled"}),
    "scanned": frozenset({"scanned", "not_feasible", "cancelled", "completed"}),
    "no_access": frozenset(),
    "not_feasible": frozenset(),
    "cancelled": frozenset(),
    "completed": frozenset(),
}
ONCE_BEGUN: frozenset[ReportKind] = frozenset({"no_access"})
"""What nobody can know before the visit begins."""


class Reporting:
    """Keeps reports of one ISP's visits. Writes only ``db``; the caller commits, and holds the visit."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def take(self, visit: Visit, report: Report, *, made_at: datetime | None = None) -> VisitReport:
        """Keeps the report; one that is known already is the one of then. ``made_at``: when it was seen, if not now.

        Raises: VisitOver (the state doesn't allow it), VisitNotBegun, RequestConflict.
        """
        if (earlier := await self.known(visit, report)) is not None:
            return earlier
        if report.outcome not in ALLOWED[visit.state]:
            raise VisitOver(visit.id, visit.state, report.outcome)
        seen_at = min(made_at or self._now(), self._now())  # a device's clock may be ahead
        if report.outcome in ONCE_BEGUN and seen_at < visit.starts_at:
            raise VisitNotBegun(visit.id, visit.starts_at)
        return await self.keep(visit, report)

    async def known(self, visit: Visit, report: Report) -> VisitReport | None:
        """This very report, if it is known: under its request id, or as the last thing said about the visit.

        Raises: RequestConflict.
        """
        mine = select(VisitReport).where(VisitReport.tenant_id == self._tenant_id)
        if report.request_id is not None:
            earlier = await self._db.scalar(mine.where(VisitReport.request_id == report.request_id))
            if earlier is not None:
                if earlier.visit_id != visit.id or not report.says_the_same_as(earlier):
                    raise RequestConflict(report.request_id, f"a report on visit {earlier.visit_id}")
                return earlier
        last = await self._db.scalar(
            mine.where(VisitReport.visit_id == visit.id).order_by(VisitReport.id.desc()).limit(1)
        )
        return last if last is not None and report.says_the_same_as(last) else None

    async def keep(self, visit: Visit, report: Report) -> VisitReport:
        """The visit is as reported from now on, whatever it was. Raises: RequestConflict."""
        try:
            async with self._db.begin_nested():
                kept: VisitReport | None = await self._db.scalar(
                    insert(VisitReport)
                    .values(tenant_id=self._tenant_id, visit_id=visit.id, reported_at=self._now(), **vars(report))
                    .returning(VisitReport)
                )
        except IntegrityError as exc:  # the same request id, at the same moment, on another visit
            raise RequestConflict(report.request_id or "", "a report on another visit") from exc
        assert kept is not None
        if report.outcome == "rescheduled":
            return kept
        visit.sequence, visit.changed_at = visit.sequence + 1, kept.reported_at
        visit.state = report.outcome
        visit.outcome_note = report.note
        visit.outcome_at = kept.reported_at
        if report.outcome == "scanned":
            visit.scanned_serial, visit.scanned_port = report.serial, report.port
        await self._db.flush()  # a later question in this transaction must find the visit as reported
        return kept
