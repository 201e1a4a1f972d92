"""How full the pools have been, as the clock sees it: never within an allocation, which would queue all writers up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import Select, String, bindparam, delete, func, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.answers import PoolUsage
from ipam.tables import Pool, PoolSample, UtcDateTime, table_of
from ipam.upkeep.answers import PoolCrossing, PoolOutlook, PoolSampleAt
from ipam.usage import usage
from ipam.usage.chains import Chain, Supply, chains, together
from ipam.usage.looks import LOOK_BACK, NOT_KNOWN, look_alone
from ipam.usage.running_dry import LEVELS, Level, Limits, days_left, level_of, shown, units_per_day

_SAMPLE = table_of(PoolSample)
SAMPLE_EVERY = timedelta(hours=6)
"""Unless a threshold was crossed, which is written at once."""
KEPT_FOR = timedelta(days=90)
_BEFORE_ALL = literal(datetime(1970, 1, 1, tzinfo=UTC), UtcDateTime)


@dataclass(frozen=True)
class _Pool:
    pool_id: int
    name: str
    limits: Limits
    level: Level
    """As of the last sample."""
    sampled_at: datetime | None
    then: datetime | None
    """When the oldest sample within ``LOOK_BACK`` was taken of which it is known how many were somebody's, and how many
    those and in quarantine were; None: there is none."""
    used_then: int


@dataclass(frozen=True)
class _Seen:
    """A pool as it is now, and how bad that is for those whom it serves: by its chain in which least is left."""

    pool: _Pool
    used: PoolUsage
    per_day: float | None
    level: Level
    chain: Chain
    supply: Supply
    """Of that chain."""

    @property
    def days_left(self) -> float | None:
        return _rounded(days_left(self.supply.free, self.supply.per_day))


async def sample_pools(db: AsyncSession, *, tenant_id: str, at: datetime) -> list[PoolCrossing]:
    """Look at every pool, write down what has changed or is due, and tell which thresholds were crossed.

    For the clock; the same crossing is told once, however many clocks there are, as long as what it is told to is
    written in the same transaction.
    """
    if not await look_alone(db, tenant_id):  # of two clocks at once one looks
        return []
    crossings: list[PoolCrossing] = []
    samples: list[dict[str, Any]] = []
    for seen in await _seen(db, tenant_id, at):
        pool = seen.pool
        crossed = seen.level != pool.level
        is_due = pool.then is None or pool.sampled_at is None or at - pool.sampled_at >= SAMPLE_EVERY
        if not crossed and not is_due:
            continue
        if pool.sampled_at is None or at > pool.sampled_at:
            samples.append(_sample(tenant_id, pool, seen.used, seen.level, at))
            if crossed:
                crossings.append(_crossing(seen, at))
    if samples:
        await db.execute(insert(_SAMPLE), samples)
        await db.execute(delete(_SAMPLE).where(_SAMPLE.c.tenant_id == tenant_id, _SAMPLE.c.at < at - KEPT_FOR))
    return crossings


async def outlook(db: AsyncSession, *, tenant_id: str, at: datetime) -> list[PoolOutlook]:
    """How bad it is with each pool, and in how many days it will be full, from what the last seven have brought."""
    return [
        PoolOutlook(
            **seen.used,
            level=shown(seen.level, seen.supply.free),
            chain=list(seen.chain),
            chain_size=seen.supply.size,
            chain_free=seen.supply.free,
            units_per_day=None if seen.per_day is None else round(seen.per_day, 2),
            days_to_exhaustion=seen.days_left,
        )
        for seen in await _seen(db, tenant_id, at)
    ]


async def _seen(db: AsyncSession, tenant_id: str, at: datetime) -> list[_Seen]:
    pools, in_chains = await _pools(db, tenant_id, at), await chains(db, tenant_id)
    every = await usage.read(db, tenant_id, at=at)
    rates = {used["pool"]: _per_day(pools[used["pool"]], used, at) for used in every}
    supplies = {
        used["pool"]: Supply(used["size"], used["free"], used["reserved"] + used["draining"], rates[used["pool"]])
        for used in every
    }
    found = []
    for used in every:
        name, pool = used["pool"], pools[used["pool"]]
        of_chains = []
        for chain in in_chains.get(name) or [(name,)]:
            supply = together(chain, supplies)
            known = {"size": supply.size, "free": supply.free, "kept": supply.kept}
            level = level_of(**known, before=pool.level, limits=pool.limits)
            of_chains.append((LEVELS.index(level), -supply.free, chain, supply))
        worst, _, chain, supply = max(of_chains, key=lambda each: each[:2])
        found.append(_Seen(pool, used, rates[name], LEVELS[worst], chain, supply))
    return found


async def levels_since(db: AsyncSession, *, tenant_id: str, levels: Mapping[str, str]) -> dict[str, datetime]:
    """Since when pools have been at these levels, by name, but for those that are ok: the first look that saw it, after
    the last one that saw another. One that is critical may have been exhausted meanwhile, or still be told so
    (``shown``). Left out: a pool that no look has seen at it since."""
    found: dict[str, datetime] = {}
    seen, other = _SAMPLE.alias("seen"), _SAMPLE.alias("other")
    for level in sorted({level for level in levels.values() if level != "ok"}):
        names = [name for name, its in levels.items() if its == level]
        at_it = ("critical", "exhausted") if level == "critical" else (level,)
        others = other.c.level.not_in(at_it)
        another = select(func.max(other.c.at)).where(other.c.pool_id == Pool.id, others).correlate(Pool)
        # an end of the index, asked once for each pool: not again for every look at it in three months
        after = func.coalesce(another.scalar_subquery(), _BEFORE_ALL)
        first = select(seen.c.at).where(seen.c.pool_id == Pool.id, seen.c.level.in_(at_it), seen.c.at > after)
        since = first.order_by(seen.c.at).limit(1).correlate(Pool).scalar_subquery()
        query = select(Pool.name, since.label("since")).where(Pool.tenant_id == tenant_id, Pool.name.in_(names))
        found.update({name: at for name, at in await db.execute(query) if at is not None})
    return found


async def samples_since(db: AsyncSession, *, tenant_id: str, since: datetime) -> dict[str, list[PoolSampleAt]]:
    """Of each pool what was written down since then, the oldest first; a pool without any is left out."""
    query = (
        select(Pool.name, PoolSample.at, PoolSample.free, PoolSample.size)
        .join(Pool, Pool.id == PoolSample.pool_id)
        .where(PoolSample.tenant_id == tenant_id, PoolSample.at >= since)
        .order_by(PoolSample.at)
    )
    found: dict[str, list[PoolSampleAt]] = {}
    for name, at, free, size in await db.execute(query):
        used = 100.0 if size == 0 else round(100 * (size - free) / size, 1)
        found.setdefault(name, []).append(PoolSampleAt(at=at, free=free, used_percent=used))
    return found


def _with_samples() -> Select[Any]:
    """Every pool with its last sample and the oldest since ``since`` that tells how many units were used; one look-up
    along the index for each."""
    of_pool = select(PoolSample.id).where(PoolSample.pool_id == Pool.id).limit(1).correlate(Pool)
    since = bindparam("since", type_=UtcDateTime)
    last_id = of_pool.order_by(PoolSample.at.desc()).scalar_subquery()
    is_known = PoolSample.assigned != NOT_KNOWN
    first_id = of_pool.where(PoolSample.at >= since, is_known).order_by(PoolSample.at).scalar_subquery()
    last, first = (table_of(PoolSample).alias(name) for name in ("last", "first"))
    return (
        select(
            Pool.id,
            Pool.name,
            Pool.warn_percent,
            Pool.crit_percent,
            Pool.minimum_free,
            last.c.level,
            last.c.at.label("last_at"),
            first.c.at.label("first_at"),
            first.c.assigned,
            first.c.quarantined,
        )
        .select_from(Pool)
        .outerjoin(last, last.c.id == last_id)
        .outerjoin(first, first.c.id == first_id)
        .where(Pool.tenant_id == bindparam("tenant_id", type_=String), Pool.framed_pool.is_(None))
    )


_WITH_SAMPLES = _with_samples()  # made once: to make it costs more than to have it answered


async def _pools(db: AsyncSession, tenant_id: str, at: datetime) -> dict[str, _Pool]:
    rows = await db.execute(_WITH_SAMPLES, {"tenant_id": tenant_id, "since": at - LOOK_BACK})
    return {
        row.name: _Pool(
            row.id,
            row.name,
            Limits(row.warn_percent, row.crit_percent, row.minimum_free),
            cast(Level, row.level or "ok"),
            row.last_at,
            row.first_at,
            (row.assigned or 0) + (row.quarantined or 0),
        )
        for row in rows
    }


def _sample(tenant_id: str, pool: _Pool, used: PoolUsage, level: Level, at: datetime) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "pool_id": pool.pool_id,
        "at": at,
        "size": used["size"],
        "assigned": used["assigned"],
        "quarantined": used["quarantined"],
        "reserved": used["reserved"],
        "draining": used["draining"],
        "free": used["free"],
        "level": level,
    }


def _crossing(seen: _Seen, at: datetime) -> PoolCrossing:
    pool, used = seen.pool, seen.used
    return PoolCrossing(
        pool_id=pool.pool_id,
        pool=used["pool"],
        kind=used["kind"],
        network=used["network"],
        level=seen.level,
        previous_level=pool.level,
        chain=list(seen.chain),
        chain_size=seen.supply.size,
        chain_free=seen.supply.free,
        at=at,
        size=used["size"],
        free=used["free"],
        used_percent=used["used_percent"],
        next_available_at=used["next_available_at"],
        days_to_exhaustion=seen.days_left,
    )


def _per_day(pool: _Pool, used: PoolUsage, at: datetime) -> float | None:
    if pool.then is None:
        return None
    used_now = used["assigned"] + used["quarantined"]
    return units_per_day(used_then=pool.used_then, then=pool.then, used_now=used_now, now=at)


def _rounded(days: float | None) -> float | None:
    return None if days is None else round(days, 1)
