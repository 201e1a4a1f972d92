"""ticketing_service: tickets for teams, and the technician's visit as a journey books it and takes it back."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.helpdesk.ticket_desk import TicketDesk, TicketRecord
from provisioning.commercial.scheduling.announcements import Announcements
from provisioning.commercial.tenants.tenant_tables import Deployment
from provisioning.field import (
    AS_THE_CROW_FLIES,
    NO_MOVES,
    CustomerMoves,
    MoveTerms,
    ReportedVisit,
    VisitRecord,
    Visits,
    Ways,
    Whose,
)
from provisioning.intake import Clock
from workflows.answers import CreatedTicket, LinkTo
from workflows.services import ScheduledInstallation

DEFAULT_DURATION_MINUTES = 120


class TicketingService:
    """Opens tickets, books and ends installation visits. Writes only ``db``; the caller commits.

    ``moves``: how customers move their visits themselves; ``ways``: what is known of technicians' ways.
    """

    def __init__(
        self,
        db: AsyncSession,
        *,
        tenant_id: str,
        now: Clock,
        moves: MoveTerms = NO_MOVES,
        ways: Ways = AS_THE_CROW_FLIES,
    ) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._moves = CustomerMoves(db, tenant_id=tenant_id, now=now, terms=moves)
        self._visits = Visits(db, tenant_id=tenant_id, now=now, ways=ways.as_known())
        self._announcements = Announcements(db, tenant_id=tenant_id)
        self._tickets = TicketDesk(db, tenant_id=tenant_id, now=now)

    async def create_ticket(
        self,
        *,
        title: str,
        description: str,
        customer_id: int | None,
        priority: str,
        assigned_team: str,
        request_id: str | None = None,
    ) -> CreatedTicket:
        """Open a ticket for a team, for a customer or nobody in particular. The same request is one ticket.

        Raises: InvalidRequest (all faults), CustomerUnknown, TeamUnknown, RequestConflict, TicketCancelled (this
        request's ticket was, since), ChangeRaced.
        """
        return _created(
            await self._tickets.open(
                title=title,
                description=description,
                customer_id=customer_id,
                priority=priority,
                assigned_team=assigned_team,
                request_id=request_id,
            )
        )

    async def close_ticket(self, *, ticket_id: int, reason: str) -> CreatedTicket:
        """Undo of ``create_ticket``: cancelled; a ticket that has been dealt with stays as it ended.

        Raises: InvalidRequest, TicketUnknown.
        """
        return _created(await self._tickets.cancel(ticket_id=ticket_id, note=reason))

    async def schedule_installation(
        self,
        *,
        customer_id: int,
        installation_address: str,
        technician_id: int,
        scheduled_date: datetime,
        service_location: str | None = None,
        planned_port: str | None = None,
        order_id: int | None = None,
        visit_id: int | None = None,
        request_id: str | None = None,
    ) -> ScheduledInstallation:
        """Book the technician for this installation; nobody is booked twice at the same time.

        Where the customer's order ``order_id`` has a visit to come and no line has taken that yet, it is this one's:
        moved where the technician or the time is another, and as it stands where it is named, by its ``visit_id``.

        Raises: InvalidRequest (all faults), TechnicianUnknown, TechnicianBusy, VisitOver (this request's visit was
        cancelled since), RequestConflict, ChangeRaced.
        """
        visit = await self._visits.book(
            customer_id=customer_id,
            technician_id=technician_id,
            starts_at=scheduled_date,
            duration_minutes=DEFAULT_DURATION_MINUTES,
            address=installation_address,
            location=service_location,
            planned_port=planned_port,
            whose=Whose("installation", order_id, visit_id),
            request_id=request_id,
        )
        return ScheduledInstallation(
            visit_id=visit["visit_id"],
            technician_id=visit["technician_id"],
            technician_name=visit["technician_name"],
            starts_at=visit["starts_at"],
            ends_at=visit["ends_at"],
            state=visit["state"],
            is_announced=await self._is_announced(visit),
        )

    async def _is_announced(self, visit: VisitRecord) -> bool:
        """Whether the customer has read in a mail of their order since the order has this visit, and it names this very
        time."""
        if visit["order_id"] is None:
            return False
        deployment = await self._db.scalar(
            select(Deployment).where(
                Deployment.tenant_id == self._tenant_id,
                Deployment.order_id == visit["order_id"],
                Deployment.visit_id == visit["visit_id"],
                Deployment.state == "scheduled",
            )
        )
        if deployment is None or not await self._announcements.is_read(deployment):
            return False
        return await self._visits.is_promised(visit_id=visit["visit_id"], purpose="deployment")

    async def report_visit(
        self,
        *,
        visit_id: int,
        outcome: Literal["scanned", "no_access", "not_feasible"],
        serial: str | None = None,
        port: str | None = None,
        note: str | None = None,
        request_id: str | None = None,
    ) -> ReportedVisit:
        """Keep what the technician reports; a scan brings the serial, normalised, and may bring the actual port.

        Raises: InvalidRequest (all faults), VisitUnknown, VisitOver, VisitNotBegun (nobody can be missing yet),
        RequestConflict.
        """
        return await self._visits.report(
            visit_id=visit_id, outcome=outcome, serial=serial, port=port, note=note, request_id=request_id
        )

    async def move_link(self, *, visit_id: int) -> LinkTo | None:
        """For a mail about this visit: the link with which its customer moves it; None where they can't.

        Raises: VisitUnknown.
        """
        return await self._moves.link(await self._visits.visit(visit_id))

    async def complete_visit(
        self, *, visit_id: int, note: str | None = None, request_id: str | None = None
    ) -> ReportedVisit:
        """The technician is done. Whether the line works is for the journey to judge before it asks this.

        Raises: InvalidRequest, VisitUnknown, VisitOver (nothing was scanned, or it has ended), RequestConflict.
        """
        return await self._visits.report(visit_id=visit_id, outcome="completed", note=note, request_id=request_id)

    async def cancel_visit(self, *, visit_id: int, reason: str, request_id: str | None = None) -> ReportedVisit:
        """Call off a visit that has not ended: what a dispatcher does.

        Raises: InvalidRequest, VisitUnknown, VisitOver, RequestConflict.
        """
        return await self._visits.cancel(visit_id=visit_id, reason=reason, request_id=request_id)

    async def release_visit(self, *, visit_id: int, reason: str, stays: bool = False) -> VisitRecord:
        """Undo of ``schedule_installation``: the technician is free again, unless an order still needs the visit; one
        that has ended stays as it ended. ``stays``: it was moved, and is joined anew.

        Raises: InvalidRequest, VisitUnknown.
        """
        return await self._visits.leave(visit_id=visit_id, purpose="installation", reason=reason, stays=stays)


def _created(ticket: TicketRecord) -> CreatedTicket:
    return CreatedTicket(
        ticket_id=ticket["ticket_id"],
        customer_id=ticket["customer_id"],
        title=ticket["title"],
        priority=ticket["priority"],
        assigned_team=ticket["assigned_team"],
        state=ticket["state"],
        due_at=ticket["due_at"],
    )
