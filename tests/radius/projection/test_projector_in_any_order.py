"""Acts, projections that die between two commits and rows changed by hand, in any order, through the real FreeRADIUS:
nobody is served who never was to be, and in the end everything is as it was wished last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import Executable, delete, insert, update
from sqlalchemy.ext.asyncio import AsyncSession

from radius import CreatedSubscriber, PlanTerms, RadiusProjector, SubscriberVerbs
from radius.projection.freeradius_tables import radcheck, radgroupreply, radreply, radusergroup
from radius.testing import LabNas
from tests.radius.conftest import PLAN, Site, soon
from tests.support.machines import walk

T = TypeVar("T")
Begin = Callable[[], AbstractAsyncContextManager[AsyncSession]]

OTHER, GARDEN = "fiber-500", "garden"
RATES = {PLAN: "20000k/100000k", OTHER: "50000k/500000k", GARDEN: "256k/512k"}
REFUSED = None
EITHER = st.sampled_from([0, 1])
SERVED = ("active", "suspended")
IN_SERVICE = ("begin_testing", "activate", "return_to_pending")
"""The acts of an installation; the others are verbs."""
MOST_TRANSACTIONS = 6
"""A projection opens so many, or fewer."""
DONE_WITHIN_SECONDS = 60
VANDALS: Mapping[str, Callable[[str, str, str], Executable]] = {
    "its groups go": lambda name, _group, _value: delete(radusergroup).where(radusergroup.c.username == name),
    "its checks go": lambda name, _group, _value: delete(radcheck).where(radcheck.c.username == name),
    "its checks change": lambda name, _group, _value: (
        update(radcheck).where(radcheck.c.username == name).values(value="another")
    ),
    "a reply comes": lambda name, _group, value: insert(radreply).values(
        username=name, attribute="Session-Timeout", op="=", value=value
    ),
    "its plan goes": lambda _name, group, _value: delete(radgroupreply).where(
        radgroupreply.c.groupname.startswith(group)
    ),
}


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


class Projections(RuleBasedStateMachine):
    """Two subscribers, and whatever happens to them; after each step both log in."""

    site: Site
    nas: LabNas
    loop: asyncio.AbstractEventLoop
    """Where the site's databases are opened; the machine itself walks in a thread."""
    deaths: list[int]

    def __init__(self) -> None:
        super().__init__()
        self.lines = [Wished(self.do(self.site.create())) for _ in range(2)]
        for line in self.lines:  # before that, rows of its name would be somebody else's
            self.do(self.carry_over(line, self.site.projector))

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(DONE_WITHIN_SECONDS)

    async def act(self, line: Wished, act: str, **said: Any) -> None:
        async with self.site.database.begin() as db:
            verbs = SubscriberVerbs(db, tenant_id=self.site.tenant_id, now=self.site.now, secrets=self.site.secrets)
            acting = self.site.service(db) if act in IN_SERVICE else verbs
            await getattr(acting, act)(subscriber_id=line.subscriber["subscriber_id"], **said)

    async def carry_over(self, line: Wished, projector: RadiusProjector) -> None:
        await projector.project_subscriber(line.subscriber["subscriber_id"])
        line.may_say = {line.rate}

    async def heard(self, line: Wished) -> str | None:
        reply = await self.nas.login(line.subscriber["username"], await self.site.password(line.subscriber))
        return reply.first("Mikrotik-Rate-Limit") if reply.accepted else REFUSED

    @rule(number=EITHER, tests=st.booleans())
    def begin(self, number: int, tests: bool) -> None:
        line = self.lines[number]
        if line.state != "pending":
            return
        if tests:
            self.do(self.act(line, "begin_testing", until=soon()))
        else:
            self.do(self.act(line, "activate"))
        line.wish(state="testing" if tests else "active")

    @rule(number=EITHER)
    def go_back(self, number: int) -> None:
        line = self.lines[number]
        if line.state == "testing":
            self.do(self.act(line, "return_to_pending"))
            line.wish(state="pending")
        elif line.state == "suspended":
            self.do(self.act(line, "resume"))
            line.wish(state="active", garden=None)

    @rule(number=EITHER, garden=st.sampled_from([None, GARDEN]))
    def suspend(self, number: int, garden: str | None) -> None:
        line = self.lines[number]
        if line.state in SERVED:
            self.do(self.act(line, "suspend", garden=garden))
            line.wish(state="suspended", garden=garden)

    @rule(number=EITHER, plan=st.sampled_from([PLAN, OTHER]))
    def change_plan(self, number: int, plan: str) -> None:
        line = self.lines[number]
        if line.state in SERVED:
            self.do(self.act(line, "change_plan", plan=plan))
            line.wish(plan=plan)

    @rule(number=EITHER, how=st.sampled_from(sorted(VANDALS)), seconds=st.integers(60, 10**6))
    def vandalise(self, number: int, how: str, seconds: int) -> None:
        """Somebody takes rows away, changes them or adds one, by hand."""
        line = self.lines[number]

        async def by_hand() -> None:
            group = f"{self.site.tenant_id}/{line.plan}"
            async with self.site.radius_database.begin() as db:
                await db.execute(VANDALS[how](line.subscriber["username"], group, str(seconds)))

        self.do(by_hand())
        for each in self.lines:
            each.may_say.add(REFUSED)

    @rule(number=EITHER)
    def project(self, number: int) -> None:
        self.do(self.carry_over(self.lines[number], self.site.projector))

    @rule(number=EITHER, last=st.integers(1, MOST_TRANSACTIONS))
    def die(self, number: int, last: int) -> None:
        """A projection that is killed before one of its transactions, whichever database it is in."""
        line, opened = self.lines[number], count(1)

        def dying(begin: Begin) -> Begin:
            @asynccontextmanager
            async def begun() -> AsyncIterator[AsyncSession]:
                if next(opened) == last:
                    raise Killed
                async with begin() as db:
                    yield db

            return begun

        both = (dying(self.site.database.begin), dying(self.site.radius_database.begin))
        common: dict[str, Any] = {"tenant_id": self.site.tenant_id, "now": self.site.now, "secrets": self.site.secrets}
        try:
            self.do(self.carry_over(line, RadiusProjector(*both, **common)))
        except Killed:
            self.deaths.append(last)
            line.may_say.add(REFUSED)

    @invariant()
    def nobody_is_served_who_never_was_to_be(self) -> None:
        for line in self.lines:
            assert self.do(self.heard(line)) in line.may_say

    def teardown(self) -> None:
        for line in self.lines:
            self.project(self.lines.index(line))
            assert self.do(self.heard(line)) == line.rate
        names = {line.subscriber["username"] for line in self.lines}
        drift = self.do(self.site.projector.drift())
        assert [each for each in drift if each.name in names or self.site.tenant_id in each.name] == []


@pytest.mark.both_databases
async def test_whatever_happens_in_between_the_last_wish_is_what_is_served(site: Site) -> None:
    async with site.database.begin() as db:
        for name, terms in ((OTHER, PlanTerms(500_000, 50_000)), (GARDEN, PlanTerms(512, 256))):
            await site.service(db).define_plan(name=name, terms=terms)
    await site.projector.project_plans()
    deaths = list[int]()
    given = {"site": site, "nas": await site.nas(), "loop": asyncio.get_running_loop(), "deaths": deaths}
    await asyncio.to_thread(walk, Projections, walks=10, steps=30, **given)
    assert len(set(deaths)) > 2
