"""A CPE that reports to another ACS from now on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from acs import (
    AcsDevice,
    AcsUnknown,
    DeviceMoving,
    NbiClient,
    OperationCarrier,
    OperationRecord,
    OperationRefused,
    OperationUnderWay,
    RequestConflict,
)
from acs.estate import AcsFleet, ConvergenceBySite
from acs.testing import LabAcs, LabCpe
from tests.acs.bench import PASSPHRASE, SERIAL, SSID, USERNAME
from tests.acs.conftest import TENANT
from tests.acs.operations.conftest import Ops


@dataclass
class Sites:
    """Two ACSes, and a CPE that has its settings through the one called default."""

    ops: Ops
    west: LabAcs
    cpe: LabCpe
    carrier: OperationCarrier
    west_nbi: NbiClient

    async def move(self, acs_name: str = "west", request_id: str | None = None) -> OperationRecord:
        async with self.ops.bench.devices.database.begin() as db:
            moving = DeviceMoving(
                db, tenant_id=TENANT, now=self.ops.bench.lab.clock.now, configured=("default", "west")
            )
            return await moving.move(device_serial=SERIAL, acs_name=acs_name, by="nora", request_id=request_id)

    async def rows(self) -> list[AcsDevice]:
        async with self.ops.bench.devices.database.begin() as db:
            return list(await db.scalars(select(AcsDevice).order_by(AcsDevice.id)))

    async def repointed(self) -> LabCpe:
        """Somebody has it report to the other ACS."""
        await self.cpe.power_off()
        moved = self.west.attach(LabCpe(SERIAL))
        await moved.power_on()
        return moved


@pytest.fixture
async def sites(ops: Ops) -> AsyncIterator[Sites]:
    bench = ops.bench
    west = LabAcs(clock=bench.lab.clock)
    await west.start()
    cpe = await ops.configured()
    async with NbiClient(west.url, sleep=west.clock.sleep, jitter=lambda: 0.5) as west_nbi:
        common = {"tenant_id": TENANT, "now": bench.lab.clock.now}
        by_site = ConvergenceBySite(
            bench.devices.database.begin,
            AcsFleet({"default": bench.nbi, "west": west_nbi}),
            **common,  # type: ignore[arg-type]
            secrets=bench.secrets,
            sleep=bench.lab.clock.sleep,
        )
        carrier = OperationCarrier(
            bench.devices.database.begin,
            by_site.of,
            **common,  # type: ignore[arg-type]
            sleep=bench.lab.clock.sleep,
        )
        yield Sites(ops, west, cpe, carrier, west_nbi)
    await west.stop()


async def test_it_gets_its_settings_at_the_new_acs_and_nothing_of_it_is_left_at_the_former(sites: Sites) -> None:
    passphrase = sites.cpe.value(PASSPHRASE)
    asked = await sites.move(request_id="m1")
    assert await sites.move(request_id="m1") == asked
    waiting = await sites.carrier.wait(asked["operation_id"], seconds=10)
    assert (waiting["state"], "has never reported" in waiting["reason"]) == ("queued", True)
    left, live = sorted(await sites.rows(), key=lambda row: row.state != "withdrawn")
    assert (left.acs_name, left.reason, left.cleared_at) == ("default", "Moved to ACS west.", None)
    assert (live.acs_name, live.device_id, live.applied_revision) == ("west", None, None)

    moved = await sites.repointed()
    done = await sites.carrier.wait(asked["operation_id"], seconds=300)
    assert (done["state"], done["reason"]) == (
        "done",
        f"CPE {SERIAL} has its settings through ACS west, and nothing of it is left at ACS default.",
    )
    assert (moved.value(USERNAME), moved.value(SSID), moved.value(PASSPHRASE)) == ("u42@isp", "Home", passphrase)
    assert await sites.ops.bench.tags() == []
    assert all(row.cleared_at is not None for row in await sites.rows() if row.state == "withdrawn")


@pytest.mark.parametrize("acs_database", ["sqlite"], indirect=True)
async def test_a_former_acs_that_does_not_answer_keeps_nobody_from_the_new_one(sites: Sites) -> None:
    asked = await sites.move()
    await sites.ops.bench.lab.go_down()
    moved = await sites.repointed()
    waiting = await sites.carrier.wait(asked["operation_id"], seconds=60)
    assert (waiting["state"], moved.value(USERNAME)) == ("queued", "u42@isp")
    await moved.power_off()
    await sites.west.clock.sleep(31 * 86400)
    over = await sites.carrier.carry(asked["operation_id"])
    assert over["state"] == "partial"
    assert over["reason"].startswith(
        f"CPE {SERIAL} has its settings through ACS west, and what ACS default holds of it was not taken back."
    )


@pytest.mark.parametrize("acs_database", ["sqlite"], indirect=True)
async def test_what_cannot_be_moved_stays_where_it_is(sites: Sites) -> None:
    with pytest.raises(AcsUnknown):
        await sites.move("south")
    with pytest.raises(OperationRefused, match="it is bound to ACS default already"):
        await sites.move("default")
    sites.cpe.quirks.reachable = False
    reboot = await sites.ops.ask("reboot")
    with pytest.raises(OperationUnderWay, match=r"operation \d+ \(reboot\)"):
        await sites.move()
    async with sites.ops.verbs() as verbs:
        await verbs.cancel(operation_id=reboot["operation_id"])
    await sites.move(request_id="m1")
    with pytest.raises(RequestConflict):
        await sites.move("default", request_id="m1")
