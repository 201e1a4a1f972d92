"""Reboot, factory reset and firmware: done by what the CPE shows, never by the ACS's 200, and never done twice."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from acs import DeviceUnknown, OperationOver, OperationUnderWay, RequestConflict
from acs.testing import LabCpe
from tests.acs.bench import SERIAL, USERNAME
from tests.acs.operations.conftest import Ops, sent

pytestmark = pytest.mark.parametrize("acs_database", ["sqlite"], indirect=True)

IMAGE = "HG8245_V2.bin"


async def upload(ops: Ops, **about: str) -> None:
    """A firmware at the ACS, as somebody has put it there (NBI PUT /files)."""
    metadata = {"fileType": "1 Firmware Upgrade Image", "oui": "00259E", "productClass": "HG8245", "version": "2.0"}
    ops.bench.lab.documents["files"][IMAGE] = {"_id": IMAGE, "filename": IMAGE, "metadata": metadata | about}


async def test_a_reboot_is_done_when_the_cpe_has_booted_since(ops: Ops) -> None:
    cpe = await ops.configured()
    asked = await ops.ask("reboot")
    assert (asked["state"], asked["reason"]) == ("requested", "It is written down; nothing was sent yet.")

    first = await ops.carrier.carry(asked["operation_id"])
    assert (first["state"], first["ended_at"]) == ("queued", None)

    done = await ops.done(asked)
    assert (done["state"], sent(cpe, "Reboot")) == ("done", 1)
    assert done["reason"].startswith("The CPE has booted, 2026-03-02 09:")
    assert [each["operation_id"] for each in ops.told] == [asked["operation_id"]]
    assert await ops.bench.nbi.tasks(cpe.device_id) == ()


async def test_a_cpe_that_took_the_reboot_and_stays_away_is_not_called_rebooted(ops: Ops) -> None:
    cpe = await ops.configured()
    cpe.quirks.reboot_seconds = 100_000.0
    waiting = await ops.done(await ops.ask("reboot"), seconds=60.0)
    assert (waiting["state"], waiting["ended_at"], sent(cpe, "Reboot")) == ("queued", None, 1)
    assert waiting["reason"] == "The CPE was sent the reboot and has not reported a boot since."
    await ops.later(5 * 3600)
    given_up = await ops.carrier.carry(waiting["operation_id"])
    assert given_up["state"] == "unknown" and given_up["ended_at"] is not None
    assert given_up["reason"].startswith("Its time is over, and whether it was done is not known.")


async def test_one_that_cannot_be_reached_is_rebooted_at_its_next_inform_or_not_at_all(ops: Ops) -> None:
    cpe = await ops.configured()
    cpe.quirks.reachable = False
    asked = await ops.ask("reboot")
    waiting = await ops.carrier.carry(asked["operation_id"])
    assert "it is off, its line is down, or it is behind NAT" in waiting["reason"]
    await cpe.periodic_inform()
    assert (await ops.done(asked))["state"] == "done"

    await cpe.power_off()
    late = await ops.ask("reboot")
    await ops.done(late, seconds=10.0)
    await ops.later(4 * 3600)
    expired = await ops.done(late)
    assert expired["state"] == "expired"
    assert expired["reason"] == "The CPE did not come for it in time; nothing waits at the ACS any more."
    await cpe.power_on()
    assert sent(cpe, "Reboot") == 1


async def test_a_boot_in_whose_session_the_reboot_is_taken_is_not_its_effect(ops: Ops) -> None:
    cpe = await ops.configured()
    await cpe.power_off()
    asked = await ops.ask("reboot")
    await ops.done(asked, seconds=5.0)
    cpe.quirks.reboot_seconds = 600.0
    await cpe.power_on()
    powered_on = ops.bench.lab.clock.now()
    waiting = await ops.done(asked, seconds=60.0)
    assert (waiting["state"], waiting["ended_at"], sent(cpe, "Reboot")) == ("queued", None, 1)
    assert waiting["reason"] == "The CPE was sent the reboot and has not reported a boot since."
    await ops.later(600)
    done = await ops.done(asked)
    assert (done["state"], sent(cpe, "Reboot")) == ("done", 1)
    assert done["result"] is not None
    assert datetime.fromisoformat(done["result"]["booted_at"]) >= powered_on + timedelta(minutes=10)


async def test_a_reset_by_the_pin_in_whose_session_the_reset_is_taken_is_not_its_effect(ops: Ops) -> None:
    cpe = await ops.configured()
    await cpe.power_off()
    cpe.forget_settings()
    asked = await ops.ask("factory_reset")
    await ops.done(asked, seconds=5.0)
    cpe.quirks.reboot_seconds = 600.0
    await cpe.power_on()
    waiting = await ops.done(asked, seconds=60.0)
    assert (waiting["state"], waiting["reason"], sent(cpe, "FactoryReset")) == (
        "queued",
        "The CPE was sent the reset and has not reported as a new one since.",
        1,
    )
    await ops.later(600)
    done = await ops.done(asked, seconds=600.0)
    assert (done["state"], sent(cpe, "FactoryReset"), cpe.value(USERNAME)) == ("done", 1, "u42@isp")


async def test_a_cpe_that_fetched_its_firmware_as_it_booted_is_waited_for_to_boot_with_it(ops: Ops) -> None:
    await upload(ops)
    cpe = await ops.configured()
    await cpe.power_off()
    asked = await ops.ask("firmware", file=IMAGE)
    await ops.done(asked, seconds=5.0)
    cpe.quirks.transfer_seconds = 600.0
    await cpe.power_on()
    ops.bench.lab.documents["operations"].clear()  # as far as the ACS knows, the transfer is over
    waiting = await ops.done(asked, seconds=60.0)
    assert (waiting["state"], waiting["ended_at"], waiting["reason"]) == (
        "queued",
        None,
        "The CPE has ended the transfer and has not reported the new version yet.",
    )
    await ops.later(600)
    done = await ops.done(asked)
    assert (done["state"], done["result"]) == ("done", {"version": "2.0", "before": "1.0.0"})


async def test_a_reboot_that_the_cpe_never_answered_is_not_proven_by_a_boot_of_its_own(ops: Ops) -> None:
    cpe = await ops.configured()
    cpe.quirks.reachable = False
    asked = await ops.ask("reboot")
    await ops.carrier.carry(asked["operation_id"])
    for task in await ops.bench.nbi.tasks(cpe.device_id):  # somebody takes it away at the ACS
        await ops.bench.nbi.delete_task(task.id)
    await cpe.power_off()
    await cpe.power_on()
    waiting = await ops.done(asked, seconds=60.0)
    assert (waiting["state"], waiting["ended_at"], sent(cpe, "Reboot")) == ("queued", None, 0)
    assert waiting["reason"] == "The CPE was sent the reboot and has not reported a boot since."


async def test_a_reboot_that_somebody_takes_away_at_the_acs_before_any_session_was_not_sent(ops: Ops) -> None:
    cpe = await ops.configured()
    await cpe.power_off()
    asked = await ops.ask("reboot")
    await ops.carrier.carry(asked["operation_id"])
    for task in await ops.bench.nbi.tasks(cpe.device_id):
        await ops.bench.nbi.delete_task(task.id)
    over = await ops.done(asked, seconds=60.0)
    assert (over["state"], sent(cpe, "Reboot")) == ("faulted", 0)
    assert over["reason"].startswith("Somebody has taken it away at the ACS, and the CPE had no session in between")


async def test_a_boot_within_the_time_in_which_nobody_looked_is_its_effect_only_where_the_acs_dates_its_answer(
    ops: Ops,
) -> None:
    cpe = await ops.configured()
    cpe.quirks.reachable = False
    asked = await ops.ask("reboot")
    await ops.carrier.carry(asked["operation_id"])
    await cpe.periodic_inform()
    await ops.later(60)  # it has booted by now, and nobody has looked in between
    waiting = await ops.done(asked, seconds=60.0)
    assert (waiting["state"], waiting["ended_at"], sent(cpe, "Reboot")) == ("queued", None, 1)
    await ops.later(5 * 3600)
    assert (await ops.done(asked))["state"] == "unknown"

    ops.bench.lab.cwmp.dates_commands = True
    again = await ops.ask("reboot")
    await ops.carrier.carry(again["operation_id"])
    await cpe.periodic_inform()
    await ops.later(60)
    assert ((await ops.done(again))["state"], sent(cpe, "Reboot")) == ("done", 2)


async def test_a_cpe_that_the_acs_has_forgotten_meanwhile_was_perhaps_never_sent_its_reboot(ops: Ops) -> None:
    cpe = await ops.configured()
    cpe.quirks.reachable = False
    asked = await ops.ask("reboot")
    await ops.carrier.carry(asked["operation_id"])
    await ops.bench.nbi.delete_device(cpe.device_id)
    await cpe.power_off()
    await cpe.power_on()
    await ops.done(asked, seconds=30.0)
    await cpe.power_off()
    await cpe.power_on()
    waiting = await ops.done(asked, seconds=30.0)
    assert (waiting["ended_at"], waiting["reason"], sent(cpe, "Reboot")) == (
        None,
        "Whether the CPE was sent the reboot is not known.",
        0,
    )


async def test_asked_twice_it_is_one_and_another_one_waits_its_turn(ops: Ops) -> None:
    cpe = await ops.configured()
    one = await ops.ask("reboot", request_id="r1")
    assert await ops.ask("reboot", request_id="r1") == one
    with pytest.raises(RequestConflict):
        await ops.ask("factory_reset", request_id="r1")
    with pytest.raises(OperationUnderWay, match=r"in the middle of operation \d+ \(reboot\)"):
        await ops.ask("firmware", file=IMAGE)
    await ops.done(one)
    again = await ops.ask("reboot", request_id="r1")
    assert (again["operation_id"], again["state"], sent(cpe, "Reboot")) == (one["operation_id"], "done", 1)
    with pytest.raises(DeviceUnknown):
        await ops.ask("reboot", device_serial="NOBODYS")


async def test_a_refusal_ends_it_with_the_cpes_words_and_leaves_nothing_that_is_tried_again(ops: Ops) -> None:
    cpe = await ops.configured()
    cpe.quirks.unsupported = frozenset({"Reboot"})
    faulted = await ops.done(await ops.ask("reboot"))
    assert faulted["state"] == "faulted"
    assert "the CPE does not know this method (cwmp.9000" in faulted["reason"]
    assert faulted["result"] == {"fault_code": "cwmp.9000", "refusals": []}
    assert (await ops.bench.nbi.tasks(cpe.device_id), await ops.bench.nbi.faults(cpe.device_id)) == ((), ())
    cpe.quirks.unsupported = frozenset()
    await ops.later(3600)
    await cpe.periodic_inform()
    assert sent(cpe, "Reboot") == 0


async def test_it_is_cancelled_while_it_waits_and_not_any_more_once_it_ran(ops: Ops) -> None:
    cpe = await ops.configured()
    cpe.quirks.reachable = False
    asked = await ops.ask("reboot")
    await ops.carrier.carry(asked["operation_id"])
    async with ops.verbs() as verbs:
        assert (await verbs.cancel(operation_id=asked["operation_id"]))["state"] == "queued"
    over = await ops.done(asked)
    assert (over["state"], over["reason"]) == ("cancelled", "It was cancelled. Nothing waits at the ACS any more.")
    await cpe.periodic_inform()
    assert sent(cpe, "Reboot") == 0
    with pytest.raises(OperationOver, match=r"is cancelled and cannot"):
        async with ops.verbs() as verbs:
            await verbs.cancel(operation_id=asked["operation_id"])


async def test_a_cpe_that_is_given_to_somebody_else_meanwhile_gets_nothing_of_it(ops: Ops) -> None:
    cpe = await ops.configured()
    cpe.quirks.reachable = False
    asked = await ops.ask("reboot")
    await ops.carrier.carry(asked["operation_id"])
    async with ops.bench.devices.database.begin() as db:
        await ops.bench.devices.service(db).withdraw_device(device_serial=SERIAL)
    await ops.bench.bind()
    over = await ops.done(asked)
    assert (over["state"], await ops.bench.nbi.tasks(cpe.device_id)) == ("cancelled", ())


async def test_a_factory_reset_ends_with_the_cpes_settings_on_it_again(ops: Ops) -> None:
    cpe = await ops.configured()
    asked = await ops.ask("factory_reset")
    done = await ops.done(asked, seconds=600.0)
    assert done["state"] == "done", done["reason"]
    assert (sent(cpe, "FactoryReset"), cpe.value(USERNAME)) == (1, "u42@isp")
    assert done["result"] is not None
    assert done["result"]["settings"] == "accepted_unverifiable"
    assert (await ops.bench.row()).state == "accepted_unverifiable"


async def test_a_firmware_is_done_when_the_cpe_has_booted_with_it(ops: Ops) -> None:
    await upload(ops)
    cpe = await ops.configured()
    asked = await ops.ask("firmware", file=IMAGE)
    waiting = await ops.done(asked, seconds=30.0)
    assert (waiting["state"], waiting["reason"]) == ("queued", "The CPE fetches the file; that takes minutes.")
    assert sent(cpe, "Download") == 1
    done = await ops.done(asked)
    assert (done["state"], done["result"]) == ("done", {"version": "2.0", "before": "1.0.0"})
    again = await ops.done(await ops.ask("firmware", file=IMAGE))
    assert (again["state"], again["reason"]) == ("done", "The CPE runs 2.0 already; nothing was sent.")
    assert sent(cpe, "Download") == 1


async def test_a_firmware_that_is_not_for_this_cpe_is_not_sent(ops: Ops) -> None:
    cpe = await ops.configured()
    none = await ops.done(await ops.ask("firmware", file=IMAGE))
    assert (none["state"], none["reason"]) == (
        "faulted",
        f"The ACS has no file {IMAGE}; nothing was sent. It has none for its model.",
    )
    await upload(ops, productClass="F660", oui="")
    other = await ops.done(await ops.ask("firmware", file=IMAGE))
    assert other["reason"] == (
        f"File {IMAGE} is not for this CPE: its product class is F660, the CPE's HG8245; its OUI is not said, the"
        " CPE's 00259E. Nothing was sent."
    )
    await upload(ops)
    mistyped = await ops.done(await ops.ask("firmware", file="v9.bin"))
    assert mistyped["reason"] == f"The ACS has no file v9.bin; nothing was sent. For its model it has {IMAGE}."
    assert sent(cpe, "Download") == 0


async def failed_transfer(ops: Ops, cpe: LabCpe) -> str:
    asked = await ops.ask("firmware", file=IMAGE)
    await ops.done(asked, seconds=10.0)
    ops.bench.lab.documents["files"].clear()
    return (await ops.done(asked))["reason"]


async def test_a_transfer_that_fails_and_a_cpe_that_stays_as_it_was_are_both_told(ops: Ops) -> None:
    cpe = await ops.configured()
    await upload(ops)
    assert "the CPE could not get the file (cwmp.9016" in await failed_transfer(ops, cpe)
    assert await ops.bench.nbi.faults(cpe.device_id) == ()
    await upload(ops)
    cpe.quirks.keeps_version = True
    kept = await ops.done(await ops.ask("firmware", file=IMAGE))
    assert (kept["state"], kept["reason"]) == (
        "faulted",
        "The CPE has ended the transfer and booted, and still runs 1.0.0.",
    )
