"""``/addresses/reserve``, ``/addresses/drain`` and so on: what is done to addresses by hand, each with a reason."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from ipam import MovedService, NetworkUpkeep
from provisioning.api.addresses_parts import ByHand, Why, misfits, misfits_of_leaving, misfits_of_some
from provisioning.api.calls import Call, InCall
from provisioning.api.openapi import WORDS, problem
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish

doors = Doors(prefix="/addresses", tags=["addresses"])

NOT_THERE = {404: problem(WORDS[404])}
PoolName = Annotated[str, Field(min_length=1, max_length=120, description="The pool, by its name")]
Text = Annotated[str, Field(min_length=1, max_length=120)]


class OneUnit(ByHand):
    """An address, prefix or C-VLAN as its pool hands it out, and why."""

    pool: PoolName
    value: Text
    reason: Why


class Some(ByHand):
    """An address, from-to or a prefix inside of a pool, or VLAN numbers, and why."""

    pool: PoolName
    span: Text
    reason: Why


class SomeOrAll(ByHand):
    """A part of a pool, or without ``span`` all of it, and why."""

    pool: PoolName
    span: Text | None = None
    reason: Why


class Shrinking(ByHand):
    """The smaller prefix, which starts where the pool's starts, and why."""

    pool: PoolName
    network: Text
    reason: Why


class Retiring(ByHand):
    """The pool that goes for good, and why."""

    pool: PoolName
    reason: Why


class Rehoming(ByHand):
    """Which access nodes go behind which BNG, and why."""

    access_nodes: Annotated[list[Text], Field(min_length=1, max_length=200)]
    bng: Text
    reason: Why


class Upkept(Wish):
    """What it was about, and whether it was not so already. What a ``span`` cuts through, a pool hands
    out whole or not at all: ``what`` is from unit to unit, so it may be more."""

    pool: str
    what: str | None
    changed: bool


class Freed(Upkept):
    """The same; ``drained``: why the part that it, or some of it, lies in is being drained, so that nobody is given
    that until the drain ends; ``excluded``: why what was let go of it is excluded, so that nobody is given that until
    it is included again; null: none of it is."""

    drained: str | None
    excluded: str | None


@doors.post("/reserve", permission="addresses.write", responses=NOT_THERE, misfits=misfits)
async def reserve(call: InCall, wish: OneUnit) -> Upkept:
    """Keeps a free one for something: nobody is given it until it is unreserved, but who names it with
    `take_reserved`."""
    upkeep = await _upkeep(call, wish)
    done = await upkeep.reserve(**_said(wish))
    return _upkept(call, wish.pool, await upkeep.part(pool=wish.pool, span=wish.value), done)


@doors.post("/unreserve", permission="addresses.write", responses=NOT_THERE, misfits=misfits)
async def unreserve(call: InCall, wish: OneUnit) -> Freed:
    """Lets a reserved one be handed out again."""
    upkeep = await _upkeep(call, wish)
    return await _freed(call, upkeep, wish, await upkeep.unreserve(**_said(wish)))


@doors.post("/lift", permission="addresses.write", responses=NOT_THERE, misfits=misfits_of_some)
async def lift(call: InCall, wish: OneUnit) -> Freed:
    """Ends a quarantine now, or all from-to or of a prefix: they go to anybody, or, where it is drained or excluded,
    to nobody."""
    upkeep = await _upkeep(call, wish)
    return await _freed(call, upkeep, wish, await upkeep.lift(**_said(wish)))


@doors.post("/exclude", permission="addresses.write", responses=NOT_THERE, misfits=misfits)
async def exclude(call: InCall, wish: Some) -> Upkept:
    """Never hands it out; an estate that is imported doesn't undo it."""
    upkeep = await _upkeep(call, wish)
    return await _cut(call, upkeep, wish, await upkeep.exclude(**_said(wish)))


