"""The sealed form of a value: ``version | length of key id | key id | nonce | AES-256-GCM ciphertext and tag``.

Everything before the nonce, the tenant and the reference are authenticated with it (NIST SP 800-38D), so that neither a
changed byte nor a row moved to another tenant or subscriber opens. Nonces are 96 random bits, good for 2**32 values
under one key (s8.3); a rotation starts anew.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = 1
KEY_ID = re.compile(r"key-[0-9a-f]{8}")
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16


class EnvelopeBroken(Exception):
    """Not a sealed value, or not one of this key, tenant and reference."""


@dataclass(frozen=True)
class SealingKey:
    """One key; its bytes are in no repr, and it refuses to be pickled."""

    key_id: str
    material: bytes = field(repr=False)

    def __reduce__(self) -> str:
        raise TypeError("a sealing key leaves this process only in the keyring file")


def seal(key: SealingKey, *, tenant_id: str, ref: str, plaintext: str) -> bytes:
    header = _header(key.key_id)
    nonce = os.urandom(NONCE_BYTES)
    bound_to = header + _bound_to(tenant_id, ref)
    return header + nonce + AESGCM(key.material).encrypt(nonce, plaintext.encode(), bound_to)


def unseal(key: SealingKey, sealed: bytes, *, tenant_id: str, ref: str) -> str:
    """The value inside.

    Raises:
        EnvelopeBroken: on any difference from what was sealed.
    """
    header = _header(key.key_id)
    body = len(header) + NONCE_BYTES
    if not sealed.startswith(header) or len(sealed) < body + TAG_BYTES:
        raise EnvelopeBroken
    try:
        opened = AESGCM(key.material).decrypt(
            sealed[len(header) : body], sealed[body:], header + _bound_to(tenant_id, ref)
        )
    except InvalidTag as exc:
        raise EnvelopeBroken from exc
    return opened.decode()


def key_id_of(sealed: bytes) -> str:
    """Which key sealed this.

    Raises:
        EnvelopeBroken: when it is no sealed value.
    """
    if len(sealed) < 2 or sealed[0] != VERSION:
        raise EnvelopeBroken
    key_id = sealed[2 : 2 + sealed[1]].decode("latin-1")
    if not KEY_ID.fullmatch(key_id):
        raise EnvelopeBroken
    return key_id


def _header(key_id: str) -> bytes:
    name = key_id.encode("ascii")
    return bytes((VERSION, len(name))) + name


def _bound_to(tenant_id: str, ref: str) -> bytes:
    return f"{tenant_id}|{ref}".encode()  # neither of the two may hold a bar
