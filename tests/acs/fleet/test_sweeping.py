"""What a sweep finds, and what becomes of it; the CPEs themselves tell whether it was true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from acs import AcsDevice, NbiClient, NbiGarbled
from acs.fleet.converging import FleetConvergence
from acs.fleet.judged_page import JudgedPage
from acs.fleet.repairing import RepairLimit, Tell, resume
from acs.fleet.seen_rows import unbound
from acs.fleet.sweeping import Sweep
from acs.testing import LabAcs, LabCpe, Quirks
from tests.acs.conftest import TENANT, Devices, KeptSecrets
from tests.acs.fleet.test_converging import bind, plug_in, serial_of

SSID = "Device.PPP.Interface.1.Username"
IN_HAND_PLAN = "a run is at it"
IN_HAND = select(AcsDevice.serial, literal("run 17, which is at apply")).where(AcsDevice.plan == IN_HAND_PLAN)


class Tending:
    """A sweep and the convergence of what it finds due, as the worker does it."""

    def __init__(self, devices: Devices, nbi: NbiClient, lab: LabAcs, secrets: KeptSecrets) -> None:
        self.devices, self.lab, self.nbi = devices, lab, nbi
        self.told: list[str] = []
        self.sweep = Sweep(
            devices.database.begin,
            nbi,
            tenant_id=TENANT,
            now=lab.clock.now,
            limit=RepairLimit(2, timedelta(hours=24)),
            tell=self.tell,
            in_hand=IN_HAND,
        )
        self.fleet = FleetConvergence(
            devices.database.begin, nbi, tenant_id=TENANT, now=lab.clock.now, secrets=secrets, sleep=lab.clock.sleep
        )

    async def tell(self, _db: AsyncSession, device: AcsDevice) -> None:
        self.told.append(device.serial)

    async def is_in_hand(self, number: int) -> None:
        async with self.devices.database.begin() as db:
            await db.execute(update(AcsDevice).where(AcsDevice.customer_id == number).values(plan=IN_HAND_PLAN))

    async def is_deleted_at_the_acs(self, cpe: LabCpe) -> None:
        await self.nbi._transport.write("DELETE", f"/devices/{quote(cpe.device_id, safe='')}", None)

    async def look(self) -> list[str]:
        due = (await self.sweep.recent()).due
        await self.fleet.converge_many(due)
        return due

    async def row(self, number: int) -> AcsDevice:
        async with self.devices.database.begin() as db:
            return (await db.scalars(select(AcsDevice).where(AcsDevice.serial == serial_of(number)))).one()


@pytest.fixture
def tending(devices: Devices, nbi: NbiClient, lab: LabAcs, secrets: KeptSecrets) -> Tending:
    return Tending(devices, nbi, lab, secrets)


async def test_a_cpe_that_was_bound_before_it_reported_gets_its_settings_after_its_first_inform(
    tending: Tending, devices: Devices, lab: LabAcs
) -> None:
    await bind(devices, 2)
    assert await tending.look() == []
    [cpe, _] = await plug_in(lab, 2)
    await tending.is_in_hand(1)
    found = await tending.sweep.recent()
    assert (found.due, found.left) == ([serial_of(0)], [f"CPE {serial_of(1)} is left to run 17, which is at apply."])
    await tending.fleet.converge_many(found.due)
    assert cpe.ppp.username == "u0@isp"
    assert (await tending.row(0)).state == "accepted_unverifiable"
    assert (await tending.row(1)).state == "awaiting_first_inform"
    assert await tending.look() == []


async def test_what_a_cpe_has_come_to_while_it_was_judged_is_not_overwritten(
    tending: Tending, devices: Devices, lab: LabAcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bind(devices, 1)
    await plug_in(lab, 1)
    write = JudgedPage.write

    async def late(self: JudgedPage, db: AsyncSession, tell: Tell) -> None:
        await db.execute(update(AcsDevice).values(state="applied", reason="It has its settings."))
        await write(self, db, tell)

    monkeypatch.setattr(JudgedPage, "write", late)
    await tending.sweep.everything()
    row = await tending.row(0)
    assert (row.state, row.reason) == ("applied", "It has its settings.")


async def test_cpes_that_serve_nobody_are_listed_once_and_until_they_do(
    tending: Tending, devices: Devices, lab: LabAcs
) -> None:
    await plug_in(lab, 3)
    await bind(devices, 1)
    first, second = await tending.sweep.everything(), await tending.sweep.everything()
    assert (first.devices, first.unbound, first.new_unbound, second.new_unbound) == (3, 2, 2, 0)
    async with devices.database.begin() as db:
        assert [each["serial"] for each in await unbound(db, tenant_id=TENANT)] == [serial_of(2), serial_of(1)]
    await bind(devices, 1, first=2)
    async with devices.database.begin() as db:
        assert [each["serial"] for each in await unbound(db, tenant_id=TENANT)] == [serial_of(1)]


async def test_a_factory_reset_and_a_customers_change_are_noticed_and_repaired(
    tending: Tending, devices: Devices, nbi: NbiClient, lab: LabAcs
) -> None:
    await bind(devices, 3)
    cpes = await plug_in(lab, 3)
    await tending.look()
    await lab.clock.sleep(60)
    await cpes[0].factory_reset()
    cpes[2].customer_sets(SSID, "mine")
    await cpes[2].periodic_inform()
    assert (await tending.look(), cpes[0].ppp.username) == ([serial_of(0)], "u0@isp")
    assert (await tending.row(0)).repairs == 1
    # An Inform does not tell the change; whoever reads the parameter makes it known.
    await nbi.queue_task(cpes[2].device_id, {"name": "getParameterValues", "parameterNames": [SSID]})
    await cpes[2].periodic_inform()
    found = await tending.sweep.recent()
    assert (found.drifted, found.due) == (1, [serial_of(2)])
    assert (await tending.row(2)).details == [{"path": SSID, "wanted": "u2@isp", "reported": "mine"}]
    await tending.fleet.converge_many(found.due)
    assert cpes[2].ppp.username == "u2@isp"
    assert (await tending.row(2)).state == "accepted_unverifiable"


async def test_firmware_that_forgets_is_repaired_so_often_and_then_handed_to_a_person(
    tending: Tending, devices: Devices, lab: LabAcs
) -> None:
    await bind(devices, 1)
    [cpe] = await plug_in(lab, 1, lambda _number: Quirks(forgets=True))
    await tending.look()
    for repair in (1, 2):
        await lab.clock.sleep(60)
        await cpe.power_on()
        assert cpe.ppp.username == ""
        assert await tending.look() == [serial_of(0)]  # it has booted: it is read, and found to have forgotten
        assert (await tending.row(0)).state == "drifted"
        assert await tending.look() == [serial_of(0)]
        assert (cpe.ppp.username, (await tending.row(0)).repairs) == ("u0@isp", repair)
    await lab.clock.sleep(60)
    await cpe.power_on()
    await tending.look()
    assert await tending.look() == []
    row = await tending.row(0)
    assert (row.state, row.handed_over_at is not None, tending.told) == ("faulted", True, [serial_of(0)])
    assert row.reason.startswith("Repair loop: handed over to a person. It was given its settings again 2 times")
    await cpe.periodic_inform()
    assert await tending.look() == []
    assert (await tending.fleet.converge_many()).done == 0  # nor with everything that has not converged
    assert cpe.ppp.username == ""
    async with devices.database.begin() as db:
        resume(await db.get_one(AcsDevice, row.id), now=lab.clock.now())
    assert (await tending.fleet.converge_many()).converged == 1
    assert (cpe.ppp.username, (await tending.row(0)).repairs) == ("u0@isp", 0)


async def test_the_limit_counts_within_its_window(tending: Tending, devices: Devices, lab: LabAcs) -> None:
    await bind(devices, 1)
    [cpe] = await plug_in(lab, 1)
    await tending.look()
    for _ in range(4):
        await lab.clock.sleep(13 * 3600)
        await cpe.factory_reset()
        await tending.look()
        assert cpe.ppp.username == "u0@isp"
    assert (tending.told, (await tending.row(0)).repairs) == ([], 2)


async def test_who_is_silent_is_noted_with_its_last_inform_and_forgotten_when_it_is_back(
    tending: Tending, devices: Devices, lab: LabAcs
) -> None:
    await bind(devices, 2)
    cpes = await plug_in(lab, 2)
    await tending.look()
    await cpes[0].power_off()
    heard = (await tending.sweep.everything(), await tending.row(0))[1].last_inform_at
    await lab.clock.sleep(3600)
    await cpes[1].periodic_inform()
    assert (await tending.sweep.everything()).silent == 1
    silent, other = await tending.row(0), await tending.row(1)
    assert (silent.unreached_why, silent.unreached_since) == ("silent", heard)
    assert (silent.state, other.unreached_why) == ("accepted_unverifiable", None)
    await cpes[0].power_on()
    assert (await tending.sweep.recent()).back == 1
    assert (await tending.row(0)).unreached_why is None


async def test_a_verified_cpe_that_was_let_report_seldom_is_not_called_silent_by_its_former_interval(
    tending: Tending, devices: Devices, lab: LabAcs
) -> None:
    await bind(devices, 1)
    [cpe] = await plug_in(lab, 1)
    await tending.look()
    await tending.sweep.everything()
    settled = template_interval(await tending.row(0))
    async with devices.database.begin() as db:
        await db.execute(update(AcsDevice).values(inform_slowed_at=lab.clock.now()))
    await cpe.power_off()
    await lab.clock.sleep(settled * 2)
    assert (await tending.sweep.everything()).silent == 0
    assert (await tending.row(0)).unreached_why is None

    # Its wish has changed, and it keeps its interval until it has taken that.
    async with devices.database.begin() as db:
        await db.execute(update(AcsDevice).values(inform_slowed_at=None, state="queued"))
    document = lab.documents["devices"][cpe.device_id]["Device"]["ManagementServer"]["PeriodicInformInterval"]
    document["_value"] = settled
    assert (await tending.sweep.everything()).silent == 0
    await lab.clock.sleep(settled + 60)
    assert (await tending.sweep.everything()).silent == 1


def template_interval(row: AcsDevice) -> int:
    """That of verified ones."""
    return int(next(each[4] for each in row.parameters if str(each[0]).endswith("PeriodicInformInterval")))


async def test_a_cpe_that_cannot_be_called_and_reports_all_the_same_is_behind_nat(
    tending: Tending, devices: Devices, lab: LabAcs
) -> None:
    await bind(devices, 1)
    [cpe] = await plug_in(lab, 1, lambda _number: Quirks(reachable=False))
    await tending.look()
    assert ((await tending.row(0)).state, (await tending.row(0)).unreached_why) == ("unreachable", "offline")
    await lab.clock.sleep(280)
    await cpe.periodic_inform()  # takes its settings
    await tending.sweep.recent()
    assert (await tending.row(0)).unreached_why == "nat"
    await cpe.power_off()
    await lab.clock.sleep(600)
    await tending.sweep.everything()
    assert (await tending.row(0)).unreached_why == "offline"


@pytest.mark.parametrize("page", [1, 1_000], ids=["on different pages", "on one page"])
async def test_two_cpes_with_one_serial_are_left_alone_and_named_until_there_is_one(
    tending: Tending, devices: Devices, lab: LabAcs, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acs.fleet.sweeping.PAGE", page)
    await bind(devices, 1)
    [cpe] = await plug_in(lab, 1)
    await tending.look()
    other = lab.attach(LabCpe(serial_of(0).lower(), oui="ACDE48"))
    await other.power_on()
    for _ in range(2):
        found = await tending.sweep.everything()
        assert (found.ambiguous, found.due, found.unbound) == (1, [], 0)
    row = await tending.row(0)
    assert (row.state, row.unreached_why) == ("accepted_unverifiable", "ambiguous")
    assert row.unreached_since is not None
    assert f"2 CPEs with serial {serial_of(0)} ({cpe.device_id}, {other.device_id})" in row.reason
    await tending.is_deleted_at_the_acs(other)
    assert (await tending.sweep.everything()).ambiguous == 0
    row = await tending.row(0)
    assert (row.unreached_why, row.unreached_since) == (None, None)


async def test_a_cpe_that_is_bound_to_another_acs_is_left_to_that(
    tending: Tending, devices: Devices, lab: LabAcs
) -> None:
    await bind(devices, 1)
    await plug_in(lab, 1)
    async with devices.database.begin() as db:
        await db.execute(update(AcsDevice).values(acs_name="south"))
    found = await tending.sweep.everything()
    assert (found.elsewhere, found.ambiguous, found.unbound, found.due) == (1, 0, 0, [])
    assert (await tending.row(0)).state == "awaiting_first_inform"


async def test_a_serial_that_two_cpes_report_says_so_to_whoever_converges_it(
    tending: Tending, devices: Devices, lab: LabAcs
) -> None:
    await bind(devices, 1)
    await plug_in(lab, 1)
    await lab.attach(LabCpe(serial_of(0).lower(), oui="ACDE48")).power_on()
    progress = await tending.fleet.converge_many([serial_of(0)])
    assert (progress.by_state, progress.by_why, progress.errors) == ({"unreachable": 1}, {"ambiguous": 1}, {})
    assert (await tending.row(0)).unreached_why == "ambiguous"


async def test_a_cpe_that_has_another_id_at_the_acs_by_now_is_known_by_that(
    tending: Tending, devices: Devices, lab: LabAcs
) -> None:
    await bind(devices, 1)
    [cpe] = await plug_in(lab, 1)
    await tending.look()
    await tending.is_deleted_at_the_acs(cpe)
    await cpe.power_off()
    other = lab.attach(LabCpe(serial_of(0).lower(), product_class="RENAMED"))
    await other.power_on()
    assert (await tending.sweep.everything()).ambiguous == 0
    row = await tending.row(0)
    assert (row.device_id, row.unreached_why) == (other.device_id, None)
    await tending.look()
    assert (await tending.sweep.everything()).due == []
    assert (other.ppp.username, (await tending.row(0)).state) == ("u0@isp", "accepted_unverifiable")


async def test_who_reports_while_a_later_page_is_asked_for_is_seen_at_the_next_look(
    tending: Tending, devices: Devices, lab: LabAcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last page may tell of a later Inform than that one."""
    await bind(devices, 2)
    first, last = sorted(await plug_in(lab, 2), key=lambda cpe: cpe.device_id)
    await tending.look()
    monkeypatch.setattr("acs.fleet.sweeping.PAGE", 1)
    take = Sweep._take

    async def while_taken(self: Sweep, documents: Any, *rest: Any, **how: Any) -> Any:
        heard = await take(self, documents, *rest, **how)
        if documents and documents[0]["_id"] == first.device_id:
            await first.factory_reset()
            await lab.clock.sleep(60)
            await last.periodic_inform()
        return heard

    async def pages_in_turn(self: Sweep, plain: Any) -> AsyncIterator[list[dict[str, Any]]]:
        for after in ("", first.device_id):
            yield list((await self._ask_for_page(after, plain)).documents)

    with monkeypatch.context() as patched:
        patched.setattr(Sweep, "_take", while_taken)
        patched.setattr(Sweep, "_pages", pages_in_turn)
        assert (await tending.sweep.everything()).due == []
    assert (await tending.sweep.recent()).due == [first.serial]