@doors.post("/include", permission="addresses.write", responses=NOT_THERE, misfits=misfits)
async def include(call: InCall, wish: Some) -> Upkept:
    """Lets in what was excluded by hand; what the estate excludes stays out."""
    upkeep = await _upkeep(call, wish)
    return await _cut(call, upkeep, wish, await upkeep.include(**_said(wish)))


@doors.post("/drain", permission="addresses.write", responses=NOT_THERE, misfits=misfits)
async def drain(call: InCall, wish: SomeOrAll) -> Upkept:
    """Hands out nothing of it any more; who has something keeps it until it is released or moved."""
    upkeep = await _upkeep(call, wish)
    return await _cut(call, upkeep, wish, await upkeep.drain(**_said(wish)))


@doors.post("/undrain", permission="addresses.write", responses=NOT_THERE, misfits=misfits)
async def undrain(call: InCall, wish: SomeOrAll) -> Upkept:
    """Hands it out again."""
    upkeep = await _upkeep(call, wish)
    return await _cut(call, upkeep, wish, await upkeep.undrain(**_said(wish)))


@doors.post("/shrink", permission="addresses.write", responses=NOT_THERE, misfits=misfits)
async def shrink(call: InCall, wish: Shrinking) -> Upkept:
    """Makes a pool's prefix smaller, once the rest of it is empty."""
    upkeep = await _upkeep(call, wish)
    done = await upkeep.shrink(**_said(wish))
    return _upkept(call, wish.pool, await upkeep.part(pool=wish.pool, span=wish.network), done)


@doors.post("/retire", permission="addresses.write", responses=NOT_THERE, misfits=misfits_of_leaving)
async def retire(call: InCall, wish: Retiring) -> Upkept:
    """Takes a pool and its prefix out of the network for good, once nobody has anything of it."""
    await (await _upkeep(call, wish)).retire(**_said(wish))
    return _upkept(call, wish.pool, None, True)


@doors.post("/rehome", permission="addresses.write", responses=NOT_THERE, misfits=misfits)
async def rehome(call: InCall, wish: Rehoming) -> list[MovedService]:
    """Puts access nodes behind another BNG, and gives their services what is served there; all of them or none."""
    desk = call.appliance.address_desk(call.db)
    before = await desk.bngs_of(wish.access_nodes)
    call.tells(subject=f"bng/{wish.bng}", reason=wish.reason, before={"behind": before})
    moved = await desk.rehome(**_said(wish))
    if not moved and set(before.values()) == {wish.bng}:
        call.changes_nothing()
    return moved


def _said(wish: ByHand) -> dict[str, Any]:
    """As the verbs take it: what is kept of a reason is a note."""
    said = wish.model_dump()
    return {"note": said.pop("reason"), **said}


async def _upkeep(call: Call, wish: OneUnit | Some | SomeOrAll | Shrinking | Retiring) -> NetworkUpkeep:
    before = await call.appliance.address_desk(call.db).numbers_of(wish.pool)
    call.tells(subject=f"pool/{wish.pool}", reason=wish.reason, before=before)
    return call.appliance.network_upkeep(call.db)


def _upkept(call: Call, pool: str, what: str | None, changed: bool) -> Upkept:
    if not changed:
        call.changes_nothing()
    return Upkept(pool=pool, what=what, changed=changed)


async def _cut(call: Call, upkeep: NetworkUpkeep, wish: Some | SomeOrAll, changed: bool) -> Upkept:
    part = None if wish.span is None else await upkeep.part(pool=wish.pool, span=wish.span)
    return _upkept(call, wish.pool, part, changed)


async def _freed(call: Call, upkeep: NetworkUpkeep, wish: OneUnit, changed: bool) -> Freed:
    told = _upkept(call, wish.pool, await upkeep.part(pool=wish.pool, span=wish.value), changed)
    part = {"pool": wish.pool, "value": wish.value}
    nobodys = {"drained": await upkeep.why_drained(**part), "excluded": await upkeep.why_excluded(**part)}
    return Freed(**told.model_dump(), **nobodys)
