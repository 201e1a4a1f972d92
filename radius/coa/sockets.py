"""The sockets by which NASes are asked about their sessions: connected ones, and no pair of port and identifier twice.

A request and its answer are told from others by the port it was sent from and by its identifier (RFC 5176 s2.3). A
socket lends each of its 256 identifiers once, in random order, and is closed when the last answer that is waited for is
in or given up: thousands who are asked one after the other share one, and who is alone has one of its own. Whatever
arrives and does not prove that it comes from somebody who has the secret is dropped.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar, cast

Reply = TypeVar("Reply")

IDENTIFIERS = 256
_RANDOM = random.SystemRandom()


class Asking:
    """One request of which the answer is waited for, and its identifier."""

    def __init__(self, door: _NasSocket, identifier: int) -> None:
        self.identifier = identifier
        self.heard: Callable[[bytes], None] | None = None
        """Is told of every datagram with this identifier."""
        self._door = door

    async def until_answered(
        self,
        data: bytes,
        verified: Callable[[bytes], Reply | None],
        *,
        waits: Iterable[float],
        pace: Callable[[], Awaitable[None]] | None = None,
    ) -> Reply | None:
        """Send the request once for each of ``waits`` (seconds until the next) until a reply is ``verified``; None:
        silence. ``pace`` waits before each until it may be sent."""
        loop, replies = asyncio.get_running_loop(), list[Reply]()
        woken = loop.create_future()

        def heard(datagram: bytes) -> None:
            if not replies and (reply := verified(datagram)) is not None:
                replies.append(reply)
                _wake(woken)

        self.heard = heard
        for wait_seconds in waits:
            if pace is not None:
                await pace()
            if replies:  # meanwhile
                break
            woken = loop.create_future()
            self._door.send(data)
            timer = loop.call_later(wait_seconds, _wake, woken)
            try:
                await woken
            finally:
                timer.cancel()
            if replies:
                break
        return replies[0] if replies else None


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


class _NasSocket(asyncio.DatagramProtocol):
    """A connected socket and its identifiers."""

    def __init__(self) -> None:
        self._left = _RANDOM.sample(range(IDENTIFIERS), IDENTIFIERS)
        self._asking: dict[int, Asking] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    @property
    def has_identifiers(self) -> bool:
        return bool(self._left)

    def lend(self) -> Asking:
        identifier = self._left.pop()
        asking = self._asking[identifier] = Asking(self, identifier)
        return asking

    def take_back(self, asking: Asking) -> bool:
        """Whether nobody waits any more: then it is closed. The identifier is not lent again, so that a late answer is
        nobody else's."""
        del self._asking[asking.identifier]
        if not self._asking:
            self._transport.close()
        return not self._asking

    def send(self, data: bytes) -> None:
        self._transport.sendto(data)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if len(data) > 1 and (asking := self._asking.get(data[1])) is not None and asking.heard is not None:
            asking.heard(data)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there (ICMP). As with a lost packet, the NAS may be on its way up."""


class NasSockets:
    """Those of one event loop, by the address and port of the NAS."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], _NasSocket] = {}
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def asking(self, address: str, port: int) -> AsyncIterator[Asking]:
        """An identifier for one request, with whatever repeats it.

        Raises:
            OSError: there is no way to that address; nothing was sent.
        """
        where = (address, port)
        door = self._open.get(where)
        if door is None or not door.has_identifiers:
            async with self._opening:  # who come together share one
                door = await self._with_identifiers(where)
        asking = door.lend()
        try:
            yield asking
        finally:
            if door.take_back(asking) and self._open.get(where) is door:
                del self._open[where]

    async def _with_identifiers(self, where: tuple[str, int]) -> _NasSocket:
        door = self._open.get(where)
        if door is None or not door.has_identifiers:
            loop = asyncio.get_running_loop()
            _, door = await loop.create_datagram_endpoint(_NasSocket, sock=_connected(where))
            self._open[where] = door
        return door


def _connected(where: tuple[str, int]) -> socket.socket:
    """Nothing is said to the NAS by that, and it takes no time."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    try:
        made.connect(where)
    except OSError:
        made.close()
        raise
    return made
