"""Whether a customer may move their visit themselves: how often, and until when before it begins.

Each move uses up the one-time link of a mail, and only a mail that tells of the new time brings another; so the links
that were used for a visit, or for those of its order, are its moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.field.records import VisitRecord
from provisioning.field.tables import Visit
from provisioning.intake import Clock
from provisioning.links import count_uses
from workflows.answers import LinkTo

WhyNot = Literal["over", "too_late", "too_often"]


@dataclass(frozen=True)
class MoveTerms:
    """How long before a visit, and how often, its customer moves it. ``most`` 0: not at all."""

    notice: timedelta
    most: int


NO_MOVES = MoveTerms(timedelta(0), 0)


@dataclass(frozen=True)
class Standing:
    """``until``: until when it may be moved; ``why_not``: what is in the way already; ``left``: how often yet."""

    until: datetime
    left: int
    why_not: WhyNot | None


class CustomerMoves:
    """Looks at visits. Only reads ``db``."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock, terms: MoveTerms) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._terms = terms

    async def standing(self, visit: VisitRecord, *, being_used: int = 0) -> Standing:
        """Whether, and until when. ``being_used``: links that count, and have yet to do what they are for."""
        until = visit["starts_at"] - self._terms.notice
        subjects = [str(visit_id) for visit_id in await self._of_the_order(visit)]
        used = await count_uses(self._db, tenant_id=self._tenant_id, purpose="move_visit", subjects=subjects)
        left = max(0, self._terms.most - used + being_used)
        return Standing(until, left, self._why_not(visit, until, left))

    async def link(self, visit: VisitRecord) -> LinkTo | None:
        """What a mail about the visit says for a link; None where nothing can be moved with it."""
        standing = await self.standing(visit)
        if standing.why_not is not None:
            return None
        return LinkTo("move_visit", str(visit["visit_id"]), standing.until)

    @property
    def earliest(self) -> datetime:
        """Nothing sooner is offered: dispatch has to hear of it, too."""
        return self._now() + self._terms.notice

    async def _of_the_order(self, visit: VisitRecord) -> list[int]:
        """The visit, and those that its order had before: a run that joins it anew may have called one off."""
        if visit["order_id"] is None:
            return [visit["visit_id"]]
        found = await self._db.scalars(
            select(Visit.id).where(
                Visit.tenant_id == self._tenant_id,
                Visit.customer_id == visit["customer_id"],
                Visit.order_id == visit["order_id"],
            )
        )
        return list(found)

    def _why_not(self, visit: VisitRecord, until: datetime, left: int) -> WhyNot | None:
        if visit["state"] != "booked" or visit["starts_at"] <= self._now():
            return "over"
        if until <= self._now():
            return "too_late"
        return None if left else "too_often"
