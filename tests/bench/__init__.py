"""Measurements, not tests: `make bench`. Each prints one JSON object a line."""
