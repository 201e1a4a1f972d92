"""The search for a slot: who can come when, the best first, and what else there is for who came too late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.days import begin_of, day_of
from provisioning.field.fitting import Fitting
from provisioning.field.jobs import JobRecord
from provisioning.field.offers import Appointed, Candidate, Offer, Way, offers_on, rank
from provisioning.field.tables import LIVE_STATES, Technician, Visit
from provisioning.field.travel import Place, minutes_between, place_of
from provisioning.intake import Clock

MOST_DAYS = 31
AS_THE_CROW_FLIES = "straight line"
NEAR_ALTERNATIVES = 3
LOOKED_AHEAD_DAYS = 14


class OfferRecord(TypedDict):
    """A time at which a technician can come, and in words why it is offered in this place of the list."""

    technician_id: int
    technician_name: str
    starts_at: datetime
    ends_at: datetime
    arrives_until: datetime
    travel_minutes: int | None
    detour_minutes: int | None
    travel_by: str
    visits_that_day: int
    why: str


class Search:
    """Looks for slots in one ISP's calendar. Only reads ``db``. ``zone``: where days are told apart."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock, zone: ZoneInfo, way: Way | None = None) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._zone = zone
        self._way: Way = way or minutes_between
        self._fitting = Fitting(db, tenant_id=tenant_id)

    async def offers(
        self,
        *,
        job: JobRecord,
        place: Place | None,
        starts_after: datetime,
        days: int,
        technician_id: int | None = None,
        limit: int = 20,
    ) -> list[OfferRecord]:
        """Day by day the best first."""
        earliest = max(starts_after, self._now())
        first = day_of(earliest, self._zone)
        wanted = [first + timedelta(days=number) for number in range(min(days, MOST_DAYS))]
        people = await self._candidates(earliest, earliest + timedelta(days=len(wanted) + 1), technician_id, None)
        found: list[Offer] = []
        for day in wanted:
            found += offers_on(day, people, job, place, way=self._way, now=earliest)
            if len(found) >= limit:
                break
        return [_record(offer) for offer in found[:limit]]

    async def near(
        self, *, job: JobRecord, place: Place | None, starts_at: datetime, besides: int | None = None
    ) -> list[OfferRecord]:
        """What is nearest in time to a slot that is taken, whoever comes: day by day, until what is left is later.

        ``besides``: a visit that is to be moved, and is in nobody's way.
        """
        earliest = max(starts_at - timedelta(hours=12), self._now())
        first = day_of(earliest, self._zone)
        people = await self._candidates(earliest, earliest + timedelta(days=LOOKED_AHEAD_DAYS + 1), None, besides)
        nearest: list[Offer] = []
        for day in (first + timedelta(days=number) for number in range(LOOKED_AHEAD_DAYS)):
            if len(nearest) == NEAR_ALTERNATIVES and (
                abs(nearest[-1].starts_at - starts_at) <= begin_of(day, self._zone) - starts_at
            ):
                break
            nearest += offers_on(day, people, job, place, way=self._way, now=earliest)
            nearest.sort(key=lambda offer: (abs(offer.starts_at - starts_at), rank(offer)))
            del nearest[NEAR_ALTERNATIVES:]
        return [_record(offer) for offer in nearest]

    async def _candidates(
        self, begin: datetime, end: datetime, technician_id: int | None, besides: int | None
    ) -> list[Candidate]:
        query = select(Technician).where(Technician.tenant_id == self._tenant_id).order_by(Technician.id)
        if technician_id is not None:
            query = query.where(Technician.id == technician_id)
        people: Sequence[Technician] = (await self._db.scalars(query)).all()
        rosters = await self._fitting.rosters(people, zone=self._zone)
        visits = await self._visits(begin - timedelta(days=1), end + timedelta(days=1), besides)
        return [
            Candidate(
                technician_id=each.id,
                name=each.name,
                skills=frozenset(each.skills),
                home=place_of(each.home_latitude, each.home_longitude),
                roster=rosters[each.id],
                visits=tuple(visits.get(each.id, ())),
            )
            for each in people
        ]

    async def _visits(self, begin: datetime, end: datetime, besides: int | None) -> dict[int, list[Appointed]]:
        rows = await self._db.execute(
            select(
                Visit.technician_id,
                Visit.starts_at,
                func.coalesce(Visit.held_to, Visit.ends_at).label("busy_until"),
                Visit.latitude,
                Visit.longitude,
            )
            .where(
                Visit.tenant_id == self._tenant_id,
                Visit.state.in_(LIVE_STATES),
                Visit.starts_at < end,
                Visit.starts_at > begin - timedelta(days=7),
                func.coalesce(Visit.held_to, Visit.ends_at) > begin,
                Visit.id != (besides or 0),
            )
            .order_by(Visit.starts_at)
        )
        found: dict[int, list[Appointed]] = {}
        for row in rows:
            place = place_of(row.latitude, row.longitude)
            found.setdefault(row.technician_id, []).append(Appointed(row.starts_at, row.busy_until, place))
        return found


def _record(offer: Offer) -> OfferRecord:
    record: OfferRecord = {**asdict(offer), "travel_by": AS_THE_CROW_FLIES}  # type: ignore[typeddict-item]
    return record
