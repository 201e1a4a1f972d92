"""``firstlight addresses reserve | exclude | drain | shrink | retire | ...``: what is done to addresses by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from ipam import MovedService, NetworkUpkeep
from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import tells
from provisioning.cli.printing import print_indented, print_json, say
from provisioning.cli.running import AsJson, run

Pool = Annotated[str, typer.Argument(help="The pool, by its name.")]
Value = Annotated[str, typer.Argument(help="The address, prefix or C-VLAN, as the pool hands it out.")]
ValueOrSome = Annotated[str, typer.Argument(help="What the pool hands out; or all from-to, or of a prefix.")]
Span = Annotated[str, typer.Argument(help="An address, from-to, or a prefix inside of the pool; or VLAN numbers.")]
PartOf = Annotated[
    str | None, typer.Argument(help="Only this part of it: from-to, or a prefix; left out, the whole pool.")
]
Reason = Annotated[str, typer.Option("--reason", "--note", help="Why, for whoever finds it later.")]
Act = Callable[[NetworkUpkeep], Awaitable[bool | None]]


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    for command in (reserve, unreserve, lift, exclude, include, drain, undrain, shrink, retire, rehome):
        app.command()(command)


def reserve(pool: Pool, value: Value, reason: Reason, json_: AsJson = False) -> None:
    """Keep a free address, prefix or C-VLAN for something: nobody is given it until it is unreserved, but who names it
    with `--take-reserved`."""
    _do(pool, value, "reserved", lambda to: to.reserve(pool=pool, value=value, note=reason), as_json=json_)


def unreserve(pool: Pool, value: Value, reason: Reason, json_: AsJson = False) -> None:
    """Let what was reserved be handed out again."""
    _do(
        pool,
        value,
        "unreserved",
        lambda to: to.unreserve(pool=pool, value=value, note=reason),
        as_json=json_,
        frees=True,
    )


def lift(pool: Pool, value: ValueOrSome, reason: Reason, json_: AsJson = False) -> None:
    """End a quarantine now, or all of a part of a pool: they may go to anybody, or, where it is drained or
    excluded, to nobody."""
    _do(
        pool,
        value,
        "out of quarantine",
        lambda to: to.lift(pool=pool, value=value, note=reason),
        as_json=json_,
        frees=True,
    )


def exclude(pool: Pool, span: Span, reason: Reason, json_: AsJson = False) -> None:
    """Never hand it out; an estate that is imported doesn't undo it."""
    _do(pool, span, "excluded", lambda to: to.exclude(pool=pool, span=span, note=reason), as_json=json_)


def include(pool: Pool, span: Span, reason: Reason, json_: AsJson = False) -> None:
    """Let in what was excluded by hand; what the estate excludes stays out."""
    _do(
        pool,
        span,
        "no longer excluded by hand",
        lambda to: to.include(pool=pool, span=span, note=reason),
        as_json=json_,
    )


def drain(pool: Pool, reason: Reason, span: PartOf = None, json_: AsJson = False) -> None:
    """Hand out nothing of it any more; who has something keeps it until it is released or moved."""
    _do(pool, span, "being drained", lambda to: to.drain(pool=pool, span=span, note=reason), as_json=json_)


def undrain(pool: Pool, reason: Reason, span: PartOf = None, json_: AsJson = False) -> None:
    """Hand it out again."""
    _do(pool, span, "handed out again", lambda to: to.undrain(pool=pool, span=span, note=reason), as_json=json_)


def shrink(
    pool: Pool,
    network: Annotated[str, typer.Argument(help="The smaller prefix; it starts where the pool's starts.")],
    reason: Reason,
    json_: AsJson = False,
) -> None:
    """Make a pool's prefix smaller, once the rest of it is empty; the rest may be used elsewhere."""
    _do(pool, network, "all it is now", lambda to: to.shrink(pool=pool, network=network, note=reason), as_json=json_)


def retire(pool: Pool, reason: Reason, json_: AsJson = False) -> None:
    """Take a pool and its prefix out of the network for good, once nobody has anything of it."""
    _do(pool, None, "no longer in the network", lambda to: to.retire(pool=pool, note=reason), as_json=json_)


def rehome(
    access_node: Annotated[list[str], typer.Argument(help="The access nodes, by their names.")],
    bng: Annotated[str, typer.Option(help="The BNG that they go behind.")],
    reason: Reason,
    json_: AsJson = False,
) -> None:
    """Put access nodes behind another BNG, and give their services what is served there; all of them or none."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            desk = appliance.address_desk(db)
            before = {"behind": await desk.bngs_of(access_node)}
            tells(subject=subject_of("bng", bng), before=before, after={"access_nodes": access_node})
            moved = await desk.rehome(access_nodes=access_node, bng=bng, note=reason)
        if json_:
            print_json(moved)
            return
        say(f"{', '.join(access_node)}: behind {bng}; {len(moved)} services")
        for each in moved:
            print_indented(_moved_in_words(each), indent=4, first="  ")

    run(act, as_json=json_)


def _moved_in_words(moved: MovedService) -> str:
    parts = {"keeps": moved["kept"], "is given": moved["given"], "has given back": moved["given_back"]}
    told = "; ".join(f"{what} {', '.join(map(_named, values))}" for what, values in parts.items() if values)
    return f"service {moved['service_id']} of customer {moved['customer_id']}, {moved['username']}: {told}"


def _named(value: str) -> str:
    return f"C-VLAN {value}" if value.isdecimal() else value


def _do(pool: str, what: str | None, becomes: str, act: Act, *, as_json: bool, frees: bool = False) -> None:
    """One act of the upkeep; ``becomes`` says how it is afterwards, whether or not it was so before. What it ``frees``
    may lie in a drained or excluded part, which is told, as is all of the ``what`` that it took."""

    async def done(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            upkeep = appliance.network_upkeep(db)
            before = await appliance.address_desk(db).numbers_of(pool)
            tells(subject=subject_of("pool", pool), before=before)
            changed = await act(upkeep) is not False  # None: it can be done but once
            part = None if what is None else await upkeep.part(pool=pool, span=what)
            tells(after={"pool": pool, "what": part})
            nobodys = await _nobodys(upkeep, pool, what) if frees and what is not None else {}
        if as_json:
            print_json({"pool": pool, "what": part, "changed": changed, **nobodys})
            return
        name = pool if part is None else f"{part} of pool {pool}"
        say(f"{name}: {becomes}" + ("" if changed else ", as before"))
        if (drained := nobodys.get("drained")) is not None:
            say(f"  what of it lies in a part that is being drained ({drained}) goes to nobody until that ends")
        if (excluded := nobodys.get("excluded")) is not None:
            say(f"  what of it lies in an excluded part ({excluded}) goes to nobody until it is included again")

    run(done, as_json=as_json)


async def _nobodys(upkeep: NetworkUpkeep, pool: str, what: str) -> dict[str, str | None]:
    """Why nobody is given what was freed, or a part of it."""
    return {
        "drained": await upkeep.why_drained(pool=pool, value=what),
        "excluded": await upkeep.why_excluded(pool=pool, value=what),
    }
