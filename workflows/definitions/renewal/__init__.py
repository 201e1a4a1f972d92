"""The steps of a subscription's renewal, phase by phase, and what the journey is told."""
