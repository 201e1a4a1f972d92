"""Many CPEs brought to what they should have at once; what counts is what each CPE itself holds."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from acs import AcsDevice, NbiClient, NbiPoisoned, NbiUnreachable
from acs.fleet.converging import FleetConvergence
from acs.nbi.transport import NbiTransport
from acs.testing import DataModel, LabAcs, LabCpe, Quirks
from provisioning.database import Database
from tests.acs.conftest import TENANT, Devices, KeptSecrets


def serial_of(number: int) -> str:
    return f"HWTC{number:08X}"


async def bind(devices: Devices, count: int, *, first: int = 0) -> None:
    async with devices.database.begin() as db:
        service = devices.service(db)
        for number in range(first, first + count):
            devices.secrets.plaintexts[f"secret:subscriber/{number}"] = f"pass-{number}"
            await service.provision_device(
                customer_id=number,
                service_id=number,
                device_serial=serial_of(number),
                config_template="tr098-pppoe" if number % 2 else "tr181-pppoe",
                values={
                    "pppoe_username": f"u{number}@isp",
                    "pppoe_password": f"secret:subscriber/{number}",
                    "cpe_vlan_id": 100 + number,
                },
            )


async def plug_in(lab: LabAcs, count: int, quirks: Callable[[int], Quirks] = lambda _number: Quirks()) -> list[LabCpe]:
    cpes = []
    for number in range(count):
        model: DataModel = "TR-098" if number % 2 else "TR-181"
        cpe = lab.attach(LabCpe(serial_of(number), data_model=model, quirks=quirks(number)))
        await cpe.power_on()
        cpes.append(cpe)
    return cpes


async def states(database: Database) -> Counter[str]:
    async with database.begin() as db:
        return Counter(await db.scalars(select(AcsDevice.state)))


@pytest.fixture
def fleet(devices: Devices, nbi: NbiClient, lab: LabAcs, secrets: KeptSecrets) -> FleetConvergence:
    return FleetConvergence(
        devices.database.begin, nbi, tenant_id=TENANT, now=lab.clock.now, secrets=secrets, sleep=lab.clock.sleep
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How often the ACS was asked to list something, by collection."""
    counted: Counter[str] = Counter()
    collect = NbiTransport.collect

    async def counting(self: NbiTransport, target: str, *, kind: str) -> Any:
        counted[target.partition("?")[0]] += 1
        return await collect(self, target, kind=kind)

    monkeypatch.setattr(NbiTransport, "collect", counting)
    yield counted


async def test_every_cpe_holds_its_own_settings_and_the_acs_was_asked_for_many_at_once(
    fleet: FleetConvergence, devices: Devices, lab: LabAcs, asked: Counter[str]
) -> None:
    await bind(devices, 60)
    cpes = await plug_in(lab, 60)
    seen: list[int] = []
    progress = await fleet.converge_many(on_progress=lambda now: seen.append(now.done))
    assert progress.by_state == {}  # none has been seen yet: they await their first Inform
    progress = await fleet.converge_many([cpe.serial for cpe in cpes], on_progress=lambda now: seen.append(now.done))
    assert (progress.total, progress.done, progress.converged) == (60, 60, 60)
    assert seen == list(range(1, 61))
    assert [(cpe.ppp.username, cpe.ppp.password, cpe.ppp.vlan_id) for cpe in cpes] == [
        (f"u{number}@isp", f"pass-{number}", 100 + number) for number in range(60)
    ]
    assert await states(devices.database) == {"accepted_unverifiable": 60}
    assert (dict(lab.documents["tasks"]), dict(lab.documents["faults"])) == ({}, {})
    assert sum(asked.values()) < 60 * 6  # one by one it is more than fifteen each


async def test_one_that_had_no_session_in_time_is_called_once_more(
    fleet: FleetConvergence, devices: Devices, lab: LabAcs
) -> None:
    await bind(devices, 2)
    late, silent = await plug_in(lab, 2, lambda _number: Quirks(cr_ignored=True))

    async def has_time() -> None:
        await lab.clock.sleep(20)
        late.quirks = Quirks()

    async with asyncio.TaskGroup() as meanwhile:
        meanwhile.create_task(has_time())
        progress = await fleet.converge_many([late.serial, silent.serial])

    assert (progress.done, progress.by_state) == (2, {"accepted_unverifiable": 1, "queued": 1})
    assert progress.by_why == {"no_session": 1}
    assert late.ppp.username == "u0@isp"


