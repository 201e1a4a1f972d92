"""A long import beside those who log in."""

from __future__ import annotations

from itertools import chain, repeat

import pytest

from provisioning.bootstrap import Appliance
from provisioning.subscriber_files import bring_in
from radius import LoginLog, read_subscribers
from tests.support.healthy_estate import HealthyEstate

LIST = ["username,customer_id,plan\n", *(f"n{each}@isp.example,7{each},fiber-300\n" for each in range(3))]


async def test_an_import_rests_between_its_batches_while_many_log_in(
    spoilable: Appliance, estate: HealthyEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = chain([0, 5000], repeat(5000))

    async def newest_id(_log: LoginLog) -> int:
        return next(newest)

    monkeypatch.setattr(LoginLog, "newest_id", newest_id)
    rested: list[float] = []

    async def sleep(seconds: float) -> None:
        rested.append(seconds)

    list_ = read_subscribers(LIST)
    done = await bring_in(
        spoilable, list_, batch=1, audited=lambda _counts: None, sleep=sleep, customers_elsewhere=True
    )
    assert (done.created, done.failed, len(rested)) == (3, [], 1)
    assert 0 < rested[0] < 10  # so long, or eight times as long as the batch took
