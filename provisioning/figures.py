"""Calm numbers: how the network and the work are doing when nobody need do anything, and how they came to that.

Only what was written down is shown over time: how full pools were, when runs ended, how many sessions were open. Where
nothing was written down there is the number of now, and the word that there is no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from ipam import NetworkService, PoolOutlook, PoolSampleAt
from provisioning.intake import Clock
from provisioning.session_counts import counts_since
from provisioning.sight import Sight
from radius import RadiusDatabaseUnavailable, RadiusDatabaseUnfit, SessionLooks
from workflows import EndedInHour, ended_by_hour

HOURS = 24
SESSIONS_FOR = timedelta(hours=HOURS)
POOLS_FOR = timedelta(days=7)
FULLEST = 4
TOO_SOON = "No history yet."


@dataclass(frozen=True)
class Point:
    """How much it was at this moment."""

    at: datetime
    value: float


@dataclass(frozen=True)
class Figure:
    """One number: what it counts, how much it is now, in words, and how it came to that, the oldest first. ``most`` is
    the largest that it can be; ``gap`` says why there is no history, where there is none.
    """

    name: str
    now: str
    points: list[Point] = field(default_factory=list)
    most: float | None = None
    gap: str = ""


class FiguresDesk:
    """Looks the numbers up, bound to one transaction, of what may be seen. Nothing is written."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        tenant_id: str,
        now: Clock,
        sight: Sight,
        pools: NetworkService,
        sessions: SessionLooks,
    ) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._sight = sight
        self._pools = pools
        self._sessions = sessions

    async def look(self) -> list[Figure]:
        """The numbers of now. Where the radius database can't be read, how many sessions are open is not known."""
        figures: list[Figure] = []
        if self._sight.may("subscribers.read"):
            before = await counts_since(self._db, tenant_id=self._tenant_id, since=self._now() - SESSIONS_FOR)
            try:
                nases = await self._sessions.guards()
                figures.append(of_sessions([nas["open_sessions"] for nas in nases], before, self._now()))
            except (RadiusDatabaseUnavailable, RadiusDatabaseUnfit) as error:
                figures.append(of_unread_sessions(before, str(error)))
        if self._sight.may("runs.read"):
            begins = self._now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
            hours = await ended_by_hour(
                self._db, tenant_id=self._tenant_id, begins=begins, hours=HOURS, among=self._sight.runs
            )
            figures.append(of_runs(hours))
        if self._sight.may("addresses.read"):
            samples = await self._pools.samples(since=self._now() - POOLS_FOR)
            figures += of_pools(await self._pools.outlook(), samples, self._now())
        return figures


def of_sessions(open_at_nases: Sequence[int], before: Sequence[tuple[datetime, int]], now: datetime) -> Figure:
    """How many sessions are open, at how many NASes, as the worker has counted them; unknown, where it has not."""
    name, points = "Sessions open", [Point(at, many) for at, many in before]
    if not open_at_nases:
        return Figure(name, "not counted lately", points, gap="" if len(points) > 1 else "No worker has counted them.")
    many, nases = sum(open_at_nases), len(open_at_nases)
    told = f"{many} at {nases} {'NAS' if nases == 1 else 'NASes'}"
    return Figure(name, told, [*points, Point(now, many)] if points else [], gap="" if points else TOO_SOON)


def of_unread_sessions(before: Sequence[tuple[datetime, int]], why: str) -> Figure:
    """What was counted before, and that nobody knows how many are open now."""
    return Figure("Sessions open", "not known now", [Point(at, many) for at, many in before], gap=why)


def of_runs(hours: Sequence[EndedInHour]) -> Figure:
    """How many runs ended in these hours, and how many of them as they should."""
    ended, completed = sum(hour.ended for hour in hours), sum(hour.completed for hour in hours)
    now = f"{ended} in {len(hours)} hours, {completed} of them completed"
    if not ended:
        return Figure("Runs ended", f"none in {len(hours)} hours", gap=TOO_SOON)
    return Figure("Runs ended", now, [Point(hour.begins, hour.ended) for hour in hours])


def of_pools(pools: Sequence[PoolOutlook], samples: dict[str, list[PoolSampleAt]], now: datetime) -> list[Figure]:
    """The fullest pools, and how full they were when the clock looked."""
    figures = []
    for pool in sorted(pools, key=lambda one: (-one["used_percent"], one["pool"]))[:FULLEST]:
        points = [Point(each["at"], each["used_percent"]) for each in samples.get(pool["pool"], [])]
        figures.append(
            Figure(
                f"Pool {pool['pool']}",
                f"{pool['used_percent']:g} % used, {pool['free']} of {pool['size']} free",
                [*points, Point(now, pool["used_percent"])] if points else [],
                most=100.0,
                gap="" if points else TOO_SOON,
            )
        )
    return figures
