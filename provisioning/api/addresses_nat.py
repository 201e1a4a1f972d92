"""``/addresses/nat``: which ports of which outside address the subscribers behind a CGNAT have."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field, ValidationError

from ipam import Fault, LoggedBlock, NatAlgorithm, NatBlockAt, NatContradiction, NatRuleInForce
from provisioning.api.addresses_parts import misfits, pointing
from provisioning.api.calls import Call, InCall
from provisioning.api.misfits import as_read
from provisioning.api.openapi import WORDS, problem
from provisioning.api.pages import Moment
from provisioning.api.routes import Doors
from provisioning.api.wishes import Reason, Wish
from provisioning.nat_deeds import deed_of_log, deed_of_rule

doors = Doors(prefix="/addresses/nat", tags=["addresses"])

NOT_THERE = {404: problem(WORDS[404])}
MOST_BLOCKS = 5000
PoolName = Annotated[str, Field(min_length=1, max_length=120, description="The pool of the inside addresses")]
Text = Annotated[str, Field(min_length=1, max_length=120)]
Source = Annotated[str, Field(min_length=1, max_length=120, json_schema_extra={"pattern": r"\S"})]
Port = Annotated[int, Field(ge=1, le=65535)]
PORTS = frozenset({"ports_per_subscriber", "first_port", "last_port"})


class Rule(Wish):
    """How the box maps a pool's addresses: RFC 7422, a block of ports for each. ``vrf`` is the outside prefix's.

    ``since`` is when it began to, if that was before now; the same rule may be sent again with an earlier one.
    """

    pool: PoolName
    outside: Annotated[str, Field(max_length=64)]
    ports_per_subscriber: Port
    algorithm: NatAlgorithm = "by_address"
    first_port: Port = 1024
    last_port: Port = 65535
    vrf: Text = "default"
    since: Moment | None = None
    reason: Reason


class RuleEnd(Wish):
    """Of which pool the rule ends, and why."""

    pool: PoolName
    reason: Reason


class Ruled(Wish):
    """Whether it was not so already."""

    pool: str
    changed: bool


class Block(Wish):
    """Ports of an outside address that an inside address had for a time; without an end, still."""

    outside: Annotated[str, Field(max_length=64)]
    first_port: int
    last_port: int
    inside: Annotated[str, Field(max_length=64)]
    began_at: Moment
    ended_at: Moment | None = None
    vrf: Text = "default"


class Log(Wish):
    """What a box without a rule has logged, and which box that is."""

    source: Source
    blocks: Annotated[list[Block], Field(max_length=MOST_BLOCKS)]


class ImportedNatBlocks(Wish):
    """How many blocks there were, how many of them are new or have ended since, and how many blocks without an end
    were ended by the next of their ports. How many of those that there were contradict a rule that held then, and the
    first of these: they are believed, and the box doesn't map by that rule. How many ended when they began: they were
    nobody's at any time, and are passed over."""

    blocks: int
    new: int
    ended_by_next: int
    contradicts_rule: int
    for_no_time: int
    first_contradicting: list[NatContradiction]


async def _misfits_of_rule(call: Call, sound: Mapping[str, Any]) -> tuple[Fault, ...]:
    said = as_read(Rule, sound)
    if any(name not in said for name in PORTS & (await _sent(call)).keys()):
        said = {name: value for name, value in said.items() if name not in PORTS}  # they go together
    return await call.appliance.port_blocks(call.db).faults_in_rule(
        {name: value for name, value in said.items() if value is not None}
    )


async def _misfits_of_log(call: Call, sound: Mapping[str, Any]) -> tuple[Fault, ...]:
    sent = (await _sent(call)).get("blocks")
    blocks = [_sound_block(each) for each in sent] if isinstance(sent, list) else []
    return await call.appliance.port_blocks(call.db).faults_in_log(sound.get("source"), blocks)


async def _sent(call: Call) -> dict[str, Any]:
    """The body, some of which may be malformed."""
    body = json.loads(await call.request.body() or b"{}")
    return body if isinstance(body, dict) else {}


def _sound_block(sent: Any) -> dict[str, Any]:
    if not isinstance(sent, dict):
        return {}
    try:
        return Block.model_validate(sent).model_dump()
    except ValidationError as malformed:
        blamed = {fault["loc"][0] for fault in malformed.errors()}
    left_out = {name: field.default for name, field in Block.model_fields.items() if not field.is_required()}
    said = left_out | as_read(Block, {name: value for name, value in sent.items() if name not in blamed})
    return {name: value for name, value in said.items() if name not in blamed}


@doors.get("/rules", permission="addresses.read")
async def rules(call: InCall) -> list[NatRuleInForce]:
    """The rules in force."""
    return await call.appliance.port_blocks(call.db).rules()


@doors.post("/rules", permission="addresses.write", responses=NOT_THERE, misfits=_misfits_of_rule)
async def define_rule(call: InCall, wish: Rule) -> Ruled:
    """The box maps like this, from now on or since a time before; what was so earlier stays known for its time."""
    with pointing():
        return await _ruled(call, wish, call.appliance.port_blocks(call.db).define_rule(**wish.model_dump()))


@doors.post("/end-rule", permission="addresses.write", responses=NOT_THERE, misfits=misfits)
async def end_rule(call: InCall, wish: RuleEnd) -> Ruled:
    """The box maps by this rule no longer; the outside prefix is free for something else."""
    return await _ruled(call, wish, call.appliance.port_blocks(call.db).end_rule(**wish.model_dump()))


@doors.get("/blocks", permission="addresses.read", responses=NOT_THERE, misfits=misfits)
async def blocks(
    call: InCall,
    inside: Annotated[str, Query(min_length=2, max_length=64, description="The inside address")],
    at: Annotated[Moment | None, Query(description="When; now, if left out")] = None,
    vrf: Annotated[str | None, Query(max_length=120)] = None,
) -> list[NatBlockAt]:
    """Which ports of which outside address an inside address has, or had then."""
    return await call.appliance.port_blocks(call.db).blocks_of(inside=inside, at=at, vrf=vrf)


@doors.post("/blocks", permission="addresses.write", responses=NOT_THERE, misfits=_misfits_of_log)
async def import_blocks(call: InCall, wish: Log) -> ImportedNatBlocks:
    """Reads a log, all or nothing; the same log again, or a longer one, adds what is new. A block without an end ends
    where the next one of its ports from the same source begins. One that contradicts a rule is believed, and told."""
    found = [LoggedBlock(**each.model_dump()) for each in wish.blocks]
    with pointing():
        done = await call.appliance.port_blocks(call.db).import_blocks(found, source=wish.source)
    call.tells(**deed_of_log(wish.source, len(found), done))
    if not done.new:
        call.changes_nothing()
    return ImportedNatBlocks(blocks=len(found), **asdict(done))


async def _ruled(call: Call, wish: Rule | RuleEnd, change: Awaitable[bool]) -> Ruled:
    changed, deed = await deed_of_rule(call.appliance.port_blocks(call.db), wish.pool, change)
    call.tells(**deed, reason=wish.reason)
    if not changed:
        call.changes_nothing()
    return Ruled(pool=wish.pool, changed=changed)
