"""An ACS in trouble is left in peace, for all that would ask it, and one request finds out when it is well again."""

from __future__ import annotations

import asyncio

import pytest

from acs import Done, NbiClient, NbiLeftInPeace, NbiPoisoned, NbiTimedOut, NbiUnreachable, Unknown
from acs.nbi import transport
from acs.nbi.breaker import CircuitBreaker
from acs.testing import LabAcs, LabCpe
from tests.acs.scripted_nbi import SILENCE, answer, documents, scripted


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def breaker(seconds: Seconds) -> CircuitBreaker:
    return CircuitBreaker("http://acs", monotonic=seconds)


def test_what_cannot_be_reached_opens_it_at_once_for_longer_and_longer(
    breaker: CircuitBreaker, seconds: Seconds
) -> None:
    for pause in (2, 4, 8, 16, 32, 60, 60):
        breaker.unreachable("refused")
        with (
            pytest.raises(NbiLeftInPeace, match=f"asked again in {pause} s. Before: refused") as caught,
            breaker.asking(),
        ):
            pytest.fail("it was asked")
        assert caught.value.seconds == pause
        seconds.now += pause
        assert breaker.state == "half_open"
    breaker.answered()
    assert (breaker.state, breaker.why) == ("closed", "")
    breaker.unreachable("refused")
    with pytest.raises(NbiLeftInPeace, match="in 2 s"), breaker.asking():
        pytest.fail("it was asked")


def test_three_silences_in_a_row_open_it_and_an_answer_between_them_forgives(breaker: CircuitBreaker) -> None:
    for silent in (True, True, False, True, True):
        breaker.silent("no answer") if silent else breaker.answered()
    assert breaker.state == "closed"
    breaker.silent("no answer")
    assert (breaker.state, breaker.why) == ("open", "no answer")


def test_while_one_finds_out_the_others_wait(breaker: CircuitBreaker, seconds: Seconds) -> None:
    breaker.unreachable("refused")
    seconds.now = 2
    with breaker.asking() as is_probe:
        assert is_probe
        with pytest.raises(NbiLeftInPeace, match="tried at this moment"), breaker.asking():
            pytest.fail("it was asked twice")
    with breaker.asking() as is_probe:  # the first was cut short, and has proved nothing
        assert is_probe
        breaker.answered()
    with breaker.asking() as is_probe:
        assert not is_probe


def test_what_was_under_way_when_it_opened_is_no_further_trouble(breaker: CircuitBreaker, seconds: Seconds) -> None:
    for _ in range(16):
        breaker.unreachable("refused")
    seconds.now = 2
    assert breaker.state == "half_open"


async def test_nobody_knocks_at_an_acs_that_is_down(nbi: NbiClient, lab: LabAcs) -> None:
    await lab.go_down()
    results = await asyncio.gather(*(nbi.count("devices", {}) for _ in range(8)), return_exceptions=True)
    assert all(isinstance(result, NbiUnreachable) for result in results)
    at = lab.clock.now()
    with pytest.raises(NbiLeftInPeace, match="cannot be reached") as caught:
        await nbi.delete_device("00259E-HG8245-X")
    assert lab.clock.now() == at
    assert caught.value.transient
    await lab.come_back()
    await lab.clock.sleep(60)
    assert await nbi.count("devices", {}) == 0
    assert nbi.breaker.state == "closed"


async def test_a_killed_worker_leaves_the_others_their_acs(nbi: NbiClient, lab: LabAcs, cpe: LabCpe) -> None:
    with pytest.raises(NbiPoisoned):
        await nbi._transport.write("DELETE", "/files/none.bin", None)
    assert nbi.breaker.state == "closed"
    assert await nbi.count("devices", {}) == 1


async def test_silences_open_it_and_its_next_answer_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "READ_SECONDS", 0.05)
    async with scripted(SILENCE, SILENCE, SILENCE, documents('{"_id": "a"}')) as (client, server):
        for _ in range(3):
            with pytest.raises(NbiTimedOut):
                await client.find("devices", {}, ("_id",))
        with pytest.raises(NbiLeftInPeace, match="did not answer GET /devices"):
            await client.find("devices", {}, ("_id",))
        assert len(server.asked) == 3


async def test_a_proxy_without_an_acs_behind_it_counts_as_down() -> None:
    async with scripted(answer("502 Bad Gateway", b"<html>")) as (client, server):
        assert isinstance(await client.delete_preset("x"), Unknown)
        with pytest.raises(NbiLeftInPeace, match="502 Bad Gateway"):
            await client.delete_preset("x")
        assert len(server.asked) == 1


async def test_what_may_take_minutes_is_not_what_finds_out_whether_it_is_well_again(
    monkeypatch: pytest.MonkeyPatch, seconds: Seconds
) -> None:
    monkeypatch.setattr(transport, "HARMLESS_SECONDS", 0.05)
    async with (
        scripted(answer("502 Bad Gateway"), SILENCE, answer("200 OK"), answer("200 OK", b"")) as (client, server),
    ):
        client.breaker._monotonic = seconds
        assert isinstance(await client.delete_preset("x"), Unknown)
        seconds.now = 2.0
        with pytest.raises(NbiUnreachable, match="in trouble still; nothing was sent") as caught:
            await client.delete_preset("x")
        assert (type(caught.value), client.breaker.state) == (NbiUnreachable, "open")
        seconds.now = 6.0
        assert isinstance(await client.delete_preset("x"), Done)
        assert client.breaker.state == "closed"
    asked = [request.split(b" HTTP")[0] for request in server.asked]
    harmless = f"HEAD {transport.HARMLESS}".encode()
    assert asked == [b"DELETE /presets/x", harmless, harmless, b"DELETE /presets/x"]


@pytest.fixture
async def cpe(lab: LabAcs) -> LabCpe:
    cpe = lab.attach(LabCpe("HWTC12345678"))
    await cpe.power_on()
    return cpe
