"""Blocks of ports that meet are found whatever their sizes, and what doesn't meet costs next to nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from ipam.nat.meeting import PortSweep, end_of
from tests.ipam.conftest import STARTED_AT

pytestmark = pytest.mark.either_database

LOOKS = {"at an end": 0}


@dataclass(frozen=True)
class Ports:
    """A block that counts how often somebody looks when it ended."""

    outside: bytes
    first_port: int
    last_port: int
    began: int
    ended: int | None

    @property
    def began_at(self) -> datetime:
        return STARTED_AT + timedelta(minutes=self.began)

    @property
    def ended_at(self) -> datetime | None:
        LOOKS["at an end"] += 1
        return None if self.ended is None else STARTED_AT + timedelta(minutes=self.ended)


def swept(blocks: Sequence[Ports]) -> list[tuple[int, int]]:
    """The pairs that meet, by their places."""
    places = {id(block): place for place, block in enumerate(blocks)}
    sweep = PortSweep[Ports]()
    return sorted(
        (min(pair), max(pair))
        for block in sorted(blocks, key=lambda each: (each.outside, each.first_port, each.began_at))
        for met in sweep.met_by(block)
        if (pair := (places[id(block)], places[id(met)]))
    )


def held_against_each(blocks: Sequence[Ports]) -> list[tuple[int, int]]:
    """The same, plainly."""
    return [
        (one, other)
        for one, a in enumerate(blocks)
        for other, b in enumerate(blocks[one + 1 :], one + 1)
        if a.outside == b.outside
        and a.first_port <= b.last_port
        and b.first_port <= a.last_port
        and a.began_at < end_of(b)
        and b.began_at < end_of(a)
    ]


@pytest.mark.parametrize("seed", range(40))
def test_all_that_meet_are_found_whatever_their_sizes_and_also_without_an_end(seed: int) -> None:
    dice = random.Random(seed)
    blocks = []
    for _ in range(dice.choice((5, 60, 200))):
        first, began = dice.randrange(1, 40), dice.randrange(50)
        last = dice.choice((first, first + dice.randrange(8), first + dice.randrange(40)))
        ended = dice.choice((None, began + 1, began + dice.randrange(1, 4), began + dice.randrange(1, 50)))
        blocks.append(Ports(dice.choice((b"a", b"b")), first, last, began, ended))

    assert swept(blocks) == held_against_each(blocks)


def test_each_of_an_address_is_held_against_its_neighbours_and_not_against_all_others() -> None:
    blocks = [
        Ports(b"a", first, first + width - 1, since + 30 * nth, since + 30 * nth + 20)
        for width, since in ((64, 0), (128, 60_000))
        for first in range(1024, 1536, width)
        for nth in range(2_000)
    ]
    LOOKS["at an end"] = 0

    assert swept(blocks) == []

    assert LOOKS["at an end"] <= 10 * len(blocks)
