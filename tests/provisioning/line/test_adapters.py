"""What every way to an OLT must do: the same suite for all, then what is special to HTTP."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from provisioning.line import (
    AdapterAnswer,
    LineAdapter,
    LineRefused,
    LineRequest,
    LineWebhookSettings,
    OltAnswerMalformed,
    OltOutcomeUnknown,
    OltUnreachable,
    line_adapters,
)
from provisioning.line.adapters.olt_http import OltHttpAdapter
from provisioning.line.testing import LabOlt
from provisioning.settings import Settings
from provisioning.signatures import new_secret, verified_id
from tests.provisioning.line.conftest import SERIAL
from tests.support.http_receiver import SILENCE, HttpReceiver

KEY = "line-order/north.1/authorise"
UNDO_KEY = "line-order/north.1/withdraw"
LINE = LineRequest(
    order="north.1",
    customer_id=17,
    service_id=42,
    device_serial=SERIAL,
    access_node="OLT-1",
    port="0/1/3",
    svlan=200,
    cvlan=1203,
    management_vlan=None,
    line_profile="fiber_1gbps",
)
NAMES = ("manual", "olt_http", "webhook")
SECRET, BEFORE = new_secret(), new_secret()
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
async def system() -> AsyncIterator[HttpReceiver]:
    """The OLT system that is told by webhook."""
    async with HttpReceiver() as receiver:
        yield receiver


@pytest.fixture
def table(http: httpx.AsyncClient, olt: LabOlt, system: HttpReceiver) -> dict[str, LineAdapter]:
    return line_adapters(
        vendor="zte",
        vendor_by_node={},
        http=http,
        olt_http_url=olt.url,
        olt_http_timeout_seconds=0.3,
        webhook=LineWebhookSettings(
            f"http://127.0.0.1:{system.port}/lines", (SECRET, BEFORE), "https://isp.example/a", 2.0
        ),
        now=lambda: NOW,
    )


@pytest.fixture(params=NAMES)
def adapter(request: pytest.FixtureRequest, table: dict[str, LineAdapter]) -> LineAdapter:
    return table[request.param]


async def test_the_suite_the_table_and_the_setting_know_the_same_adapters(table: dict[str, LineAdapter]) -> None:
    assert tuple(sorted(table)) == NAMES
    schema = Settings.model_json_schema()["properties"]["line_adapter"]
    assert tuple(sorted(schema["enum"])) == NAMES


async def test_an_answer_has_a_port_or_comes_later(adapter: LineAdapter, system: HttpReceiver) -> None:
    answer = await adapter.authorise(LINE, key=KEY)
    if answer.answered:
        assert answer.actual_port == "0/1/3"
        assert answer.snippet is None
    else:
        assert SERIAL in str(answer.snippet) or [each.body["data"]["serial"] for each in system.received] == [SERIAL]
        assert (answer.actual_port, answer.onu_id, answer.received_power_dbm) == (None, None, None)


async def test_asking_twice_answers_the_same(adapter: LineAdapter) -> None:
    assert await adapter.authorise(LINE, key=KEY) == await adapter.authorise(LINE, key=KEY)


async def test_withdrawing_twice_answers_the_same(adapter: LineAdapter) -> None:
    await adapter.authorise(LINE, key=KEY)
    assert await adapter.withdraw(LINE, key=UNDO_KEY) == await adapter.withdraw(LINE, key=UNDO_KEY)


async def test_a_withdrawal_is_the_same_message_though_its_order_was_answered_meanwhile(
    table: dict[str, LineAdapter], system: HttpReceiver
) -> None:
    for line in (LINE, dataclasses.replace(LINE, actual_port="0/1/3", onu_id=5)):
        await table["webhook"].withdraw(line, key=UNDO_KEY)
    first, again = system.received
    assert first.raw == again.raw
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert "answer_url" not in first.body["data"]


async def test_a_line_that_was_never_made_can_be_withdrawn(adapter: LineAdapter, system: HttpReceiver) -> None:
    answer = await adapter.withdraw(LINE, key=UNDO_KEY)
    assert answer.answered or answer.snippet or [each.body["type"] for each in system.received] == ["line.unwanted"]


async def test_a_line_without_a_known_port_is_answered_too(
    adapter: LineAdapter, olt: LabOlt, system: HttpReceiver
) -> None:
    olt.plug(SERIAL, "0/4/2")
    answer = await adapter.authorise(dataclasses.replace(LINE, port=None), key=KEY)
    told = [each.body["data"]["port"] for each in system.received]
    assert answer.actual_port == "0/4/2" or "<slot>" in str(answer.snippet) or told == [None]


async def test_an_authorisation_that_comes_late_does_not_bring_a_withdrawn_line_back(
    table: dict[str, LineAdapter], olt: LabOlt
) -> None:
    await table["olt_http"].withdraw(LINE, key=UNDO_KEY)
    with pytest.raises(LineRefused, match="was withdrawn"):
        await table["olt_http"].authorise(LINE, key=KEY)
    assert not olt.lines


async def test_a_serial_that_is_on_the_olt_already_is_refused(table: dict[str, LineAdapter]) -> None:
    await table["olt_http"].authorise(LINE, key=KEY)
    with pytest.raises(LineRefused, match=r"is authorised on 0/1/3 for order north\.1"):
        await table["olt_http"].authorise(dataclasses.replace(LINE, order="north.2"), key="line-order/north.2/x")


def _answering(status: int, content: bytes = b"") -> OltHttpAdapter:
    transport = httpx.MockTransport(lambda _request: httpx.Response(status, content=content))
    return OltHttpAdapter(httpx.AsyncClient(transport=transport), url="http://olt.example", timeout_seconds=1)


def _failing(error: Exception) -> OltHttpAdapter:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise error

    client = httpx.AsyncClient(transport=httpx.MockTransport(fail))
    return OltHttpAdapter(client, url="http://olt.example", timeout_seconds=1)


@pytest.mark.parametrize(
    ("status", "content", "error"),
    [
        (409, b'{"reason": "full"}', LineRefused),
        (409, b"<html>", LineRefused),
        (422, b"", LineRefused),
        (429, b"", OltUnreachable),
        (503, b"", OltUnreachable),
        (500, b"", OltOutcomeUnknown),
        (502, b"", OltOutcomeUnknown),
        (404, b"", OltAnswerMalformed),
        (302, b"", OltAnswerMalformed),
        (200, b"", OltAnswerMalformed),
        (200, b"[]", OltAnswerMalformed),
        (200, b'{"port": "0/1/3; reboot"}', OltAnswerMalformed),
        (200, b'{"port": "0/1/3", "onu_id": -1}', OltAnswerMalformed),
        (200, b'{"port": "0/1/3", "received_power_dbm": NaN}', OltAnswerMalformed),
        (200, b" " * 70_000 + b'{"port": "0/1/3"}', OltAnswerMalformed),
    ],
)
async def test_each_answer_has_its_meaning(status: int, content: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        await _answering(status, content).authorise(LINE, key=KEY)


@pytest.mark.parametrize("status", [404, 302])
async def test_a_stranger_on_the_address_does_not_count_as_a_removal(status: int) -> None:
    with pytest.raises(OltAnswerMalformed):
        await _answering(status).withdraw(LINE, key=UNDO_KEY)


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (httpx.ConnectError("refused"), OltUnreachable),
        (httpx.ConnectTimeout("slow"), OltUnreachable),
        (httpx.PoolTimeout("busy"), OltUnreachable),
        (httpx.ReadTimeout("silent"), OltOutcomeUnknown),
        (httpx.WriteError("cut"), OltOutcomeUnknown),
        (httpx.ReadError("cut"), OltOutcomeUnknown),
        (httpx.RemoteProtocolError("no HTTP"), OltOutcomeUnknown),
    ],
)
async def test_a_cut_before_the_request_left_is_no_unknown_outcome(error: Exception, meaning: type[Exception]) -> None:
    with pytest.raises(meaning):
        await _failing(error).authorise(LINE, key=KEY)


async def test_an_answer_with_only_a_port_is_enough() -> None:
    answer = await _answering(200, b'{"port": "0/1/3"}').authorise(LINE, key=KEY)
    assert answer == AdapterAnswer(answered=True, actual_port="0/1/3")


async def test_a_webhook_carries_the_whole_line_signed_and_the_same_each_time(
    table: dict[str, LineAdapter], system: HttpReceiver
) -> None:
    answers = [await table["webhook"].authorise(LINE, key=KEY) for _ in range(2)]
    assert answers == [AdapterAnswer(answered=False)] * 2
    first, again = system.received
    assert first.raw == again.raw
    assert verified_id(first.headers, first.raw, [SECRET], now=NOW) == KEY == again.headers["webhook-id"]
    assert first.body == {
        "type": "line.wanted",
        "data": {
            "order": "north.1",
            "customer_id": 17,
            "service_id": 42,
            "serial": SERIAL,
            "access_node": "OLT-1",
            "port": "0/1/3",
            "svlan": 200,
            "cvlan": 1203,
            "management_vlan": None,
            "line_profile": "fiber_1gbps",
            "answer_url": "https://isp.example/a",
        },
    }


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (409, LineRefused),
        (422, LineRefused),
        (429, OltUnreachable),
        (503, OltUnreachable),
        (500, OltOutcomeUnknown),
        (404, OltAnswerMalformed),
        (302, OltAnswerMalformed),
        (SILENCE, OltOutcomeUnknown),
    ],
)
async def test_whatever_a_webhook_is_answered_but_yes_has_its_meaning(
    table: dict[str, LineAdapter], system: HttpReceiver, status: int, error: type[Exception]
) -> None:
    system.answer(status)
    with pytest.raises(error):
        await table["webhook"].authorise(LINE, key=KEY)


async def test_a_webhook_that_is_heard_is_no_line_yet(table: dict[str, LineAdapter], system: HttpReceiver) -> None:
    system.answer(202, 200, 204)
    for _ in range(3):
        assert not (await table["webhook"].authorise(LINE, key=KEY)).answered
