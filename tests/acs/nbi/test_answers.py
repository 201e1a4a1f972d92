"""What the client makes of single answers, one behaviour each, said by a scripted server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import httpx
import pytest

from acs import (
    Done,
    NbiClient,
    NbiGarbled,
    NbiPoisoned,
    NbiRejected,
    NbiRequestInvalid,
    NbiTimedOut,
    NbiUnreachable,
    NotReached,
    Rejected,
    Unknown,
    Why,
)
from acs.nbi import timing
from tests.acs.scripted_nbi import SILENCE, ScriptedNbi, answer, documents, scripted

DEVICE = "00259E-HG%2D8245-HWTC12345678"
TASK = {"name": "getParameterValues", "parameterNames": ["Device.DeviceInfo.UpTime"]}
TASK_ID = "6b02ea81907534c218261cb2"
HTML = b"<html><body><h1>It works!</h1></body></html>"


async def test_documents_are_read_line_by_line_with_their_total() -> None:
    async with scripted(documents('{"_id":"a"}', '{"_id":"b"}', total=7)) as (nbi, _):
        found = await nbi.find("devices", {}, ("_id",), limit=2)
    assert (found.total, [document["_id"] for document in found.documents]) == (7, ["a", "b"])


async def test_a_line_separator_inside_a_wifi_name_does_not_break_a_document() -> None:
    ssid = "Home\u2028\u0085Net"
    async with scripted(documents(json.dumps({"_id": "a", "ssid": ssid}, ensure_ascii=False))) as (nbi, _):
        found = await nbi.find("devices", {}, ("_id",))
    assert found.documents[0]["ssid"] == ssid


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (answer("200 OK", b'[\n{"_id":"a"},\n{"_id"', "total: 2"), "cannot be read"),
        (answer("200 OK", b'[\n{"_id":"a"}\n', "total: 2"), "middle"),
        (answer("200 OK", b"", "total: 0"), "middle"),
        (answer("200 OK", HTML, "total: 1"), "list of documents"),
        (answer("200 OK", b"[\n\n]"), "how many"),
        (answer("200 OK", b"[\n" + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"\n]", "total: 1"), "cannot be read"),
        (answer("200 OK", b"[\n" + b" " * 4_100_000, "total: 1"), "more than"),
        (answer("200 OK", b"[\n[1]\n]", "total: 1"), "something else"),
        (answer("200 OK", b"\x1f\x8b\x08", "total: 1", "Content-Encoding: gzip"), "compressed"),
        (answer("200 OK", b"[\n]", "total: 1")[:-1] + b"", "cut the connection"),
    ],
)
async def test_an_answer_that_is_not_whole_is_an_error_after_a_200_too(said: bytes, why: str) -> None:
    async with scripted(said) as (nbi, server):
        with pytest.raises((NbiGarbled, NbiUnreachable), match=why) as caught:
            await nbi.find("devices", {}, ("_id",))
    assert caught.value.transient
    assert len(server.asked) == 3


async def test_a_read_that_was_cut_off_is_asked_again() -> None:
    async with scripted(b"", answer("200 OK", b"[\n", "total: 1"), documents('{"_id":"a"}')) as (nbi, server):
        found = await nbi.find("devices", {}, ("_id",))
    assert (len(found.documents), len(server.asked)) == (1, 3)


def seconds_of(server: ScriptedNbi) -> Callable[[], float]:
    """A clock on which every request takes the ACS 20 s."""
    return lambda: 20.0 * len(server.asked)


async def no_pause(_seconds: float) -> None:
    """A client that does not really wait."""


async def test_a_worker_that_dies_of_something_else_is_no_poison_of_a_question_answered_before() -> None:
    good = documents('{"_id":"a"}')
    async with (
        ScriptedNbi(good, b"", good, b"") as server,
        NbiClient(server.url, sleep=no_pause, monotonic=seconds_of(server)) as nbi,
    ):
        await nbi.find("devices", {"_id": "a"}, ("_id",))
        assert (await nbi.find("devices", {"_id": "b"}, ("_id",))).total == 1
        assert len(server.asked) == 3
        with pytest.raises(NbiUnreachable, match="hung up after 20 s") as caught:
            await nbi.find("devices", {"_id": "c"}, ("_id",))
        assert caught.value.transient
        assert len(server.asked) == 5  # once more, and no third time


async def test_a_worker_that_dies_of_something_else_is_no_poison_of_a_first_question_either() -> None:
    nobody = answer("200 OK", b"", "total: 0")
    async with (
        ScriptedNbi(b"", nobody, documents('{"_id":"a"}')) as server,
        NbiClient(server.url, sleep=no_pause, monotonic=seconds_of(server)) as nbi,
    ):
        assert (await nbi.find("devices", {"_id": "a"}, ("_id",))).total == 1
    assert [request.split(b" ", 1)[0] for request in server.asked] == [b"GET", b"HEAD", b"GET"]
    assert b"/devices?query=%7B%22_id%22%3A%22%22%7D&projection=_id" in server.asked[1]


@pytest.mark.parametrize("then", [b"", answer("502 Bad Gateway", HTML)])
async def test_an_acs_whose_workers_die_of_the_most_harmless_question_is_trouble_that_passes(then: bytes) -> None:
    """As when its database is away: what a cursor reports is thrown, and nobody gets an answer."""
    async with (
        ScriptedNbi(b"", then, documents('{"_id":"a"}')) as server,
        NbiClient(server.url, sleep=no_pause, monotonic=seconds_of(server)) as nbi,
    ):
        with pytest.raises(NbiUnreachable, match="its workers die of something else") as caught:
            await nbi.find("devices", {"_id": "a"}, ("_id",))
        assert caught.value.transient
        assert len(server.asked) == 2
        assert (await nbi.find("devices", {"_id": "a"}, ("_id",))).total == 1


async def test_a_question_that_costs_a_worker_twice_while_others_are_answered_is_poison() -> None:
    async with (
        ScriptedNbi(b"", answer("200 OK", b"", "total: 0"), b"") as server,
        NbiClient(server.url, sleep=no_pause, monotonic=seconds_of(server)) as nbi,
    ):
        with pytest.raises(NbiPoisoned) as caught:
            await nbi.find("devices", {"_id": {"$exists": True}}, ("_id",))
        assert not caught.value.transient
        assert len(server.asked) == 3


async def test_the_death_of_a_worker_in_the_middle_of_a_cpes_session_leaves_the_outcome_unknown() -> None:
    """Up to 150 s without a word are what a wait for a session is like; the worker died of somebody else's request."""
    async with (
        ScriptedNbi(b"") as server,
        NbiClient(server.url, sleep=no_pause, monotonic=seconds_of(server)) as nbi,
    ):
        outcome = await nbi.queue_task(DEVICE, TASK, connection_request=True)
    assert isinstance(outcome, Unknown)
    assert "after 20 s without a word" in outcome.why
    assert len(server.asked) == 1


