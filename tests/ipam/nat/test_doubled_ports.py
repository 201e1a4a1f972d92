"""Whatever the sizes and times of blocks that logs tell, those that met are found, each pair once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

import pytest
from sqlalchemy import insert, select

from ipam import LoggedBlock
from ipam.addresses import format_address, parse_address, to_bytes
from ipam.nat import doubled_ports
from ipam.nat.meeting import PortSweep
from ipam.tables import NatBlock, table_of
from tests.ipam.conftest import STARTED_AT, Network, found, one_pool

pytestmark = pytest.mark.both_databases


def at(minute: int) -> datetime:
    return STARTED_AT + timedelta(minutes=minute)


def by_chance(dice: random.Random) -> list[dict[str, Any]]:
    """On a few outside addresses, or on many, on some of which nobody meets anybody."""
    rows: dict[tuple[str, int, int], dict[str, Any]] = {}
    addresses, ports = dice.choice((3, 25, 60)), dice.choice((40, 3))
    for number in range(120):
        outside, first, began = f"203.0.113.{dice.randrange(addresses)}", dice.randrange(1, ports), dice.randrange(50)
        ended = dice.choice((None, began + 1, began + dice.randrange(1, 4)))
        rows[outside, first, began] = {
            "outside": to_bytes(*parse_address(outside)),
            "first_port": first,
            "last_port": first + dice.choice((0, 3, 20)),
            "began_at": at(began),
            "ended_at": None if ended is None else at(ended),
            "source": f"log {number}",
        }
    return list(rows.values())


async def known(network: Network, rows: list[dict[str, Any]]) -> None:
    """Whoever they meet."""
    await network.apply(one_pool("100.64.0.0/28"))
    first = LoggedBlock("198.51.100.1", 1, 9, "100.64.0.9", at(-9), at(-8))
    await network.ports("import_blocks", blocks=[first], source="a")
    async with network.database.begin() as db:
        vrf_id = (await db.scalars(select(table_of(NatBlock).c.vrf_id))).one()
        same = {"tenant_id": network.tenant_id, "vrf_id": vrf_id, "inside": to_bytes(*parse_address("100.64.0.9"))}
        await db.execute(insert(table_of(NatBlock)), [same | row for row in rows])


def told(rows: list[dict[str, Any]]) -> list[str]:
    """By the plain rule, each held against each."""
    return [
        f"port 203.0.113.{a['outside'][-1]}:{a['first_port']}: was given to two at one time, by {a['source']} and"
        f" {b['source']}"
        for a, b in combinations(rows, 2)
        if a["outside"] == b["outside"]
        and a["first_port"] <= b["last_port"]
        and b["first_port"] <= a["last_port"]
        and (a["ended_at"] is None or b["began_at"] < a["ended_at"])
        and (b["ended_at"] is None or a["began_at"] < b["ended_at"])
    ]


@pytest.mark.parametrize("seed", range(8))
async def test_all_that_met_are_told_in_the_order_in_which_they_were_read_in(
    empty: Network, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubled_ports, "AT_ONCE", 7)
    rows = by_chance(random.Random(seed))
    await known(empty, rows)

    assert await found(empty, [doubled_ports.ports_of_two]) == {"ports_of_two": told(rows)}


async def test_blocks_are_read_only_of_addresses_on_which_some_may_have_met(
    empty: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[str, int, int]] = []
    met_by = PortSweep.met_by

    def seen(sweep: PortSweep[Any], block: Any) -> Iterator[Any]:
        shown.append((format_address(block.outside), block.first_port, (block.began_at - STARTED_AT).seconds // 60))
        return met_by(sweep, block)

    said = [  # the last octet of the outside address, ports, and when from the first to the last minute
        *((last, first, first + 9, began, began + 5) for last in (1, 4) for first in (1, 11) for began in (0, 5, 20)),
        (2, 1, 9, 0, None),
        (2, 1, 9, 5, 6),  # before an open one
        (3, 1, 9, 0, 6),
        (3, 1, 9, 5, 7),  # before the other one had ended
        (5, 1, 10, 0, 5),
        (5, 10, 12, 7, 9),  # some of its ports, later
        (6, 1, 20, 0, 5),
        (6, 1, 9, 5, 6),
        (6, 12, 13, 0, 5),  # ports of the first one
        (7, 1, 9, 0, None),
    ]
    await known(
        empty,
        [
            {
                "outside": to_bytes(*parse_address(f"203.0.113.{last}")),
                "first_port": first,
                "last_port": last_port,
                "began_at": at(began),
                "ended_at": None if ended is None else at(ended),
                "source": "a",
            }
            for last, first, last_port, began, ended in said
        ],
    )
    monkeypatch.setattr(PortSweep, "met_by", seen)

    told_of = await found(empty, [doubled_ports.ports_of_two])

    met = "was given to two at one time, by a and a"
    assert told_of == {"ports_of_two": [f"port 203.0.113.{last}:1: {met}" for last in (2, 3, 6)]}
    assert shown == [(f"203.0.113.{last}", first, began) for last, first, _, began, _ in said if last in {2, 3, 5, 6}]
