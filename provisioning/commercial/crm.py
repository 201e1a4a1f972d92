"""crm_service: what was found at the customer's place before anybody promises a line."""

from __future__ import annotations

from datetime import datetime
from typing import get_args

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.customer import require_customer
from provisioning.commercial.errors import SurveyMissing, SurveyNotFeasible
from provisioning.commercial.tables import SiteSurvey as SiteSurveyRow
from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.intake import Clock, Faults
from workflows.services import SiteSurvey, SurveyResult

LONGEST_NOTES = 2000


class CrmService:
    """Keeps site surveys. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def get_site_survey(self, *, customer_id: int, service_location: str | None = None) -> SiteSurvey:
        """The newest completed survey of this customer (at this premise), if it says that the place can be served.

        Raises: SurveyMissing, SurveyNotFeasible (with the surveyor's notes).
        """
        surveys = select(SiteSurveyRow).where(
            SiteSurveyRow.tenant_id == self._tenant_id, SiteSurveyRow.customer_id == customer_id
        )
        if service_location is not None:
            surveys = surveys.where(SiteSurveyRow.service_location == service_location)
        newest = surveys.order_by(SiteSurveyRow.surveyed_at.desc(), SiteSurveyRow.id.desc()).limit(1)
        row = await self._db.scalar(newest)
        if row is None:
            raise SurveyMissing(customer_id, service_location)
        if row.result != "feasible":
            raise SurveyNotFeasible(customer_id, row.service_location, row.surveyed_at, row.notes)
        return _survey(row)

    async def record_site_survey(
        self,
        *,
        customer_id: int,
        service_location: str,
        result: SurveyResult,
        surveyed_at: datetime,
        notes: str = "",
        request_id: str | None = None,
    ) -> SiteSurvey:
        """Keep what a completed survey found at ``service_location`` (a ``LOC-...`` id).

        Raises: InvalidRequest (all faults), CustomerUnknown, RequestConflict, ChangeRaced.
        """
        faults = Faults("The site survey")
        wanted = {
            "customer_id": faults.number("customer_id", customer_id),
            "service_location": faults.line("service_location", service_location),
            "result": result,
            "surveyed_at": faults.moment("surveyed_at", surveyed_at),
            "notes": faults.optional_line("notes", notes, longest=LONGEST_NOTES) or "",
        }
        if result not in get_args(SurveyResult):
            faults.add("result", f"is neither feasible nor not_feasible: {result}")
        if wanted["surveyed_at"] is not None and surveyed_at > self._now():
            faults.add("surveyed_at", "lies in the future; only completed surveys are recorded")
        request = faults.request_id(request_id)
        faults.refuse_if_any()
        await require_customer(self._db, self._tenant_id, customer_id)
        if (recorded := await self._recorded(request, wanted)) is not None:
            return recorded
        return await self._insert(request, wanted)

    async def _insert(self, request_id: str | None, wanted: dict[str, object]) -> SiteSurvey:
        try:
            async with self._db.begin_nested():
                row = await self._db.scalar(
                    insert(SiteSurveyRow)
                    .values(tenant_id=self._tenant_id, request_id=request_id, **wanted)
                    .returning(SiteSurveyRow)
                )
        except IntegrityError as exc:
            if (recorded := await self._recorded(request_id, wanted)) is not None:
                return recorded
            raise ChangeRaced from exc
        assert row is not None
        return _survey(row)

    async def _recorded(self, request_id: str | None, wanted: dict[str, object]) -> SiteSurvey | None:
        if request_id is None:
            return None
        row = await self._db.scalar(
            select(SiteSurveyRow).where(
                SiteSurveyRow.tenant_id == self._tenant_id, SiteSurveyRow.request_id == request_id
            )
        )
        if row is None:
            return None
        if any(getattr(row, field) != value for field, value in wanted.items()):
            raise RequestConflict(request_id, f"site survey {row.id}")
        return _survey(row)


def _survey(row: SiteSurveyRow) -> SiteSurvey:
    return SiteSurvey(
        survey_id=row.id,
        customer_id=row.customer_id,
        service_location=row.service_location,
        result=row.result,
        surveyed_at=row.surveyed_at,
        notes=row.notes,
    )
