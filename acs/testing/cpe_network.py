"""What a lab CPE and its lab know of each other: identities, connection requests, transfers, changes, the network."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from acs.testing.clock import Clock

_ID_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
Origin = Literal["acs", "customer", "reset"]


@dataclass(frozen=True)
class Change:
    """Somebody wrote to the CPE; `paths` are those whose value is another one now, or that were written anew."""

    serial: str
    paths: frozenset[str]
    origin: Origin


ChangeCallback = Callable[[Change], Awaitable[None] | None]


@dataclass(frozen=True)
class TransferResult:
    """What TransferComplete will say. `fault` 0 is success."""

    command_key: str
    fault: int
    text: str
    started: datetime
    completed: datetime


class SessionHold:
    """Keeps a session open: the ACS reaches its end, and waits there to be released."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.released = asyncio.Event()

    async def wait(self) -> None:
        self.reached.set()
        await self.released.wait()


class Network(Protocol):
    """What a CPE sees of the lab that it is attached to."""

    clock: Clock

    async def inform(self, serial: str, events: list[str]) -> bool:
        """Hold a CWMP session of this CPE; False when the ACS turned it away."""

    def fetch(self, file_name: str) -> Mapping[str, Any] | None:
        """The file's metadata as the file server has it, or None (404)."""

    def note(self, serial: str, kind: str, **facts: object) -> None:
        """Write down that something happened."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run in the background until the lab stops."""


@dataclass(frozen=True)
class PppState:
    """What the CPE would dial with; the password is in clear, since this is the CPE itself."""

    username: str
    password: str
    enabled: bool
    vlan_id: int
    status: str
    address: str


def device_id(*parts: str) -> str:
    """`_id` of a device document: OUI-ProductClass-Serial, each percent-encoded but for letters, digits and `_`."""
    return "-".join(_encode_part(part) for part in parts if part)


def _encode_part(part: str) -> str:
    return "".join(chr(byte) if chr(byte) in _ID_SAFE else f"%{byte:02X}" for byte in part.encode())
