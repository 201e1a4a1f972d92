"""Passwords of which only a hash is known: what another FreeRADIUS has of them, and which of that can be kept.

A hash is taken over as it is; nobody can tell the password of it, neither a CPE nor a person. It is written as
FreeRADIUS writes one of any kind (``Password-With-Header``, rlm_pap): ``{nt}`` and its octets in hexadecimal, or
``{ssha512}`` and the digest with its salt behind it, in hexadecimal or base64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from radius.encoder import encode
from radius.errors import EncodingRefused
from radius.subscribers.md4 import md4

HashKind = Literal["nt", "ssha2-512"]
HASH_KINDS: tuple[HashKind, ...] = get_args(HashKind)

WITH_HEADER = "Password-With-Header"
ATTRIBUTES: Mapping[HashKind, str] = MappingProxyType({"nt": "NT-Password", "ssha2-512": "SSHA2-512-Password"})
"""The check attribute that holds a hash of each kind that can be kept."""
# names that rlm_pap has for a header, the one that we write first
_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "nt": "NT-Password",
        "nthash": "NT-Password",
        "x-nthash": "NT-Password",
        "ssha512": "SSHA2-512-Password",
        "crypt": "Crypt-Password",
        "md5": "MD5-Password",
        "smd5": "SMD5-Password",
        "sha": "SHA-Password",
        "ssha": "SSHA-Password",
        "sha512": "SHA2-512-Password",
        "ssha256": "SSHA2-256-Password",
    }
)
HASHED = frozenset(_HEADERS.values())
"""The attributes that hold a hash of a password."""
_HEADER = re.compile(r"\{([A-Za-z0-9_-]{1,40})\}(.*)", re.DOTALL)
_NT_OCTETS, _SHA512_OCTETS = 16, 64


@dataclass(frozen=True, repr=False)
class PasswordHash:
    """``kind`` is None where it is one that cannot be kept; ``octets`` are those of a hash that can."""

    attribute: str
    kind: HashKind | None = None
    octets: bytes = b""

    @property
    def sealed(self) -> str:
        """As it is sealed, and as ``opened`` reads it."""
        return self.octets.hex()

    def is_of(self, password: str) -> bool:
        """Whether this is a hash of that password."""
        if self.kind == "nt":
            made = md4(password.encode("utf-16-le"))
        else:
            made = hashlib.sha512(password.encode() + self.octets[_SHA512_OCTETS:]).digest()
        return self.kind is not None and hmac.compare_digest(made, self.octets[: len(made)])


def opened(kind: HashKind, sealed: str) -> PasswordHash:
    """A hash that was sealed."""
    return PasswordHash(ATTRIBUTES[kind], kind, bytes.fromhex(sealed))


def read_hash(text: str) -> tuple[PasswordHash | None, list[str]]:
    """A hash as a cell or row has it, with what is wrong with it. The kind of what cannot be kept is no fault here:
    what can be is the estate's to say."""
    headed = _HEADER.fullmatch(text)
    if headed is None:
        return None, ["password_hash: it begins with no kind such as {nt} or {ssha512}"]
    named, value = headed.groups()
    attribute = _HEADERS.get(named.lower(), named)
    for kind in HASH_KINDS:
        if attribute == ATTRIBUTES[kind]:
            octets = _octets(value.strip(), kind)
            fault = _fault(kind, octets)
            return PasswordHash(attribute, kind, octets), [] if fault is None else [f"password_hash: {fault}"]
    return PasswordHash(attribute), []


def headed(attribute: str, value: str) -> str:
    """What a row of radcheck says of a password that is not in clear, as ``read_hash`` reads it."""
    if attribute == WITH_HEADER:
        return value
    header = next((each for each, named in _HEADERS.items() if named == attribute), attribute)
    return f"{{{header}}}{value}"


def in_clear(attribute: str, value: str) -> str | None:
    """The password itself, where that is behind the header."""
    found = _HEADER.fullmatch(value) if attribute == WITH_HEADER else None
    return found[2] if found is not None and found[1].lower() in ("clear", "cleartext") else None


def _octets(value: str, kind: HashKind) -> bytes:
    """In the order in which rlm_pap tries: hexadecimal, with 0x or without, else base64. None of it: no octets."""
    try:
        return bytes.fromhex(value.removeprefix("0x"))
    except ValueError:
        pass
    try:
        return base64.b64decode(value, validate=True) if kind != "nt" else b""
    except binascii.Error:
        return b""


def _fault(kind: HashKind, octets: bytes) -> str | None:
    if kind == "nt" and len(octets) != _NT_OCTETS:
        return "an NT hash is 32 hexadecimal digits"
    if kind == "ssha2-512" and len(octets) <= _SHA512_OCTETS:
        return "a salted SHA-512 is 64 octets and its salt behind them, in hexadecimal or base64"
    try:
        encode(ATTRIBUTES[kind], octets, place="check")
    except EncodingRefused as refused:
        return str(getattr(refused, "reason", refused))
    return None
