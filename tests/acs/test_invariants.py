"""Each invariant finds the corruption it is there for, and nothing in a healthy database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from acs import (
    AcsDevice,
    Finding,
    claims_without_proof,
    devices_of_ended_services,
    handed_over_and_not_at_rest,
    left_standing_for_long,
    revisions_that_do_not_fit,
    secrets_in_clear,
    serials_bound_twice,
    traces_left_at_the_acs,
    unreached_without_a_cause,
)
from acs.convergence.standing import STILL_THERE
from tests.acs.conftest import TENANT, Clockwork, Devices

Check = Callable[[AsyncSession], Awaitable[list[Finding]]]
SERIAL = "HWTC00000001"


def checks(clockwork: Clockwork) -> dict[str, Check]:
    hour_ago = clockwork.now() - timedelta(hours=1)
    return {
        "serial_bound_twice": serials_bound_twice,
        "device_of_ended_service": lambda db: devices_of_ended_services(db, tenant_id=TENANT, live_service_ids={1, 2}),
        "claim_without_proof": lambda db: claims_without_proof(db, tenant_id=TENANT),
        "revision_does_not_fit": lambda db: revisions_that_do_not_fit(db, tenant_id=TENANT),
        "secret_in_clear": lambda db: secrets_in_clear(db, tenant_id=TENANT),
        "trace_left": lambda db: traces_left_at_the_acs(db, tenant_id=TENANT, withdrawn_before=hour_ago),
        "left_standing": lambda db: left_standing_for_long(db, tenant_id=TENANT, unchanged_since=hour_ago),
        "handed_over_at_rest": lambda db: handed_over_and_not_at_rest(db, tenant_id=TENANT),
        "unreached_for_a_cause": lambda db: unreached_without_a_cause(db, tenant_id=TENANT),
    }


@pytest.fixture
async def healthy(devices: Devices, clockwork: Clockwork) -> Devices:
    """Two bound CPEs, one of them verified, and one withdrawn and cleared."""
    for number in (1, 2, 3):
        async with devices.database.begin() as db:
            await devices.service(db).provision_device(
                customer_id=number,
                service_id=number,
                device_serial=f"HWTC0000000{number}",
                config_template="tr181-pppoe",
                values={"pppoe_username": "u", "pppoe_password": "secret:subscriber/42"},
            )
    async with devices.database.begin() as db:
        await devices.service(db).withdraw_device(device_serial="HWTC00000003")
        await set_facts(db, "HWTC00000003", cleared_at=clockwork.now())
        verified = (await db.scalars(select(AcsDevice).where(AcsDevice.serial == SERIAL))).one()
        verified.state, verified.applied_revision = "accepted_unverifiable", verified.revision
        verified.applied_at = verified.written_at = verified.verified_at = clockwork.now()
    return devices


async def set_facts(db: AsyncSession, serial: str, /, **facts: Any) -> None:
    await db.execute(update(AcsDevice).where(AcsDevice.serial == serial).values(**facts))


async def found(devices: Devices) -> list[str]:
    """The name of each check, as often as it has found something."""
    async with devices.database.begin() as db:
        findings = [(name, each) for name, check in checks(devices.clock).items() for each in await check(db)]
    assert all(each.sentence.endswith(".") and each.subject in each.sentence for _, each in findings)
    return [name for name, _ in findings]


async def test_a_healthy_database_has_no_findings(healthy: Devices) -> None:
    assert await found(healthy) == []


async def test_a_serial_bound_twice_is_found_across_tenants_too(healthy: Devices) -> None:
    async with healthy.database.begin() as db:
        await healthy.service(db, "south").provision_device(
            customer_id=9,
            service_id=9,
            device_serial=SERIAL,
            config_template="tr181-pppoe",
            values={"pppoe_username": "u", "pppoe_password": "secret:subscriber/42"},
        )
    assert await found(healthy) == ["serial_bound_twice"]


async def test_a_serial_bound_twice_in_one_tenant_is_found_should_the_index_be_lost(healthy: Devices) -> None:
    async with healthy.database.begin() as db:
        await db.execute(text("DROP INDEX acs_device_live_serial"))
        await set_facts(db, "HWTC00000002", serial=SERIAL)
    assert await found(healthy) == ["serial_bound_twice"]


async def test_a_cpe_of_an_ended_service_is_found(healthy: Devices) -> None:
    async with healthy.database.begin() as db:
        await set_facts(db, SERIAL, service_id=77)
    assert await found(healthy) == ["device_of_ended_service"]


@pytest.mark.parametrize(
    "facts",
    [
        {"applied_revision": "0" * 16},
        {"applied_revision": None},
        {"written_at": None},
        {"applied_at": None},
        {"verified_at": None},
    ],
)
async def test_a_claim_without_proof_is_found(healthy: Devices, facts: dict[str, Any]) -> None:
    async with healthy.database.begin() as db:
        await set_facts(db, SERIAL, **facts)
    assert await found(healthy) == ["claim_without_proof"]


async def test_a_cpe_that_goes_on_though_it_was_handed_over_is_found(healthy: Devices) -> None:
    async with healthy.database.begin() as db:
        await set_facts(db, SERIAL, handed_over_at=healthy.clock.now())
    assert await found(healthy) == ["handed_over_at_rest"]


@pytest.mark.parametrize("facts", [{"unreached_why": "offline"}, {"unreached_why": "moods", "unreached_since": True}])
async def test_a_cpe_that_is_not_reached_for_no_cause_or_since_no_time_is_found(
    healthy: Devices, facts: dict[str, Any]
) -> None:
    since = {"unreached_since": healthy.clock.now()} if facts.get("unreached_since") else {}
    async with healthy.database.begin() as db:
        await set_facts(db, SERIAL, **{**facts, **since})
    assert await found(healthy) == ["unreached_for_a_cause"]


async def test_settings_changed_behind_the_revision_are_found(healthy: Devices) -> None:
    async with healthy.database.begin() as db:
        device = (await db.scalars(select(AcsDevice).where(AcsDevice.serial == "HWTC00000002"))).one()
        device.parameters = device.parameters[1:]
    assert await found(healthy) == ["revision_does_not_fit"]


async def test_a_secret_in_clear_is_found_and_not_repeated(healthy: Devices) -> None:
    async with healthy.database.begin() as db:
        device = (await db.scalars(select(AcsDevice).where(AcsDevice.serial == "HWTC00000003"))).one()
        device.parameters = [["Device.PPP.Interface.1.Password", "hunter2", "xsd:string", True]]
        await db.flush()
        findings = await secrets_in_clear(db, tenant_id=TENANT)
    assert [finding.subject for finding in findings] == ["HWTC00000003"]
    assert "hunter2" not in repr(findings)


async def test_a_trace_left_at_the_acs_is_found_after_a_while(healthy: Devices, clockwork: Clockwork) -> None:
    async with healthy.database.begin() as db:
        await set_facts(db, "HWTC00000003", cleared_at=None)
    assert await found(healthy) == []
    clockwork.time += timedelta(hours=2)
    assert await found(healthy) == ["trace_left"]


async def test_what_stands_at_the_acs_and_is_not_to_reach_the_cpe_is_found_after_a_while(
    healthy: Devices, clockwork: Clockwork
) -> None:
    async with healthy.database.begin() as db:
        await set_facts(db, SERIAL, left_standing=True)
    assert await found(healthy) == []
    clockwork.time += timedelta(hours=2)
    assert await found(healthy) == ["left_standing"]
    async with healthy.database.begin() as db:
        await set_facts(db, SERIAL, updated_at=clockwork.now())
    assert await found(healthy) == []


async def test_what_is_told_to_be_at_the_acs_still_and_is_not_marked_to_be_taken_back_is_found(
    healthy: Devices,
) -> None:
    async with healthy.database.begin() as db:
        await set_facts(db, SERIAL, reason=f"It failed.{STILL_THERE}", left_standing=True)
    assert await found(healthy) == []
    async with healthy.database.begin() as db:
        await set_facts(db, SERIAL, left_standing=False)
    assert await found(healthy) == ["left_standing"]
