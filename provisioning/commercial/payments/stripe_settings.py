"""Whose Stripe account, and where it answers; apart from the adapter, since the SDK takes its time to load."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class StripeSettings:
    """``webhook_secret`` signs what Stripe tells by itself."""

    api_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    url: str
    timeout_seconds: float
