"""The door to what needs a person: every source is asked, what has one cause is folded together, the worst is first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession

from acs import fleet_trouble, stopped_campaigns
from ipam import AddressLookup, Behind, NetworkService
from provisioning.attention import network
from provisioning.attention.items import Attention, Item, Target, summed_up, worst_first
from provisioning.attention.outages import WINDOW, LostLine, Outage, elsewhere, outages, outages_at_nases
from provisioning.attention.work import Work, of_check
from provisioning.check_records import last_check
from provisioning.commercial import CustomerSearch, failing_messages
from provisioning.days import minute
from provisioning.field import VisitRecord
from provisioning.intake import Clock
from provisioning.sight import Sight
from provisioning.webhooks import failing_webhooks
from radius import (
    LostSession,
    NasGuard,
    RadiusDatabaseUnavailable,
    RadiusDatabaseUnfit,
    SessionLooks,
    SessionLosses,
    sessions_behind,
)
from workflows import RunSummary

MOST_FOLDED, MOST_NAMED = 20, 3
OF_SILENT_NASES = "radius.nas_heard"
"""The invariant that says of the last check what this look says of now."""


class AttentionDesk:
    """Looks at everything that may need a person, bound to one transaction; of what may be seen. Nothing is written,
    and nobody outside is asked.
    """

    def __init__(
        self,
        db: AsyncSession,
        *,
        tenant_id: str,
        now: Clock,
        sight: Sight,
        work: Work,
        addresses: AddressLookup,
        pools: NetworkService,
        sessions: SessionLooks,
        losses: SessionLosses,
    ) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._sight = sight
        self._work = work
        self._addresses = addresses
        self._pools = pools
        self._sessions = sessions
        self._losses = losses

    async def look(self) -> Attention:
        """What needs a person now. A RADIUS database that can't be read is an item, and hides none of the others."""
        groups, visits = await self._work.held_groups(), await self._work.todays_visits()
        unread = list[Item]()
        try:
            guards = await self._guards()
            down, lost_elsewhere = await self._outages(guards)
        except (RadiusDatabaseUnavailable, RadiusDatabaseUnfit) as error:
            guards, down, lost_elsewhere = list[NasGuard](), list[Outage](), None
            unread = [network.of_unread_radius(error)]
        at_lines = await self._work.held_at_lines(groups) if down else []
        folded = [run for run in at_lines if any(each.may_hold(run) for each in down)]
        places = await self._places_of_visits(visits) if down else {}
        items = [*unread, *[_outage_item(each, folded, visits, places, guards) for each in down]]
        items += await self._work.of_overdue()
        items += await self._work.of_runs(groups, folded)
        items += await self._work.of_events()
        items += await self._work.of_visits(visits)
        items += await self._work.of_visits_in_vain()
        items += await self._work.of_host_names()
        items += [each for each in network.of_nases(guards) if not _is_at(each, down)]
        items += [each for each in await self._behind(guards) if not _is_at(each, down)]
        items += await self._others()
        last = await last_check(self._db, tenant_id=self._tenant_id)
        items += [each for each in of_check(last, self._now(), self._sight) if not _is_told_live(each, guards)]
        looked_at = self._now()
        return Attention(
            looked_at=looked_at,
            is_quiet=not items,
            sentence=summed_up(items, looked_at),
            items=await self._named(worst_first(items)),
            checked_at=last.checked_at if last is not None and self._sight.may("runs.operate") else None,
            lost_elsewhere=lost_elsewhere,
        )

    async def _named(self, items: Sequence[Item]) -> list[Item]:
        """Each with the names of the first of those whom it concerns, as far as these may be seen."""
        wanted = sorted({number for item in items for number in item.customers[:MOST_NAMED]})
        if not wanted or not self._sight.may("customers.read"):
            return list(items)
        search = CustomerSearch(self._db, tenant_id=self._tenant_id, among=self._sight.customers)
        names = await search.numbered(wanted)
        return [
            replace(item, for_whom=[names[number] for number in item.customers[:MOST_NAMED] if number in names])
            for item in items
        ]

    async def _guards(self) -> list[NasGuard]:
        return await self._sessions.guards() if self._sight.may("subscribers.read") else []

    async def _behind(self, guards: Sequence[NasGuard]) -> list[Item]:
        """What was changed, and some NAS does not bring about."""
        if not self._sight.may("subscribers.read"):
            return []
        found = await sessions_behind(self._db, tenant_id=self._tenant_id, now=self._now())
        return network.of_sessions_behind(found, guards)

    async def _others(self) -> list[Item]:
        """What has nothing to do with lines that are down."""
        sight, now, items = self._sight, self._now(), list[Item]()
        if sight.may("addresses.read"):
            pools = await self._pools.outlook()
            items += network.of_pools(pools, now, await self._pools.levels_since(pools))
        if sight.may("devices.read"):
            states = network.WAITING_STATES
            items += network.of_cpes(await fleet_trouble(self._db, tenant_id=self._tenant_id, states=states), now)
            items += network.of_campaigns(await stopped_campaigns(self._db, tenant_id=self._tenant_id))
        if sight.may("webhooks.read") or sight.may("runs.operate"):
            items += network.of_webhooks(await failing_webhooks(self._db, tenant_id=self._tenant_id, now=now))
        if sight.may("mails.read"):
            items += network.of_messages(await failing_messages(self._db, tenant_id=self._tenant_id, now=now))
        return items

    async def _outages(self, guards: Sequence[NasGuard]) -> tuple[list[Outage], int | None]:
        """What is down, and how many sessions were lost besides."""
        if not self._sight.may("subscribers.read"):
            return [], 0
        lost = {each["username"]: each for each in await self._losses.within(WINDOW)}
        if not lost:
            return [], 0
        places = await self._addresses.places_of(list(lost))
        lines = [
            LostLine(
                username=each["username"],
                customer_id=each["customer_id"],
                behind=(each["bng"], each["access_node"], each["port"]),
                lost_at=lost[each["username"]]["lost_at"],
            )
            for each in places
        ]

        async def count(place: Sequence[str | None], most: int) -> int:
            return await self._addresses.services_behind(place, most=most)

        found = await outages(lines, count)
        placed = {line.username for line in lines}
        nowhere = [each for name, each in lost.items() if name not in placed]
        at_nases = _down_nases(nowhere, guards, found)
        counted = sum(outage.lost for outage in at_nases)
        return [*found, *at_nases], elsewhere(lines, found) + len(nowhere) - counted

    async def _places_of_visits(self, visits: Sequence[VisitRecord]) -> dict[str, Behind]:
        """Where the premises are connected to which somebody goes today."""
        names = {visit["location"] for visit in visits if visit["location"]}
        return await self._addresses.places_of_locations(names) if names else {}


