"""Whatever the sizes and times of blocks that logs tell, those that met are found, each pair once."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from ipam import LoggedBlock
from ipam.addresses import parse_address, to_bytes
from ipam.nat import doubled_ports
from ipam.tables import NatBlock, table_of
from tests.ipam.conftest import STARTED_AT, Network, found, one_pool

pytestmark = pytest.mark.both_databases


def at(minute: int) -> datetime:
    return STARTED_AT + timedelta(minutes=minute)


def by_chance(dice: random.Random) -> list[dict[str, Any]]:
    rows: dict[tuple[str, int, int], dict[str, Any]] = {}
    for number in range(120):
        outside, first, began = f"203.0.113.{dice.randrange(3)}", dice.randrange(1, 40), dice.randrange(50)
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


def told(rows: list[dict[str, Any]]) -> list[str]:
    """By the plain rule, each held against each."""
    return [
        f"port 203.0.113.{a['outside'][-1]}:{a['first_port']}: was given to two at one time, by {a['source']} and"
        f" {b['source']}"
        for nth, a in enumerate(rows)
        for b in rows[nth + 1 :]
        if a["outside"] == b["outside"]
        and a["first_port"] <= b["last_port"]
        and b["first_port"] <= a["last_port"]
        and (a["ended_at"] is None or b["began_at"] < a["ended_at"])
        and (b["ended_at"] is None or a["began_at"] < b["ended_at"])
    ]


@pytest.mark.parametrize("seed", range(3))
async def test_all_that_met_are_told_in_the_order_in_which_they_were_read_in(
    empty: Network, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubled_ports, "AT_ONCE", 7)
    await empty.apply(one_pool("100.64.0.0/28"))
    await empty.ports(
        "import_blocks", blocks=[LoggedBlock("198.51.100.1", 1, 9, "100.64.0.9", at(-9), at(-8))], source="a"
    )
    rows = by_chance(random.Random(seed))
    async with empty.database.begin() as db:
        vrf_id = await db.scalar(table_of(NatBlock).select().with_only_columns(NatBlock.vrf_id))
        same = {"tenant_id": empty.tenant_id, "vrf_id": vrf_id, "inside": to_bytes(*parse_address("100.64.0.9"))}
        await db.execute(insert(table_of(NatBlock)), [same | row for row in rows])

    assert await found(empty, [doubled_ports.ports_of_two]) == {"ports_of_two": told(rows)}
