"""The steps of a subscription's renewal, phase by phase, and what the journey is told."""

from __future__ import annotations

from workflows.definitions.renewal.offer import ExpiringSubscription, key_of_end

__all__ = ["ExpiringSubscription", "key_of_end"]