def _outage_item(
    outage: Outage,
    held: Sequence[RunSummary],
    visits: Sequence[VisitRecord],
    places: Mapping[str, Behind],
    guards: Sequence[NasGuard],
) -> Item:
    going = [
        f"Visit {visit['visit_id']} of {visit['technician_name']} at {minute(visit['starts_at'])} goes there."
        for visit in visits
        if _goes_there(visit, outage, places)
    ]
    runs = [
        f"Run {run.id} for customer {run.customer_id}, who is there, is held in {run.current_step}."
        for run in held
        if outage.may_hold(run)
    ]
    folded = _first(going, "visit goes there", "visits go there")
    folded += _first(runs, "run for those who are there is held", "runs for those who are there are held")
    folded += [each.sentence for each in network.of_nases(guards) if _is_at(each, [outage])]
    target = Target("bng", outage.bng) if outage.level == "bng" else Target("access_node", outage.access_node or "")
    return Item(
        kind="outage",
        urgency="now",
        sentence=f"{outage.is_down} since {minute(outage.since)}: {outage.lost} of {outage.of} lines lost their"
        " session within ten minutes and are not back.",
        target=target,
        since=outage.since,
        count=outage.lost,
        customers=sorted(outage.customers),
        folded=folded,
    )


def _goes_there(visit: VisitRecord, outage: Outage, places: Mapping[str, Behind]) -> bool:
    """By the location that it goes to; by whom it is for only where nobody knows that."""
    behind = places.get(visit["location"] or "")
    if behind is not None:
        return outage.holds(behind)
    return visit["customer_id"] in outage.customers


def _first(sentences: Sequence[str], one: str, many: str) -> list[str]:
    """The first of them, and how many others there are."""
    more = len(sentences) - MOST_FOLDED
    if more <= 0:
        return list(sentences)
    return [*sentences[:MOST_FOLDED], f"And {more} more {one if more == 1 else many}."]


def _down_nases(lost: Sequence[LostSession], guards: Sequence[NasGuard], found: Sequence[Outage]) -> list[Outage]:
    times: dict[str, list[LostSession]] = {}
    for each in lost:
        times.setdefault(each["nas"], []).append(each)
    still_open = {guard["nas"] or guard["nas_address"]: guard["open_sessions"] for guard in guards}
    known = {outage.bng for outage in found if outage.level == "bng"}
    moments = {name: [each["lost_at"] for each in some] for name, some in times.items() if name not in known}
    return outages_at_nases(moments, still_open)


def _is_told_live(item: Item, guards: Sequence[NasGuard]) -> bool:
    """That a NAS is silent is one thing, whether the last check has found it too or not."""
    return item.target == Target("check", OF_SILENT_NASES) and any(each["silent_since"] for each in guards)


def _is_at(item: Item, down: Sequence[Outage]) -> bool:
    """A NAS that says nothing any more behind a BNG of its name that is down is no trouble of its own."""
    return any(outage.level == "bng" and outage.bng == item.target.id for outage in down)
