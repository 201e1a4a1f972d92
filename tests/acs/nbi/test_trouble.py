"""The client when the ACS, its workers or its CPEs are in trouble: against the lab, whose CPEs do as they are told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from acs import (
    Done,
    Faulted,
    NbiClient,
    NbiDeviceInSession,
    NbiGarbled,
    NbiPoisoned,
    NbiUnreachable,
    NotReached,
    Queued,
    Unknown,
    Why,
)
from acs.nbi.breaker import CircuitBreaker
from acs.nbi.transport import NbiTransport
from acs.testing import LabAcs, LabCpe

VLAN = "Device.Ethernet.VLANTermination.1.VLANID"
SSID = "Device.WiFi.SSID.1.SSID"
SET_SSID = {"name": "setParameterValues", "parameterValues": [[SSID, "Home", "xsd:string"]]}
UNKNOWN_TASK = "5f0000000000000000000000"


@pytest.fixture
async def cpe(lab: LabAcs) -> LabCpe:
    cpe = lab.attach(LabCpe("HWTC12345678"))
    await cpe.power_on()
    return cpe


async def test_a_task_with_a_connection_request_is_done_when_the_session_has_run_it(
    nbi: NbiClient, cpe: LabCpe
) -> None:
    outcome = await nbi.queue_task(cpe.device_id, SET_SSID, connection_request=True)
    assert isinstance(outcome, Done)
    assert cpe.value(SSID) == "Home"


@pytest.mark.parametrize(
    ("quirk", "why"),
    [
        ("reachable", Why.OFFLINE),
        ("cr_refused", Why.OFFLINE),
        ("cr_busy", Why.OFFLINE),
        ("cr_wrong_credentials", Why.CONNECTION_REQUEST_CREDENTIALS),
        ("cr_ignored", Why.NO_SESSION),
    ],
)
async def test_why_a_cpe_was_not_reached_is_told(nbi: NbiClient, cpe: LabCpe, quirk: str, why: Why) -> None:
    setattr(cpe.quirks, quirk, quirk != "reachable")
    outcome = await nbi.queue_task(cpe.device_id, SET_SSID, connection_request=True)
    assert isinstance(outcome, Queued)
    assert outcome.why is why
    assert [task.id for task in await nbi.tasks(cpe.device_id)] == [outcome.task_id]
    called = await nbi.call(cpe.device_id)
    if why is Why.NO_SESSION:  # it answered the call, and that is all a call can tell
        assert called == Done()
    else:
        assert isinstance(called, NotReached)
        assert called.why is why


@pytest.mark.parametrize("reasons_dropped", [False, True])
async def test_a_faulted_task_shows_which_parameter_was_refused(
    nbi: NbiClient, lab: LabAcs, cpe: LabCpe, reasons_dropped: bool
) -> None:
    lab.trouble.drop_reasons = reasons_dropped
    cpe.quirks.refuse[VLAN] = 9007
    task = {"name": "setParameterValues", "parameterValues": [[VLAN, 100], [SSID, "Home"]]}
    outcome = await nbi.queue_task(cpe.device_id, task, connection_request=True)
    assert isinstance(outcome, Faulted)
    assert outcome.fault is not None
    assert outcome.fault.code == "cwmp.9003"
    assert outcome.fault.refusals == ({"path": VLAN, "code": "9007", "meaning": "the CPE does not accept this value"},)
    assert outcome.fault.task_id == outcome.task_id
    assert cpe.value(SSID) != "Home"


@pytest.mark.parametrize("reachable", [False, True])
async def test_without_a_reason_phrase_the_queue_is_looked_at(
    nbi: NbiClient, lab: LabAcs, cpe: LabCpe, reachable: bool
) -> None:
    lab.trouble.drop_reasons = True
    cpe.quirks.cr_ignored = not reachable
    outcome = await nbi.queue_task(cpe.device_id, SET_SSID, connection_request=True)
    if reachable:
        assert isinstance(outcome, Done)
    else:
        assert isinstance(outcome, Queued)
        assert outcome.why is Why.UNSAID


async def test_a_retried_task_forgets_its_fault_and_runs_at_the_next_session(nbi: NbiClient, cpe: LabCpe) -> None:
    cpe.quirks.refuse[SSID] = 9007
    outcome = await nbi.queue_task(cpe.device_id, SET_SSID, connection_request=True)
    assert isinstance(outcome, Faulted)
    cpe.quirks.refuse.clear()
    assert await nbi.retry_task(outcome.task_id) == Done()
    assert await nbi.faults(cpe.device_id) == ()
    await cpe.periodic_inform()
    assert cpe.value(SSID) == "Home"


async def test_deleting_the_fault_of_a_task_deletes_the_task(nbi: NbiClient, cpe: LabCpe) -> None:
    cpe.quirks.fault_all = 9002
    outcome = await nbi.queue_task(cpe.device_id, SET_SSID, connection_request=True)
    assert isinstance(outcome, Faulted)
    [fault] = await nbi.faults(cpe.device_id)
    assert await nbi.delete_fault(fault.id) == Done()
    assert await nbi.tasks(cpe.device_id) == ()


@pytest.fixture
async def unchecked(lab: LabAcs) -> AsyncIterator[NbiTransport]:
    """Below the checks of the client, which would not let poison through."""
    started = lab.clock.now()

    def monotonic() -> float:
        return (lab.clock.now() - started).total_seconds()

    transport = NbiTransport(
        lab.url,
        authorization=None,
        tls=None,
        max_connections=4,
        sleep=lab.clock.sleep,
        monotonic=monotonic,
        jitter=lambda: 0.5,
        breaker=CircuitBreaker(lab.url, monotonic=monotonic),
    )
    yield transport
    await transport.aclose()


async def test_a_request_that_kills_a_worker_is_poison_and_never_sent_again(
    unchecked: NbiTransport, lab: LabAcs, cpe: LabCpe
) -> None:
    target = f"/devices/{cpe.device_id}/tasks"
    with pytest.raises(NbiPoisoned) as caught:
        await unchecked.write("POST", target, b'{"name": "nonsense"}')
    assert caught.value.silence_seconds >= 15
    assert not caught.value.transient
    assert [happening.kind for happening in lab.happenings].count("nbi_crashed") == 1


async def test_a_query_that_kills_a_worker_is_poison_once_it_has_killed_another(
    unchecked: NbiTransport, lab: LabAcs
) -> None:
    with pytest.raises(NbiPoisoned):
        await unchecked.collect('/devices?query={"_id":{"$foo":1}}&projection=_id', kind="by an unknown operator")
    assert [happening.kind for happening in lab.happenings].count("nbi_crashed") == 2


async def test_an_acs_that_is_down_for_a_while_is_waited_for(nbi: NbiClient, lab: LabAcs, cpe: LabCpe) -> None:
    await lab.go_down()

    async def mend() -> None:
        await lab.clock.sleep(8)
        await lab.come_back()

    lab.spawn(mend())
    assert await nbi.add_tag(cpe.device_id, "x") == Done()


async def test_a_cut_right_after_a_long_outage_is_no_poison(nbi: NbiClient, lab: LabAcs, cpe: LabCpe) -> None:
    await lab.go_down()

    async def mend() -> None:
        await lab.clock.sleep(17)
        lab.trouble.lose_answers = 1
        await lab.come_back()

    lab.spawn(mend())
    assert isinstance(await nbi.add_tag(cpe.device_id, "x"), Unknown)


async def test_an_acs_that_stays_down_is_unreachable_after_the_time_a_worker_needs_to_come_back(
    nbi: NbiClient, lab: LabAcs, cpe: LabCpe
) -> None:
    await lab.go_down()
    before = lab.clock.now()
    with pytest.raises(NbiUnreachable, match=lab.url) as caught:
        await nbi.add_tag(cpe.device_id, "x")
    assert caught.value.transient
    assert 22 <= (lab.clock.now() - before).total_seconds() < 30


async def test_rubbish_is_no_answer(nbi: NbiClient, lab: LabAcs, cpe: LabCpe) -> None:
    lab.trouble.rubbish = True
    with pytest.raises(NbiGarbled):
        await nbi.find("devices", {}, ("_id",))
    assert isinstance(await nbi.queue_task(cpe.device_id, SET_SSID), Unknown)


async def test_half_a_list_is_no_list(nbi: NbiClient, lab: LabAcs, cpe: LabCpe) -> None:
    lab.trouble.cut_lists = True
    with pytest.raises((NbiGarbled, NbiUnreachable)):
        await nbi.find("devices", {}, ("_id",))


async def test_a_lost_answer_leaves_the_outcome_unknown_and_the_queue_tells(
    nbi: NbiClient, lab: LabAcs, cpe: LabCpe
) -> None:
    lab.trouble.lose_answers = 1
    assert isinstance(await nbi.queue_task(cpe.device_id, SET_SSID, unique_key="k"), Unknown)
    assert len(await nbi.tasks(cpe.device_id, unique_key="k")) == 1
    await nbi.queue_task(cpe.device_id, SET_SSID, unique_key="k")
    assert len(await nbi.tasks(cpe.device_id, unique_key="k")) == 1


async def test_the_queue_of_a_device_in_session_is_changed_once_the_session_is_over(
    nbi: NbiClient, lab: LabAcs, cpe: LabCpe
) -> None:
    queued = await nbi.queue_task(cpe.device_id, SET_SSID)
    assert isinstance(queued, Queued)
    cpe.quirks.session_seconds = 6
    session = lab.spawn(_session(cpe))
    await lab.clock.sleep(1)
    before = lab.clock.now()
    assert await nbi.delete_fault(f"{cpe.device_id}:task_{UNKNOWN_TASK}") == Done()
    assert 3 <= (lab.clock.now() - before).total_seconds() < 30
    await session


async def test_a_device_that_stays_in_session_is_given_up_on_for_now(nbi: NbiClient, lab: LabAcs, cpe: LabCpe) -> None:
    queued = await nbi.queue_task(cpe.device_id, SET_SSID)
    assert isinstance(queued, Queued)
    cpe.quirks.session_seconds = 300
    session = lab.spawn(_session(cpe))
    await lab.clock.sleep(1)
    with pytest.raises(NbiDeviceInSession) as caught:
        await nbi.delete_task(queued.task_id)
    assert caught.value.transient
    session.cancel()


async def _session(cpe: LabCpe) -> None:
    await cpe.periodic_inform()
