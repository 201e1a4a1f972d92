"""Whether a log has told the end of a port block, or the next one of its ports only began then, is known later on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from ipam import ImportedBlocks, LoggedBlock, RequestInvalid, ports_of_two
from ipam.tables import NatBlock
from tests.ipam.conftest import STARTED_AT, Network, found, laid_open
from tests.ipam.nat.test_unended_blocks import OUTSIDE, block, holders, prepared, read, refusal

pytestmark = pytest.mark.both_databases

RULE = {"pool": "cgnat", "outside": f"{OUTSIDE}/32", "ports_per_subscriber": 200}
"""It gives ports 2824 to 3023 to 100.64.0.9."""


def at(hours: float) -> datetime:
    return STARTED_AT + timedelta(hours=hours)


def of_ruled_ports(inside: str, began: float, ended: float | None = None) -> LoggedBlock:
    return replace(block(inside, began, ended), first_port=2824, last_port=3023)


async def ends(network: Network) -> list[tuple[float | None, bool | None]]:
    """After how many hours each block ended, and whether that was told."""
    asked = select(NatBlock.ended_at, NatBlock.end_told).order_by(NatBlock.began_at, NatBlock.first_port)
    async with network.database.read() as db:
        rows = (await db.execute(asked)).all()
    return [(row.ended_at and (row.ended_at - STARTED_AT) / timedelta(hours=1), row.end_told) for row in rows]


async def from_before(network: Network) -> None:
    """The blocks as a release before has kept them."""
    async with laid_open(network, "ipam_nat_block") as db:
        await db.execute(update(NatBlock).values(end_told=None))


async def test_of_each_end_it_is_kept_whether_a_log_told_it(empty: Network) -> None:
    await prepared(empty)
    await read(
        empty, block("100.64.0.8", 0), block("100.64.0.9", 6), block("100.64.0.10", 8, 9), block("100.64.0.9", 9)
    )
    assert await ends(empty) == [(6, False), (8, False), (9, True), (None, None)]

    assert await read(empty, block("100.64.0.9", 6, 7)) == ImportedBlocks(1, 0)
    assert await ends(empty) == [(6, False), (7, True), (9, True), (None, None)]


@pytest.mark.parametrize(
    "logs",
    [
        ([block("100.64.0.8", 0, 6)], [block("100.64.0.9", 6)]),
        ([block("100.64.0.9", 6)], [block("100.64.0.8", 0)], [block("100.64.0.8", 0, 6)]),
        ([block("100.64.0.8", 0), block("100.64.0.9", 6)], [block("100.64.0.8", 0, 6)], [block("100.64.0.8", 0)]),
    ],
)
async def test_a_told_end_stays_when_the_one_that_began_then_was_nobodys(
    empty: Network, logs: Sequence[Sequence[LoggedBlock]]
) -> None:
    await prepared(empty)
    for log in logs:
        await read(empty, *log)

    assert await read(empty, block("100.64.0.9", 6, 6)) == ImportedBlocks(1, 0, for_no_time=1)

    assert await holders(empty, 5, 7) == ["100.64.0.8", None]
    assert await ends(empty) == [(6, True)]
    assert await read(empty, block("100.64.0.9", 6, 6)) == ImportedBlocks(0, 0, for_no_time=1)


async def test_an_end_that_was_assumed_and_is_told_counts_once(empty: Network) -> None:
    await prepared(empty)
    await read(empty, block("100.64.0.8", 0), block("100.64.0.9", 6))

    told = (block("100.64.0.8", 0, 6), block("100.64.0.9", 6))
    assert await read(empty, *told, source="box2") == ImportedBlocks(1, 0)  # whichever box tells it

    assert await read(empty, *told) == ImportedBlocks(0, 0)
    assert await ends(empty) == [(6, True), (None, None)]


async def test_a_delayed_line_moves_no_end_that_was_told(empty: Network) -> None:
    await prepared(empty)
    await read(empty, block("100.64.0.8", 0, 24), block("100.64.0.9", 24, 26))

    assert await refusal(empty, block("100.64.0.10", 12, 13)) == [
        f"blocks.0: {OUTSIDE}:1024-2047 was 100.64.0.8's from 2030-01-01T12:00:00Z to 2030-01-02T12:00:00Z"
        " (a block imported from box1)"
    ]
    assert await holders(empty, 12) == ["100.64.0.8"]


async def test_an_end_that_is_told_later_than_it_was_assumed_meets_who_had_the_ports_by_then(empty: Network) -> None:
    await prepared(empty)
    await read(empty, block("100.64.0.8", 0), block("100.64.0.9", 6))

    assert await refusal(empty, block("100.64.0.8", 0, 7)) == [
        f"blocks.0: {OUTSIDE}:1024-2047 was 100.64.0.9's from 2030-01-01T18:00:00Z on (a block imported from box1)"
    ]
    both = (block("100.64.0.8", 0, 7), block("100.64.0.9", 6, 6))
    assert await read(empty, *both) == ImportedBlocks(2, 0, for_no_time=1)
    assert await holders(empty, 6, 7) == ["100.64.0.8", None]


async def test_an_end_that_a_rule_only_let_assume_gives_way_to_a_later_one_that_is_told(empty: Network) -> None:
    await prepared(empty)
    await empty.ports("define_rule", **RULE, since=at(5))
    await read(empty, block("100.64.0.8", 0), block("100.64.0.9", 10))
    assert await ends(empty) == [(5, False), (None, None)]

    done = await read(empty, block("100.64.0.8", 0, 7))

    assert (done.new, done.contradicts_rule) == (1, 1)  # the box did it
    assert await holders(empty, 6) == ["100.64.0.8"]


async def test_two_ends_of_one_block_are_not_both_true(empty: Network) -> None:
    await prepared(empty)
    await read(empty, block("100.64.0.8", 0))

    for hours in ((6, 7), (7, 6)):
        twice = [block("100.64.0.8", 0, ended, where=f"line {ended}") for ended in hours]
        assert len(await refusal(empty, *twice)) == 1
    await read(empty, block("100.64.0.9", 6))
    for hours in ((6, 7), (7, 6)):
        assert await refusal(empty, *(block("100.64.0.8", 0, ended) for ended in hours)) != []
    assert await ends(empty) == [(6, False), (None, None)]


async def test_a_rule_is_dated_back_over_an_end_that_was_only_assumed_and_ends_the_block_then(empty: Network) -> None:
    await prepared(empty)
    log = (of_ruled_ports("100.64.0.8", 0), of_ruled_ports("100.64.0.9", 10))  # by then the box mapped by the rule
    await read(empty, *log)
    assert await holders(empty, 1, 6, 11, port=2900) == ["100.64.0.8", "100.64.0.8", "100.64.0.9"]

    assert await empty.ports("define_rule", **RULE, since=at(5))

    assert await holders(empty, 1, 6, 11, port=2900) == ["100.64.0.8", "100.64.0.9", "100.64.0.9"]
    assert await read(empty, *log) == ImportedBlocks(0, 0)
    assert await empty.ports("define_rule", **RULE, since=at(3))
    assert await ends(empty) == [(3, False), (None, None)]
    assert await read(empty, *log) == ImportedBlocks(0, 0)
    assert await empty.violations() == []


async def test_a_block_by_the_rule_keeps_the_end_that_the_rule_let_assume_when_that_is_dated_back(
    empty: Network,
) -> None:
    await prepared(empty)
    await empty.ports("define_rule", **RULE, since=at(8))
    log = (of_ruled_ports("100.64.0.9", 6), of_ruled_ports("100.64.0.9", 10))
    await read(empty, *log)
    other = replace(of_ruled_ports("100.64.0.9", 8.5, 9), last_port=2900)
    await read(empty, other, source="box2")

    assert await empty.ports("define_rule", **RULE, since=at(5))

    assert await read(empty, *log) == ImportedBlocks(0, 0)
    assert await ends(empty) == [(8, False), (9, True), (None, None)]
    assert await holders(empty, 7, 8.2, 8.7, 9.5, port=2900) == ["100.64.0.9"] * 4
    assert await empty.violations() == []


async def test_a_rule_is_dated_over_no_end_that_was_told_or_of_which_nobody_knows(empty: Network) -> None:
    await prepared(empty)
    log = (of_ruled_ports("100.64.0.8", 0), of_ruled_ports("100.64.0.9", 10))
    await read(empty, *log)
    after_that = rf"log box1 gives {OUTSIDE}:2824-3023 to 100.64.0.8 after that"

    await from_before(empty)
    with pytest.raises(RequestInvalid, match=after_that):
        await empty.ports("define_rule", **RULE, since=at(5))
    await read(empty, of_ruled_ports("100.64.0.8", 0, 10))
    with pytest.raises(RequestInvalid, match=after_that):
        await empty.ports("define_rule", **RULE, since=at(9))
    assert await empty.ports("define_rule", **RULE, since=at(10))


async def test_an_end_from_before_is_assumed_where_the_next_one_began_then_until_it_is_told_again(
    empty: Network,
) -> None:
    await prepared(empty)
    log = (block("100.64.0.8", 0, 6), block("100.64.0.9", 6), block("100.64.0.10", 8, 9))
    await read(empty, *log)
    await from_before(empty)
    assert await read(empty, *log) == ImportedBlocks(0, 0)  # the same log again
    assert await ends(empty) == [(6, True), (8, None), (9, True)]

    await from_before(empty)
    assert await read(empty, block("100.64.0.11", 7)) == ImportedBlocks(1, 2)
    assert await ends(empty) == [(6, None), (7, False), (8, False), (9, None)]
    assert await read(empty, block("100.64.0.9", 6, 6)) == ImportedBlocks(1, 1, for_no_time=1)
    assert await holders(empty, 6.5) == ["100.64.0.8"]  # as if no line had told its end
    assert await ends(empty) == [(7, False), (8, False), (9, None)]


@pytest.mark.parametrize("read_again", [False, True])
async def test_what_was_nobodys_moves_no_end_but_one_that_it_had_brought_about(
    empty: Network, *, read_again: bool
) -> None:
    await prepared(empty)
    await empty.ports("define_rule", **RULE, since=at(8))
    first, second, last = (of_ruled_ports("100.64.0.9", hours) for hours in (6, 10, 20))
    await read(empty, first, second, *([last] if read_again else []))
    await empty.ports("define_rule", **RULE, since=at(5))
    await read(empty, replace(of_ruled_ports("100.64.0.8", 8.5, 9), last_port=2900), source="box2")

    again, nobodys = ([first], last) if read_again else ([], second)
    await read(empty, *again, replace(nobodys, ended_at=nobodys.began_at))

    left = [(None, None)] if read_again else []
    assert await ends(empty) == [(8, False), (9, True), *left]
    assert await holders(empty, 7, 8.7, port=2900) == ["100.64.0.9", "100.64.0.8"]
    assert await found(empty, [ports_of_two]) == {}
