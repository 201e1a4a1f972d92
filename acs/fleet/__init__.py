"""Thousands of CPEs at a time: bringing them to what they should have, noticing what is not so, and repairing it."""
