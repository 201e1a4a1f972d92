"""Stripe's SDK over our own HTTP client, and what its errors mean: what was done, and whether to come again.

Source: docs.stripe.com/error-low-level and docs.stripe.com/api/idempotent_requests: a 409 and a 429 are given before
anything is done; a 500 says nothing about what was done, and is repeated to whoever repeats the key within 24 hours.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Mapping
from typing import Any

import httpx
import stripe

from provisioning.commercial.payments.errors import (
    GatewayBusy,
    GatewayConflict,
    GatewayError,
    GatewayRefused,
    GatewayUnreachable,
    GatewayUntrusted,
)
from provisioning.commercial.payments.ports import Unknown

GATEWAY = "stripe"
LONGEST_REASON = 300
COME_AGAIN = frozenset({409, 429})
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)

# Else every call tells Stripe of this machine, and leaves a file in the home folder.
stripe.enable_telemetry = False


class HttpxTransport(stripe.HTTPClient):
    """Sends the SDK's requests by a client whose proxies, certificates and limits are ours. Never repeats by itself."""

    name = "httpx"

    def __init__(self, http: httpx.AsyncClient, *, timeout_seconds: float) -> None:
        super().__init__()
        self._http = http
        self._timeout_seconds = timeout_seconds

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        request = self._http.build_request(
            method, url, headers=dict(headers), content=post_data or None, timeout=self._timeout_seconds
        )
        try:
            async with asyncio.timeout(self._timeout_seconds):  # httpx' own time-out starts anew at every byte
                response = await self._http.send(request, follow_redirects=False)
        except (httpx.TransportError, httpx.DecodingError, TimeoutError) as exc:
            raise _connection_error(exc) from exc
        return response.content, response.status_code, response.headers


def _connection_error(exc: Exception) -> stripe.APIConnectionError:
    error: stripe.APIConnectionError = stripe.APIConnectionError(str(exc) or type(exc).__name__)  # type: ignore[no-untyped-call]
    return error


async def answered(call: Awaitable[Any]) -> Any | Unknown:
    """What Stripe answers, or *Unknown* if nobody can say whether it did what it was asked.

    Raises: GatewayError if it did nothing. A CardError and an InvalidRequestError pass: the caller knows their meaning.
    """
    try:
        return await call
    except (stripe.CardError, stripe.InvalidRequestError):
        raise
    except stripe.StripeError as exc:
        error = judged(exc)
        if error is None:
            return Unknown(plain(exc))
        raise error from exc


def judged(exc: stripe.StripeError) -> GatewayError | None:
    """The error for what Stripe said; None if what it did isn't known."""
    if isinstance(exc, stripe.APIConnectionError):
        return GatewayUnreachable(GATEWAY, plain(exc)) if isinstance(exc.__cause__, NEVER_SENT) else None
    if isinstance(exc, stripe.AuthenticationError | stripe.PermissionError):
        return GatewayUntrusted(GATEWAY, plain(exc))
    if isinstance(exc, stripe.IdempotencyError):
        return GatewayConflict(GATEWAY, plain(exc))
    if isinstance(exc, stripe.RateLimitError) or exc.http_status in COME_AGAIN:
        return GatewayBusy(GATEWAY, plain(exc))
    if isinstance(exc, stripe.InvalidRequestError):
        return GatewayRefused(GATEWAY, plain(exc))
    return None


def plain(exc: stripe.StripeError) -> str:
    """Stripe's words, fit for a log line and a screen: without a body, which may hold what nobody else should read."""
    words = str(exc.user_message or type(exc).__name__)
    if words.startswith(("Invalid response body", "Invalid response object")):
        words = f"an answer that is none, with HTTP {exc.http_status}"
    shown = f"HTTP {exc.http_status}: {words}" if exc.http_status and exc.http_status >= 500 else words
    return re.sub(r"[^\x20-\x7e]+", " ", shown).strip().rstrip(".")[:LONGEST_REASON]
