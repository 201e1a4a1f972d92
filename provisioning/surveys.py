"""The door for site surveys: what a surveyor found, kept under the id by which an installation asks for it."""

from __future__ import annotations

from datetime import datetime

from ipam import LocationUnknown, NetworkService
from provisioning.commercial import CrmService, CustomerError
from provisioning.errors import Fault, InvalidRequest
from workflows.services import SiteSurvey, SurveyResult

WHAT = "The site survey"


class SurveyDesk:
    """Keeps surveys within the caller's transaction."""

    def __init__(self, *, crm: CrmService, premises: NetworkService) -> None:
        self._crm = crm
        self._premises = premises

    async def record(
        self,
        *,
        customer_id: int,
        service_location: str,
        result: SurveyResult,
        surveyed_at: datetime,
        notes: str = "",
        request_id: str | None = None,
    ) -> SiteSurvey:
        """Keep a completed survey of this premise, which may be named by any alias. The newest one counts.

        Raises: InvalidRequest (all faults, an unknown premise or customer included), RequestConflict, ChangeRaced.
        """
        faults: list[Fault] = []
        try:
            place = await self._place(service_location)
        except LocationUnknown as error:
            faults.append(Fault("service_location", str(error)))
            place = service_location
        try:
            survey = await self._crm.record_site_survey(
                customer_id=customer_id,
                service_location=place,
                result=result,
                surveyed_at=surveyed_at,
                notes=notes,
                request_id=request_id,
            )
        except InvalidRequest as refused:
            raise InvalidRequest(WHAT, [*refused.faults, *faults]) from refused
        except CustomerError as error:
            raise InvalidRequest(WHAT, [Fault("customer_id", str(error)), *faults]) from error
        if faults:
            raise InvalidRequest(WHAT, faults)
        return survey

    async def surveys(self, customer_id: int, *, before_id: int | None = None, limit: int = 50) -> list[SiteSurvey]:
        """This customer's surveys, the one that was recorded last first."""
        return await self._crm.site_surveys(customer_id=customer_id, before_id=before_id, limit=limit)

    async def _place(self, named: str) -> str:
        if not named.isprintable():
            return named  # it will be refused with all else that is wrong with the survey
        return (await self._premises.locate(named))["location"]
