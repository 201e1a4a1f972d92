"""An ACS that asks in a CPE's very first session: it is configured in it, and the run believes what is seen later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from acs import FIRST_SESSION_KEY, Done, baseline, provisioning_code
from acs.testing import FirstlightExtension, LabCpe
from provisioning.access import Tokens
from provisioning.api import create_app
from provisioning.configured import acs_fleet
from tests.support.estate import Household
from tests.support.lab import Installation, JourneyLab

pytestmark = pytest.mark.asyncio(loop_scope="session")

DOWN = httpx.MockTransport(lambda request: httpx.Response(503))
PRESET = "firstlight_first_session"


@asynccontextmanager
async def acs_that_asks(lab: JourneyLab, *, is_down: bool = False) -> AsyncIterator[FirstlightExtension]:
    """The preset, its script, the extension and its token, for the time of the block."""
    wanted = baseline(first_session_at="default")
    async with lab.restarted_with(genieacs_first_session=frozenset({"default"})):
        appliance = lab.appliance
        async with appliance.database.begin() as db:
            tokens = Tokens(db, tenant_id=appliance.tenant_id, now=appliance.clock)
            made = await tokens.create(name="genieacs", role="admin", days=1, scopes=("devices.hand_out",))
        transport = DOWN if is_down else httpx.ASGITransport(create_app(appliance))
        clock = lab.world.acs.clock
        extension = FirstlightExtension("http://isp.test", made.secret, clock, transport=transport)
        lab.world.acs.extensions["firstlight"] = extension
        async with acs_fleet(appliance.settings) as fleet:
            nbi = fleet["default"]
            assert isinstance(await nbi.put_provision(PRESET, wanted.scripts[PRESET]), Done)
            assert isinstance(await nbi.put_preset(wanted.presets[PRESET]), Done)
            lab.clock.skip(seconds=6)  # the ACS's workers keep their copy for 5
            try:
                yield extension
            finally:
                assert isinstance(await nbi.delete_preset(PRESET), Done)
                assert isinstance(await nbi.delete_provision(PRESET), Done)


async def scanned(lab: JourneyLab, house: Household) -> tuple[Installation, LabCpe]:
    """The technician scans an ONT that the DHCP server of its access node tells its code. It boots when the OLT lets
    it in, and takes its time, as ONTs do.
    """
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    async with lab.appliance.database.begin() as db:
        key = await lab.appliance.vault.seal_if_missing(db, FIRST_SESSION_KEY, "0f" * 32)
    cpe = await lab.plug(house.serial, house)
    code = provisioning_code(key, tenant_id=lab.appliance.tenant_id, serial=house.serial)
    cpe.customer_sets(f"{cpe.roles.root}.DeviceInfo.ProvisioningCode", code)
    await cpe.power_off()
    await run.report("scanned", serial=house.serial, port=house.port)
    await run.until_waiting_for("device_informed")
    await cpe.power_on()
    return run, cpe


def faults(lab: JourneyLab) -> list[Any]:
    return [fault for fault in lab.world.acs.documents["faults"] if fault.endswith(PRESET)]


async def test_a_cpe_is_configured_in_its_first_session(lab: JourneyLab) -> None:
    house = lab.household()
    async with acs_that_asks(lab) as extension:
        run, cpe = await scanned(lab, house)
        ended = await run.until_ended()
        device = await lab.device(house.serial)
    assert (ended.summary.state, extension.answers) == ("completed", [200])
    username = (await run.result("allocate_resources"))["username"]
    assert (cpe.ppp.username, cpe.ppp.status) == (username, "Connected")
    assert (device["queued_at"], device["state"]) == (None, "accepted_unverifiable")
    times = [at for at in (device["handed_out_at"], device["applied_at"], device["verified_at"]) if at is not None]
    assert (len(times), times) == (3, sorted(times))
    assert [name for name, _ in cpe.rpcs_seen].count("SetParameterValues") == 1
    assert faults(lab) == []
    assert await lab.broken_invariants() == []


async def test_while_nobody_answers_the_acs_a_cpe_gets_its_settings_by_a_task(lab: JourneyLab) -> None:
    house = lab.household()
    async with acs_that_asks(lab, is_down=True) as extension:
        run, cpe = await scanned(lab, house)
        ended = await run.until_ended()
        device = await lab.device(house.serial)
    assert (ended.summary.state, extension.answers) == ("completed", ["HTTPStatusError"])
    assert (cpe.ppp.status, device["handed_out_at"]) == ("Connected", None)
    assert device["queued_at"] is not None
    assert faults(lab) == []
    assert await lab.broken_invariants() == []
