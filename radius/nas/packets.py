"""RADIUS packets on the wire: pyrad's dictionary made of our own table of facts, and one exchange over UDP.

One exchange is one connected socket with a random port and one request that is sent again unchanged while nobody
answers (RFC 5080 s2.2.1). Whatever arrives and does not prove that it comes from somebody who has the secret is
dropped, so a forged packet can neither answer nor end the wait.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterable
from functools import cache
from typing import Generic, TypeVar

from pyrad.dictionary import Dictionary

from radius.attributes import ATTRIBUTES, VENDORS, AttributeFact

Reply = TypeVar("Reply")

_PYRAD_TYPES = {"ipv4": "ipaddr", "ipv6": "ipv6addr", "ipv4route": "string", "ipv6route": "string"}


@cache
def dictionary() -> Dictionary:
    """pyrad's dictionary, made from the package's own table of facts."""
    lines = [f"VENDOR {name} {number}" for name, number in VENDORS.items()]
    on_the_wire = [fact for fact in ATTRIBUTES.values() if fact.number is not None]
    for vendor in (None, *VENDORS):
        lines += [f"BEGIN-VENDOR {vendor}"] if vendor else []
        for fact in on_the_wire:
            if fact.vendor == vendor:
                lines += _definition(fact)
        lines += [f"END-VENDOR {vendor}"] if vendor else []
    return Dictionary(io.StringIO("\n".join(lines) + "\n"))


def _definition(fact: AttributeFact) -> list[str]:
    values = [f"VALUE {fact.name} {name} {number}" for name, number in fact.values.items()]
    tag = " has_tag" if fact.tagged else ""
    return [f"ATTRIBUTE {fact.name} {fact.number} {_PYRAD_TYPES.get(fact.type, fact.type)}{tag}", *values]


async def send_until_answered(
    data: bytes,
    verified: Callable[[bytes], Reply | None],
    *,
    server: str,
    port: int,
    waits: Iterable[float],
    source: str | None = None,
    pace: Callable[[], Awaitable[None]] | None = None,
) -> Reply | None:
    """Send a request once for each of ``waits`` (seconds until the next) until a reply is ``verified``; None: silence.
    ``pace`` waits before each until it may be sent.

    Raises:
        OSError: there is no way to that address; nothing was sent.
    """
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[Reply] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Listener(verified, answered),
        local_addr=(source, 0) if source is not None else None,
        remote_addr=(server, port),
    )
    try:
        for wait_seconds in waits:
            if pace is not None:
                await pace()
            if answered.done():  # meanwhile
                return answered.result()
            transport.sendto(data)
            done, _pending = await asyncio.wait((answered,), timeout=wait_seconds)
            if done:
                return answered.result()
    finally:
        transport.close()
    return None


class _Listener(asyncio.DatagramProtocol, Generic[Reply]):
    def __init__(self, verified: Callable[[bytes], Reply | None], answered: asyncio.Future[Reply]) -> None:
        self._verified = verified
        self._answered = answered

    def datagram_received(self, data: bytes, addr: object) -> None:
        reply = self._verified(data)
        if reply is not None and not self._answered.done():
            self._answered.set_result(reply)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there (ICMP). As with a lost packet, the other side may be on its way up."""
