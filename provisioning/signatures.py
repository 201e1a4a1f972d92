"""Signed messages between us and other systems, as Standard Webhooks 1.0 has them.

Three headers: ``webhook-id`` names the message and stays the same however often it is sent, ``webhook-timestamp`` is
when this copy was sent (Unix seconds), ``webhook-signature`` has one or several ``v1,<base64>`` (HMAC-SHA256 over
``id.timestamp.body``), several while a secret is being replaced. A secret is written ``whsec_<base64>``.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets as randomness
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from standardwebhooks import Webhook

from provisioning.errors import ProvisioningError

SECRET_PREFIX = "whsec_"  # noqa: S105 - what every secret begins with
SECRET_BYTES = 32
FEWEST_SECRET_BYTES, MOST_SECRET_BYTES = 24, 64
TOLERANCE = timedelta(minutes=5)
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
MOST_SIGNATURES = 10
MOST_SECRETS = 3
"""In force at once, while one is replaced."""

_ID = re.compile(r"[A-Za-z0-9._:/-]{1,200}")
_SECONDS = re.compile(r"[0-9]{1,10}")  # until the year 2286: more would be past the calendar


class SignatureRefused(ProvisioningError):
    """The message isn't signed as it must be."""

    code = "signature.refused"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"The message was not accepted: {reason}.")


def new_secret() -> str:
    """A secret that nobody has had before."""
    return SECRET_PREFIX + base64.b64encode(randomness.token_bytes(SECRET_BYTES)).decode()


def fault_of_secret(secret: str) -> str | None:
    """Why this can't be a secret, in words that don't repeat it."""
    try:
        size = len(base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not secret.startswith(SECRET_PREFIX) or not FEWEST_SECRET_BYTES <= size <= MOST_SECRET_BYTES:
        bounds = f"{FEWEST_SECRET_BYTES} to {MOST_SECRET_BYTES}"
        return f"is not {SECRET_PREFIX} and then {bounds} bytes in base64"
    return None


def sign(message_id: str, body: bytes, secrets: Sequence[str], *, now: datetime) -> dict[str, str]:
    """The headers of a message that is sent now, with one signature for each secret."""
    at = now.astimezone(UTC)
    signatures = [Webhook(secret).sign(message_id, at, body.decode()) for secret in secrets]
    return {ID: message_id, TIMESTAMP: str(int(at.timestamp())), SIGNATURE: " ".join(signatures)}


def verified_id(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], *, now: datetime) -> str:
    """The number of a message that was signed under one of these secrets, within five minutes of now.

    ``headers`` by names in small letters. Who takes the message must still refuse a number that came before.

    Raises: SignatureRefused.
    """
    message_id, seconds = headers.get(ID, ""), headers.get(TIMESTAMP, "")
    given = headers.get(SIGNATURE, "").split(" ")
    if not _ID.fullmatch(message_id) or not _SECONDS.fullmatch(seconds) or given == [""]:
        raise SignatureRefused(f"it needs the headers {ID}, {TIMESTAMP} (Unix seconds) and {SIGNATURE}")
    at = datetime.fromtimestamp(int(seconds), UTC)
    if abs(now - at) > TOLERANCE:
        raise SignatureRefused(f"it was sent at {at:%Y-%m-%d %H:%M:%S} UTC, more than five minutes from now")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise SignatureRefused("its body is no text in UTF-8") from None
    expected = [Webhook(secret).sign(message_id, at, text).encode() for secret in secrets]
    known = [hmac.compare_digest(one, each.encode()) for one in expected for each in given[:MOST_SIGNATURES]]
    if not any(known):
        raise SignatureRefused("no signature of it is made with a secret that we share")
    return message_id
