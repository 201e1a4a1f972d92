"""Convergence when the ACS or our own process fails at any moment: called again, it ends as if nothing had happened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from acs import (
    DeviceConvergence,
    DeviceUnknown,
    NbiClient,
    NbiError,
    NbiGarbled,
    NbiTimedOut,
    NbiUnreachable,
    NotYet,
    Unknown,
)
from acs.convergence.seen_devices import find_device
from acs.nbi.transport import NbiTransport
from acs.templates.delivery import is_row_tag
from acs.testing import LabAcs, LabCpe
from tests.acs.conftest import Devices, KeptSecrets

SERIAL = "HWTC12345678"
USERNAME = "Device.PPP.Interface.1.Username"
MOMENTS = 40
"""More requests than an apply and a verify make; the sweep says when it went past the last."""


class Killed(BaseException):
    """Our process is gone."""


class Saboteur:
    """Stands before every transport: the n-th request of a run is the last thing our process does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requests = 0
        self.fatal: int | None = None
        self.after_effect = False
        for name in ("collect", "write"):
            monkeypatch.setattr(NbiTransport, name, self._guarded(getattr(NbiTransport, name)))

    def strike(self, number: int, *, after_effect: bool) -> None:
        self.requests, self.fatal, self.after_effect = 0, number, after_effect

    def rest(self) -> None:
        self.fatal = None

    def _guarded(self, ask: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            self.requests += 1
            fatal = self.requests == self.fatal
            if fatal and not self.after_effect:
                raise Killed
            answer = await ask(*args, **kwargs)
            if fatal:
                raise Killed
            return answer

        return guarded


async def bind(devices: Devices) -> str:
    async with devices.database.begin() as db:
        device = await devices.service(db).provision_device(
            customer_id=1,
            service_id=7,
            device_serial=SERIAL,
            config_template="tr181-pppoe",
            values={"pppoe_username": "u42@isp", "pppoe_password": "secret:subscriber/42", "cpe_vlan_id": 100},
        )
    return device["revision"]


@pytest.mark.durability_sweep
@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
async def test_killed_at_any_request_and_started_again_the_cpe_gets_its_settings_once(
    devices: Devices,
    convergence: DeviceConvergence,
    nbi: NbiClient,
    lab: LabAcs,
    after_effect: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await convergence.prepare()
    revision = await bind(devices)
    saboteur = Saboteur(monkeypatch)
    for moment in range(1, MOMENTS):
        cpe = lab.attach(LabCpe(SERIAL, product_class=f"HG{moment}"))
        await cpe.power_on()
        saboteur.strike(moment, after_effect=after_effect)
        survived = True
        try:
            await convergence.apply(SERIAL)
            await convergence.verify(SERIAL)
        except Killed:
            survived = False
        saboteur.rest()
        await convergence.apply(SERIAL)
        assert (await convergence.verify(SERIAL))["state"] == "accepted_unverifiable"
        assert (cpe.ppp.username, cpe.ppp.password) == ("u42@isp", "s3cret-of-42")
        assert await nbi.tasks(cpe.device_id) == ()
        assert await nbi.faults(cpe.device_id) == ()
        seen = await find_device(nbi, SERIAL)
        assert seen is not None
        assert [tag for tag in seen["tags"] if not is_row_tag(tag)] == [f"cfg_{revision}"]
        if survived:
            assert moment > 10
            return
        await retire(devices, convergence, lab, cpe)
        await bind(devices)
    pytest.fail("the sweep did not reach the end")


async def retire(devices: Devices, convergence: DeviceConvergence, lab: LabAcs, cpe: LabCpe) -> None:
    """Take the CPE out of the world, so that the next round begins afresh."""
    await convergence.release(SERIAL)
    await cpe.power_off()
    lab.documents["devices"].pop(cpe.device_id)
    lab.cpes.pop(SERIAL)


@pytest.fixture
async def cpe(lab: LabAcs, devices: Devices) -> LabCpe:
    await bind(devices)
    cpe = lab.attach(LabCpe(SERIAL))
    await cpe.power_on()
    return cpe


@pytest.mark.parametrize("lost", ["queue_task", "call", "remove_tag"])
async def test_a_lost_answer_is_looked_up_and_not_taken_for_a_failure(
    devices: Devices,
    convergence: DeviceConvergence,
    nbi: NbiClient,
    lab: LabAcs,
    cpe: LabCpe,
    lost: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await convergence.apply(SERIAL)
    cpe.customer_sets("Device.PPP.Interface.1.Username", "somebody")
    await convergence.verify(SERIAL)  # drifted, so the next apply removes the tag, queues and calls
    real = getattr(nbi, lost)
    outcomes: list[object] = []

    async def lose(*args: Any, **kwargs: Any) -> object:
        if not outcomes:
            lab.trouble.lose_answers = 1
        outcomes.append(await real(*args, **kwargs))
        return outcomes[-1]

    monkeypatch.setattr(nbi, lost, lose)
    try:
        await convergence.apply(SERIAL)
    except NbiTimedOut:  # told as what it is; asking again is safe
        await convergence.apply(SERIAL)
    assert isinstance(outcomes[0], Unknown)
    assert cpe.value(USERNAME) == "u42@isp"
    assert await nbi.tasks(cpe.device_id) == ()


async def test_an_acs_that_is_down_is_trouble_that_passes(
    convergence: DeviceConvergence, lab: LabAcs, cpe: LabCpe
) -> None:
    await lab.go_down()
    with pytest.raises(NbiUnreachable) as caught:
        await convergence.apply(SERIAL)
    assert caught.value.transient
    await lab.come_back()
    await lab.clock.sleep(2)  # so long it is left in peace
    assert (await convergence.apply(SERIAL))["state"] == "applied"


@pytest.mark.parametrize("trouble", ["rubbish", "cut_lists"])
async def test_an_acs_that_talks_rubbish_is_told_as_that(
    convergence: DeviceConvergence, lab: LabAcs, cpe: LabCpe, trouble: str
) -> None:
    setattr(lab.trouble, trouble, True)
    with pytest.raises(NbiError) as caught:
        await convergence.apply(SERIAL)
    assert isinstance(caught.value, NbiGarbled | NbiUnreachable)
    setattr(lab.trouble, trouble, False)
    assert (await convergence.apply(SERIAL))["state"] == "applied"
    assert cpe.value(USERNAME) == "u42@isp"


async def test_an_acs_whose_proxy_drops_reason_phrases_does_not_matter(
    convergence: DeviceConvergence, lab: LabAcs, cpe: LabCpe
) -> None:
    lab.trouble.drop_reasons = True
    assert (await convergence.apply(SERIAL))["state"] == "applied"
    assert (await convergence.verify(SERIAL))["state"] == "accepted_unverifiable"


async def test_settings_the_acs_dropped_without_a_word_are_queued_again(
    convergence: DeviceConvergence, nbi: NbiClient, lab: LabAcs, cpe: LabCpe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when sessions did not know the script yet: the task is gone, and nothing has happened."""
    queue_task = nbi.queue_task

    async def queue_nothing(device_id: str, task: Any, **options: Any) -> object:
        monkeypatch.setattr(nbi, "queue_task", queue_task)
        unknown = {"name": "provisions", "provisions": [["not-there-yet", task["provisions"][0][1]]]}
        return await queue_task(device_id, unknown, **options)

    monkeypatch.setattr(nbi, "queue_task", queue_nothing)
    with pytest.raises(NotYet, match="dropped the settings") as caught:
        await convergence.apply(SERIAL)
    assert caught.value.reason == "not_applied"
    assert cpe.value(USERNAME) == ""
    assert (await convergence.apply(SERIAL))["state"] == "applied"
    assert cpe.value(USERNAME) == "u42@isp"


async def test_the_secrets_of_another_tenant_are_out_of_reach(
    devices: Devices, nbi: NbiClient, lab: LabAcs, secrets: KeptSecrets, cpe: LabCpe
) -> None:
    south = DeviceConvergence(
        devices.database.begin, nbi, tenant_id="south", now=lab.clock.now, secrets=secrets, sleep=lab.clock.sleep
    )
    with pytest.raises(DeviceUnknown):
        await south.apply(SERIAL)
    assert cpe.value(USERNAME) == ""
