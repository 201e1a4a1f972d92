"""Calm numbers: those of now, and before only what was written down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from ipam import PoolOutlook, PoolSampleAt
from provisioning.bootstrap import open_appliance
from provisioning.figures import TOO_SOON, Point, of_pools, of_runs, of_sessions
from provisioning.sight import ALL_SIGHT, Sight
from tests.support.healthy_estate import HealthyEstate
from workflows import EndedInHour

NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)


def pool(name: str, used: float) -> PoolOutlook:
    return PoolOutlook(
        pool_id=1,
        pool=name,
        kind="ipv4",
        role="public",
        network="192.0.2.0/24",
        vrf="default",
        size=100,
        assigned=int(used),
        quarantined=0,
        reserved=0,
        draining=0,
        free=100 - int(used),
        used_percent=used,
        next_available_at=None,
        level="ok",
        chain=[name],
        chain_size=100,
        chain_free=100 - int(used),
        units_per_day=None,
        days_to_exhaustion=None,
    )


def test_the_fullest_pools_are_told_with_the_samples_that_there_are() -> None:
    pools = [pool(f"p{used}", used) for used in (10, 90, 50, 30, 70)]
    before = PoolSampleAt(at=NOW - timedelta(hours=6), free=20, used_percent=80.0)
    told = of_pools(pools, {"p90": [before]}, NOW)
    assert [figure.name for figure in told] == ["Pool p90", "Pool p70", "Pool p50", "Pool p30"]
    assert told[0].points == [Point(before["at"], 80.0), Point(NOW, 90)]
    assert (told[0].now, told[0].most, told[0].gap) == ("90 % used, 10 of 100 free", 100.0, "")
    assert (told[1].points, told[1].gap) == ([], TOO_SOON)


def test_sessions_are_told_as_the_worker_has_counted_them_now_and_before() -> None:
    before = [(NOW - timedelta(minutes=20), 5), (NOW - timedelta(minutes=10), 6)]
    told = of_sessions([3, 4], before, NOW)
    assert (told.now, told.gap) == ("7 at 2 NASes", "")
    assert told.points == [*(Point(at, many) for at, many in before), Point(NOW, 7)]
    first = of_sessions([1], [], NOW)
    assert (first.now, first.points, first.gap) == ("1 at 1 NAS", [], TOO_SOON)


def test_a_number_that_nobody_has_counted_is_not_told() -> None:
    before = [(NOW - timedelta(hours=2), 5), (NOW - timedelta(hours=1), 6)]
    told = of_sessions([], before, NOW)
    assert (told.now, [point.value for point in told.points], told.gap) == ("not counted lately", [5, 6], "")
    never = of_sessions([], [], NOW)
    assert (never.now, never.points, never.gap) == ("not counted lately", [], "No worker has counted them.")


def test_runs_that_ended_are_told_by_hour_and_a_day_without_any_has_no_line() -> None:
    hours = [EndedInHour(NOW, 2, 1), EndedInHour(NOW + timedelta(hours=1), 0, 0)]
    told = of_runs(hours)
    assert told.now == "2 in 2 hours, 1 of them completed"
    assert told.points == [Point(NOW, 2), Point(NOW + timedelta(hours=1), 0)]
    quiet = of_runs([hours[1], hours[1]])
    assert (quiet.now, quiet.points, quiet.gap) == ("none in 2 hours", [], TOO_SOON)


async def test_the_numbers_are_those_of_the_databases_and_of_what_may_be_seen(
    estate: HealthyEstate, tmp_path: Path
) -> None:
    async with open_appliance(estate.copy(tmp_path / "copy")) as appliance:
        await appliance.tell_pool_levels()
        async with appliance.database.read() as db:
            told = {each.name: each for each in await appliance.figures_desk(db, ALL_SIGHT).look()}
            none = await appliance.figures_desk(db, Sight(frozenset())).look()
    assert none == []
    assert told["Runs ended"].now == "2 in 24 hours, 1 of them completed"
    assert [point.value for point in told["Runs ended"].points].count(0) >= 22
    assert len(told["Pool north-v4"].points) == 2
    assert told["Sessions open"].now == "not counted lately"  # no worker has swept this copy