async def test_waiting_for_a_free_connection_is_not_the_silence_of_the_acs() -> None:
    seconds = 0.0
    async with (
        ScriptedNbi(SILENCE) as server,
        NbiClient(server.url, max_connections=1, sleep=no_pause, monotonic=lambda: seconds) as nbi,
    ):
        first = asyncio.create_task(nbi.add_tag(DEVICE, "first"))
        await server.was_asked.wait()
        second = asyncio.create_task(nbi.add_tag(DEVICE, "second"))
        for _ in range(20):
            await asyncio.sleep(0)
        seconds = 60.0
        server.script = [SILENCE, b""]
        first.cancel()
        assert isinstance(await second, Unknown)  # cut off at once, and not after a minute
    assert len(server.asked) == 2


async def test_streaming_gives_what_arrived_and_then_says_that_it_broke() -> None:
    whole = answer("200 OK", b'[\n{"_id":"a"},\n{"_id":"b"},\n', "total: 9")
    came = []
    async with scripted(whole) as (nbi, _):
        with pytest.raises(NbiGarbled):
            async for document in nbi.stream("devices", {}, ("_id",)):
                came.append(document["_id"])
    assert came == ["a", "b"]


async def test_a_proxy_without_a_genieacs_behind_it_is_trouble_that_passes() -> None:
    async with scripted(answer("502 Bad Gateway", HTML)) as (nbi, _):
        with pytest.raises(NbiUnreachable, match="502 Bad Gateway"):
            await nbi.find("devices", {}, ("_id",))


async def test_a_refused_query_is_final_and_says_what_the_acs_said() -> None:
    async with scripted(answer("401 Unauthorized", b"who are you?")) as (nbi, _):
        with pytest.raises(NbiRejected, match=r"401 who are you\?\. Check the credentials"):
            await nbi.find("devices", {}, ("_id",))


async def test_a_redirect_is_not_followed() -> None:
    async with scripted(answer("302 Found", b"", "Location: http://169.254.169.254/latest/")) as (nbi, server):
        with pytest.raises(NbiRejected, match="302 Found"):
            await nbi.find("devices", {}, ("_id",))
        assert await nbi.add_tag(DEVICE, "x") == Rejected(302, "Found")
    assert len(server.asked) == 2


async def test_the_device_id_reaches_the_acs_encoded_once_more() -> None:
    async with scripted(answer("200 OK")) as (nbi, server):
        await nbi.add_tag(DEVICE, "plan:100M/20M é")
    assert server.asked[0].startswith(
        b"POST /devices/00259E-HG%252D8245-HWTC12345678/tags/plan%3A100M%2F20M%20%C3%A9 HTTP/1.1\r\n"
    )


