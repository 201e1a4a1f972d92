"""CPEs that nobody asks any more, and installs that nobody goes on with, are named."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import update

from acs import AcsDevice, AcsPresetInstall, examine_acs_records
from tests.acs.conftest import TENANT, Clockwork, Devices

FEW = 7


async def bind(devices: Devices, count: int) -> None:
    async with devices.database.begin() as db:
        for number in range(count):
            await devices.service(db).provision_device(
                customer_id=number,
                device_serial=f"HWTC{number:08X}",
                config_template="tr181-pppoe",
                values={"pppoe_username": "u@isp", "pppoe_password": "secret:subscriber/42"},
            )


async def test_cpes_of_an_acs_that_is_not_configured_are_named_with_what_to_do(
    devices: Devices, clockwork: Clockwork
) -> None:
    await bind(devices, FEW + 1)
    async with devices.database.begin() as db:
        await db.execute(update(AcsDevice).where(AcsDevice.id > 1).values(acs_name="south"))
        [trap] = await examine_acs_records(db, tenant_id=TENANT, configured=["default"], now=clockwork.now())
        assert (
            await examine_acs_records(db, tenant_id=TENANT, configured=["default", "south"], now=clockwork.now()) == []
        )
        assert await examine_acs_records(db, tenant_id="other", configured=["default"], now=clockwork.now()) == []
    assert (trap["trap"], trap["what"]) == (
        "acs_not_configured",
        "7 CPE(s) are bound to ACS south, which is not configured: HWTC00000001, HWTC00000002, HWTC00000003,"
        " HWTC00000004, HWTC00000005 and 2 more",
    )
    assert trap["fix"].endswith("firstlight devices move SERIAL --acs NAME --reason ...")


async def test_one_that_was_withdrawn_is_missed_by_nobody(devices: Devices, clockwork: Clockwork) -> None:
    await bind(devices, 1)
    async with devices.database.begin() as db:
        await db.execute(update(AcsDevice).values(acs_name="south"))
        await devices.service(db).withdraw_device(device_serial="HWTC00000000")
        assert await examine_acs_records(db, tenant_id=TENANT, configured=["default"], now=clockwork.now()) == []


async def test_an_install_that_was_left_in_the_middle_is_named_once_nobody_is_at_it(
    devices: Devices, clockwork: Clockwork
) -> None:
    async with devices.database.begin() as db:
        db.add(
            AcsPresetInstall(
                tenant_id=TENANT,
                acs_name="default",
                changes=[],
                state="installing",
                reason="Under way, or killed.",
                requested_by="noc",
                begun_at=clockwork.now(),
                leased_until=clockwork.now() + timedelta(seconds=30),
                leased_by="somebody",
            )
        )
        await db.flush()
        assert await examine_acs_records(db, tenant_id=TENANT, configured=[], now=clockwork.now()) == []
        clockwork.time += timedelta(seconds=31)
        [trap] = await examine_acs_records(db, tenant_id=TENANT, configured=[], now=clockwork.now())
    assert (trap["trap"], trap["what"]) == (
        "preset_install_unfinished",
        "ACS default: an install of 2026-03-02 09:00 UTC was left in the middle. Under way, or killed.",
    )
