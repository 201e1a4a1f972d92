"""WiFi passphrases that a customer can read from a letter and type on a television."""

from __future__ import annotations

import secrets

from acs.errors import PassphraseRefused

# No letter that is taken for a digit or for another letter.
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
_LENGTH = 14
"""69 bits: a handshake recorded from the street is guessed offline, so 8 characters would not do."""


def new_wifi_passphrase() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def checked_wifi_passphrase(passphrase: str) -> str:
    """Raises: PassphraseRefused unless WPA2 allows it (IEEE 802.11-2020 J.4.1: 8 to 63 printable ASCII)."""
    if not 8 <= len(passphrase) <= 63 or not (passphrase.isascii() and passphrase.isprintable()):
        raise PassphraseRefused
    return passphrase
