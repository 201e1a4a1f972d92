"""The search for a slot: who can come when, the best first, and what else there is for who came too late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.days import begin_of, day_of
from provisioning.field.fitting import Asked, Fitting
from provisioning.field.jobs import JobRecord
from provisioning.field.offers import UNKNOWN_MINUTES, Appointed, Candidate, Offer, offers_at, offers_on, rank
from provisioning.field.tables import LIVE_STATES, Technician, Visit
from provisioning.field.travel import Place, place_of
from provisioning.field.ways import AS_THE_CROW_FLIES, Asking, Ways
from provisioning.intake import Clock

MOST_DAYS = 31
NEAR_ALTERNATIVES = 3
AROUND = timedelta(hours=12)
LOOKED_AHEAD_DAYS = (2, 14)
"""For something near; the later ones only if there was too little before."""
LOOKED_AT_ONCE = 25
"""So many technicians."""
DAYS_IN_A_WEEK = 7
ENOUGH_TIMES = 60
"""To choose from, of the days that are looked at."""


class SlotOffer(TypedDict):
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

    def __init__(
        self, db: AsyncSession, *, tenant_id: str, now: Clock, zone: ZoneInfo, ways: Ways = AS_THE_CROW_FLIES
    ) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._zone = zone
        self._ways = ways
        self._fitting = Fitting(db, tenant_id=tenant_id, ways=ways)

    async def offers(
        self,
        *,
        job: JobRecord,
        place: Place | None,
        starts_after: datetime,
        days: int,
        technician_id: int | None = None,
        limit: int = 20,
        most_a_day: int | None = None,
        besides: int | None = None,
    ) -> list[SlotOffer]:
        """Day by day the best first. ``besides``: a visit that is to be moved, and is in nobody's way."""
        people = await self._able(job, technician_id)
        earliest = max(starts_after, self._now())
        found: list[Offer] = []
        candidates = await self._candidates(people, earliest, min(days, MOST_DAYS), besides)
        await self._learn(candidates, place)
        for day in self._days(earliest, min(days, MOST_DAYS)):
            found += offers_on(day, candidates, job, place, way=self._ways.minutes, now=earliest)[:most_a_day]
            if len(found) >= limit:
                break
        return [self._record(offer, place) for offer in found[:limit]]

    async def is_anybody_able(self, job: JobRecord) -> bool:
        """Whether any technician has the skills that it needs, whenever they work."""
        return bool(await self._able(job))

    async def near(self, asked: Asked) -> list[SlotOffer]:
        """What is nearest in time to a slot that can't be had, whoever comes.

        Of many technicians those are looked at first who live near, and the next days before the later ones, until
        there is enough to choose from: so it takes no longer where there are more of them.
        """
        earliest = self._earliest(asked, asked.starts_at - AROUND)
        parts = await self._parts(asked)
        found: list[Offer] = []
        for days, part in product(LOOKED_AHEAD_DAYS, parts):
            if len(found) >= NEAR_ALTERNATIVES:
                break
            offers = await self._found(part, asked, earliest, days)
            found += [offer for offer in offers if offer not in found]  # the nearer days are looked at twice
            found.sort(key=lambda offer: (abs(offer.starts_at - asked.starts_at), rank(offer)))
            found = _each_time_once(found) if asked.each_time_once else found
        return [self._record(offer, asked.place) for offer in found[:NEAR_ALTERNATIVES]]

    async def times(self, asked: Asked, *, days: int) -> list[SlotOffer]:
        """When anybody can come on so many days from then on, each time once, the earliest first; with whoever has the
        least way then. Of many technicians no more are looked at than it takes to have times enough."""
        earliest, found = self._earliest(asked, asked.starts_at), list[Offer]()
        for part in await self._parts(asked):
            found = _each_time_once(sorted(found + await self._found(part, asked, earliest, days), key=rank))
            if len(found) >= ENOUGH_TIMES:
                break
        return [self._record(offer, asked.place) for offer in sorted(found, key=lambda offer: offer.starts_at)]

    async def on_day(self, asked: Asked) -> list[SlotOffer]:
        """What can be had from then on until that day is over, the best first, as ``offers`` ranks it."""
        found = await self._found(await self._able(asked.job), asked, self._earliest(asked, asked.starts_at), 1)
        return [self._record(offer, asked.place) for offer in found]

    async def at(self, asked: Asked, *, only_offered: bool = False) -> list[SlotOffer]:
        """Who can come at this very moment, whatever minute it is, the best first; nobody once it is over.

        ``only_offered``: at a moment, and in hours, that ``times`` may offer. It need not be among what is offered now:
        a time that was shown stays to be had as long as somebody is free.
        """
        if self._earliest(asked, asked.starts_at) != asked.starts_at:
            return []
        people = await self._able(asked.job, asked.technician_id)
        candidates = await self._candidates(people, asked.starts_at, 1, asked.besides)
        await self._learn(candidates, asked.place)
        when, what, way = asked.starts_at, asked.job, self._ways.minutes
        found = offers_at(when, candidates, what, asked.place, way=way, only_offered=only_offered)
        return [self._record(offer, asked.place) for offer in found if _is_wanted(offer, asked)]

    async def first(self, asked: Asked, *, days: int) -> SlotOffer | None:
        """The earliest that can be had on so many days from then on, with whoever has the least way then; None:
        nothing."""
        earliest, people = self._earliest(asked, asked.starts_at), await self._able(asked.job)
        for week in range(0, days, DAYS_IN_A_WEEK):
            begin = earliest if week == 0 else begin_of(self._days(earliest, week + 1)[-1], self._zone)
            found = await self._found(people, asked, begin, min(DAYS_IN_A_WEEK, days - week))
            if found:
                return self._record(min(found, key=lambda offer: (offer.starts_at, rank(offer))), asked.place)
        return None

    async def ways_of(self, asked: Asked) -> Asking | None:
        """Asks for the ways that ``on_day`` and ``at`` compare; None: nothing is to be asked."""
        if not self._ways.asks or asked.place is None:
            return None
        candidates = await self._candidates(await self._able(asked.job), asked.starts_at, 1, asked.besides)
        return self._ways.to_ask(_places_of(candidates), around=asked.place)

    async def _learn(self, candidates: Sequence[Candidate], place: Place | None) -> None:
        """What is known of the ways to and from there is known before they are compared."""
        await self._ways.learn(_places_of(candidates), around=place)

    def _record(self, offer: Offer, place: Place | None) -> SlotOffer:
        record = {name: value for name, value in asdict(offer).items() if name != "comes_from"}
        by = self._ways.by(offer.comes_from, place)
        return {**record, "travel_by": by}  # type: ignore[typeddict-item]

    def _earliest(self, asked: Asked, wanted: datetime) -> datetime:
        return max(wanted, asked.not_before or wanted, self._now())

    async def _parts(self, asked: Asked) -> list[list[Technician]]:
        """Who is able to do it, those who live near first, as many at once as are looked at together."""
        able = await self._able(asked.job, asked.technician_id)
        people = sorted(able, key=lambda each: self._from_home(each, asked.place))
        return [people[start : start + LOOKED_AT_ONCE] for start in range(0, len(people), LOOKED_AT_ONCE)]

    async def _found(self, part: Sequence[Technician], asked: Asked, earliest: datetime, days: int) -> list[Offer]:
        candidates = await self._candidates(part, earliest, days, asked.besides)
        await self._learn(candidates, asked.place)
        found: list[Offer] = []
        for day in self._days(earliest, days):
            found += offers_on(day, candidates, asked.job, asked.place, way=self._ways.minutes, now=earliest)
        return [offer for offer in found if _is_wanted(offer, asked)]

    async def _able(self, job: JobRecord, technician_id: int | None = None) -> list[Technician]:
        """Who has the skills that the job needs; ``technician_id``: nobody else."""
        query = select(Technician).where(Technician.tenant_id == self._tenant_id).order_by(Technician.id)
        if technician_id is not None:
            query = query.where(Technician.id == technician_id)
        return [each for each in await self._db.scalars(query) if set(each.skills) >= set(job["skills"])]

    def _from_home(self, who: Technician, place: Place | None) -> tuple[int, int]:
        way = self._ways.minutes(place_of(who.home_latitude, who.home_longitude), place)
        return UNKNOWN_MINUTES if way is None else way, who.id

    def _days(self, earliest: datetime, days: int) -> list[date]:
        first = day_of(earliest, self._zone)
        return [first + timedelta(days=number) for number in range(days)]

    async def _candidates(
        self, people: Sequence[Technician], earliest: datetime, days: int, besides: int | None = None
    ) -> list[Candidate]:
        """These people with what they have to do on so many days from then on."""
        rosters = await self._fitting.rosters(people, zone=self._zone)
        until = earliest + timedelta(days=days + 2)
        visits = await self._visits([each.id for each in people], earliest - timedelta(days=1), until, besides)
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

    async def _visits(
        self, technicians: Sequence[int], begin: datetime, end: datetime, besides: int | None
    ) -> dict[int, list[Appointed]]:
        rows = await self._db.execute(
            select(
                Visit.technician_id,
                Visit.starts_at,
                func.coalesce(Visit.held_to, Visit.ends_at).label("busy_until"),
                Visit.latitude,
                Visit.longitude,
                Visit.held_from,
            )
            .where(
                Visit.tenant_id == self._tenant_id,
                Visit.technician_id.in_(technicians),
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
            found.setdefault(row.technician_id, []).append(
                Appointed(row.starts_at, row.busy_until, place, row.held_from)
            )
        return found


def _is_wanted(offer: Offer, asked: Asked) -> bool:
    if offer.starts_at == asked.but_not_at or (offer.technician_id, offer.starts_at) == asked.but_not_as:
        return False
    return asked.not_after is None or offer.ends_at <= asked.not_after


def _each_time_once(offers: Sequence[Offer]) -> list[Offer]:
    """The first of each time."""
    first: dict[datetime, Offer] = {}
    for offer in offers:
        first.setdefault(offer.starts_at, offer)
    return list(first.values())


def _places_of(candidates: Sequence[Candidate]) -> list[Place | None]:
    """Where they come from, and where they are before and after."""
    return [each.home for each in candidates] + [visit.place for each in candidates for visit in each.visits]
