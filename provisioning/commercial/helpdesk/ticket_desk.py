"""Tickets: opened for a team, moved as `MOVES` allows, and listed in the order in which they are due."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, get_args

from sqlalchemy import Row, Select, insert, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.customers.customer import require_customer
from provisioning.commercial.helpdesk.ticket_errors import (
    TicketCancelled,
    TicketChanged,
    TicketMoveRefused,
    TicketUnknown,
)
from provisioning.commercial.helpdesk.ticket_tables import Ticket
from provisioning.commercial.notices.teams import require_team
from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.intake import Clock, Faults
from workflows.answers import CreatedTicket, TicketPriority, TicketState

DUE_WITHIN: dict[TicketPriority, timedelta] = {
    "urgent": timedelta(hours=4),
    "high": timedelta(days=1),
    "normal": timedelta(days=3),
    "low": timedelta(days=7),
}
"""From when it was opened until when it is to be dealt with, by the clock on the wall, nights and Sundays included."""

MOVES: dict[TicketState, tuple[TicketState, ...]] = {
    "open": ("inProgress", "resolved", "cancelled"),
    "inProgress": ("open", "resolved", "cancelled"),
    "resolved": ("closed", "inProgress"),
    "closed": (),
    "cancelled": (),
}
ENDED: tuple[TicketState, ...] = ("closed", "cancelled")
UNDONE: tuple[TicketState, ...] = ("open", "inProgress")
"""States in which somebody still has to do something, so that it can be overdue."""

LONGEST_NOTE = 1000
MOST_AT_ONCE = 500


_TICKET = Ticket.__table__.c
_RECORDS = select(
    _TICKET.id,
    _TICKET.customer_id,
    _TICKET.title,
    _TICKET.priority,
    _TICKET.assigned_team,
    _TICKET.state,
    _TICKET.due_at,
    _TICKET.description,
    _TICKET.created_at,
    _TICKET.ended_at,
    _TICKET.note,
    _TICKET.version,
)


class TicketRecord(CreatedTicket):
    """A ticket as an operator sees it."""

    description: str
    created_at: datetime
    ended_at: datetime | None
    note: str | None
    version: int


class TicketDesk:
    """The ISP's tickets. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def open(
        self,
        *,
        title: str,
        description: str,
        customer_id: int | None,
        priority: str,
        assigned_team: str,
        request_id: str | None = None,
    ) -> TicketRecord:
        """Open a ticket for a team; when it is due follows from its priority. The same request is one ticket.

        Raises: InvalidRequest (all faults), CustomerUnknown, TeamUnknown, RequestConflict, TicketCancelled (this
        request's ticket was, since), ChangeRaced.
        """
        faults = Faults("The ticket")
        wish: dict[str, Any] = {
            "title": faults.line("title", title),
            "description": faults.text("description", description),
            "customer_id": None if customer_id is None else faults.number("customer_id", customer_id),
            "priority": _one_of("priority", priority, get_args(TicketPriority), faults),
            "assigned_team": faults.line("assigned_team", assigned_team, longest=64),
        }
        request = faults.request_id(request_id)
        faults.refuse_if_any()
        if (known := await self._requested(request, wish)) is not None:
            return known
        if customer_id is not None:
            await require_customer(self._db, self._tenant_id, customer_id)
        await require_team(self._db, self._tenant_id, wish["assigned_team"])
        now = self._now()
        row = {
            "tenant_id": self._tenant_id,
            "request_id": request,
            "request_digest": _digest(wish),
            "state": "open",
            "created_at": now,
            "due_at": now + DUE_WITHIN[wish["priority"]],
            "version": 1,
        }
        try:
            async with self._db.begin_nested():
                opened = await self._db.scalar(insert(Ticket).values(**row, **wish).returning(Ticket))
        except IntegrityError as exc:
            if (known := await self._requested(request, wish)) is not None:
                return known
            raise ChangeRaced from exc
        assert opened is not None
        return _record(opened)

    async def update(
        self,
        *,
        ticket_id: int,
        state: str | None = None,
        priority: str | None = None,
        assigned_team: str | None = None,
        note: str | None = None,
        version: int | None = None,
    ) -> TicketRecord:
        """Change what is given; the rest stays. Another priority counts from when the ticket was opened. With
        ``version``, only if the ticket still is what its reader saw. A change to what is so already is none.

        Raises: InvalidRequest (all faults), TicketUnknown, TicketChanged, TicketMoveRefused, TeamUnknown.
        """
        faults = Faults("The change of a ticket")
        wanted_state = None if state is None else _one_of("state", state, get_args(TicketState), faults)
        wanted_priority = None if priority is None else _one_of("priority", priority, get_args(TicketPriority), faults)
        team = faults.optional_line("assigned_team", assigned_team, longest=64)
        said = faults.optional_line("note", note, longest=LONGEST_NOTE)
        faults.refuse_if_any()
        row = await self._row(ticket_id, lock=True)
        if version is not None and version != row.version:
            raise TicketChanged(row.id, row.version, version)
        if team is not None:
            await require_team(self._db, self._tenant_id, team)
        before = _record(row)
        self._move(row, wanted_state)
        if wanted_priority is not None and wanted_priority != row.priority:
            row.priority, row.due_at = wanted_priority, row.created_at + DUE_WITHIN[wanted_priority]
        row.assigned_team = team or row.assigned_team
        row.note = said or row.note
        if _record(row) != before:
            row.version += 1
            await self._db.flush()  # a later question in this transaction must find it changed
        return _record(row)

    async def cancel(self, *, ticket_id: int, note: str) -> TicketRecord:
        """Take a ticket back: cancelled, unless it has been dealt with; then it stays as it ended.

        Raises: InvalidRequest, TicketUnknown.
        """
        row = await self._row(ticket_id, lock=True)
        if row.state not in UNDONE:
            return _record(row)
        return await self.update(ticket_id=ticket_id, state="cancelled", note=note)

    async def ticket(self, ticket_id: int) -> TicketRecord:
        """Raises: TicketUnknown."""
        return _record(await self._row(ticket_id))

    async def tickets(
        self,
        *,
        states: Sequence[TicketState] = (),
        team: str | None = None,
        customer_id: int | None = None,
        overdue: bool = False,
        after: int | None = None,
        limit: int = 50,
    ) -> list[TicketRecord]:
        """In the order in which they are due. ``after``: the number of the last one of the page before.

        Raises: TicketUnknown (there is no ``after``).
        """
        query = _RECORDS.where(_TICKET.tenant_id == self._tenant_id).order_by(_TICKET.due_at, _TICKET.id)
        if states:
            query = query.where(_TICKET.state.in_(states))
        if team is not None:
            query = query.where(_TICKET.assigned_team == team)
        if customer_id is not None:
            query = query.where(_TICKET.customer_id == customer_id)
        if overdue:
            query = query.where(_TICKET.state.in_(UNDONE), _TICKET.due_at < self._now())
        if after is not None:
            last = await self._row(after)
            query = query.where(tuple_(_TICKET.due_at, _TICKET.id) > (last.due_at, last.id))
        return [_record(row) for row in await self._db.execute(query.limit(min(limit, MOST_AT_ONCE)))]

    async def of_requests(self, request_ids: Sequence[str]) -> dict[str, TicketRecord]:
        """The tickets that these requests have opened, by request."""
        query = _RECORDS.add_columns(_TICKET.request_id).where(
            _TICKET.tenant_id == self._tenant_id, _TICKET.request_id.in_(request_ids)
        )
        return {str(row.request_id): _record(row) for row in await self._db.execute(query)}

    def _move(self, row: Ticket, wanted: TicketState | None) -> None:
        if wanted is None or wanted == row.state:
            return
        if wanted not in MOVES[row.state]:
            raise TicketMoveRefused(row.id, row.state, wanted, MOVES[row.state])
        row.state = wanted
        row.ended_at = self._now() if wanted in ENDED else None

    async def _requested(self, request_id: str | None, wish: dict[str, Any]) -> TicketRecord | None:
        """The ticket that this request has opened, if it has; what became of it since doesn't matter."""
        if request_id is None:
            return None
        row = await self._db.scalar(
            self._mine().where(Ticket.request_id == request_id).execution_options(populate_existing=True)
        )
        if row is None:
            return None
        if row.request_digest != _digest(wish):
            raise RequestConflict(request_id, f"ticket {row.id}")
        if row.state == "cancelled":
            raise TicketCancelled(row.id)
        return _record(row)

    async def _row(self, ticket_id: int, *, lock: bool = False) -> Ticket:
        query = self._mine().where(Ticket.id == ticket_id)
        row = await self._db.scalar(
            (query.with_for_update() if lock else query).execution_options(populate_existing=True)
        )
        if row is None:
            raise TicketUnknown(ticket_id)
        return row

    def _mine(self) -> Select[Ticket]:
        return select(Ticket).where(Ticket.tenant_id == self._tenant_id)


def _one_of(field: str, value: object, known: tuple[Any, ...], faults: Faults) -> Any:
    if value not in known:
        faults.add(field, f"is none of {', '.join(known)}")
    return value


def _digest(wish: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(wish, sort_keys=True).encode()).hexdigest()


def _record(row: Ticket | Row[*tuple[Any, ...]]) -> TicketRecord:
    return TicketRecord(
        ticket_id=row.id,
        customer_id=row.customer_id,
        title=row.title,
        priority=row.priority,
        assigned_team=row.assigned_team,
        state=row.state,
        due_at=row.due_at,
        description=row.description,
        created_at=row.created_at,
        ended_at=row.ended_at,
        note=row.note,
        version=row.version,
    )
