"""The steps from an accepted quote to a delivered order, phase by phase, and what the journey is told."""
