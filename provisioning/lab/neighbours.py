"""Systems around an ISP that sells, in a laboratory: the gateway that takes cards, and who is told by webhooks.

Simulated, each over real HTTP on loopback: Stripe's double, which has taken no money of anybody, and two systems of the
ISP's own, of which one takes every message and one is down.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from provisioning.commercial.payments.testing import StripeAccount, StripeDouble

LOOPBACK = "127.0.0.0/8"
CRM, BOOKS = "/crm", "/books"
COME_AGAIN_SECONDS = 1800
ANSWERS: Mapping[str, tuple[int, str]] = {CRM: (204, ""), BOOKS: (503, f"Retry-After: {COME_AGAIN_SECONDS}\r\n")}
"""What each system answers: its status, and what else it says in its head."""
LARGEST_BODY_BYTES = 1024 * 1024
LARGEST_HEAD_BYTES = 16 * 1024


class ToldSystems:
    """Systems at one address of loopback, told apart by their paths; they read what they are told, and keep nothing."""

    def __init__(self, answers: Mapping[str, tuple[int, str]]) -> None:
        self._answers = answers
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=LARGEST_HEAD_BYTES)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    def url(self, path: str) -> str:
        assert self._server is not None, "start them first"
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            path = await _read(reader)
            status, more = self._answers.get(path, (404, ""))
            writer.write(f"HTTP/1.1 {status} \r\nContent-Length: 0\r\nConnection: close\r\n{more}\r\n".encode())
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # the client went away, or they are switched off
        finally:
            self._connections.discard(task)
            writer.close()


async def _read(reader: asyncio.StreamReader) -> str:
    """The path of a whole request. Raises: ConnectionError for what is none of a webhook's."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    said = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length, parts = said.get("content-length", "0"), first.split(" ")
    if len(parts) != 3 or not length.isdecimal() or int(length) > LARGEST_BODY_BYTES:
        raise ConnectionError("this is no request of a webhook")
    await reader.readexactly(int(length))
    return parts[1]


class Neighbours:
    """What stands around the ISP. Made by `open_neighbours`."""

    def __init__(self, home: Path, cards: StripeDouble, told: ToldSystems) -> None:
        self._home = home.absolute()
        self.cards = cards
        self.told = told

    def settings(self) -> dict[str, Any]:
        """What the appliance has to be told to deal with them."""
        return {
            "stripe_api_key_file": self._home / "stripe-key",
            "stripe_webhook_secret_file": self._home / "stripe-webhook-secret",
            "stripe_url": self.cards.url,
            "webhook_private_networks": (LOOPBACK,),
        }

    def open_account(self, customer_id: int) -> str:
        """The gateway keeps this customer's cards from now on; its own number of them."""
        number = f"cus_{customer_id}"
        self.cards.account.customers.add(number)
        return number


@asynccontextmanager
async def open_neighbours(home: Path) -> AsyncIterator[Neighbours]:
    """They answer for the time of the block; ``home`` is where the keys to the gateway are."""
    # Its SDK takes its time to load, and no other laboratory takes cards.
    from provisioning.commercial.payments.testing import StripeDouble

    async with StripeDouble() as cards, ToldSystems(ANSWERS) as told:
        neighbours = Neighbours(home, cards, told)
        await asyncio.to_thread(_write_keys, neighbours.settings(), cards.account)
        yield neighbours


def _write_keys(settings: Mapping[str, Any], account: StripeAccount) -> None:
    settings["stripe_api_key_file"].write_text(account.api_key, encoding="utf-8")
    settings["stripe_webhook_secret_file"].write_text(account.webhook_secret, encoding="utf-8")
