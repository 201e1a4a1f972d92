"""A log is held against what it may meet, and not against all that is known; it comes to the same."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from ipam import ImportedBlocks, LoggedBlock, RequestInvalid
from ipam.addresses import format_address, parse_address, to_bytes
from ipam.nat import known_lines, logged_blocks
from ipam.nat.log_lines import BlockLine
from ipam.tables import NatBlock, table_of
from tests.ipam.conftest import STARTED_AT, Network, laid_open, one_pool
from tests.ipam.nat.plain_log import PlainLog

pytestmark = pytest.mark.both_databases

OUTSIDES = ("203.0.113.1", "203.0.113.2")


def at(minute: float) -> datetime:
    return STARTED_AT + timedelta(minutes=minute)


def by_chance(dice: random.Random, until: int, before: Sequence[LoggedBlock]) -> LoggedBlock:
    if before and dice.random() < 0.35:
        again = dice.choice(before)
        otherwise = dice.choice((again.ended_at, None, again.began_at + timedelta(minutes=dice.randrange(9))))
        return replace(again, ended_at=again.ended_at if otherwise and otherwise >= at(until) else otherwise)
    wide = dice.random() < 0.1
    first = dice.choice((1, 9)) if wide else dice.choice((1, 5, 9, 13))
    began = dice.choice((until - dice.randrange(1, 12), dice.randrange(until)))
    ended = dice.choice((None, began + dice.randrange(1, 6)))
    return LoggedBlock(
        dice.choice(OUTSIDES),
        first,
        first + (7 if wide else 3),
        f"100.64.0.{dice.randrange(2, 5)}",
        at(began),
        None if ended is None or ended >= until else at(ended),
    )


async def outcome(network: Network, blocks: Sequence[LoggedBlock], source: str) -> tuple[int, int] | list[str]:
    try:
        done: ImportedBlocks = await network.ports("import_blocks", blocks=blocks, source=source)
    except RequestInvalid as refused:
        return sorted(str(fault) for fault in refused.faults)
    return done.new, done.ended_by_next


async def forget_who_told(network: Network) -> None:
    """As a release before has kept it."""
    async with laid_open(network, "ipam_nat_block") as db:
        await db.execute(update(NatBlock).values(end_told=None))


async def kept(network: Network) -> set[tuple[Any, ...]]:
    block = table_of(NatBlock).c
    asked = select(block.outside, block.first_port, block.began_at, block.ended_at, block.source, block.end_told)
    async with network.database.read() as db:
        rows = await db.execute(asked)
        return {(format_address(row.outside), *row[1:]) for row in rows}


@pytest.mark.parametrize("seed", range(4))
async def test_logs_come_to_the_same_as_if_all_that_is_known_were_read(
    empty: Network, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_lines, "QUIET", timedelta(minutes=2))
    monkeypatch.setattr(known_lines, "AT_ONCE", 2)
    dice, model, before = random.Random(seed), PlainLog(), list[LoggedBlock]()
    await empty.apply(one_pool("100.64.0.0/28"))
    taken = 0
    for file in range(1, 41):
        until = 5 * file
        empty.clock.at = at(until)
        if file == 20:
            await empty.ports("define_rule", pool="cgnat", outside=f"{OUTSIDES[0]}/32", ports_per_subscriber=2000)
            model.ruled[OUTSIDES[0]] = at(until)
        if file == 15:
            await forget_who_told(empty)
            model.forget_who_told()
        blocks = [by_chance(dice, until, before) for _ in range(dice.choice((1, 1, 2, 5)))]
        source = dice.choice(("a", "a", "a", "b"))

        expected = model.read(blocks, source)
        assert await outcome(empty, blocks, source) == expected, (file, blocks)
        if isinstance(expected, tuple):
            taken += 1
            before += blocks
    assert 8 <= taken <= 36
    rows = {(*row.begins, row.block.ended_at, row.source, row.told) for row in model.rows}
    assert await kept(empty) == rows


async def test_of_a_long_history_a_few_lines_are_held_against_their_neighbours(
    empty: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    async def counted(*said: Any) -> list[BlockLine]:
        found = await known_lines.known_around(*said)
        read.append(len(found))
        return found

    await empty.apply(one_pool("100.64.0.0/28"))
    empty.clock.at = at(100_000)
    line = LoggedBlock(OUTSIDES[0], 1, 9, "100.64.0.2", at(-9), at(-8))
    await empty.ports("import_blocks", blocks=[line], source="a")
    async with empty.database.begin() as db:
        vrf_id = (await db.scalars(select(table_of(NatBlock).c.vrf_id))).one()
        history = [
            {
                "tenant_id": empty.tenant_id,
                "outside": to_bytes(*parse_address(OUTSIDES[0])),
                "first_port": 1024 * port,
                "last_port": 1024 * port + 1023,
                "vrf_id": vrf_id,
                "inside": to_bytes(*parse_address("100.64.0.3")),
                "began_at": at(30 * nth),
                "ended_at": at(30 * nth + 20),
                "source": "a",
            }
            for port in range(1, 9)
            for nth in range(500)
        ]
        await db.execute(insert(table_of(NatBlock)), history)
    monkeypatch.setattr(logged_blocks, "known_around", counted)
    new = LoggedBlock(OUTSIDES[0], 1024, 2047, "100.64.0.4", at(15_000), at(15_010))
    between = replace(new, began_at=at(3020), ended_at=at(3030))
    of_old = replace(new, first_port=2048, last_port=3071, began_at=at(-30), ended_at=None)

    unended = [replace(between, first_port=1024 * port, last_port=1024 * port + 1023, ended_at=None) for port in (4, 5)]

    for said in ([new], [new], [between], [of_old], [between, new, of_old], unended):
        await empty.ports("import_blocks", blocks=said, source="a")

    assert read == [0, 1, 0, 1, 4, 2]
