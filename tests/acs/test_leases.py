"""A lease is held while its block runs, through renewals that fail, and let go of once it has lapsed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from acs.leases import kept

LEASE = timedelta(seconds=90)


class Renewals:
    """They come at once, one after the other, and fail where it is said; the last one ends the block."""

    def __init__(self, failing: Sequence[bool]) -> None:
        self.failing = list(failing)
        self.made = 0
        self.all_made = asyncio.Event()

    async def renew(self) -> bool:
        fails = self.failing[self.made]
        self.made += 1
        if self.made == len(self.failing):
            self.all_made.set()
        if fails:
            raise ConnectionError("the database is away")
        return True

    async def pulse(self, seconds: float) -> None:
        await (asyncio.Event().wait() if self.all_made.is_set() else asyncio.sleep(0))


async def held(renewals: Renewals) -> str:
    async with kept(renewals.renew, every_seconds=20.0, lease=LEASE, pulse=renewals.pulse):
        await renewals.all_made.wait()
        await asyncio.sleep(0)
        return "done"


async def test_one_renewal_that_fails_is_tried_again() -> None:
    renewals = Renewals([True, True, False, True, True, True, True, False])
    assert (await held(renewals), renewals.made) == ("done", 8)


async def test_a_renewal_that_fails_while_the_block_ends_well_is_no_error() -> None:
    assert await held(Renewals([False, True])) == "done"


async def test_a_lease_that_has_lapsed_ends_its_block() -> None:
    renewals = Renewals([True] * 6)
    with pytest.raises(ConnectionError, match="the database is away"):
        await held(renewals)
    assert renewals.made == 5
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


async def test_a_block_that_somebody_else_cancels_is_cancelled() -> None:
    holding = asyncio.create_task(held(Renewals([False] * 2 + [False])))
    await asyncio.sleep(0)
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
