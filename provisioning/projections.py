"""What no run will carry over any more: subscribers whose wish FreeRADIUS does not show yet, and nobody is about to.

A run that an operator has ended by a skip, or that is held, leaves such a subscriber behind when the radius database
was down. What FreeRADIUS shows is compared by ``firstlight check``; here it is put right, one name or all of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.vault import VaultError
from radius import (
    BulkProjector,
    GivingWay,
    ProjectedSubscriber,
    RadiusDatabaseUnavailable,
    RadiusDatabaseUnfit,
    RadiusError,
    RadiusProjector,
)
from workflows import KeptResult, Services, open_results

T = TypeVar("T")

ALLOCATION = "allocate_resources"
"""The step whose result names the service and username that a run has made."""
ENDING = "end_service"
"""The step whose result names the service and username that a run is taking away."""
MANY = 100
"""From so many on, those of whom FreeRADIUS does not show what we want are carried over together."""
MANY_NEW = 1000
"""So many new ones change what PostgreSQL's planner should know; so does each doubling of them while it goes on, since
a plan that was kept from an empty table reads all of it for each batch."""
AT_ONCE = 5000
"""So many are carried over before there is a rest for those who log in meanwhile."""

log = structlog.get_logger(__name__)


def usernames_in_work(kept: Iterable[KeptResult]) -> set[str]:
    """Usernames whose run goes on by itself: what it has changed, it is about to carry over. Of ``ALLOCATION`` and
    ``ENDING``."""
    return {str(one.result["username"]) for one in kept if one.goes_on_by_itself}


@dataclass
class ToProject:
    """Of how many names: those whom FreeRADIUS does not show as we want them, with their numbers; and which of these
    have other rows, not only another note of them."""

    names: int
    subscribers: dict[str, int] = field(default_factory=dict)
    other_rows: set[str] = field(default_factory=set)


@dataclass
class ProjectedAll:
    """How many names, and how many plans and NASes, FreeRADIUS shows as we want them, of which of them rows had to be
    changed for that, and which could not be projected and why."""

    projected: int = 0
    definitions: int = 0
    changed: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)


class Projections:
    """Brings FreeRADIUS to what we want of subscribers. Every method may be repeated, also at the same time."""

    def __init__(
        self,
        read: Callable[[], AbstractAsyncContextManager[AsyncSession]],
        projector: RadiusProjector,
        bulk_projector: BulkProjector,
        giving_way: GivingWay,
        *,
        services: Callable[[AsyncSession], Services],
        tenant_id: str,
    ) -> None:
        self._read = read
        self._projector = projector
        self._bulk_projector = bulk_projector
        self._giving_way = giving_way
        self._services = services
        self._tenant_id = tenant_id

    async def catch_up(self) -> int:
        """Projects each subscriber whose last change is in nobody's hands, and before them the plans and NASes that are
        behind; returns how many subscribers.

        One that can't be projected does not stop the others; a radius database that does not answer does, until the
        next beat of the clock.
        """
        async with self._read() as db:
            behind = await self._services(db).radius_service.subscriber_ids(unprojected=True)
            given = await open_results(db, tenant_id=self._tenant_id, step=ALLOCATION)
            taken = await open_results(db, tenant_id=self._tenant_id, step=ENDING)
            in_work = usernames_in_work([*given, *taken])
        caught_up = 0
        try:
            waiting = {behind[username]: username for username in sorted(behind.keys() - in_work)}
            if len(waiting) >= MANY:
                caught_up, left = await self._together(list(waiting))
                waiting = {number: waiting[number] for number in left}
            else:
                await self._definitions()
            for number, username in waiting.items():
                one = self._projector.project_subscriber(number)
                caught_up += await _carried_over(one, kind="subscriber", username=username)
        except (RadiusDatabaseUnavailable, RadiusDatabaseUnfit) as error:
            log.warning("FreeRADIUS' tables can't be reached", waiting=len(behind), code=error.code)
        return caught_up

    async def _definitions(self) -> None:
        """The plans and NASes that are behind."""
        for kind, source_id, name in await self._projector.definitions(behind=True):
            await _carried_over(self._projector.project_one(kind, source_id), kind=kind, name=name)

    async def _together(
        self, numbers: Sequence[int], *, anew: bool = False, progress: Callable[[int], None] = lambda _names: None
    ) -> tuple[int, list[int]]:
        """Many, batch by batch, with a rest between for those who log in meanwhile; returns how many are carried over,
        and those who are to be projected one by one. ``anew``: whatever we have noted that FreeRADIUS shows of them.

        A plan or NAS that is changed meanwhile does not wait for all of them.
        """
        left: list[int] = []
        new = changed = counted = 0
        for start in range(0, len(numbers), AT_ONCE):
            some = numbers[start : start + AT_ONCE]
            await self._giving_way.rest()
            await self._definitions()
            async with self._giving_way.work():
                known = await self._bulk_projector.project_new(some, anew=anew)
                others = await self._bulk_projector.project_changed(known.left, anew=anew)
            new, changed = new + len(known.shown), changed + len(others.shown)
            left += others.left
            progress(len(some) - len(others.left))
            if many_more(new, counted, is_last=start + AT_ONCE >= len(numbers)):
                await self._bulk_projector.count_anew()
                counted = new
        return new + changed, left

    async def project(self, username: str, *, before_each: Callable[[int], None] | None = None) -> ProjectedSubscriber:
        """Brings every row of one name to what we want, whoever changed it. ``before_each`` is told its number first.

        Raises: SubscriberUnknown, and as ``RadiusProjector.project_subscriber``.
        """
        async with self._read() as db:
            subscriber = await self._services(db).radius_service.subscriber_named(username=username)
        if before_each is not None:
            before_each(subscriber["subscriber_id"])
        return await self._projector.project_subscriber(subscriber["subscriber_id"])

    async def look_at_all(self, *, looked: Callable[[int], None] = lambda _names: None) -> ToProject:
        """Every name there is or was beside FreeRADIUS' tables; ``looked`` is told of how many more at a time.

        Raises: RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        async with self._read() as db:
            known = await self._services(db).radius_service.subscriber_ids()
        found = ToProject(names=len(known))
        async for look in self._projector.looked_at(known):
            found.subscribers |= {name: known[name] for name in sorted(look.unlike)}
            found.other_rows |= look.other_rows
            looked(look.names)
        return found

    async def project_all(
        self, unlike: ToProject, *, progress: Callable[[int], None] = lambda _names: None
    ) -> ProjectedAll:
        """Brings to what we want every plan and NAS, and whoever was found ``unlike`` it: many of them together. Who
        was terminated is to have no rows.

        Raises: RadiusDatabaseUnavailable, RadiusDatabaseUnfit: what is before is done then; call again.
        """
        done = ProjectedAll(projected=unlike.names - len(unlike.subscribers))
        for kind, source_id, name in await self._projector.definitions():
            shown = await projected_or_why_not(self._projector.project_one(kind, source_id))
            if isinstance(shown, Exception):
                done.failed.append((f"{kind} {name}", str(shown)))
                continue
            done.definitions += 1
            if shown["changed"]:
                done.changed.append(f"{kind} {name}")
        waiting = {number: name for name, number in unlike.subscribers.items()}
        if len(waiting) >= MANY:
            _, left = await self._together(list(waiting), anew=True, progress=progress)
            together = waiting.keys() - set(left)
            done.projected += len(together)
            done.changed += sorted({waiting[number] for number in together} & unlike.other_rows)
            waiting = {number: waiting[number] for number in left}
        for number, name in waiting.items():
            one = await projected_or_why_not(self._projector.project_subscriber(number))
            progress(1)
            if isinstance(one, Exception):
                done.failed.append((name, str(one)))
                continue
            done.projected += 1
            if one["changed"]:
                done.changed.append(name)
        return done


def many_more(new: int, counted: int, *, is_last: bool) -> bool:
    """Whether the tables are to be counted anew: so many are new by now, and so many were when they last were."""
    return new >= max(MANY_NEW, counted + 1 if is_last else 2 * counted)


async def projected_or_why_not(projection: Awaitable[T]) -> T | RadiusError | VaultError:
    """What the projection answers, or what keeps this one, and no other, from being projected.

    Raises: RadiusDatabaseUnavailable, RadiusDatabaseUnfit: nor can any other.
    """
    try:
        return await projection
    except (RadiusDatabaseUnavailable, RadiusDatabaseUnfit):
        raise
    except (RadiusError, VaultError) as error:
        return error


async def _carried_over(projection: Awaitable[object], **which: object) -> bool:
    """False when this one can't be projected, which is logged with the reason. Raises: as ``projected_or_why_not``."""
    shown = await projected_or_why_not(projection)
    if isinstance(shown, RadiusError | VaultError):
        log.error("can't be projected", code=shown.code, reason=str(shown), **which)
        return False
    return True
