"""Every call of the client meets every trouble: none takes it for success, repeats an effect, or tells a secret."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import pytest
import structlog

from acs import (
    NbiClient,
    NbiDeviceInSession,
    NbiError,
    NbiGarbled,
    NbiPoisoned,
    NbiTimedOut,
    NbiUnreachable,
    Preset,
    Unknown,
)
from acs.nbi import documents as documents_
from acs.nbi import timing, transport
from tests.acs.nbi.test_preset import TAG
from tests.acs.scripted_nbi import SILENCE, ScriptedNbi, answer, documents

DEVICE = "00259E-HG%2D8245-HWTC12345678"
TASK = "6b02ea81907534c218261cb2"
SECRET = "hunter2"
SET = {"name": "setParameterValues", "parameterValues": [["Device.PPP.Interface.1.Password", SECRET]]}

Kind = Literal["read", "write", "wait"]


@dataclass(frozen=True)
class Call:
    """One call; before the request that meets the trouble, the ACS answers the ones of ``before``."""

    kind: Kind
    make: Callable[[NbiClient], Awaitable[object]]
    before: tuple[bytes, ...] = ()


async def _streamed(nbi: NbiClient) -> list[object]:
    return [each async for each in nbi.stream("devices", {}, ("_id",))]


async def _found_in(nbi: NbiClient) -> list[object]:
    return [each async for each in nbi.find_in("devices", "_id", [DEVICE], ("_id",))]


CALLS = {
    "find": Call("read", lambda nbi: nbi.find("devices", {}, ("_id",))),
    "find_in": Call("read", _found_in),
    "stream": Call("read", _streamed),
    "count": Call("read", lambda nbi: nbi.count("devices", {})),
    "tasks": Call("read", lambda nbi: nbi.tasks(DEVICE)),
    "faults": Call("read", lambda nbi: nbi.faults(DEVICE)),
    "fault_of_task": Call("read", lambda nbi: nbi.fault_of_task(DEVICE, TASK)),
    "operations": Call("read", lambda nbi: nbi.operations(DEVICE)),
    "provision": Call("read", lambda nbi: nbi.provision("p")),
    "provisions": Call("read", lambda nbi: nbi.provisions()),
    "virtual_parameter": Call("read", lambda nbi: nbi.virtual_parameter("p")),
    "preset": Call("read", lambda nbi: nbi.preset("p")),
    "presets": Call("read", lambda nbi: nbi.presets()),
    "object": Call("read", lambda nbi: nbi.object("p", ("a",))),
    "file": Call("read", lambda nbi: nbi.file("p")),
    "files": Call("read", lambda nbi: nbi.files()),
    "queue_task": Call("write", lambda nbi: nbi.queue_task(DEVICE, SET)),
    "queue_task_and_wait": Call("wait", lambda nbi: nbi.queue_task(DEVICE, SET, connection_request=True)),
    "call": Call("write", lambda nbi: nbi.call(DEVICE)),
    "delete_task": Call("write", lambda nbi: nbi.delete_task(TASK)),
    "delete_fault": Call("write", lambda nbi: nbi.delete_fault(f"{DEVICE}:task_{TASK}")),
    "retry_task": Call("write", lambda nbi: nbi.retry_task(TASK), (documents(f'{{"_id": "{TASK}"}}'),)),
    "add_tag": Call("write", lambda nbi: nbi.add_tag(DEVICE, "x")),
    "remove_tag": Call("write", lambda nbi: nbi.remove_tag(DEVICE, "x")),
    "delete_device": Call("write", lambda nbi: nbi.delete_device(DEVICE)),
    "put_preset": Call("write", lambda nbi: nbi.put_preset(Preset("p", (TAG,)))),
    "delete_preset": Call("write", lambda nbi: nbi.delete_preset("p")),
    "put_provision": Call("write", lambda nbi: nbi.put_provision("p", f"// {SECRET}")),
    "delete_provision": Call("write", lambda nbi: nbi.delete_provision("p")),
    "put_virtual_parameter": Call("write", lambda nbi: nbi.put_virtual_parameter("p", f"// {SECRET}")),
    "delete_virtual_parameter": Call("write", lambda nbi: nbi.delete_virtual_parameter("p")),
    "put_object": Call("write", lambda nbi: nbi.put_object("p", {"a": SECRET})),
    "delete_object": Call("write", lambda nbi: nbi.delete_object("p")),
    "put_file": Call("wait", lambda nbi: nbi.put_file("p", SECRET.encode(), file_type="3 Vendor Configuration File")),
    "delete_file": Call("write", lambda nbi: nbi.delete_file("p"), (documents('{"_id": "p"}'),)),
}

CUT = b""
HALF_A_LIST = b"HTTP/1.1 200 OK\r\ntotal: 2\r\nContent-Length: 90\r\n\r\n[\n" + f'{{"_id": "{SECRET}"}},\n{{"'.encode()
HALF_A_DOCUMENT = documents(f'{{"_id": "{SECRET}')
LARGE = answer("200 OK", b"[\n" + b"x" * 100_000, "total: 1")
TEN_MEGABYTES = answer("200 OK", b"[\n" + b"x" * 10_000_000, "total: 1")

# What each kind of call may come to; Unknown is an outcome, all else is raised.
TROUBLES: dict[str, tuple[bytes, dict[Kind, type[object] | tuple[type[object], ...]]]] = {
    "reset_or_reset_after_effect": (CUT, {"read": (NbiUnreachable, NbiGarbled), "write": Unknown, "wait": Unknown}),
    "longer_than_anything": (LARGE, {"read": NbiGarbled, "write": Unknown, "wait": Unknown}),
    "cut_off_after_a_200": (
        HALF_A_LIST,
        {"read": (NbiUnreachable, NbiGarbled), "write": Unknown, "wait": Unknown},
    ),
    "half_a_document_in_a_200": (HALF_A_DOCUMENT, {"read": NbiGarbled, "write": object, "wait": object}),
    "bad_gateway": (answer("502 Bad Gateway", b"<html>"), {"read": NbiUnreachable, "write": Unknown, "wait": Unknown}),
    "in_session": (
        answer("503 Service Unavailable", b"Device is in session"),
        {"read": NbiUnreachable, "write": NbiDeviceInSession, "wait": NbiDeviceInSession},
    ),
}


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for wait in timing.SECONDS_OF_A_WRITE:
        monkeypatch.setitem(timing.SECONDS_OF_A_WRITE, wait, 0.05)
    monkeypatch.setattr(transport, "READ_SECONDS", 0.05)


async def _came_of(call: Call, *script: bytes, monotonic: Callable[[], float] = lambda: 0.0) -> tuple[object, int]:
    """What the call came to, and how many requests reached the ACS after those of ``before``; logs are looked at."""

    async def no_pause(_seconds: float) -> None:
        await asyncio.sleep(0)

    outcome: object
    with structlog.testing.capture_logs() as logs:
        async with (
            ScriptedNbi(*call.before, *script) as server,
            NbiClient(server.url, sleep=no_pause, monotonic=monotonic, jitter=lambda: 0.5) as nbi,
        ):
            try:
                outcome = await call.make(nbi)
            except NbiError as error:
                outcome = error
            asked = len(server.asked) - len(call.before)
    heads = b"".join(request.partition(b"\r\n\r\n")[0] for request in server.asked)
    assert SECRET.encode() not in heads
    assert SECRET not in f"{outcome!r} {outcome} {logs}"
    assert SECRET not in str(getattr(outcome, "__cause__", ""))
    return outcome, asked


def test_every_call_of_the_client_is_here() -> None:
    public = {
        name
        for name, member in inspect.getmembers(NbiClient)
        if not name.startswith("_") and (inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member))
    }
    assert public - {"aclose"} == set(CALLS) - {"queue_task_and_wait"}


@pytest.mark.parametrize("name", CALLS)
async def test_no_trouble_is_taken_for_success_and_no_effect_is_repeated(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents_, "LONGEST_DOCUMENT", 20_000)
    monkeypatch.setattr(transport, "LARGEST_ANSWER", 20_000)
    call = CALLS[name]
    for trouble, (said, expected) in TROUBLES.items():
        if trouble == "longer_than_anything" and name == "count":
            continue  # a HEAD has no body
        outcome, asked = await _came_of(call, said)
        wanted = expected[call.kind]
        if name == "count" and said in (HALF_A_LIST, HALF_A_DOCUMENT):
            assert outcome in (1, 2)  # its headers were whole
            continue
        assert isinstance(outcome, wanted), (trouble, outcome)
        if call.kind != "read" and wanted is Unknown:
            assert asked == 1, trouble


@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if not call.before])
@pytest.mark.usefixtures("hasty")
async def test_silence_is_no_answer_and_an_effect_that_nobody_told_of_is_not_sent_again(name: str) -> None:
    call = CALLS[name]
    outcome, asked = await _came_of(call, SILENCE)
    assert isinstance(outcome, NbiTimedOut if call.kind == "read" else Unknown)
    assert asked == 1


@pytest.mark.parametrize("name", ["find", "stream", "queue_task", "put_file"])
async def test_ten_megabytes_are_not_read_to_their_end(name: str) -> None:
    outcome, _ = await _came_of(CALLS[name], TEN_MEGABYTES)
    assert isinstance(outcome, NbiGarbled if CALLS[name].kind == "read" else Unknown)
    assert "more than" in f"{outcome}"


@pytest.mark.parametrize("name", CALLS)
async def test_nobody_listening_is_nobody_reached(name: str) -> None:
    async def no_pause(_seconds: float) -> None:
        await asyncio.sleep(0)

    async with ScriptedNbi(CUT) as server:
        url = server.url
    async with NbiClient(url, sleep=no_pause, jitter=lambda: 0.5) as nbi:
        with pytest.raises(NbiUnreachable, match="cannot be reached"):
            await CALLS[name].make(nbi)


@pytest.mark.parametrize("name", CALLS)
async def test_a_worker_that_dies_of_it_gets_no_second_one(name: str) -> None:
    call = CALLS[name]
    clock = _leaping(per_request=21.0)
    outcome, asked = await _came_of(call, CUT, monotonic=clock)
    if call.kind == "wait":
        assert isinstance(outcome, Unknown)
    elif call.kind == "write":
        assert isinstance(outcome, NbiPoisoned)
    else:
        assert isinstance(outcome, NbiPoisoned | NbiUnreachable)
    assert asked <= (1 if call.kind != "read" else 2)


def _leaping(*, per_request: float) -> Callable[[], float]:
    """A clock by which each look is one worker's dying later than the one before."""
    looks: Iterator[int] = itertools.count()
    return lambda: next(looks) * per_request
