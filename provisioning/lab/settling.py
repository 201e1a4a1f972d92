"""The town's history: its customers come one after the other, at a clock that is set back to when they did.

Everything goes through the services that a running ISP goes through; only accounting of past days, which FreeRADIUS
can't be asked to write any more, is written beside it.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from provisioning.address_files import opened as opened_addresses
from provisioning.bootstrap import Appliance, open_appliance
from provisioning.estate import import_estate
from provisioning.lab.demo import Say
from provisioning.lab.town import HISTORY, SILENT, Home, address_file, arrivals, premises, subscriber_file
from provisioning.session_counts import COUNT_EVERY, SessionCount
from provisioning.subscriber_files import bring_in, opened
from radius.testing import PastSession, write_past_sessions, write_silence

ESTATE = "town-estate.toml"
COUNTED_FOR = timedelta(hours=24)
ACCOUNTED_FOR = timedelta(days=30)
SILENT_FOR = timedelta(minutes=50)
GIGABYTE = 10**9
CAUSES = ("User-Request", "Lost-Carrier", "Session-Timeout", "User-Request")


class PastClock:
    """A clock that stands where it was set."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


@asynccontextmanager
async def set_back(appliance: Appliance) -> AsyncIterator[tuple[Appliance, PastClock]]:
    """The same appliance by a clock of its own, which stands where it is set; at first at what it is now."""
    clock = PastClock(appliance.clock())
    async with open_appliance(appliance.settings, clock=clock.now) as then:
        yield then, clock


async def import_town(appliance: Appliance, estate: Path, home: Path, *, more: str = "") -> None:
    """The town's network, its houses and what there is ``more``; ``home`` is where the whole file is written."""
    await import_estate(appliance, await asyncio.to_thread(_written, estate, home / ESTATE, more))


def _written(estate: Path, whole: Path, more: str) -> Path:
    parts = [estate.read_text(encoding="utf-8"), premises(), more]
    whole.write_text("\n".join(parts), encoding="utf-8")
    return whole


async def settle(appliance: Appliance, everybody: Sequence[Home], say: Say) -> dict[str, str]:
    """Everybody comes, as long ago as they did; the pools are looked at meanwhile. Returns each line's password."""
    passwords = {home.username: secrets.token_urlsafe(9) for home in everybody}
    now = appliance.clock()
    async with set_back(appliance) as (then, clock):
        for moment, came in arrivals(everybody, now):
            clock.moment = moment
            if came:
                await _move_in(then, came, passwords)
            await then.tell_pool_levels()
    say(f"  {len(everybody)} customers have moved in, the first of them {HISTORY.days} days ago")
    return passwords


async def _move_in(then: Appliance, came: Sequence[Home], passwords: dict[str, str]) -> None:
    addresses = await opened_addresses(then, "csv", content=address_file(came).encode())
    async with then.database.begin() as db:
        customers = then.customers(db)
        for home in came:
            await customers.register(
                customer_id=home.customer_id, name=home.name, email=home.email, phone=home.phone, language="en"
            )
        await then.inventory(db).bring_in(addresses)
        places = await then.address_lookup(db).places_of([home.username for home in came])
    services = {place["username"]: place["service_id"] for place in places}
    accounts = await opened(subscriber_file(came, services, passwords).encode())
    await bring_in(then, accounts, audited=lambda _counts: None)


async def write_history(appliance: Appliance, everybody: Sequence[Home], addresses: dict[str, str]) -> None:
    """A month of accounting, and how many sessions were open in the last day. ``addresses`` of the NASes, by name."""
    now, chance = appliance.clock(), random.Random(7)
    past = [session for home in everybody for session in _sessions_of(home, addresses[home.bng], now, chance)]
    silent = [each for each in past if each.ended_at is None]
    async with appliance.radius_database.begin() as db:
        await write_past_sessions(db, past)
        await write_silence(db, addresses[SILENT], since=now - SILENT_FOR, now=now, sessions=len(silent))
    async with appliance.database.begin() as db:
        db.add_all(
            SessionCount(tenant_id=appliance.tenant_id, at=at, open_sessions=many)
            for at, many in _counts(past, everybody, now)
        )


def _sessions_of(home: Home, nas_address: str, now: datetime, chance: random.Random) -> Iterator[PastSession]:
    """One after the other, each of some days; the last one ends a little before the one that is open now began. At the
    BNG that is silent nobody knows of its end."""
    if home.is_suspended:
        return
    came = now - min(timedelta(days=home.came_before_days), ACCOUNTED_FOR)
    began = came + timedelta(hours=chance.uniform(0, 40))
    open_since = now - timedelta(minutes=home.online_for_minutes)
    last_word = now - SILENT_FOR if home.bng == SILENT else open_since - timedelta(seconds=chance.uniform(10, 90))
    while began < last_word:
        ended = min(began + timedelta(days=chance.uniform(1, 12)), last_word)
        is_last = ended == last_word
        yield PastSession(
            username=home.username,
            nas_address=nas_address,
            nas_port=home.port,
            calling_station=spelt(home.station),
            ipv4=home.ipv4,
            delegated_prefix=home.delegated_prefix,
            started_at=began,
            heard_at=ended,
            ended_at=None if is_last and home.bng == SILENT else ended,
            cause=None if is_last and home.bng == SILENT else chance.choice(CAUSES),
            input_octets=int(chance.expovariate(1) * GIGABYTE),
            output_octets=int(chance.expovariate(1) * 9 * GIGABYTE),
        )
        began = ended + timedelta(seconds=chance.uniform(5, 1800))


def spelt(station: str) -> str:
    """A MAC address as a MikroTik tells it."""
    return ":".join(station[at : at + 2] for at in range(0, len(station), 2)).upper()


def _counts(past: Sequence[PastSession], everybody: Sequence[Home], now: datetime) -> Iterator[tuple[datetime, int]]:
    """As the worker would have counted every ten minutes: of these how many were open, and of those that still are."""
    present = [
        now - timedelta(minutes=home.online_for_minutes)
        for home in everybody
        if not home.is_suspended and home.bng != SILENT
    ]
    for step in range(COUNTED_FOR // COUNT_EVERY, 0, -1):
        at = now - COUNT_EVERY * step
        were = sum(each.started_at <= at and (each.ended_at is None or each.ended_at > at) for each in past)
        yield at, were + sum(began <= at for began in present)
