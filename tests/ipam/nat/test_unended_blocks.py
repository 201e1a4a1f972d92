"""Port blocks whose end no log tells: the next one of their ports ends them, and an end that is told counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ipam import ImportedBlocks, LoggedBlock, RequestInvalid
from tests.ipam.conftest import STARTED_AT, Network, one_pool

pytestmark = pytest.mark.both_databases

OUTSIDE = "203.0.113.90"


def block(inside: str, began: float, ended: float | None = None, *, first: int = 1024, where: str = "") -> LoggedBlock:
    at = [None if hours is None else STARTED_AT + timedelta(hours=hours) for hours in (began, ended)]
    assert at[0] is not None
    return LoggedBlock(OUTSIDE, first, first + 1023, inside, at[0], at[1], where=where or None)


async def read(network: Network, *blocks: LoggedBlock, source: str = "box1") -> Any:
    return await network.ports("import_blocks", blocks=list(blocks), source=source)


async def refusal(network: Network, *blocks: LoggedBlock, source: str = "box1") -> list[str]:
    with pytest.raises(RequestInvalid) as refused:
        await read(network, *blocks, source=source)
    return [str(fault) for fault in refused.value.faults]


async def holders(network: Network, *hours: float, port: int = 1500) -> list[str | None]:
    found = []
    for each in hours:
        at = STARTED_AT + timedelta(hours=each)
        then = await network.ports("holder", outside=OUTSIDE, port=port, at=at)
        found.append(None if then is None else then["block"]["inside"])
    return found


async def prepared(network: Network) -> Network:
    await network.apply(one_pool("100.64.0.0/24", role="cgnat"))
    network.clock.forward(hours=100)
    return network


async def test_the_next_block_of_its_ports_ends_one_whose_end_was_lost(empty: Network) -> None:
    await prepared(empty)
    assert await read(empty, block("100.64.0.9", 0)) == ImportedBlocks(1, 0)

    later = (block("100.64.0.10", 24, 26), block("100.64.0.11", 24, 26, first=2048))
    assert await read(empty, *later) == ImportedBlocks(2, 1)

    assert await holders(empty, -1, 0, 23.9, 24, 26) == [None, "100.64.0.9", "100.64.0.9", "100.64.0.10", None]
    assert await read(empty, block("100.64.0.9", 0), *later) == ImportedBlocks(0, 0)  # the same log again
    assert await read(empty, block("100.64.0.13", 30), block("100.64.0.12", -10)) == ImportedBlocks(
        2, 1
    )  # an older log
    assert await holders(empty, -9, 1, 25, 29, 31) == ["100.64.0.12", "100.64.0.9", "100.64.0.10", None, "100.64.0.13"]
    assert await empty.violations() == []


async def test_an_end_that_a_log_tells_after_all_counts(empty: Network) -> None:
    await prepared(empty)
    await read(empty, block("100.64.0.9", 0), block("100.64.0.10", 24))

    assert await read(empty, block("100.64.0.9", 0, 6)) == ImportedBlocks(1, 0)

    assert await holders(empty, 5, 7, 25) == ["100.64.0.9", None, "100.64.0.10"]
    assert await refusal(empty, block("100.64.0.9", 0, 8)) == [
        f"blocks.0: {OUTSIDE}:1024-2047 was 100.64.0.9's from 2030-01-01T12:00:00Z to 2030-01-01T18:00:00Z"
        " (a block imported from box1)"
    ]


async def test_a_delayed_line_ends_a_block_earlier_whose_end_was_only_assumed(empty: Network) -> None:
    await prepared(empty)
    first, last = block("100.64.0.9", 0), block("100.64.0.10", 24, 26)
    await read(empty, first, last)
    delayed = block("100.64.0.11", 12, 13)

    assert await read(empty, delayed) == ImportedBlocks(1, 1)

    assert await holders(empty, 11, 12, 14, 25) == ["100.64.0.9", "100.64.0.11", None, "100.64.0.10"]
    assert await read(empty, first, delayed, last) == ImportedBlocks(0, 0)
    other_ports = block("100.64.0.12", 6, 7, first=1500)  # nothing says that the ports were given out anew
    assert len(await refusal(empty, other_ports)) == 1


async def test_an_end_that_a_file_tells_again_is_not_only_assumed(empty: Network) -> None:
    await prepared(empty)
    told = (block("100.64.0.9", 0, 24), block("100.64.0.10", 24, 26))
    await read(empty, *told)

    assert await read(empty, *told) == ImportedBlocks(0, 0)
    assert await refusal(empty, *told, block("100.64.0.11", 12, 13, where="line 3")) == [
        f"line 3: {OUTSIDE}:1024-2047 was 100.64.0.9's from 2030-01-01T12:00:00Z to 2030-01-02T12:00:00Z"
        " (a block imported from box1)"
    ]


async def test_one_over_whose_address_a_rule_began_meanwhile_ended_then(empty: Network) -> None:
    await prepared(empty)
    await read(empty, block("100.64.0.9", 0))
    since = STARTED_AT + timedelta(hours=10)
    rule = {"pool": "cgnat", "outside": f"{OUTSIDE}/32", "ports_per_subscriber": 200}
    await empty.ports("define_rule", **rule, since=since)

    later = await read(empty, block("100.64.0.10", 24, 26))

    assert (later.new, later.ended_by_next, later.contradicts_rule) == (1, 1, 1)  # of the rule that had begun
    assert await holders(empty, 9, 25) == ["100.64.0.9", "100.64.0.10"]
    assert await holders(empty, 11) == ["100.64.0.2"]


async def test_other_ports_or_another_source_end_nothing_and_the_refusal_says_what_stands_there(empty: Network) -> None:
    await prepared(empty)
    await read(empty, block("100.64.0.9", 0))
    before = "was 100.64.0.9's from 2030-01-01T12:00:00Z on (a block imported from box1)"

    assert await refusal(empty, block("100.64.0.10", 24), source="box2") == [f"blocks.0: {OUTSIDE}:1024-2047 {before}"]
    overlapping = block("100.64.0.10", 24, first=1500, where="line 7")
    assert await refusal(empty, overlapping) == [f"line 7: {OUTSIDE}:1500-2523 {before}"]
    earlier = block("100.64.0.8", -24, first=1500)
    assert await refusal(empty, earlier) == [f"blocks.0: {OUTSIDE}:1500-2523 {before}"]  # whichever of them is older
    assert await holders(empty, 25) == ["100.64.0.9"]


async def test_a_file_that_says_a_block_open_and_ended_says_it_once(empty: Network) -> None:
    await prepared(empty)
    said = (block("100.64.0.9", 0), block("100.64.0.9", 0, 6), block("100.64.0.9", 0, 6), block("100.64.0.9", 0))

    assert await read(empty, *said) == ImportedBlocks(1, 0)

    assert await holders(empty, 5, 7) == ["100.64.0.9", None]
    twice = (block("100.64.0.10", 8, 9), block("100.64.0.10", 8, 10))  # which of them is true?
    assert len(await refusal(empty, *twice)) == 1


async def test_what_is_still_to_come_was_not_logged(empty: Network) -> None:
    await prepared(empty)
    a_little_ahead, far_ahead = block("100.64.0.9", 100.05), block("100.64.0.10", 101, first=4096)
    ends_far_ahead = block("100.64.0.10", 99, 101, first=4096)

    assert await refusal(empty, a_little_ahead, far_ahead, ends_far_ahead) == [
        "blocks.1.began_at: it begins at 2030-01-05T17:00:00Z, which is still to come",
        "blocks.2.ended_at: it ends at 2030-01-05T17:00:00Z, which is still to come",
    ]
    assert await read(empty, a_little_ahead) == ImportedBlocks(1, 0)


async def test_a_block_that_ended_when_it_began_was_nobodys_and_is_passed_over(empty: Network) -> None:
    await prepared(empty)
    for_no_time, next_one = block("100.64.0.9", 0, 0), block("100.64.0.10", 0, 6)

    assert await read(empty, for_no_time, next_one) == ImportedBlocks(1, 0, for_no_time=1)

    assert await holders(empty, 0, 7) == ["100.64.0.10", None]
    assert await read(empty, for_no_time, next_one) == ImportedBlocks(0, 0, for_no_time=1)
    opened_and_ended = (block("100.64.0.9", 8), block("100.64.0.9", 8, 8))
    assert await read(empty, *opened_and_ended) == ImportedBlocks(0, 0, for_no_time=1)
    given_twice = (block("100.64.0.9", 8, 8), block("100.64.0.9", 8, 9))
    assert await read(empty, *given_twice) == ImportedBlocks(1, 0, for_no_time=1)
    assert await holders(empty, 8, 10) == ["100.64.0.9", None]
    assert await refusal(empty, block("100.64.0.9", 12, 11)) == ["blocks.0.ended_at: it ends before it begins"]
    assert await empty.violations() == []


async def test_one_that_was_read_open_and_ended_when_it_began_is_nobodys_after_all(empty: Network) -> None:
    await prepared(empty)
    await read(empty, block("100.64.0.8", 0), block("100.64.0.9", 6))
    assert await holders(empty, 5, 7) == ["100.64.0.8", "100.64.0.9"]

    assert await read(empty, block("100.64.0.9", 6, 6)) == ImportedBlocks(1, 0, for_no_time=1)

    assert await holders(empty, 5, 7) == ["100.64.0.8", "100.64.0.8"]  # as one log of all three lines has it
    assert await read(empty, block("100.64.0.9", 6, 6)) == ImportedBlocks(0, 0, for_no_time=1)
    assert await read(empty, block("100.64.0.8", 0, 7)) == ImportedBlocks(1, 0)
    assert await holders(empty, 5, 6.5, 7) == ["100.64.0.8", "100.64.0.8", None]
    assert await empty.violations() == []


async def test_one_that_was_nobodys_makes_way_for_who_had_its_ports_from_then_on(empty: Network) -> None:
    await prepared(empty)
    await read(empty, block("100.64.0.8", 0), block("100.64.0.9", 6))

    log = (block("100.64.0.9", 6, 6), block("100.64.0.10", 6))
    assert await read(empty, *log) == ImportedBlocks(2, 0, for_no_time=1)

    assert await holders(empty, 5, 6, 99) == ["100.64.0.8", "100.64.0.10", "100.64.0.10"]
    assert await read(empty, *log) == ImportedBlocks(0, 0, for_no_time=1)


async def test_whom_one_that_was_nobodys_had_ended_is_ended_by_the_one_after_it(empty: Network) -> None:
    await prepared(empty)
    await read(empty, block("100.64.0.8", 0), *(block("100.64.0.9", hour) for hour in (6, 7, 20)))

    nobodys = (block("100.64.0.9", 6, 6), block("100.64.0.9", 7, 7))
    assert await read(empty, *nobodys) == ImportedBlocks(2, 1, for_no_time=2)

    assert await holders(empty, 5, 6, 19, 21) == ["100.64.0.8", "100.64.0.8", "100.64.0.8", "100.64.0.9"]
    assert await read(empty, block("100.64.0.8", 0, 4)) == ImportedBlocks(1, 0)
    assert await holders(empty, 3, 5) == ["100.64.0.8", None]


async def test_an_end_that_is_told_again_stays_when_the_next_one_was_nobodys(empty: Network) -> None:
    await prepared(empty)
    told = block("100.64.0.8", 0, 6)
    await read(empty, told, block("100.64.0.9", 6))

    assert await read(empty, told, block("100.64.0.9", 6, 6)) == ImportedBlocks(1, 0, for_no_time=1)

    assert await holders(empty, 5, 7) == ["100.64.0.8", None]


async def test_whom_one_that_was_nobodys_had_ended_meets_who_had_some_of_its_ports_since(empty: Network) -> None:
    await prepared(empty)
    since = STARTED_AT + timedelta(hours=5)
    await empty.ports("define_rule", pool="cgnat", outside=f"{OUTSIDE}/32", ports_per_subscriber=200, since=since)
    await read(empty, block("100.64.0.8", 0), block("100.64.0.9", 6))
    nobodys = block("100.64.0.9", 6, 6, where="line 2")
    await read(empty, block("100.64.0.10", 5.2, 5.4, first=1500))

    assert await refusal(empty, nobodys) == [
        f"line 2: {OUTSIDE}:1024-2047 was 100.64.0.10's from 2030-01-01T17:12:00Z to 2030-01-01T17:24:00Z"
        " (a block imported from box1)"
    ]
    told = block("100.64.0.8", 0, 5)
    assert (await read(empty, told, nobodys)).new == 2
    assert await holders(empty, 4) == ["100.64.0.8"]


async def test_one_that_a_known_block_of_another_source_does_not_end_meets_whoever_came_later_too(
    empty: Network,
) -> None:
    await prepared(empty)
    await read(empty, block("100.64.0.9", 20), block("100.64.0.10", 30, 40))
    await read(empty, block("100.64.0.11", 50, 60, first=1500), source="box3")

    both = (block("100.64.0.12", 0, where="line 1"), block("100.64.0.9", 20, 25, where="line 2"))
    was = f"line 1: {OUTSIDE}:1024-2047 was"
    assert await refusal(empty, *both, source="box2") == [
        f"{was} 100.64.0.9's from 2030-01-02T08:00:00Z to 2030-01-02T13:00:00Z (line 2)",
        f"{was} 100.64.0.10's from 2030-01-02T18:00:00Z to 2030-01-03T04:00:00Z (a block imported from box1)",
        f"{was} 100.64.0.11's from 2030-01-03T14:00:00Z to 2030-01-04T00:00:00Z (a block imported from box3)",
    ]
