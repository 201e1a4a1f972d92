"""Calendar feeds: an address with a secret in it, for a technician or a team, that can be revoked.

Of the secret only a digest is kept; whoever has the address reads the calendar, without anything else.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from sqlalchemy import insert, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.field.departures import KEPT
from provisioning.field.errors import FeedUnknown, TechnicianUnknown
from provisioning.field.feed_tables import CalendarFeed, FormerTechnician
from provisioning.field.ical import Shown, render_calendar
from provisioning.field.tables import Technician, Visit
from provisioning.field.travel import place_of
from provisioning.intake import Clock, Faults

TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


class FeedRecord(TypedDict):
    """One feed, without what is secret of it."""

    feed_id: int
    technician_id: int | None
    team: str | None
    made_by: str
    revoked: bool


@dataclass(frozen=True)
class MadeFeed:
    """A new feed. ``token`` is told now and never again."""

    feed: FeedRecord
    token: str = field(repr=False)


class Feeds:
    """The calendar feeds of one ISP. Writes only ``db``; the caller commits. ``zone``: of those who have none."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock, zone: ZoneInfo) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._zone = zone

    async def make(self, *, technician_id: int | None = None, team: str | None = None, by: str) -> MadeFeed:
        """A new address for this technician's calendar, or this team's.

        Raises: InvalidRequest (one of the two is wanted), TechnicianUnknown.
        """
        faults = Faults("The calendar feed")
        name = faults.optional_line("team", team, longest=60)
        if (technician_id is None) == (name is None):
            faults.add("technician_id", "or team is wanted, one of the two")
        faults.refuse_if_any()
        if technician_id is not None and await self._db.get(Technician, (self._tenant_id, technician_id)) is None:
            raise TechnicianUnknown(technician_id)
        token = secrets.token_urlsafe(32)
        row = await self._db.scalar(
            insert(CalendarFeed)
            .values(
                tenant_id=self._tenant_id,
                digest=_digest(token),
                technician_id=technician_id,
                team=name,
                made_by=by,
                made_at=self._now(),
            )
            .returning(CalendarFeed)
        )
        assert row is not None
        return MadeFeed(_record(row), token)

    async def revoke(self, feed_id: int) -> FeedRecord:
        """The address answers no more. Once is enough. Raises: FeedUnknown."""
        row = await self._db.get(CalendarFeed, feed_id)
        if row is None or row.tenant_id != self._tenant_id:
            raise FeedUnknown(feed_id)
        row.revoked_at = row.revoked_at or self._now()
        await self._db.flush()
        return _record(row)

    async def feeds(self) -> list[FeedRecord]:
        """All of them, the oldest first."""
        query = select(CalendarFeed).where(CalendarFeed.tenant_id == self._tenant_id).order_by(CalendarFeed.id)
        return [_record(row) for row in await self._db.scalars(query)]

    async def read(self, token: str) -> bytes | None:
        """The calendar behind this address; None if there is none, or none any more."""
        if not TOKEN.fullmatch(token):
            return None
        feed = await self._db.scalar(
            select(CalendarFeed).where(
                CalendarFeed.tenant_id == self._tenant_id,
                CalendarFeed.digest == _digest(token),
                CalendarFeed.revoked_at.is_(None),
            )
        )
        if feed is None:
            return None
        people = await self._people(feed)
        zones = {each.time_zone for each in people if each.time_zone}
        zone = ZoneInfo(zones.pop()) if len(zones) == 1 else self._zone
        name = feed.team or next((each.name for each in people), "visits")
        shown = [*await self._visits(people), *await self._left(feed, people)]
        return render_calendar(name, shown, tenant_id=self._tenant_id, zone=zone, now=self._now())

    async def _people(self, feed: CalendarFeed) -> Sequence[Technician]:
        theirs = Technician.id == feed.technician_id if feed.team is None else Technician.team == feed.team
        query = select(Technician).where(Technician.tenant_id == self._tenant_id, theirs)
        return (await self._db.scalars(query.order_by(Technician.id))).all()

    async def _visits(self, people: Sequence[Technician]) -> list[Shown]:
        since = self._now() - KEPT
        names = {each.id: each.name for each in people}
        found = await self._db.scalars(
            select(Visit)
            .where(
                Visit.tenant_id == self._tenant_id,
                Visit.technician_id.in_(names),
                or_(
                    (Visit.state != "cancelled") & (Visit.ends_at > since),
                    (Visit.state == "cancelled") & (Visit.outcome_at > since),
                ),
            )
            .order_by(Visit.starts_at, Visit.id)
        )
        return [_shown(visit, names[visit.technician_id]) for visit in found]

    async def _left(self, feed: CalendarFeed, people: Sequence[Technician]) -> list[Shown]:
        """Visits that have left this calendar, unless one of these people has them; each as it was left last."""
        former = FormerTechnician.team == feed.team
        if feed.team is None:
            former = FormerTechnician.technician_id == feed.technician_id
        found = await self._db.execute(
            select(FormerTechnician, Visit)
            .join(Visit, Visit.id == FormerTechnician.visit_id)
            .where(
                FormerTechnician.tenant_id == self._tenant_id,
                former,
                FormerTechnician.left_at > self._now() - KEPT,
                Visit.technician_id.not_in([each.id for each in people]),
            )
            .order_by(FormerTechnician.id)
        )
        last = {visit.id: (left, visit) for left, visit in found}
        return [_off(left, visit) for left, visit in last.values()]


def _shown(visit: Visit, technician: str) -> Shown:
    place = place_of(visit.latitude, visit.longitude)
    told = [f"Visit {visit.id} of {technician}, customer {visit.customer_id}, {visit.state}."]
    if visit.outcome_note:
        told.append(visit.outcome_note)
    return Shown(
        visit_id=visit.id,
        title=_title(visit),
        starts_at=visit.starts_at,
        ends_at=visit.ends_at,
        address=visit.address,
        place=(place.latitude, place.longitude) if place else None,
        description=" ".join(told),
        is_off=visit.state == "cancelled",
        sequence=visit.sequence,
        booked_at=visit.booked_at,
        changed_at=visit.changed_at or visit.booked_at,
    )


def _off(left: FormerTechnician, visit: Visit) -> Shown:
    why = "somebody else goes there now"
    if visit.state == "cancelled":
        why = "it was called off"
    elif visit.technician_id == left.technician_id:
        why = "its technician is of another team now"
    return Shown(
        visit_id=visit.id,
        title=_title(visit),
        starts_at=left.starts_at,
        ends_at=left.ends_at,
        address=visit.address,
        place=None,
        description=f"Visit {visit.id}: {why}.",
        is_off=True,
        sequence=left.sequence,
        booked_at=visit.booked_at,
        changed_at=left.left_at,
    )


def _title(visit: Visit) -> str:
    return f"{visit.job or 'visit'}: {visit.address}"


def _record(row: CalendarFeed) -> FeedRecord:
    return FeedRecord(
        feed_id=row.id,
        technician_id=row.technician_id,
        team=row.team,
        made_by=row.made_by,
        revoked=row.revoked_at is not None,
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
