"""Licence keys: a claim in JSON, signed by Ed25519 (RFC 8032), that anybody proves with the public key alone.

``FL1.<payload>.<signature>``, both in base64url without padding (RFC 4648 s5). What is signed is the text before the
second dot, format and all, as RFC 7515 s5.1 does it, so that no key of one format passes for one of another.

A licence key proves a purchase. It is no password: nothing is opened by knowing one, so it may stand in a record.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from provisioning.commercial.licences.licence_errors import (
    LicenseExpired,
    LicenseKeyInvalid,
    LicenseSignerUnknown,
    PublicKeyUnusable,
)

FORMAT = "FL1"
LONGEST_KEY = 2000
PRIVATE_KEY_BYTES = 32
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_PEM_BLOCK = re.compile(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)

Number = Annotated[int, Field(ge=1)]
Moment = Annotated[int, Field(ge=0, le=253_402_300_799)]  # seconds since 1970, to the end of the year 9999


class LicenseClaims(BaseModel):
    """What a key says; ``iat`` and ``exp`` as in RFC 7519 s4.1, ``exp`` None when it doesn't end."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    v: Literal[1] = 1
    license: Number
    tenant: Annotated[str, Field(min_length=1, max_length=64)]
    customer: Number
    template: Number
    seats: Number
    iat: Moment
    exp: Moment | None
    kid: Annotated[str, Field(pattern=r"^lk-[0-9a-f]{16}$")]

    @property
    def valid_until(self) -> date | None:
        """The last day (UTC) on which it is valid."""
        return None if self.exp is None else (datetime.fromtimestamp(self.exp, UTC) - timedelta(seconds=1)).date()


@dataclass(frozen=True)
class LicenseSigner:
    """A key that signs; it is in no repr."""

    kid: str
    private_key: Ed25519PrivateKey = field(repr=False)

    def sign(self, claims: LicenseClaims) -> str:
        """The licence key. The same claims give the same key (RFC 8032 s5.1.6 uses no chance)."""
        signed = f"{FORMAT}.{encode_bytes(_canonical(claims))}"
        return f"{signed}.{encode_bytes(self.private_key.sign(signed.encode('ascii')))}"


def end_of(day: date | None) -> int | None:
    """``exp`` of a licence whose last day this is: the midnight after it, UTC."""
    if day is None:
        return None
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) + 24 * 60 * 60


def key_id(public_key: Ed25519PublicKey) -> str:
    """A public key's name, made of the key itself: whoever has the key knows which licences it proves."""
    return "lk-" + hashlib.sha256(public_key.public_bytes_raw()).hexdigest()[:16]


def verify_license_key(key: str, public_keys: Mapping[str, Ed25519PublicKey], *, now: datetime) -> LicenseClaims:
    """What the key claims, proven by one of these public keys, and not at its end yet. Asks no database.

    Raises: LicenseKeyInvalid (malformed or changed), LicenseSignerUnknown, LicenseExpired.
    """
    claims = prove_license_key(key, public_keys)
    if claims.exp is not None and claims.valid_until is not None and now.timestamp() >= claims.exp:
        raise LicenseExpired(claims.license, claims.valid_until)
    return claims


def prove_license_key(key: str, public_keys: Mapping[str, Ed25519PublicKey]) -> LicenseClaims:
    """What the key claims, proven by one of these public keys, whether it has ended or not.

    Raises: LicenseKeyInvalid (malformed or changed), LicenseSignerUnknown.
    """
    claims, signed, signature = _read(key)
    public_key = public_keys.get(claims.kid)
    if public_key is None:
        raise LicenseSignerUnknown(claims.kid)
    try:
        public_key.verify(signature, signed)
    except InvalidSignature as exc:
        raise LicenseKeyInvalid("its signature does not fit what it says") from exc
    return claims


def public_key_pem(public_key: Ed25519PublicKey) -> str:
    """The key as a file for whoever proves licences (RFC 8410 SubjectPublicKeyInfo, PEM)."""
    return public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def read_public_keys(pem: str) -> dict[str, Ed25519PublicKey]:
    """The public keys of a PEM text, by their names.

    Raises: PublicKeyUnusable.
    """
    keys: dict[str, Ed25519PublicKey] = {}
    for block in _PEM_BLOCK.findall(pem):
        try:
            loaded = load_pem_public_key(block.encode())
        except (ValueError, UnsupportedAlgorithm) as exc:
            raise PublicKeyUnusable("A block between BEGIN and END PUBLIC KEY can't be read") from exc
        if not isinstance(loaded, Ed25519PublicKey):
            raise PublicKeyUnusable("The public key is none of Ed25519")
        keys[key_id(loaded)] = loaded
    if not keys:
        raise PublicKeyUnusable("There is no block between BEGIN and END PUBLIC KEY")
    return keys


def encode_bytes(content: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


def decode_bytes(text: str) -> bytes:
    """Back from ``encode_bytes``; only the one spelling of each value passes.

    Raises: ValueError.
    """
    if not _BASE64URL.fullmatch(text):
        raise ValueError("not base64url")
    try:
        content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as exc:
        raise ValueError("not base64url") from exc
    if encode_bytes(content) != text:
        raise ValueError("base64url with stray bits")
    return content


def _read(key: str) -> tuple[LicenseClaims, bytes, bytes]:
    """The claims, what was signed, and the signature; nothing is proven yet."""
    parts = key.split(".") if len(key) <= LONGEST_KEY else []
    if len(parts) != 3 or parts[0] != FORMAT:
        raise LicenseKeyInvalid(f"one reads {FORMAT}.payload.signature")
    try:
        payload, signature = decode_bytes(parts[1]), decode_bytes(parts[2])
        claims = LicenseClaims.model_validate_json(payload)
    except (ValueError, ValidationError) as exc:
        raise LicenseKeyInvalid("its parts can't be read") from exc
    return claims, f"{parts[0]}.{parts[1]}".encode("ascii"), signature


def _canonical(claims: LicenseClaims) -> bytes:
    return claims.model_dump_json().encode()
