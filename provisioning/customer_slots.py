"""The customer's door to their own visit: what it is, when else it could be, and its move to such a time.

They choose a time, never a technician: whoever is free then, able to do the job and has the least way comes. Of a visit
that is no job anybody has described, nobody knows what it takes, so it stays with its technician. Hours and skills are
never overridden, nor is the time in which a run keeps its addresses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.dispatch import DispatchDesk, asked_for
from provisioning.field import (
    Asked,
    CustomerMoves,
    NobodyFree,
    NoTimeChosen,
    Search,
    SlotOffer,
    Standing,
    VisitNotMovable,
    VisitRecord,
    Visits,
)
from provisioning.intake import Clock

DAYS_AT_ONCE = 7
FURTHEST = timedelta(days=28)
"""From now on, as far as a customer may put it off; half as long from the visit on, where that is later."""
CHOSEN = "the customer chose another time, by the link in their mail"


@dataclass(frozen=True)
class OwnVisit:
    """A visit as its customer sees it. ``times``: when else it could be; ``later_from``: there may be more."""

    visit: VisitRecord
    standing: Standing
    times: list[SlotOffer]
    later_from: datetime | None


@dataclass(frozen=True)
class Chosen:
    """A time that was chosen for a visit as it was ``seen``, and who comes then."""

    seen: VisitRecord
    asked: Asked
    technician_id: int


class CustomerSlots:
    """Looks and moves within the caller's transaction."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        dispatch: DispatchDesk,
        search: Search,
        moves: CustomerMoves,
        tenant_id: str,
        now: Clock,
    ) -> None:
        self._dispatch = dispatch
        self._search = search
        self._moves = moves
        self._now = now
        self._visits = Visits(db, tenant_id=tenant_id, now=now)

    async def visit(self, visit_id: int) -> VisitRecord:
        """The visit that a link leads to; of an order that has another one by now, that. Raises: VisitUnknown."""
        return await self._visits.in_its_place(visit_id)

    async def standing(self, visit: VisitRecord) -> Standing:
        """Whether its customer can move it, and until when."""
        return await self._moves.standing(visit)

    async def look(self, visit_id: int, *, starts_after: datetime | None = None) -> OwnVisit:
        """The visit, and the times of a week that could be had in its place.

        Raises: VisitUnknown, JobUnknown.
        """
        visit = await self.visit(visit_id)
        standing = await self._moves.standing(visit)
        if standing.why_not is not None:
            return OwnVisit(visit, standing, [], None)
        asked = await self._asked(visit, max(starts_after or self._moves.earliest, self._moves.earliest))
        times = await self._search.times(asked, days=DAYS_AT_ONCE)
        later = asked.starts_at + timedelta(days=DAYS_AT_ONCE)
        is_last = asked.not_after is not None and later >= asked.not_after
        return OwnVisit(visit, standing, times, None if is_last else later)

    async def choose(self, *, seen: VisitRecord, starts_at: datetime) -> Chosen:
        """Looks who comes at this time. Nothing is held until it is moved: a search keeps nobody from writing.

        Raises: NoTimeChosen, VisitNotMovable, JobUnknown; NobodyFree (with what was asked for).
        """
        if starts_at == seen["starts_at"]:
            raise NoTimeChosen(seen["visit_id"])
        await self._refuse_unless_movable(seen)
        asked = await self._asked(seen, starts_at)
        with asked_for(asked):
            free = await self._search.at(asked, only_offered=True)
            if not free:
                raise NobodyFree(seen["visit_id"], starts_at)
        return Chosen(seen, asked, free[0]["technician_id"])

    async def move(self, chosen: Chosen, *, by: str) -> VisitRecord:
        """Moves it to this time, if it still is as it was seen. The one-time link that allows this was used up in
        this transaction, and counts.

        Raises: VisitUnknown, VisitChanged, VisitNotMovable, VisitOver, HoldEnds, JobUnknown, ChangeRaced;
        TechnicianBusy, OutsideHours and SkillMissing (with what was asked for).
        """
        with asked_for(chosen.asked):
            moved = await self._dispatch.reschedule(
                visit_id=chosen.seen["visit_id"],
                technician_id=chosen.technician_id,
                starts_at=chosen.asked.starts_at,
                reason=CHOSEN,
                seen=chosen.seen,
                by=by,
            )
        # only with its lock is it known which other links of it were used
        await self._refuse_unless_movable(chosen.seen, being_used=1)
        return moved

    async def _refuse_unless_movable(self, visit: VisitRecord, *, being_used: int = 0) -> None:
        """Raises: VisitNotMovable."""
        why = (await self._moves.standing(visit, being_used=being_used)).why_not
        if why is not None:
            raise VisitNotMovable(visit["visit_id"], why)

    async def _asked(self, visit: VisitRecord, starts_at: datetime) -> Asked:
        asked = await self._dispatch.asked(visit, starts_at)
        furthest = max(self._now() + FURTHEST, visit["starts_at"] + FURTHEST / 2)
        kept = await self._dispatch.kept_until(visit)
        return replace(
            asked,
            technician_id=visit["technician_id"] if visit["job"] is None else None,
            not_before=self._moves.earliest,
            not_after=furthest if kept is None else min(furthest, kept),
            each_time_once=True,
            but_not_at=visit["starts_at"],
        )
