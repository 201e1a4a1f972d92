"""Cards on file: a gateway's numbers for a customer's stored card, sealed. A card's own number never comes here."""

from __future__ import annotations

import json
import re
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.customers.customer import require_customer
from provisioning.commercial.payments.ports import StoredCard
from provisioning.intake import Faults
from provisioning.vault import SecretMissing

# As Stripe gives them: cus_... and pm_... (or card_..., src_... of its older interfaces).
HOLDER = re.compile(r"cus_[A-Za-z0-9_]{1,200}")
METHOD = re.compile(r"(pm|card|src)_[A-Za-z0-9_]{1,200}")


class Secrets(Protocol):
    """Where sealed values are kept: the vault."""

    async def seal(self, db: AsyncSession, ref: str, plaintext: str) -> None: ...

    async def reveal(self, db: AsyncSession, ref: str) -> str: ...

    async def discard(self, db: AsyncSession, ref: str) -> None: ...


class CardsOnFile:
    """The stored cards of one tenant's customers. Writes only ``db``; the caller commits.

    A payment gets a copy of its own, ``secret:payment/<payment_id>/method``: what is sent under its key must not change
    when the customer stores another card meanwhile. It is forgotten when the gateway has it.
    """

    def __init__(self, db: AsyncSession, *, secrets: Secrets, tenant_id: str) -> None:
        self._db = db
        self._secrets = secrets
        self._tenant_id = tenant_id

    async def keep(self, *, customer_id: int, holder: str, method: str) -> None:
        """Store this card for the customer's payments; it takes the place of an earlier one.

        Raises: InvalidRequest (which doesn't repeat what was given: it might be a card's number), CustomerUnknown.
        """
        faults = Faults("The card on file")
        faults.number("customer_id", customer_id)
        if not isinstance(holder, str) or not HOLDER.fullmatch(holder):
            faults.add("holder", "is not the gateway's number of a customer, such as cus_NffrFeUfNV2Hib")
        if not isinstance(method, str) or not METHOD.fullmatch(method):
            faults.add("method", "is not the gateway's number of a stored card, such as pm_1MqLiJLkdIwHu7ixUEgbFdYF")
        faults.refuse_if_any()
        await require_customer(self._db, self._tenant_id, customer_id)
        await self._secrets.seal(self._db, _of_customer(customer_id), json.dumps([holder, method]))

    async def of_customer(self, customer_id: int) -> StoredCard | None:
        try:
            return _card(await self._secrets.reveal(self._db, _of_customer(customer_id)))
        except SecretMissing:
            return None

    async def give_to_payment(self, payment_id: int, card: StoredCard) -> None:
        await self._secrets.seal(self._db, _of_payment(payment_id), json.dumps([card.holder, card.method]))

    async def of_payment(self, payment_id: int) -> StoredCard:
        """Raises: SecretMissing."""
        return _card(await self._secrets.reveal(self._db, _of_payment(payment_id)))

    async def forget_payment(self, payment_id: int) -> None:
        await self._secrets.discard(self._db, _of_payment(payment_id))


def _card(sealed: str) -> StoredCard:
    holder, method = json.loads(sealed)
    return StoredCard(holder, method)


def _of_customer(customer_id: int) -> str:
    return f"secret:card_on_file/{customer_id}"


def _of_payment(payment_id: int) -> str:
    return f"secret:payment/{payment_id}/method"
