"""Invoice, cash and bank transfer: a person sees the money come, and says so by ``Settlements.record_settlement``."""

from __future__ import annotations

from collections.abc import Mapping

from provisioning.commercial.payments.errors import WebhookRefused
from provisioning.commercial.payments.ports import (
    Awaiting,
    Cancelled,
    GatewayAnswer,
    GatewayEvent,
    PaymentRequest,
)


class ManualGateway:
    """Moves no money and never says by itself what became of it: every answer waits for a person's word."""

    async def authorise(self, request: PaymentRequest, *, key: str) -> None:
        return None

    async def capture(self, request: PaymentRequest, *, key: str) -> GatewayAnswer:
        return Awaiting()

    async def get(self, request: PaymentRequest) -> GatewayAnswer:
        return Awaiting()

    async def cancel(self, request: PaymentRequest, *, key: str) -> GatewayAnswer:
        return Cancelled()

    async def refund(self, request: PaymentRequest, *, key: str) -> GatewayAnswer:
        return Awaiting(request.reference)

    def parse_webhook(self, body: bytes, headers: Mapping[str, str]) -> GatewayEvent | None:
        """Raises: WebhookRefused, always."""
        raise WebhookRefused("manual", "people have no webhooks")
