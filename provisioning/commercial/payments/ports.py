"""What a payment gateway is asked, what it may answer, and how it fails. Amounts are minor units (ISO 4217)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from workflows.answers import PaymentMethod


@dataclass(frozen=True)
class StoredCard:
    """A card as the gateway keeps it: the gateway's numbers of its holder and of it, never the card's own."""

    holder: str = field(repr=False)
    method: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class PaymentRequest:
    """One payment, in the words of a gateway.

    ``payment`` names it for ever and everywhere: our key. ``reference`` is the gateway's own number, once it has
    given one; ``card`` is known until then.
    """

    payment: str
    amount_minor: int
    currency: str
    method: PaymentMethod
    description: str
    reference: str | None = None
    card: StoredCard | None = None


@dataclass(frozen=True)
class Captured:
    """The money is taken."""

    reference: str
    amount_minor: int
    currency: str


@dataclass(frozen=True)
class Awaiting:
    """The gateway has been told, and will say later (or a person will, for it)."""

    reference: str | None = None


@dataclass(frozen=True)
class RequiresAction:
    """Nothing is taken before the customer has confirmed, at ``url`` if there is one."""

    reference: str
    url: str | None = None


@dataclass(frozen=True)
class Declined:
    """Nothing was taken, and nothing will be: ``code`` is the gateway's word for why, ``sentence`` a person's."""

    reference: str | None
    code: str
    sentence: str


@dataclass(frozen=True)
class Cancelled:
    """Nothing was taken, and the gateway won't take it any more."""

    reference: str | None = None


@dataclass(frozen=True)
class Refunded:
    """All of the money went back."""

    reference: str | None = None


@dataclass(frozen=True)
class Unknown:
    """The gateway gave no answer that says whether it took effect. Ask (``get``), or repeat under the same key."""

    sentence: str


GatewayAnswer = Captured | Awaiting | RequiresAction | Declined | Cancelled | Refunded | Unknown


@dataclass(frozen=True)
class GatewayEvent:
    """What a gateway told by itself, its signature verified. ``payment`` is our key, if it says which."""

    provider: str
    event_id: str
    type: str
    occurred_at: datetime
    payment: str | None
    reference: str | None
    answer: GatewayAnswer


class WebhookReader(Protocol):
    """Whoever can tell a gateway's own words from somebody else's."""

    def parse_webhook(self, body: bytes, headers: Mapping[str, str]) -> GatewayEvent | None:
        """The event, or None for one that says nothing of a payment's state.

        Raises:
            WebhookRefused: unsigned, wrongly signed, too old, or not to be understood.
        """
        ...


class PaymentGateway(WebhookReader, Protocol):
    """A way to the money. Each method may be called any number of times with the same key, and acts once.

    Raises (all that talk):
        GatewayUnreachable: it was never asked. GatewayBusy: it was asked and did nothing. Both transient.
        GatewayUntrusted: the settings and it don't agree. GatewayConflict: the key came with other input before.
        GatewayRefused: it doesn't take such a request. All three did nothing.
    """

    async def authorise(self, request: PaymentRequest, *, key: str) -> str | None:
        """Let the gateway know that this payment may be taken; takes no money. Answered is the gateway's own number for
        it, under which it can always be asked.

        None: it moves no money by itself, so there is nothing to ask it.
        """
        ...

    async def capture(self, request: PaymentRequest, *, key: str) -> GatewayAnswer:
        """Take the money of an authorised payment."""
        ...

    async def get(self, request: PaymentRequest) -> GatewayAnswer | None:
        """What became of it; changes nothing. None: nothing was taken, and the gateway wasn't told to."""
        ...

    async def cancel(self, request: PaymentRequest, *, key: str) -> GatewayAnswer:
        """Take nothing any more. *Captured* if it was too late for that."""
        ...

    async def refund(self, request: PaymentRequest, *, key: str) -> GatewayAnswer:
        """Give all of a captured payment back. *Awaiting*: that takes time, or a person."""
        ...