async def test_each_ends_as_it_can_and_says_why(fleet: FleetConvergence, devices: Devices, lab: LabAcs) -> None:
    tempers = [
        Quirks(),
        Quirks(reachable=False),
        Quirks(cr_wrong_credentials=True),
        Quirks(cr_ignored=True),
        Quirks(lies=True),
        Quirks(fault_all=9007),
        Quirks(session_seconds=10),
    ]
    await bind(devices, len(tempers) + 1)
    cpes = await plug_in(lab, len(tempers), lambda number: tempers[number])
    progress = await fleet.converge_many([serial_of(number) for number in range(len(tempers) + 1)] + ["NOBODYS0001"])
    assert progress.by_state == {
        "accepted_unverifiable": 2,
        "unreachable": 2,
        "queued": 1,
        "drifted": 1,
        "faulted": 1,
        "awaiting_first_inform": 1,
    }
    assert progress.by_why == {
        "offline": 1,
        "connection_request_credentials": 1,
        "no_session": 1,
        "awaiting_first_inform": 1,
    }
    assert progress.errors == {"acs.device_unknown": 1}
    async with devices.database.begin() as db:
        why = {row.serial: row.unreached_why for row in await db.scalars(select(AcsDevice))}
        assert (why[serial_of(1)], why[serial_of(2)], why[serial_of(0)]) == (
            "offline",
            "connection_request_credentials",
            None,
        )
    for cpe in cpes[1:4]:  # what cannot be called is done at the next Inform
        await cpe.periodic_inform()
        cpe.quirks = Quirks()
        assert cpe.ppp.username.startswith("u")
    progress = await fleet.converge_many()
    assert progress.by_state["accepted_unverifiable"] == 3
    async with devices.database.begin() as db:
        assert set(await db.scalars(select(AcsDevice.unreached_since))) == {None}


async def test_an_acs_that_goes_down_ends_it_and_the_next_call_goes_on(
    fleet: FleetConvergence, devices: Devices, lab: LabAcs
) -> None:
    await bind(devices, 20)
    cpes = await plug_in(lab, 20)
    serials = [cpe.serial for cpe in cpes]
    await lab.go_down()
    with pytest.raises(NbiUnreachable):
        await fleet.converge_many(serials)
    await lab.come_back()
    await lab.clock.sleep(120)  # so long an ACS that was down is left in peace
    assert (await fleet.converge_many(serials)).converged == 20


class Killed(BaseException):
    """Our process is gone."""


class Mortal:
    """A process that dies at its n-th request: from then on it asks nobody, begins nothing and commits nothing."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch, *, after_effect: bool) -> None:
        self.database = database
        self.after_effect = after_effect
        self.requests = self.fatal = 0
        self.dead = False
        for name in ("collect", "write"):
            monkeypatch.setattr(NbiTransport, name, self._guarded(getattr(NbiTransport, name)))

    def live_until(self, fatal: int) -> None:
        self.requests, self.fatal, self.dead = 0, fatal, False

    def _guarded(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            self.requests += 1
            strikes = self.requests == self.fatal
            self.dead = self.dead or (strikes and not self.after_effect)
            if self.dead:
                raise Killed
            answer = await ask(*args, **kwargs)
            self.dead = self.dead or strikes
            if self.dead:
                raise Killed
            return answer

        return guarded

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        if self.dead:
            raise Killed
        async with self.database.begin() as db:
            yield db
            if self.dead:
                raise Killed


@pytest.mark.durability_sweep
@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
async def test_killed_at_any_moment_and_started_again_nothing_is_lost(
    devices: Devices,
    nbi: NbiClient,
    lab: LabAcs,
    secrets: KeptSecrets,
    after_effect: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Five CPEs; the process dies at one request after the other, through all steps of the work."""
    process = Mortal(devices.database, monkeypatch, after_effect=after_effect)
    await bind(devices, 5)
    cpes = await plug_in(lab, 5)
    serials = [cpe.serial for cpe in cpes]
    fleet = FleetConvergence(
        process.begin, nbi, tenant_id=TENANT, now=lab.clock.now, secrets=secrets, sleep=lab.clock.sleep
    )
    deaths = 0
    for moment in (1, 3, 6, 10, 15, 21, 28, 36):
        process.live_until(moment)
        try:
            await fleet.converge_many(serials)
        except Killed:
            deaths += 1
            process.live_until(0)
            assert (await fleet.converge_many(serials)).converged == 5
        assert await states(devices.database) == {"accepted_unverifiable": 5}
        assert [cpe.ppp.password for cpe in cpes] == [f"pass-{number}" for number in range(5)]
        assert (dict(lab.documents["tasks"]), dict(lab.documents["faults"])) == ({}, {})
        await forget(cpes, lab)
    assert deaths > 5


async def forget(cpes: list[LabCpe], lab: LabAcs) -> None:
    """All go back to factory default, so that the next round has something to do."""
    await lab.clock.sleep(5)
    for cpe in cpes:
        await cpe.factory_reset()


async def test_settings_that_would_kill_the_acs_hold_up_no_other_cpe_and_are_not_sent_again(
    fleet: FleetConvergence, devices: Devices, lab: LabAcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    write = NbiTransport.write

    async def poisoned(self: NbiTransport, method: str, target: str, body: bytes | None = None, **how: Any) -> Any:
        if serial_of(1) in target and body is not None:
            sent.append(target)
            raise NbiPoisoned(f"{method} {target}", silence_seconds=21)
        return await write(self, method, target, body, **how)

    monkeypatch.setattr(NbiTransport, "write", poisoned)
    await bind(devices, 4)
    await plug_in(lab, 4)
    progress = await fleet.converge_many([serial_of(number) for number in range(4)])
    assert dict(progress.by_state) == {"accepted_unverifiable": 3, "faulted": 1}
    async with devices.database.begin() as db:
        row = (await db.scalars(select(AcsDevice).where(AcsDevice.serial == serial_of(1)))).one()
    assert (row.state, len(sent)) == ("faulted", 1)
    assert row.reason.startswith(f"The settings of CPE {serial_of(1)} are not sent again: The ACS hung up on POST")
