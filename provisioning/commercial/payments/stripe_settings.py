"""Whose Stripe account, and where it answers; apart from the adapter, since the SDK takes its time to load."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class StripeSettings:
    """``webhook_secrets`` sign what Stripe tells by itself: several while one is replaced, the one in force first."""

    api_key: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)
    url: str
    timeout_seconds: float
