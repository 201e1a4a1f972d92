"""The lab ACS answers every recorded NBI request as the GenieACS 1.2.16 did that was recorded.

The requests are sent in the recorded order to one lab, whose CPEs are brought into the same states. Compared are
status, reason, headers, the body (values too, but for instants and made-up ids) and the time it takes, by the lab's
clock.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
from urllib.parse import urlsplit

import pytest

from tests.acs.recorded.comparison import differences
from tests.acs.recorded.exchanges import Exchange, load
from tests.acs.recorded.preconditions import PRECONDITIONS, Rig, build_rig
from tests.acs.recorded.raw_http import Answer, ask

EXCHANGES = load()

# Requests whose circumstances the lab can't bring about, by name, each with the reason.
NOT_REPRODUCED: dict[str, str] = {
    "ping.loopback": "the lab runs no ping; the recorded machine had none installed either, and said so",
    "security.users": "the user was made in the web interface, which the lab does not have",
    "ztp.result": "its script asked somebody outside for the values (ext), and the lab runs no JavaScript",
}

# Answers that are compared in everything but how long they took.
NOT_TIMED = {
    "concurrent.same_device_0": "four at once: the order in which the real sessions ran was chance",
    "concurrent.same_device_1": "four at once: the order in which the real sessions ran was chance",
    "concurrent.same_device_2": "four at once: the order in which the real sessions ran was chance",
    "concurrent.same_device_3": "four at once: the order in which the real sessions ran was chance",
    "verify.get_cr2": "the recorded poll happened to come just when the session had ended",
    "poison.delete.bad_precondition": "the recording machine was busy restarting workers",
    "ztp.faults": "the recording machine was busy",
}
HEART_OF_THE_NBI = ("/devices", "/tasks", "/faults")


class Replay:
    """Sends the recorded requests, with the lab's own task ids in the place of the recorded ones."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._ids: dict[str, str] = {}
        address = urlsplit(rig.lab.url)
        self._host, self._port = str(address.hostname), int(address.port or 0)

    async def run(self) -> dict[str, list[str]]:
        """Differences by exchange name."""
        found: dict[str, list[str]] = {}
        for _, group in itertools.groupby(EXCHANGES, key=_made_at_once):
            together = list(group)
            for exchange in together:
                for bring_about in PRECONDITIONS.get(exchange.name, ()):
                    await bring_about(self._rig)
            answers = await asyncio.gather(*(self._send(exchange) for exchange in together))
            for exchange, answer in zip(together, answers, strict=True):
                found[exchange.name] = self._compare(exchange, answer)
        return found

    async def _send(self, exchange: Exchange) -> Answer:
        begun = self._rig.clock.now()
        answer = await ask(
            self._host,
            self._port,
            exchange.method,
            self._translated(exchange.target),
            exchange.request_headers,
            self._translated(exchange.request_body.decode()).encode(),
        )
        return dataclasses.replace(answer, seconds=(self._rig.clock.now() - begun).total_seconds())

    def _compare(self, exchange: Exchange, answer: Answer) -> list[str]:
        self._learn_ids(exchange, answer)
        expected = dataclasses.replace(exchange, body=self._translated(exchange.body))
        found = differences(expected, answer)
        allowed = max(0.3, exchange.seconds * 0.03)
        if exchange.name not in NOT_TIMED and abs(answer.seconds - exchange.seconds) > allowed:
            found.append(f"took {answer.seconds} s, recorded {exchange.seconds} s")
        return found

    def _learn_ids(self, exchange: Exchange, answer: Answer) -> None:
        """A task that was made got an id of its own."""
        if exchange.method != "POST" or not exchange.body.startswith(("{", "[")) or not exchange.whole:
            return
        theirs, ours = json.loads(exchange.body), json.loads(answer.body or "null")
        if isinstance(theirs, dict) and isinstance(ours, dict):
            theirs, ours = [theirs], [ours]
        for recorded, made in zip(theirs, ours or [], strict=False):
            self._ids[recorded["_id"]] = made["_id"]

    def _translated(self, text: str) -> str:
        for recorded, made in self._ids.items():
            text = text.replace(recorded, made)
        return text


def _made_at_once(exchange: Exchange) -> object:
    return "concurrent" if exchange.name.startswith("concurrent.same_device") else exchange.number


async def _replayed() -> dict[str, list[str]]:
    rig = await build_rig()
    try:
        return await Replay(rig).run()
    finally:
        await rig.open_until_the_end.aclose()
        await rig.lab.stop()


@pytest.fixture(scope="module")
def replay() -> dict[str, list[str]]:
    return asyncio.run(_replayed())


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_the_lab_answers_as_the_recorded_genieacs_did(exchange: Exchange, replay: dict[str, list[str]]) -> None:
    if exchange.name in NOT_REPRODUCED:
        assert replay[exchange.name], "it is reproduced now: take it off the list"
    else:
        assert replay[exchange.name] == []


def test_every_recorded_name_is_unique_and_every_precondition_has_its_request() -> None:
    names = [exchange.name for exchange in EXCHANGES]
    assert len(set(names)) == len(names) == 254
    assert set(PRECONDITIONS) | set(NOT_REPRODUCED) | set(NOT_TIMED) <= set(names)


def test_fewer_than_15_in_100_on_devices_tasks_tags_and_faults_are_not_reproduced() -> None:
    heart = [exchange for exchange in EXCHANGES if exchange.target.startswith(HEART_OF_THE_NBI)]
    missing = [exchange for exchange in heart if exchange.name in NOT_REPRODUCED]
    assert len(heart) == 200
    assert len(missing) * 100 < len(heart) * 15
