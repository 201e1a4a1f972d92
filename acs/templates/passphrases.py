"""WiFi passphrases that a customer can read from a letter and type on a television."""

from __future__ import annotations

import secrets

# No letter that is taken for a digit or for another letter.
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
_LENGTH = 14
"""69 bits: a handshake recorded from the street is guessed offline, so 8 characters would not do."""


def new_wifi_passphrase() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
