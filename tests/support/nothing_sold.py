"""What billing asks of the sales side, for tests that say themselves what was sold."""

from __future__ import annotations

from provisioning.commercial.facts import OfferFacts, OrderFacts, QuoteFacts


class NothingSold:
    """No offer, quote or order is known, no customer has been taken back, and no service is to end."""

    async def offer(self, offer_id: int) -> OfferFacts | None:
        return None

    async def quote(self, quote_id: int) -> QuoteFacts | None:
        return None

    async def order(self, order_id: int) -> OrderFacts | None:
        return None

    async def customer_withdrawn(self, customer_id: int) -> bool:
        return False

    async def open_terminations(self, customer_id: int, service_id: int) -> list[int]:
        return []
