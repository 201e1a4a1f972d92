"""Programs beside the lab's ACS: what does not answer is a fault of its channel, and Firstlight's never is one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence

import httpx
import pytest

from acs.testing import FirstlightExtension, LabClock
from acs.testing import extensions as extensions_
from acs.testing.errors import ExtensionFault
from acs.testing.extensions import Extensions

ARGS = ["default", "HWTC12345678", "TR-181", "abcdefghijklmnopqrstuvwxyz234567", "Huawei", ""]
ARGUMENT = '{"rev": "abc", "params": []}'
Answer = Callable[[httpx.Request], httpx.Response]


def good(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"revision": "abc", "settings": ARGUMENT})


def asked_at(answer: Answer, clock: LabClock) -> FirstlightExtension:
    return FirstlightExtension("http://isp.test", "token", clock, transport=httpx.MockTransport(answer))


async def test_an_extension_is_told_text_and_its_answer_is_handed_on() -> None:
    extensions = Extensions()

    async def echo(function: str, args: Sequence[str]) -> object:
        return [function, *args]

    extensions["echo"] = echo
    assert await extensions.run("echo", "say", "one", 2) == ["say", "one", "2"]


async def test_one_that_is_not_there_or_hangs_is_a_fault_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensions_, "EXT_SECONDS", 0.01)
    extensions = Extensions()

    async def hang(function: str, args: Sequence[str]) -> object:
        await asyncio.Event().wait()
        return None

    extensions["hangs"] = hang
    for name in ("hangs", "nobody"):
        with pytest.raises(ExtensionFault, match="Extension timed out") as fault:
            await extensions.run(name, "settings")
        assert fault.value.code == "timeout"


async def test_firstlight_is_asked_as_the_script_for_genieacs_asks_it() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return good(request)

    assert await asked_at(answer, LabClock())("settings", ARGS) == ARGUMENT
    [request] = seen
    assert (request.method, request.url.path) == ("POST", "/api/v1/acs/default/first-sessions")
    assert request.headers["authorization"] == "Bearer token"
    assert json.loads(request.content) == {
        "serial": "HWTC12345678",
        "data_model": "TR-181",
        "provisioning_code": ARGS[3],
        "manufacturer": "Huawei",
        "product_class": None,
    }


@pytest.mark.parametrize(
    "answer",
    [
        lambda request: httpx.Response(503),
        lambda request: httpx.Response(401),
        lambda request: httpx.Response(404, text="It works!"),
        lambda request: httpx.Response(404, json=["acs.first_session_refused"]),
        lambda request: httpx.Response(404, json={"code": "acs.first_sessions_off"}),
        lambda request: httpx.Response(200, text="It works!"),
        lambda request: httpx.Response(200, json={"revision": "abc"}),
        lambda request: httpx.Response(200, json={"settings": "{"}),
        lambda request: httpx.Response(200, json={"settings": "x" * 70_000}),
    ],
)
async def test_after_a_failure_firstlight_is_left_in_peace_for_a_while(answer: Answer) -> None:
    clock = LabClock()
    answers: list[Answer] = [answer]
    extension = asked_at(lambda request: answers[0](request), clock)
    assert await extension("settings", ARGS) is None
    answers[0] = good
    await clock.advance(14.9)
    assert await extension("settings", ARGS) is None
    await clock.advance(0.2)
    assert await extension("settings", ARGS) == ARGUMENT
    assert len(extension.answers) == 2


async def test_a_cpe_for_which_there_is_nothing_is_no_trouble_and_the_path_of_a_proxy_is_kept() -> None:
    seen: list[str] = []

    def nothing(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        return httpx.Response(404, json={"code": "acs.first_session_refused"})

    transport = httpx.MockTransport(nothing)
    extension = FirstlightExtension("https://isp.test/firstlight/", "t", LabClock(), transport=transport)
    assert [await extension("settings", ARGS) for _ in range(2)] == [None, None]
    assert extension.answers == [404, 404]
    assert seen == ["/firstlight/api/v1/acs/default/first-sessions"] * 2


async def test_a_firstlight_that_hangs_is_given_up_before_the_acs_calls_it_a_fault() -> None:
    async def hang(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        return good(request)

    transport = httpx.MockTransport(hang)
    extension = FirstlightExtension("http://isp.test", "t", LabClock(), transport=transport, answer_seconds=0.01)
    assert (await extension("settings", ARGS), extension.answers) == (None, ["TimeoutError"])
    assert extensions_.ANSWER_SECONDS < extensions_.EXT_SECONDS


async def test_of_a_crowd_eight_are_asked_for_at_once() -> None:
    full, released = asyncio.Event(), asyncio.Event()
    asked: list[httpx.Request] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if len(asked) == 8:
            full.set()
        await released.wait()
        return good(request)

    extension = FirstlightExtension("http://isp.test", "t", LabClock(), transport=httpx.MockTransport(answer))
    crowd = [asyncio.create_task(extension("settings", ARGS)) for _ in range(8)]
    await full.wait()
    assert await extension("settings", ARGS) is None
    released.set()
    assert await asyncio.gather(*crowd) == [ARGUMENT] * 8
