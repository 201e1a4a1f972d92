"""Acts, projections that die between two commits and rows changed by hand, in any order, through the real FreeRADIUS:
nobody is served who never was to be, and in the end everything is as it was wished last."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.ext.asyncio import AsyncSession

from radius import CreatedSubscriber, PlanTerms, RadiusProjector, SubscriberVerbs
from radius.projection.freeradius_tables import radcheck, radgroupreply, radreply, radusergroup
from radius.testing import LabNas
from tests.radius.conftest import PLAN, Site, soon

OTHER, GARDEN = "fiber-500", "garden"
RATES = {PLAN: "20000k/100000k", OTHER: "50000k/500000k", GARDEN: "256k/512k"}
REFUSED = None
BETWEEN = (1, 2, 3, 4, 5, 6)
"""A projection opens so many transactions, or fewer."""


class Killed(Exception):
    """The process is gone."""


@dataclass
class Wished:
    """What FreeRADIUS shall say of one subscriber: the rate of whom it lets in. ``may_say``: what it may still say
    until the last wish is carried over."""

    subscriber: CreatedSubscriber
    state: str = "pending"
    plan: str = PLAN
    garden: str | None = None
    may_say: set[str | None] = field(default_factory=lambda: {REFUSED})

    @property
    def rate(self) -> str | None:
        if self.state == "suspended":
            return REFUSED if self.garden is None else RATES[self.garden]
        return RATES[self.plan] if self.state in ("active", "testing") else REFUSED

    def wish(self, **said: str | None) -> None:
        for name, value in said.items():
            setattr(self, name, value)
        self.may_say.add(self.rate)


@dataclass
class Walk:
    """Two subscribers, whatever happens to them."""

    site: Site
    nas: LabNas
    chance: Random
    lines: Sequence[Wished]

    async def act(self, line: Wished) -> None:
        """One of the acts that its state allows."""
        number = line.subscriber["subscriber_id"]
        async with self.site.database.begin() as db:
            verbs = SubscriberVerbs(db, tenant_id=self.site.tenant_id, now=self.site.now, secrets=self.site.secrets)
            service = self.site.service(db)
            if line.state == "pending":
                if self.chance.random() < 0.5:
                    await service.begin_testing(subscriber_id=number, until=soon())
                    return line.wish(state="testing")
                await service.activate(subscriber_id=number)
                return line.wish(state="active")
            if line.state == "testing":
                await service.return_to_pending(subscriber_id=number)
                return line.wish(state="pending")
            if line.state == "suspended" and self.chance.random() < 0.5:
                await verbs.resume(subscriber_id=number)
                return line.wish(state="active", garden=None)
            if self.chance.random() < 0.5:
                garden = self.chance.choice([None, GARDEN])
                await verbs.suspend(subscriber_id=number, garden=garden)
                return line.wish(state="suspended", garden=garden)
            plan = self.chance.choice([PLAN, OTHER])
            await verbs.change_plan(subscriber_id=number, plan=plan)
            return line.wish(plan=plan)

    async def vandalise(self, line: Wished) -> None:
        """Somebody takes rows away, changes them or adds one, by hand."""
        name, seconds = line.subscriber["username"], str(self.chance.randrange(60, 10**6))
        done = self.chance.choice(
            [
                delete(radusergroup).where(radusergroup.c.username == name),
                delete(radcheck).where(radcheck.c.username == name),
                update(radcheck).where(radcheck.c.username == name).values(value="another"),
                insert(radreply).values(username=name, attribute="Session-Timeout", op="=", value=seconds),
                delete(radgroupreply).where(radgroupreply.c.groupname.startswith(f"{self.site.tenant_id}/{line.plan}")),
            ]
        )
        async with self.site.radius_database.begin() as db:
            await db.execute(done)
        for each in self.lines:
            each.may_say.add(REFUSED)

    async def project(self, line: Wished, projector: RadiusProjector) -> None:
        await projector.project_subscriber(line.subscriber["subscriber_id"])
        line.may_say = {line.rate}

    async def die(self, line: Wished) -> None:
        """A projection that is killed before one of its transactions, whichever database it is in."""
        site, opened, last = self.site, 0, self.chance.choice(BETWEEN)

        def dying(
            begin: Callable[[], AbstractAsyncContextManager[AsyncSession]],
        ) -> Callable[[], AbstractAsyncContextManager[AsyncSession]]:
            @asynccontextmanager
            async def begun() -> AsyncIterator[AsyncSession]:
                nonlocal opened
                opened += 1
                if opened == last:
                    raise Killed
                async with begin() as db:
                    yield db

            return begun

        both = (dying(site.database.begin), dying(site.radius_database.begin))
        common: dict[str, Any] = {"tenant_id": site.tenant_id, "now": site.now, "secrets": site.secrets}
        try:
            await self.project(line, RadiusProjector(*both, **common))
        except Killed:
            line.may_say.add(REFUSED)

    async def heard(self, line: Wished) -> str | None:
        reply = await self.nas.login(line.subscriber["username"], await self.site.password(line.subscriber))
        return reply.first("Mikrotik-Rate-Limit") if reply.accepted else REFUSED


@pytest.mark.both_databases
@pytest.mark.parametrize("seed", [1, 2, *(pytest.param(seed, marks=pytest.mark.second_half) for seed in (3, 4))])
async def test_whatever_happens_in_between_the_last_wish_is_what_is_served(site: Site, seed: int) -> None:
    chance = Random(seed)
    async with site.database.begin() as db:
        for name, terms in ((OTHER, PlanTerms(500_000, 50_000)), (GARDEN, PlanTerms(512, 256))):
            await site.service(db).define_plan(name=name, terms=terms)
    await site.projector.project_plans()
    walk = Walk(site, await site.nas(), chance, [Wished(await site.create()) for _ in range(2)])
    for line in walk.lines:  # before that, rows of its name would be somebody else's
        await walk.project(line, site.projector)
    deaths = 0
    for _ in range(40):
        line = chance.choice(walk.lines)
        what = chance.choice([walk.act, walk.act, walk.die, walk.vandalise, "project"])
        if what == "project":
            await walk.project(line, site.projector)
        else:
            assert callable(what)
            await what(line)
            deaths += what == walk.die
        for each in walk.lines:
            assert await walk.heard(each) in each.may_say, (what, each)
    assert deaths > 3
    for line in walk.lines:
        await walk.project(line, site.projector)
        assert await walk.heard(line) == line.rate
    names = {line.subscriber["username"] for line in walk.lines}
    assert [each for each in await site.projector.drift() if each.name in names or site.tenant_id in each.name] == []
