"""A CPE that reports to another ACS from now on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from acs import (
    AcsDevice,
    AcsOperation,
    AcsUnknown,
    DeviceConvergence,
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
    sites: dict[str, DeviceConvergence]
    """Those that are configured."""

    async def move(
        self, acs_name: str = "west", request_id: str | None = None, *, serial: str = SERIAL
    ) -> OperationRecord:
        async with self.ops.bench.devices.database.begin() as db:
            moving = DeviceMoving(
                db, tenant_id=TENANT, now=self.ops.bench.lab.clock.now, configured=("default", "west")
            )
            return await moving.move(device_serial=serial, acs_name=acs_name, by="nora", request_id=request_id)

    async def swap(self, new_serial: str) -> OperationRecord:
        async with self.ops.wishes() as wishes:
            return await wishes.swap(device_serial=SERIAL, new_serial=new_serial, by="nora")

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
        configured = {name: by_site.of(name) for name in ("default", "west")}

        def convergence_of(acs_name: str) -> DeviceConvergence:
            if acs_name not in configured:
                raise AcsUnknown(acs_name, configured)
            return configured[acs_name]

        carrier = OperationCarrier(
            bench.devices.database.begin,
            convergence_of,
            **common,  # type: ignore[arg-type]
            sleep=bench.lab.clock.sleep,
        )
        yield Sites(ops, west, cpe, carrier, west_nbi, configured)
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


async def test_the_old_cpe_of_a_swap_is_cleared_at_its_own_acs_though_the_new_one_was_moved_since(sites: Sites) -> None:
    swap = await sites.swap("HWTC0000BEEF")
    await sites.move(serial="HWTC0000BEEF")
    assert await sites.ops.bench.tags() != []
    going = await sites.carrier.carry(swap["operation_id"])
    assert (going["state"], await sites.ops.bench.tags()) == ("queued", [])
    [old] = [row for row in await sites.rows() if row.serial == SERIAL]
    assert (old.acs_name, old.cleared_at is not None) == ("default", True)


async def test_a_move_to_the_wrong_acs_is_ended_by_the_one_back(sites: Sites) -> None:
    wrong = await sites.move()
    await sites.carrier.carry(wrong["operation_id"])
    back = await sites.move("default")
    ended = await sites.carrier.carry(wrong["operation_id"])
    assert (ended["state"], ended["reason"]) == (
        "cancelled",
        "The CPE was moved on to ACS default before this had ended.",
    )
    done = await sites.carrier.wait(back["operation_id"], seconds=300)
    assert (done["state"], done["reason"]) == (
        "done",
        f"CPE {SERIAL} has its settings through ACS default, and nothing of it is left at ACS west.",
    )
    assert [(row.acs_name, row.cleared_at is None) for row in await sites.rows() if row.state != "withdrawn"] == [
        ("default", True)
    ]
    assert all(row.cleared_at is not None for row in await sites.rows() if row.state == "withdrawn")
    assert len([tag for tag in await sites.ops.bench.tags() if tag.startswith("cfg_")]) == 1, "what serves it stays"


@pytest.mark.parametrize("acs_database", ["sqlite"], indirect=True)
async def test_one_that_was_moved_on_leaves_nothing_at_the_first_acs(sites: Sites) -> None:
    await sites.move()
    await sites.move("default")
    last = await sites.move()
    await sites.repointed()
    done = await sites.carrier.wait(last["operation_id"], seconds=300)
    assert (done["state"], await sites.ops.bench.tags()) == ("done", [])
    assert all(row.cleared_at is not None for row in await sites.rows() if row.state == "withdrawn")


@pytest.mark.parametrize("acs_database", ["sqlite"], indirect=True)
async def test_what_was_sent_to_an_acs_that_is_not_configured_any_more_ends_and_the_cpe_can_be_moved(
    sites: Sites,
) -> None:
    sites.cpe.quirks.reachable = False
    reboot = await sites.ops.ask("reboot")
    await sites.ops.carrier.carry(reboot["operation_id"])
    assert (await sites.ops.row(reboot)).stage == "queued"
    del sites.sites["default"]
    ended = await sites.carrier.carry(reboot["operation_id"])
    assert (ended["state"], ended["ended_at"] is not None) == ("unknown", True)
    assert ended["reason"].startswith("What was sent of it is there, and whether it was done is not known: ")
    await sites.move()


@pytest.mark.parametrize("acs_database", ["sqlite"], indirect=True)
async def test_what_is_cancelled_or_over_ends_so_though_its_acs_is_not_configured_any_more(sites: Sites) -> None:
    asked = await sites.ops.ask("refresh")
    del sites.sites["default"]
    async with sites.ops.bench.devices.database.begin() as db:
        (await db.get_one(AcsOperation, asked["operation_id"])).cancel_wanted = True
    cancelled = await sites.carrier.carry(asked["operation_id"])
    assert (cancelled["state"], cancelled["reason"]) == ("cancelled", "It was cancelled. Nothing was sent.")
    late = await sites.ops.ask("refresh")
    await sites.ops.later(3 * 86_400)
    over = await sites.carrier.carry(late["operation_id"])
    assert (over["state"], over["reason"]) == ("expired", "Its time is over, and nothing more was sent.")


@pytest.mark.parametrize("acs_database", ["sqlite"], indirect=True)
async def test_a_fault_after_a_step_that_is_proven_tells_what_was_done(sites: Sites) -> None:
    swap = await sites.swap("HWTC0000BEEF")
    await sites.carrier.carry(swap["operation_id"])
    del sites.sites["default"]
    await sites.ops.later(600)
    ended = await sites.carrier.carry(swap["operation_id"])
    assert ended["state"] == "partial"
    assert ended["reason"].startswith(
        f"Nothing of CPE {SERIAL} is left at the ACS, and CPE HWTC0000BEEF was not seen to have its settings. "
    )
    assert ended["result"] == {"old_cleared": True, "code": "acs.acs_unknown"}
