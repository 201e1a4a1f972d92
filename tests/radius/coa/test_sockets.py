"""Many requests share a socket, and no answer is taken for another one's."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from radius.coa.sockets import IDENTIFIERS, NasSockets

WAITS = (0.2,)


@pytest.fixture
def nas() -> Iterator[socket.socket]:
    """Where requests arrive; what is said in return is said by the test."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("127.0.0.1", 0))
        door.settimeout(5.0)
        yield door


def _where(nas: socket.socket) -> tuple[str, int]:
    address, port = nas.getsockname()
    return str(address), int(port)


def _taken(datagram: bytes) -> bytes | None:
    return datagram if datagram.endswith(b"genuine") else None


async def _heard(nas: socket.socket) -> tuple[bytes, tuple[str, int]]:
    data, whose = await asyncio.to_thread(nas.recvfrom, 4096)
    return data, whose


async def test_those_who_ask_at_the_same_time_share_a_socket_and_each_gets_its_own_answer(nas: socket.socket) -> None:
    sockets = NasSockets()

    async def ask(number: int) -> tuple[int, bytes | None]:
        async with sockets.asking(*_where(nas)) as asking:
            data = bytes((43, asking.identifier, number))
            return asking.identifier, await asking.until_answered(data, _taken, waits=(5.0,))

    asked = [asyncio.create_task(ask(number)) for number in range(20)]
    heard = [await _heard(nas) for _ in asked]
    for data, whose in reversed(heard):
        nas.sendto(bytes((44, data[1])) + b"forged", whose)
        nas.sendto(bytes((44, data[1], data[2])) + b"genuine", whose)
    told = await asyncio.gather(*asked)
    assert len({whose for _, whose in heard}) == 1
    assert told == [(told[number][0], bytes((44, told[number][0], number)) + b"genuine") for number in range(20)]
    assert len({identifier for identifier, _ in told}) == 20
    assert sockets._open == {}, "nobody waits any more"


async def test_no_pair_of_port_and_identifier_is_used_twice(nas: socket.socket) -> None:
    sockets, order = NasSockets(), dict[int, list[int]]()
    async with AsyncExitStack() as held:
        for _ in range(3 * IDENTIFIERS):
            asking = await held.enter_async_context(sockets.asking(*_where(nas)))
            await asking.until_answered(bytes((43, asking.identifier)), _taken, waits=(0.0,))
            data, (_, port) = nas.recvfrom(4096)
            order.setdefault(port, []).append(data[1])
    assert [sorted(identifiers) for identifiers in order.values()] == [list(range(IDENTIFIERS))] * 3
    assert len({tuple(identifiers) for identifiers in order.values()}) == 3, "in random order"
    assert sockets._open == {}


async def test_who_is_alone_has_a_socket_of_its_own(nas: socket.socket) -> None:
    sockets, ports = NasSockets(), set[int]()
    for _ in range(5):
        async with sockets.asking(*_where(nas)) as asking:
            await asking.until_answered(bytes((43, asking.identifier)), _taken, waits=(0.0,))
        ports.add((await _heard(nas))[1][1])
    assert len(ports) > 1


async def test_an_answer_that_comes_too_late_is_nobody_elses(nas: socket.socket) -> None:
    sockets = NasSockets()
    async with sockets.asking(*_where(nas)):
        async with sockets.asking(*_where(nas)) as slow:
            assert await slow.until_answered(bytes((43, slow.identifier)), _taken, waits=(0.01,)) is None
        data, whose = await _heard(nas)
        nas.sendto(bytes((44, data[1])) + b"genuine", whose)
        async with sockets.asking(*_where(nas)) as next_one:
            assert next_one.identifier != slow.identifier
            assert await next_one.until_answered(bytes((43, next_one.identifier)), _taken, waits=WAITS) is None


async def test_a_nas_that_is_not_up_yet_is_asked_until_it_is(nas: socket.socket) -> None:
    sockets, where = NasSockets(), _where(nas)
    nas.close()
    async with sockets.asking(*where) as asking:
        waiting = asyncio.create_task(asking.until_answered(bytes((43, asking.identifier)), _taken, waits=[0.05] * 100))
        await asyncio.sleep(0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as up:
            up.bind(where)
            up.settimeout(5.0)
            data, whose = await _heard(up)
            up.sendto(data + b"genuine", whose)
            assert await waiting == data + b"genuine"


async def test_an_address_that_there_is_no_way_to_is_said_before_anything_is_sent() -> None:
    sockets = NasSockets()
    with pytest.raises(OSError, match=r"(?i)permission|unreachable|invalid"):
        async with sockets.asking("255.255.255.255", 3799):
            pass
    assert sockets._open == {}


async def test_who_gives_up_leaves_no_socket_behind(nas: socket.socket) -> None:
    sockets = NasSockets()

    async def ask() -> None:
        async with sockets.asking(*_where(nas)) as asking:
            await asking.until_answered(bytes((43, asking.identifier)), _taken, waits=(60.0,))

    waiting = asyncio.create_task(ask())
    await _heard(nas)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert sockets._open == {}
