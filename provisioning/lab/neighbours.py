"""Systems around an ISP that sells, in a laboratory: the gateway that takes cards, and who is told by webhooks.

Simulated, each over real HTTP on loopback: Stripe's double, which has taken no money of anybody, and two systems of the
ISP's own, of which one takes every message and one is down.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provisioning.http_double import Asked, HttpDouble, Silence, Told

if TYPE_CHECKING:
    from provisioning.commercial.payments.testing import StripeAccount, StripeDouble

LOOPBACK = "127.0.0.0/8"
CRM, BOOKS = "/crm", "/books"
COME_AGAIN_SECONDS = 1800
ANSWERS: Mapping[str, Told] = {
    CRM: Told(204),
    BOOKS: Told(503, headers=(("Retry-After", str(COME_AGAIN_SECONDS)),)),
}


class ToldSystems(HttpDouble):
    """Systems at one address of loopback, told apart by their paths; they read what they are told, and keep nothing."""

    def __init__(self, answers: Mapping[str, Told]) -> None:
        super().__init__()
        self._answers = answers

    def url_of(self, system: str) -> str:
        """Where that system is told."""
        return f"{self.url}{system}"

    def answer(self, asked: Asked) -> Told | Silence:
        return self._answers.get(asked.target, Told(404))


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
