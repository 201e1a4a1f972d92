"""The double of Stripe's API on 127.0.0.1: form bodies, JSON answers.

async with StripeDouble() as double:
    settings = StripeSettings(double.account.api_key, (double.account.webhook_secret,), double.url, 5)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from provisioning.commercial.payments.testing.stripe_account import Quirk, Reply, StripeAccount
from provisioning.http_double import Asked, HttpDouble, Silence, Told

SILENCES = {
    Quirk.HANG_BEFORE_EFFECT: Silence.HANGS,
    Quirk.HANG_AFTER_EFFECT: Silence.HANGS,
    Quirk.DROP_BEFORE_EFFECT: Silence.DROPS,
    Quirk.DROP_AFTER_EFFECT: Silence.DROPS,
}


class StripeDouble(HttpDouble):
    """Serves one account, until the block ends."""

    def __init__(self, account: StripeAccount | None = None) -> None:
        super().__init__()
        self.account = account or StripeAccount()

    def answer(self, asked: Asked) -> Told | Silence:
        reply, quirk = self._replied(asked)
        if quirk in SILENCES:
            return SILENCES[quirk]
        assert reply is not None, "whoever doesn't hang answers"
        told = Told.json(*reply)
        number = ("Request-Id", f"req_{len(self.account.calls):08d}")
        body = b"<html>Bad gateway</html>" if quirk is Quirk.RUBBISH else told.body
        return replace(told, body=body, headers=(*told.headers, number))

    def _replied(self, asked: Asked) -> tuple[Reply | None, Quirk | None]:
        if asked.headers.get("authorization") != f"Bearer {self.account.api_key}":
            refusal: dict[str, Any] = {"type": "invalid_request_error", "message": "Invalid API Key provided"}
            return (401, {"error": refusal}), None
        target = urlsplit(asked.target)
        form = dict(parse_qsl(target.query or asked.body.decode(), keep_blank_values=True))
        return self.account.answer(asked.method, target.path, asked.headers.get("idempotency-key", ""), form)