async def test_an_acs_whose_clock_was_ahead_hides_nobody_once_everybody_was_looked_at(
    tending: Tending, devices: Devices, lab: LabAcs
) -> None:
    await bind(devices, 2)
    [cpe] = await plug_in(lab, 1)
    document = lab.documents["devices"][cpe.device_id]
    right = document["_lastInform"]
    document["_lastInform"] = right + timedelta(days=30)
    await tending.sweep.everything()
    document["_lastInform"] = right
    await tending.sweep.everything()
    await lab.attach(LabCpe(serial_of(1))).power_on()
    assert serial_of(1) in (await tending.sweep.recent()).due


async def test_a_look_that_breaks_off_is_made_again_whole(
    tending: Tending, devices: Devices, lab: LabAcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first pages have shown is not lost with the last."""
    monkeypatch.setattr("acs.fleet.sweeping.PAGE", 1)
    await bind(devices, 3)
    cpes = await plug_in(lab, 3)
    await tending.look()
    await lab.clock.sleep(60)
    for cpe in cpes:
        await cpe.power_on()
    stream = NbiClient.stream

    async def broken(self: NbiClient, *asked: Any, **how: Any) -> AsyncIterator[dict[str, Any]]:
        found = stream(self, *asked, **how)
        yield await anext(found)
        yield await anext(found)
        raise NbiGarbled("It broke off.")

    with monkeypatch.context() as patched:
        patched.setattr(NbiClient, "stream", broken)
        with pytest.raises(NbiGarbled):
            await tending.sweep.recent()
    assert sorted((await tending.sweep.recent()).due) == [serial_of(number) for number in range(3)]


async def test_the_next_page_is_asked_for_while_one_is_judged_and_called_off_when_that_goes_wrong(
    tending: Tending, devices: Devices, lab: LabAcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acs.fleet.sweeping.PAGE", 1)
    await bind(devices, 3)
    cpes = await plug_in(lab, 3)
    asked: list[str] = []
    asked_when_judged: list[int] = []
    called_off: list[str] = []
    find, write = NbiClient.find, JudgedPage.write

    async def noted(self: NbiClient, collection: str, query: Any, *rest: Any, **how: Any) -> Any:
        asked.append(query["_id"]["$gt"])
        return await find(self, collection, query, *rest, **how)

    async def counted(self: JudgedPage, db: AsyncSession, tell: Tell) -> None:
        asked_when_judged.append(len(asked))
        await write(self, db, tell)

    async def first_alone(self: NbiClient, collection: str, query: Any, *rest: Any, **how: Any) -> Any:
        if query["_id"]["$gt"] == "":
            return await find(self, collection, query, *rest, **how)
        try:
            return await asyncio.Event().wait()
        except asyncio.CancelledError:
            called_off.append(query["_id"]["$gt"])
            raise

    async def broken(self: JudgedPage, db: AsyncSession, tell: Tell) -> None:
        raise LookupError("judging broke off")

    monkeypatch.setattr(NbiClient, "find", noted)
    monkeypatch.setattr(JudgedPage, "write", counted)
    assert (await tending.sweep.everything()).devices == 3
    ids = sorted(cpe.device_id for cpe in cpes)
    assert (asked, asked_when_judged) == (["", *ids], [2, 3, 4])
    monkeypatch.setattr(NbiClient, "find", first_alone)
    monkeypatch.setattr(JudgedPage, "write", broken)
    with pytest.raises(LookupError):
        await tending.sweep.everything()
    assert called_off == ids[:1]


async def test_a_row_that_the_cpe_has_chosen_is_looked_at_there(
    tending: Tending, devices: Devices, lab: LabAcs
) -> None:
    """Of a template that leaves the WAN's number open."""
    async with devices.database.begin() as db:
        await devices.service(db).provision_device(
            customer_id=1,
            device_serial=serial_of(0),
            config_template="huawei-tr098",
            values={
                "pppoe_username": "u0@isp",
                "pppoe_password": "secret:subscriber/42",
                "cpe_vlan_id": 100,
                "wifi_ssid": "Home",
            },
        )
    cpe = lab.attach(LabCpe.of_model(serial_of(0), "huawei-hg8245"))
    await cpe.power_on()
    await tending.look()
    assert (await tending.row(0)).state == "accepted_unverifiable"
    username = f"{(await tending.row(0)).rows['internet']}.Username"
    await lab.clock.sleep(60)
    cpe.customer_sets(username, "mine")
    await tending.nbi.queue_task(cpe.device_id, {"name": "getParameterValues", "parameterNames": [username]})
    await cpe.periodic_inform()
    found = await tending.sweep.everything()
    assert (found.drifted, found.due) == (1, [serial_of(0)])
    assert (await tending.row(0)).details == [{"path": username, "wanted": "u0@isp", "reported": "mine"}]


async def test_a_repair_that_is_yet_to_be_carried_out_is_counted_once_however_often_it_is_looked_at(
    tending: Tending, devices: Devices, lab: LabAcs
) -> None:
    await bind(devices, 1)
    [cpe] = await plug_in(lab, 1)
    await tending.look()
    await lab.clock.sleep(60)
    await cpe.factory_reset()
    for _ in range(4):
        assert (await tending.sweep.everything()).due == [serial_of(0)]  # nobody has come to converge it yet
        await cpe.periodic_inform()
    row = await tending.row(0)
    assert (row.state, row.repairs, row.repair_waits, tending.told) == ("drifted", 1, True, [])
    await tending.fleet.converge_many([serial_of(0)])
    row = await tending.row(0)
    assert (cpe.ppp.username, row.state, row.repairs, row.repair_waits) == (
        "u0@isp",
        "accepted_unverifiable",
        1,
        False,
    )
