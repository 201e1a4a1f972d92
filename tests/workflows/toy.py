"""A small journey with every kind of step, over toy services whose effects a test can count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from typing_extensions import TypedDict

from provisioning.database import Database
from workflows.engine.definition import Definition
from workflows.engine.interpreter import Interpreter, nothing_happens
from workflows.engine.journal import Definitions
from workflows.engine.routes import GoBack, Proceed, Route, UndoAll
from workflows.engine.run import Run
from workflows.engine.runs import Runs
from workflows.engine.step_kit import StepKit, wait_for, wait_until
from workflows.engine.steps import NothingToUndo, RetryPolicy
from workflows.engine.tables import WorkflowBase
from workflows.testing import InlineDispatch, VirtualClock


class ToyBase(DeclarativeBase):
    """The toy's own table."""


class Desk(ToyBase):
    """A desk that is taken or free."""

    __tablename__ = "toy_desk"
    id: Mapped[int] = mapped_column(primary_key=True)
    order: Mapped[str] = mapped_column(unique=True)


class ToyFault(Exception):
    """The other side refused."""

    code = "toy.fault"
    transient = False


class ToyOutage(ToyFault):
    """The other side is away."""

    code = "toy.outage"
    transient = True


@dataclass
class Services:
    """What a transactional step gets."""

    db: AsyncSession

    async def take(self, order: str) -> int:
        await self.db.execute(insert(Desk).values(order=order))
        return int((await self.db.execute(select(Desk.id).where(Desk.order == order))).scalar_one())

    async def free(self, order: str) -> None:
        await self.db.execute(delete(Desk).where(Desk.order == order))


@dataclass
class World:
    """The outside: survives every crash, honours keys, counts what physically happened."""

    keyed: dict[str, str] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    mails: Counter[str] = field(default_factory=Counter)
    doors: set[str] = field(default_factory=set)
    faults: list[Exception] = field(default_factory=list)

    def fail_next(self, *errors: Exception) -> None:
        self.faults += errors

    def _maybe_fail(self) -> None:
        if self.faults:
            raise self.faults.pop(0)

    async def order_badge(self, key: str, name: str) -> str:
        self.calls["badge"] += 1
        self._maybe_fail()
        return self.keyed.setdefault(key, f"badge for {name}")

    async def return_badge(self, key: str) -> None:
        self.keyed.pop(key, None)

    async def open_door(self, order: str) -> None:
        self.calls["door"] += 1
        self._maybe_fail()
        self.doors.add(order)

    async def close_door(self, order: str) -> None:
        self.doors.discard(order)

    async def mail(self, message_id: str) -> None:
        self._maybe_fail()
        self.mails[message_id] += 1


class Hire(TypedDict):
    order: str
    name: str
    customer_id: int
    remote: bool


class Taken(TypedDict):
    desk: int


class Badge(TypedDict):
    text: str


class Arrival(TypedDict):
    outcome: str


step = StepKit[Services, World]()


async def free_desk(services: Services, run: Run[Hire], taken: Taken | None) -> None:
    await services.free(run.input["order"])


async def return_badge(world: World, run: Run[Hire], badge: Badge | None) -> None:
    await world.return_badge(run.key(order_badge))


async def close_door(world: World, run: Run[Hire], opened: bool | None) -> None:
    await world.close_door(run.input["order"])


async def is_door_open(world: World, run: Run[Hire]) -> bool | None:
    return True if run.input["order"] in world.doors else None


@step.transactional(undo=free_desk)
async def take_desk(services: Services, run: Run[Hire]) -> Taken:
    return {"desk": await services.take(run.input["order"])}


@step.keyed(undo=return_badge, retry=RetryPolicy(attempts=3))
async def order_badge(world: World, run: Run[Hire]) -> Badge:
    return {"text": await world.order_badge(run.key(order_badge), run.input["name"])}


def arrived(run: Run[Hire], arrival: Arrival) -> Route:
    match arrival["outcome"]:
        case "late":
            return GoBack(order_badge, "came late")
        case "never":
            return UndoAll("never came")
        case _:
            return Proceed()


arrival = wait_for(
    "arrival",
    signal="arrival",
    payload=Arrival,
    says="waiting at the door",
    subject=lambda run: run.input["order"],
    deadline=lambda run: run.now + timedelta(days=2),
    route=arrived,
    again_from=(order_badge,),
)


@step.probeable(
    probe=is_door_open,
    undo=close_door,
    when=lambda run: not run.input["remote"],
    otherwise="works from home",
)
async def open_door(world: World, run: Run[Hire]) -> bool:
    await world.open_door(run.input["order"])
    return True


cool_off = wait_until("cool_off", at=lambda run: run.now + timedelta(hours=1), says="settling in")


@step.blind(undo=NothingToUndo("a mail can't be taken back"))
async def mail_welcome(world: World, run: Run[Hire]) -> None:
    await world.mail(run.key(mail_welcome))


HIRE = Definition(
    name="hire",
    version=1,
    input=Hire,
    steps=(take_desk, order_badge, arrival, open_door, cool_off, mail_welcome),
    key=lambda data: f"order/{data['order']}",
    customer_id=lambda data: data["customer_id"],
    reopens={"arrival": (arrival, mail_welcome)},
)
DEFINITIONS: Definitions = {("hire", 1): HIRE}


@dataclass
class Toy:
    """Everything a test of the engine needs, on one database."""

    database: Database
    clock: VirtualClock
    world: World
    runs: Runs
    definitions: Definitions = field(default_factory=lambda: DEFINITIONS)

    def dispatch(self, at: Callable[[str], None] = nothing_happens) -> InlineDispatch:
        interpreter = Interpreter(
            begin=self.database.begin,
            services=Services,
            outside=self.world,
            definitions=self.definitions,
            clock=self.clock,
            tenant_id="main",
            at=at,
        )
        return InlineDispatch(self.database.begin, interpreter, self.runs, self.clock)

    async def start(self, order: str = "A1", **changed: Any) -> int:
        data = {"order": order, "name": "Ada", "customer_id": 7, "remote": False} | changed
        async with self.database.begin() as db:
            return (await self.runs.start(db, "hire", data, by="test"))[0]

    async def arrive(self, run_id: int, outcome: str = "came", key: str = "door") -> None:
        async with self.database.begin() as db:
            await self.runs.signal(db, run_id, "arrival", {"outcome": outcome}, key=key, by="test", subject="A1")

    async def desks(self) -> list[str]:
        async with self.database.begin() as db:
            return list((await db.execute(select(Desk.order))).scalars())


async def make_toy(database: Database, definitions: Definitions = DEFINITIONS) -> Toy:
    async with database.engine.begin() as connection:
        await connection.run_sync(ToyBase.metadata.create_all)
        await connection.run_sync(WorkflowBase.metadata.create_all)
    clock = VirtualClock()
    runs = Runs(definitions=definitions, doorbell=InlineDispatch.doorbell, clock=clock, tenant_id="main")
    return Toy(database, clock, World(), runs, definitions)
