"""The door for installation tickets: read, checked against everything we know, and only then turned into a run."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from acs import AcsError, TemplateLibrary
from ipam import IpamError
from provisioning.errors import Fault, InvalidRequest, ProvisioningError
from provisioning.field import Technicians
from provisioning.intake import Clock, faults_of
from radius import RadiusError
from workflows import Runs, Services
from workflows.definitions.installation import InstallTicket

JOURNEY = "isp_ticket_to_deployment"
LONGEST_AHEAD = timedelta(days=50 * 365)


@dataclass(frozen=True)
class StartedInstallation:
    """The run that a ticket has become; ``is_new`` is false if the same ticket had started it before."""

    run_id: int
    is_new: bool


def read_ticket(path: Path) -> Any:
    """The JSON of a ticket file, unchecked.

    Raises: InvalidRequest naming the file, and the line where the JSON breaks off.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidRequest("The ticket", [Fault(str(path), error.strerror or "can't be read")]) from error
    except UnicodeDecodeError as error:
        raise InvalidRequest("The ticket", [Fault(str(path), "is not UTF-8 text")]) from error
    except json.JSONDecodeError as error:
        where = f"is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        raise InvalidRequest("The ticket", [Fault(str(path), where)]) from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, brackets without an end
        raise InvalidRequest("The ticket", [Fault(str(path), f"is not JSON that anybody means: {error}")]) from error


class InstallationDesk:
    """Accepts tickets within the caller's transaction."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        services: Services,
        runs: Runs,
        templates: TemplateLibrary,
        tenant_id: str,
        now: Clock,
    ) -> None:
        self._db = db
        self._services = services
        self._runs = runs
        self._templates = templates
        self._technicians = Technicians(db, tenant_id=tenant_id)
        self._now = now

    async def accept(self, data: Any, *, by: str) -> StartedInstallation:
        """Starts the installation, if every part of the ticket is known here.

        Raises: InvalidRequest with all faults at once, before anything is written; RunConflict if this ticket id came
        before with other content.
        """
        try:
            ticket = InstallTicket.model_validate(data)
        except ValidationError as error:
            found = faults_of(error, whole="ticket")
            malformed = {fault.field.partition(".")[0] for fault in found}
            if isinstance(data, dict):
                found += await self._unknown_parts({name: data[name] for name in data if name not in malformed})
            raise InvalidRequest("The ticket", found) from error
        faults = await self._unknown_parts(data)
        if ticket.appointment is not None:
            faults += self._out_of_time("appointment.scheduled_date", ticket.appointment.scheduled_date)
        if ticket.hold_until is not None:
            faults += self._out_of_time("hold_until", ticket.hold_until)
        if faults and not await self._started_before(ticket):
            raise InvalidRequest("The ticket", faults)
        run_id, is_new = await self._runs.start(self._db, JOURNEY, ticket, by=by)
        return StartedInstallation(run_id, is_new)

    def _out_of_time(self, field: str, moment: datetime) -> list[Fault]:
        if moment <= self._now():
            return [Fault(field, "is over already")]
        return [Fault(field, "lies more than 50 years ahead")] if moment > self._now() + LONGEST_AHEAD else []

    async def _started_before(self, ticket: InstallTicket) -> bool:
        """A ticket that comes again gets its run again, whatever has changed in the network since."""
        return await self._runs.find(self._db, JOURNEY, f"ticket/{ticket.ticket_id}") is not None

    async def _unknown_parts(self, data: dict[str, Any]) -> list[Fault]:
        """Asks every catalogue for what the ticket names; works on the sound parts of a ticket as well."""
        services = self._services
        text = {key: value for key, value in data.items() if isinstance(value, str)}
        numbers = {key: value for key, value in data.items() if isinstance(value, int)}
        appointment = data.get("appointment")
        technician = appointment.get("technician_id") if isinstance(appointment, dict) else None
        checks: list[tuple[str, Callable[[], Awaitable[Any]]]] = []
        if "customer_id" in numbers:
            checks.append(("customer_id", lambda: services.customer_service.customer(numbers["customer_id"])))
            checks.append(
                ("customer_id", lambda: services.crm_service.get_site_survey(customer_id=numbers["customer_id"]))
            )
        if "service_location" in text:
            checks.append(("service_location", lambda: services.network_service.locate(text["service_location"])))
        if "bandwidth_plan" in text:
            checks.append(("bandwidth_plan", lambda: services.network_service.plan(text["bandwidth_plan"])))
            checks.append(("bandwidth_plan", lambda: services.radius_service.plan(name=text["bandwidth_plan"])))
        if isinstance(technician, int):
            checks.append(("appointment.technician_id", lambda: self._technicians.technician(technician)))
        faults: list[Fault] = []
        if "config_template" in text and text["config_template"] not in self._templates.names:
            known = ", ".join(self._templates.names)
            faults.append(Fault("config_template", f"{text['config_template']} is no CPE template; known: {known}"))
        for where, check in checks:
            try:
                await check()
            except (ProvisioningError, IpamError, RadiusError, AcsError) as error:
                if not any(fault.field == where for fault in faults):
                    faults.append(Fault(where, str(error)))
        return faults
