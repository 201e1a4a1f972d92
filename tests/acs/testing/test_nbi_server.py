"""The NBI as a server: its workers, its connections, and what it does to bad input."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote, urlsplit

import pytest

from acs.testing import LabAcs, LabClock, LabCpe
from tests.acs.testing.conftest import Nbi


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", "/devices/{id}/tasks", {"name": "nonsense"}),
        ("POST", "/devices/{id}/tasks", {"name": "setParameterValues"}),
        ("POST", "/devices/{id}/tasks", {"name": "setParameterValues", "parameterValues": [["Device.X", None]]}),
        ("POST", "/devices/{id}/tasks", {"name": "getParameterValues"}),
        ("POST", "/devices/{id}/tasks", {"name": "reboot", "expiry": "soon"}),
        ("GET", '/devices?query={"_id":{"$foo":1}}', None),
        ("GET", '/devices?query={"$foo":1}', None),
        ("GET", '/tasks?query={"_id":{"$regex":"x"}}', None),
        ("DELETE", "/tasks/zzz", None),
        ("POST", "/tasks/5f0000000000000000000000/retry", None),
        ("DELETE", "/files/none.bin", None),
        ("GET", "/devices/%ZZ/tags/x", None),
    ],
)
async def test_bad_input_costs_the_worker_21_seconds_and_no_answer(
    nbi: Nbi, cpe: LabCpe, method: str, target: str, body: object
) -> None:
    target = target.replace("{id}", quote(cpe.device_id, safe="")).replace('"', "%22")
    answer = await nbi.ask(method, target, body)
    assert answer.dropped
    assert answer.seconds == pytest.approx(21, abs=0.1)
    assert (await nbi.ask("GET", "/devices")).status == 200
    assert await nbi.find("tasks") == []


async def test_with_one_worker_everybody_is_refused_while_it_drains_and_served_again_afterwards() -> None:
    clock = LabClock(auto_advance=False)
    lab = LabAcs(clock, nbi_workers=1)
    await lab.start()
    nbi = Nbi(lab, clock)
    poison = asyncio.ensure_future(nbi.ask("DELETE", "/tasks/zzz"))
    await clock.advance(0.01)
    with pytest.raises(ConnectionRefusedError):
        await nbi.ask("GET", "/devices")
    await clock.advance(21)
    assert (await poison).dropped
    await clock.advance(1)
    served = asyncio.ensure_future(nbi.ask("GET", "/devices"))
    await clock.advance(0.01)
    assert (await served).status == 200
    await lab.stop()


async def test_with_two_workers_others_are_served_while_one_drains() -> None:
    clock = LabClock(auto_advance=False)
    lab = LabAcs(clock)
    await lab.start()
    nbi = Nbi(lab, clock)
    poison = asyncio.ensure_future(nbi.ask("DELETE", "/tasks/zzz"))
    await clock.advance(0.01)
    for _ in range(4):
        served = asyncio.ensure_future(nbi.ask("GET", "/devices"))
        await clock.advance(0.01)
        assert (await served).status == 200
    assert not poison.done()
    await clock.advance(22)
    assert (await poison).dropped
    await lab.stop()


async def test_an_idle_connection_is_closed_after_five_seconds(lab: LabAcs, clock: LabClock) -> None:
    address = urlsplit(lab.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    for _ in range(2):
        writer.write(b"HEAD /devices HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Keep-Alive: timeout=5" in head
        await clock.sleep(4.9)
    await clock.sleep(0.2)
    assert await reader.read() == b""
    writer.close()


async def test_a_list_comes_in_chunks_one_document_a_line(nbi: Nbi, lab: LabAcs) -> None:
    for number in range(3):
        await lab.attach(LabCpe(f"S{number}")).power_on()
    address = urlsplit(lab.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"GET /devices?projection=_id HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    _, _, raw = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    first = b'{"_id":"00259E-HG8245-S0"},\n'
    assert raw.startswith(b"2\r\n[\n\r\n%x\r\n" % len(first) + first)
    body = (await nbi.ask("GET", "/devices?projection=_id")).body
    assert [json.loads(line.rstrip(",")) for line in body.splitlines()[1:-1]] == [
        {"_id": f"00259E-HG8245-S{number}"} for number in range(3)
    ]


async def test_a_head_over_16_kilobytes_is_431_and_closes(nbi: Nbi) -> None:
    answer = await nbi.ask("GET", f"/devices?query={'x' * 17000}")
    assert (answer.status, answer.body, answer.header("connection")) == (431, "", "close")


async def test_a_list_can_be_cut_short_after_its_200(nbi: Nbi, lab: LabAcs, cpe: LabCpe) -> None:
    lab.trouble.cut_lists = True
    assert (await nbi.ask("GET", "/devices")).dropped
    lab.trouble.cut_lists = False
    assert (await nbi.ids({})) == [cpe.device_id]


async def test_a_lost_answer_is_a_task_that_was_stored(nbi: Nbi, lab: LabAcs, cpe: LabCpe) -> None:
    lab.trouble.lose_answers = 1
    assert (await nbi.post(cpe, {"name": "reboot"}, call=False)).dropped
    assert [task["name"] for task in await nbi.find("tasks")] == ["reboot"]


async def test_a_proxy_may_replace_every_reason(nbi: Nbi, lab: LabAcs, cpe: LabCpe) -> None:
    lab.trouble.drop_reasons = True
    cpe.quirks.cr_busy = True
    answer = await nbi.post(cpe, {"name": "reboot"})
    assert (answer.status, answer.reason) == (202, "Accepted")


async def test_rubbish_is_200_and_no_json(nbi: Nbi, lab: LabAcs) -> None:
    lab.trouble.rubbish = True
    answer = await nbi.ask("GET", "/devices")
    assert answer.status == 200
    assert answer.body.startswith("<html>")


async def test_an_nbi_that_is_down_comes_back_on_its_port_with_its_memory(nbi: Nbi, lab: LabAcs, cpe: LabCpe) -> None:
    url = lab.url
    await lab.go_down()
    with pytest.raises(ConnectionRefusedError):
        await nbi.ask("GET", "/devices")
    assert await cpe.periodic_inform()
    await lab.come_back()
    assert lab.url == url
    assert await nbi.ids({}) == [cpe.device_id]


async def test_a_worker_that_comes_back_does_not_raise_an_nbi_that_was_taken_down(nbi: Nbi, lab: LabAcs) -> None:
    assert (await nbi.ask("DELETE", "/tasks/zzz")).dropped
    await lab.go_down()
    await nbi.clock.sleep(5)
    with pytest.raises(ConnectionRefusedError):
        await nbi.ask("GET", "/devices")


async def test_errors_of_json_are_worded_as_node_words_them(nbi: Nbi, cpe: LabCpe) -> None:
    tasks = f"/devices/{quote(cpe.device_id, safe='')}/tasks"
    told = {
        raw: (await nbi.ask("POST", tasks, raw=raw)).body
        for raw in (b"{bad", b'{"a":', b"nope", b"null", b"5", b'{"a":1,}', b'{"a" 1}', b"[1 2]", b'{"a":1 "b"}')
    }
    assert told == {
        b"{bad": "SyntaxError: Expected property name or '}' in JSON at position 1",
        b'{"a":': "SyntaxError: Unexpected end of JSON input",
        b"nope": "SyntaxError: Unexpected token 'o', \"nope\" is not valid JSON",
        b"null": "TypeError: Cannot set properties of null (setting 'device')",
        b"5": "TypeError: Cannot create property 'device' on number '5'",
        b'{"a":1,}': "SyntaxError: Expected double-quoted property name in JSON at position 7",
        b'{"a" 1}': "SyntaxError: Expected ':' after property name in JSON at position 5",
        b"[1 2]": "SyntaxError: Expected ',' or ']' after array element in JSON at position 3",
        b'{"a":1 "b"}': "SyntaxError: Expected ',' or '}' after property value in JSON at position 7",
    }