async def test_authorization_goes_along_and_shows_nowhere() -> None:
    async with scripted(answer("200 OK")) as (_, server), NbiClient(server.url, authorization="Bearer t0p") as nbi:
        await nbi.add_tag(DEVICE, "x")
        assert "t0p" not in repr(vars(nbi))
    assert b"\r\nAuthorization: Bearer t0p\r\n" in server.asked[0]


@pytest.mark.parametrize("cut", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"])
async def test_a_write_that_was_cut_off_is_unknown_and_not_sent_again(cut: bytes) -> None:
    async with scripted(cut) as (nbi, server):
        outcome = await nbi.queue_task(DEVICE, TASK)
    assert isinstance(outcome, Unknown)
    assert len(server.asked) == 1


async def test_a_write_without_an_answer_in_time_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(timing.SECONDS_OF_A_WRITE, "short", 0.05)
    async with scripted(SILENCE) as (nbi, server):
        outcome = await nbi.queue_task(DEVICE, TASK)
    assert isinstance(outcome, Unknown)
    assert "did not answer" in outcome.why
    assert len(server.asked) == 1


async def test_a_read_without_an_answer_in_time_is_trouble_that_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acs.nbi.transport.READ_SECONDS", 0.05)
    async with scripted(SILENCE) as (nbi, _):
        with pytest.raises(NbiTimedOut):
            await nbi.find("devices", {}, ("_id",))


async def test_a_500_after_a_write_is_unknown() -> None:
    async with scripted(answer("500 Internal Server Error", b"Error: oops")) as (nbi, _):
        outcome = await nbi.remove_tag(DEVICE, "x")
    assert isinstance(outcome, Unknown)
    assert "500 Error: oops" in outcome.why


async def test_a_202_without_a_task_in_it_is_unknown() -> None:
    async with scripted(answer("202 Accepted", HTML)) as (nbi, _):
        assert isinstance(await nbi.queue_task(DEVICE, TASK), Unknown)


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (answer("200 OK"), Done()),
        (answer("504 Device is offline", b"Device is offline"), NotReached(Why.OFFLINE, "Device is offline")),
        # A proxy dropped the phrase; the body still says it.
        (answer("504 Gateway Timeout", b"Device is offline"), NotReached(Why.OFFLINE, "Device is offline")),
        (
            answer("504 x", b"Connection request error: Incorrect connection request credentials"),
            NotReached(
                Why.CONNECTION_REQUEST_CREDENTIALS,
                "Connection request error: Incorrect connection request credentials",
            ),
        ),
        (
            answer("504 Connection request error: Unsupported authentication method"),
            NotReached(Why.CONNECTION_REQUEST_FAILED, "Connection request error: Unsupported authentication method"),
        ),
        (answer("404 Not Found", b"No such device"), Rejected(404, "No such device")),
    ],
)
async def test_what_a_connection_request_led_to(said: bytes, outcome: object) -> None:
    async with scripted(said) as (nbi, _):
        assert await nbi.call(DEVICE) == outcome


async def test_a_proxy_that_gave_up_waiting_says_nothing_about_the_cpe() -> None:
    async with scripted(answer("504 Gateway Time-out", HTML)) as (nbi, _):
        assert isinstance(await nbi.call(DEVICE), Unknown)


async def test_what_a_cpe_says_about_itself_is_cut_and_cleaned() -> None:
    async with scripted(answer("400 Bad Request", b"Error:\r\n\x1b[31m" + b"x" * 5000)) as (nbi, _):
        outcome = await nbi.add_tag(DEVICE, "x")
    assert isinstance(outcome, Rejected)
    assert outcome.said.isprintable()
    assert len(outcome.said) <= 200


@pytest.mark.parametrize(
    "address", ["ftp://acs", "acs:7557", "http://", "http://user:pw@acs:7557", "http://acs/?q=1", "http://[::1"]
)
def test_an_address_that_cannot_be_one_is_refused_at_once(address: str) -> None:
    with pytest.raises(NbiRequestInvalid) as caught:
        NbiClient(address)
    assert "pw" not in str(caught.value)


async def test_the_path_of_a_proxy_stays_before_ours() -> None:
    async with scripted(answer("200 OK")) as (_, server), NbiClient(server.url + "/nbi/") as nbi:
        await nbi.delete_task(TASK_ID)
    assert server.asked[0].startswith(f"DELETE /nbi/tasks/{TASK_ID} HTTP/1.1".encode())


async def test_nothing_of_httpx_leaves_the_client() -> None:
    async with scripted(b"\x00\x01 nothing like HTTP\r\n\r\n") as (nbi, _):
        with pytest.raises(NbiUnreachable) as caught:
            await nbi.count("devices", {})
    assert not isinstance(caught.value, httpx.HTTPError)
