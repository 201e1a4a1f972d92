"""The steps from an accepted quote to a delivered order, phase by phase, and what the journey is told."""

from __future__ import annotations

from workflows.definitions.ordering.acceptance import AcceptedOffer, DayOrMoment, OrderWishes, acceptance_key

__all__ = ["AcceptedOffer", "DayOrMoment", "OrderWishes", "acceptance_key"]
