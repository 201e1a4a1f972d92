"""Licences, and the keys that prove them."""
