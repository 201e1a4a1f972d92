"""The door for installation tickets: read, checked against everything we know, and only then turned into a run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from acs import AcsError, TemplateLibrary
from ipam import IpamError, LocationFacts
from provisioning.commercial import SurveyNotFeasible
from provisioning.errors import Fault, InvalidRequest, ProvisioningError
from provisioning.field import Technicians
from provisioning.intake import Clock, faults_of
from provisioning.json_files import read_json
from radius import DefinedPlan, RadiusError
from workflows import Events, Moment, Runs, Services, sound_parts
from workflows.definitions.installation import Identifier, InstallTicket, PositiveId

JOURNEY = "isp_ticket_to_deployment"
INSTALLATION_APPROVED = "ticket.installation_approved"
LONGEST_AHEAD = timedelta(days=50 * 365)

Wanted = TypeVar("Wanted")
Found = TypeVar("Found")


@dataclass(frozen=True)
class StartedInstallation:
    """The run that a ticket has become; ``is_new`` is false if the same ticket had started it before."""

    run_id: int
    is_new: bool


class SoundAppointment(BaseModel):
    """Of an appointment, what is well formed."""

    technician_id: PositiveId | None = None
    scheduled_date: Moment | None = None


class SoundParts(BaseModel):
    """Of a ticket, what is well formed and can be looked up, so that one malformed field hides no other fault."""

    customer_id: PositiveId | None = None
    service_location: Identifier | None = None
    bandwidth_plan: Identifier | None = None
    config_template: Identifier | None = None
    appointment: SoundAppointment | None = None
    hold_until: Moment | None = None
    subscriber_external_id: Identifier | None = None


def read_ticket(path: Path) -> Any:
    """The JSON of a ticket file, unchecked.

    Raises: InvalidRequest naming the file, and the line where the JSON breaks off.
    """
    return read_json(path, "The ticket")


class InstallationDesk:
    """Accepts tickets within the caller's transaction."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        services: Services,
        runs: Runs,
        events: Events,
        templates: TemplateLibrary,
        tenant_id: str,
        now: Clock,
    ) -> None:
        self._db = db
        self._services = services
        self._runs = runs
        self._events = events
        self._templates = templates
        self._technicians = Technicians(db, tenant_id=tenant_id)
        self._now = now

    async def accept(self, data: Any, *, by: str, is_told: bool = False) -> StartedInstallation:
        """Starts the installation, if every part of the ticket is known here, and tells of it as an event unless one
        has brought it (``is_told``).

        Raises: InvalidRequest with all faults at once, before anything is written; RunConflict if this ticket id came
        before with other content.
        """
        try:
            ticket = InstallTicket.model_validate(data)
        except ValidationError as error:
            sound = SoundParts.model_validate(sound_parts(data, error))
            raise InvalidRequest(
                "The ticket", faults_of(error, whole="ticket") + await self._faults_in(sound)
            ) from error
        faults = await self._faults_in(SoundParts.model_validate(ticket.model_dump()))
        if faults and not await self._started_before(ticket):
            raise InvalidRequest("The ticket", faults)
        run_id, is_new = await self._runs.start(self._db, JOURNEY, ticket, by=by)
        if is_new and not is_told:
            subject, said = f"ticket/{ticket.ticket_id}", ticket.model_dump(mode="json", exclude_unset=True)
            await self._events.tell_started(self._db, INSTALLATION_APPROVED, run_id, subject=subject, data=said, by=by)
        return StartedInstallation(run_id, is_new)

    async def _started_before(self, ticket: InstallTicket) -> bool:
        """A ticket that comes again gets its run again, whatever has changed in the network since."""
        return await self._runs.find(self._db, JOURNEY, f"ticket/{ticket.ticket_id}") is not None

    async def _faults_in(self, parts: SoundParts) -> list[Fault]:
        """Asks every catalogue for what the ticket names, and the clock about its times."""
        services, visit = self._services, parts.appointment or SoundAppointment()
        faults = self._unknown_template(parts.config_template)
        customer = await _ask(faults, "customer_id", services.customer_service.customer, parts.customer_id)
        place = await _ask(faults, "service_location", services.network_service.locate, parts.service_location)
        if customer is not None:
            there = (customer["customer_id"], place and place["location"])
            await _ask(faults, "customer_id", self._survey, there)
        if await _ask(faults, "bandwidth_plan", services.network_service.plan, parts.bandwidth_plan) is not None:
            rate = await _ask(faults, "bandwidth_plan", self._rate, parts.bandwidth_plan)
            if rate is not None and place is not None:
                faults += await self._shut_out(rate["name"], place)
        await _ask(faults, "appointment.technician_id", self._technicians.technician, visit.technician_id)
        faults += self._out_of_time("appointment.scheduled_date", visit.scheduled_date)
        own_id = parts.subscriber_external_id
        await _ask(faults, "subscriber_external_id", services.radius_service.refuse_taken_external_id, own_id)
        return faults + self._out_of_time("hold_until", parts.hold_until)

    async def _survey(self, there: tuple[int, str | None]) -> None:
        """Of this customer at this very premise, as the journey will ask for it; anywhere, while that isn't known."""
        customer_id, location = there
        try:
            await self._services.crm_service.get_site_survey(customer_id=customer_id, service_location=location)
        except SurveyNotFeasible:
            if location is not None:  # else it may be about another premise
                raise

    async def _rate(self, plan: str) -> DefinedPlan:
        return await self._services.radius_service.plan(name=plan)

    async def _shut_out(self, plan: str, place: LocationFacts) -> list[Fault]:
        """Where its NAS can't be told the plan, the premise's line would never be let in. The NAS of a BNG is
        the one of its name; of a BNG without one nothing is known."""
        untold = await self._services.radius_service.untold_plans(plan=plan, nas=place["bng"])
        return [
            Fault(
                "bandwidth_plan",
                f"nobody of plan {plan} is let in at {each['nas']}, behind which {place['location']} is:"
                f" {'; '.join(each['faults'])} (choose another plan; `firstlight plans show {plan}` says where"
                " that is so)",
            )
            for each in untold
        ]

    def _unknown_template(self, name: str | None) -> list[Fault]:
        if name is None or name in self._templates.names:
            return []
        return [Fault("config_template", f"{name} is no CPE template; known: {', '.join(self._templates.names)}")]

    def _out_of_time(self, field: str, moment: datetime | None) -> list[Fault]:
        if moment is None:
            return []
        if moment <= self._now():
            return [Fault(field, "is over already")]
        return [Fault(field, "lies more than 50 years ahead")] if moment > self._now() + LONGEST_AHEAD else []


async def _ask(
    faults: list[Fault], field: str, catalogue: Callable[[Wanted], Awaitable[Found]], wanted: Wanted | None
) -> Found | None:
    """What a catalogue says; None, and its words among the faults, when it says no. None when nothing is asked."""
    if wanted is None:
        return None
    try:
        return await catalogue(wanted)
    except (ProvisioningError, IpamError, RadiusError, AcsError) as error:
        faults.append(Fault(field, str(error)))
        return None
