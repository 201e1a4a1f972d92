"""``firstlight addresses nat-...``: which ports of which outside address the subscribers behind a CGNAT have."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from ipam import NatAlgorithm, NatBlockAt, NatContradiction, RequestInvalid
from provisioning.bootstrap import Appliance
from provisioning.cli.addresses_looks import At, Vrf
from provisioning.cli.audited import tells
from provisioning.cli.moments import as_moment
from provisioning.cli.printing import Entry, print_json, print_list, say
from provisioning.cli.running import AsJson, run
from provisioning.days import minute
from provisioning.nat_deeds import deed_of_log, deed_of_rule
from provisioning.nat_logs import import_log, read_blocks

Pool = Annotated[str, typer.Argument(help="The pool of the inside addresses, by its name.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit.")]


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    app.command("nat-rule")(rule)
    app.command("nat-rules")(rules)
    app.command("nat-end-rule")(end_rule)
    app.command("nat-import-blocks")(import_blocks)
    app.command("nat-blocks")(blocks)


def rule(  # noqa: PLR0913, PLR0917 - each is a term of the rule
    pool: Pool,
    outside: Annotated[str, typer.Option(help="The prefix of outside addresses.")],
    ports: Annotated[int, typer.Option(help="How many ports each subscriber has.")],
    reason: Reason,
    algorithm: Annotated[
        str, typer.Option(help="by_address: one outside address after the other; by_block: one block of each.")
    ] = "by_address",
    first_port: Annotated[int | None, typer.Option(help="The first port that is given; 1024 if not told.")] = None,
    last_port: Annotated[int | None, typer.Option(help="The last port that is given; 65535 if not told.")] = None,
    vrf: Annotated[str, typer.Option(help="The VRF of the outside prefix.")] = "default",
    since: Annotated[
        datetime | None,
        typer.Option(
            help="Since when the box maps like this, if not just now: a moment with its zone, such as"
            " 2026-03-02T21:14Z. The same rule may be said again with an earlier one.",
            parser=as_moment,
        ),
    ] = None,
    json_: AsJson = False,
) -> None:
    """Say by which rule (RFC 7422) the CGNAT maps a pool from now on; what was so before stays known for its time."""

    async def act(appliance: Appliance) -> None:
        bounds: dict[str, Any] = {"first_port": first_port, "last_port": last_port}
        try:
            async with appliance.database.begin() as db:
                port_blocks = appliance.port_blocks(db)
                change = port_blocks.define_rule(
                    pool=pool,
                    outside=outside,
                    ports_per_subscriber=ports,
                    algorithm=cast(NatAlgorithm, algorithm),  # what is none is one of its faults
                    vrf=vrf,
                    since=since,
                    reason=reason,
                    **{name: port for name, port in bounds.items() if port is not None},
                )
                changed, deed = await deed_of_rule(port_blocks, pool, change)
                tells(**deed)
        except RequestInvalid as refused:
            raise refused.placed(lambda where: "ports" if where == "ports_per_subscriber" else where) from refused
        if json_:
            print_json({"pool": pool, "outside": outside, "changed": changed})
        else:
            say(f"pool {pool}: {ports} ports each of {outside}" + ("" if changed else ", as before"))

    run(act, as_json=json_)


def rules(json_: AsJson = False) -> None:
    """List the rules in force."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.port_blocks(db).rules()
        if json_:
            print_json(found)
        elif not found:
            say("no rules")
        else:
            entries = [
                Entry(
                    (each["pool"], each["inside"], each["outside"], str(each["ports_per_subscriber"])),
                    f"{each['algorithm']}, ports {each['first_port']} to {each['last_port']}, since"
                    f" {minute(each['since'])}",
                )
                for each in found
            ]
            print_list(("pool", "inside", "outside", "ports each"), entries)

    run(act, as_json=json_, looks=True)


def end_rule(pool: Pool, reason: Reason, json_: AsJson = False) -> None:
    """Say that the CGNAT maps a pool by its rule no longer; the outside prefix is free for something else."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            port_blocks = appliance.port_blocks(db)
            changed, deed = await deed_of_rule(port_blocks, pool, port_blocks.end_rule(pool=pool, reason=reason))
            tells(**deed)
        if json_:
            print_json({"pool": pool, "changed": changed})
        else:
            say(f"pool {pool}: its rule has ended" + ("" if changed else ", as before"))

    run(act, as_json=json_)


def import_blocks(
    file: Annotated[
        Path,
        typer.Argument(help="CSV with the columns outside, first_port, last_port, inside, began_at, ended_at, vrf."),
    ],
    source: Annotated[
        str,
        typer.Option(
            help="Which box or log they are from; the next block of the same ports from it ends one without an end."
        ),
    ],
    json_: AsJson = False,
) -> None:
    """Read port blocks from a CGNAT's log, all or nothing; the same log again, or a longer one, adds what is new."""

    async def act(appliance: Appliance) -> None:
        log = read_blocks(file)
        lines = len(log.blocks)
        async with appliance.database.begin() as db:
            done = await import_log(log, appliance.port_blocks(db), source=source)
            tells(**deed_of_log(source, lines, done))
        if json_:
            print_json({"lines": lines, **asdict(done)})
            return
        ended = f"; {done.ended_by_next} without an end ended by the next of their ports"
        say(f"{lines} blocks, {done.new} of them new" + (ended if done.ended_by_next else ""))
        if done.for_no_time:
            say(f"{done.for_no_time} of them ended when they began, were nobody's at any time, and are passed over")
        if done.contradicts_rule:
            say(f"{done.contradicts_rule} of them contradict a rule that held then, by which the box did not map them:")
            for each in done.first_contradicting:
                say(f"  {_contradiction_in_words(each)}")
            if more := done.contradicts_rule - len(done.first_contradicting):
                say(f"  and {more} more")

    run(act, as_json=json_)


def blocks(
    address: Annotated[str, typer.Argument(help="The inside address.")],
    at: At = None,
    vrf: Vrf = None,
    json_: AsJson = False,
) -> None:
    """Say which ports of which outside address an inside address has, or had then."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.port_blocks(db).blocks_of(inside=address, at=at, vrf=vrf)
        if json_:
            print_json(found)
        elif not found:
            say(f"{address} has no ports of an outside address")
        else:
            for each in found:
                say(_in_words(each))

    run(act, as_json=json_, looks=True)


def _contradiction_in_words(block: NatContradiction) -> str:
    ports = f"{block['outside']} ports {block['first_port']} to {block['last_port']}"
    whose = f"{block['by_rule'] or 'nobody'} by the rule of pool {block['pool']}"
    return f"{ports} of {block['inside']} since {minute(block['began_at'])}, of {whose}"


def _in_words(block: NatBlockAt) -> str:
    return f"{block['outside']} ports {block['first_port']} to {block['last_port']} by {block['source']}"
