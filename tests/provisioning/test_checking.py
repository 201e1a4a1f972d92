"""Checks are recorded with their time, by whoever asks; the worker asks when nobody has for long, beside its work."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from provisioning import check_records, checking
from provisioning.bootstrap import Appliance
from provisioning.check import CheckResult, Finding
from provisioning.check_records import InvariantCheck, RecordedCheck, last_check, record_check
from provisioning.checking import PeriodicCheck, check_and_record, check_aside
from provisioning.commercial.tables import Customer


async def newest(appliance: Appliance) -> RecordedCheck | None:
    async with appliance.database.read() as db:
        return await last_check(db, tenant_id=appliance.tenant_id)


async def keep(appliance: Appliance, result: CheckResult, *, hours_ago: int) -> None:
    at = appliance.clock() - timedelta(hours=hours_ago)
    async with appliance.database.begin() as db:
        await record_check(db, result, tenant_id=appliance.tenant_id, checked_at=at, took_seconds=1.0)


@pytest.mark.both_databases
async def test_what_a_check_finds_is_kept_with_the_time_at_which_it_began(spoilable: Appliance) -> None:
    assert await newest(spoilable) is None
    async with spoilable.database.begin() as db:
        await db.execute(update(Customer).where(Customer.id == 1001).values(name="Somebody Else"))
    before = spoilable.clock()
    result = await check_and_record(spoilable)
    kept = await newest(spoilable)
    assert kept is not None and before <= kept.checked_at <= spoilable.clock()
    assert (kept.asked, kept.failed, kept.found, kept.findings) == (result.asked, 1, 1, result.findings)
    assert kept.findings == [
        Finding(
            "customer.found_by_their_names",
            "customer 1001",
            "Customer 1001 is not found by 2 of the things that they are called, and by 2 that they are not.",
        )
    ]


async def test_the_oldest_are_forgotten_and_of_each_invariant_the_first_findings_are_kept(
    spoilable: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_records, "KEPT_CHECKS", 2)
    findings = [Finding("ipam.leaked", f"service {number}", "It leaks.") for number in range(300)]
    findings += [Finding("radius.rows", "nas 1", "It is gone.")]
    for hours_ago in (4, 3, 2, 1):
        await keep(spoilable, CheckResult(70, 2, findings), hours_ago=hours_ago)
    async with spoilable.database.read() as db:
        assert await db.scalar(select(func.count()).select_from(InvariantCheck)) == 2
    kept = await newest(spoilable)
    assert kept is not None and (kept.found, kept.counts) == (301, {"ipam.leaked": 300, "radius.rows": 1})
    assert kept.findings == [*findings[:10], findings[-1]]


async def test_the_worker_checks_when_nobody_has_for_long(spoilable: Appliance) -> None:
    periodic = PeriodicCheck(spoilable, every=timedelta(hours=2))
    assert await periodic.look() is True
    assert await periodic.look() is False
    kept = await newest(spoilable)
    assert kept is not None and kept.failed == 0
    async with spoilable.database.begin() as db:
        long_ago = spoilable.clock() - timedelta(hours=3)
        await db.execute(update(InvariantCheck).values(checked_at=long_ago))
    assert await periodic.look() is True


async def test_a_check_beside_the_work_leaves_its_loop_alone_and_ends_when_it_is_called_off(
    spoilable: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    where: list[str] = []
    begun = threading.Event()
    ended = threading.Event()

    async def slow(appliance: Appliance) -> CheckResult:
        where.append(threading.current_thread().name)
        assert appliance is not spoilable
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError("nobody waits for that")

    monkeypatch.setattr(checking, "check_and_record", slow)
    asked = asyncio.create_task(check_aside(spoilable))
    await asyncio.get_running_loop().run_in_executor(None, begun.wait)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert ended.is_set() and where != [threading.main_thread().name]


async def test_what_goes_wrong_beside_the_work_is_raised_where_it_is_waited_for(
    spoilable: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(appliance: Appliance) -> CheckResult:
        raise LookupError("no database")

    monkeypatch.setattr(checking, "check_and_record", failing)
    with pytest.raises(LookupError, match="no database"):
        await check_aside(spoilable)
    assert await newest(spoilable) is None
