"""How FreeRADIUS keeps the subscribers' passwords, and which ways to log in can be checked against that.

The password itself stays sealed with us, whatever FreeRADIUS has. CHAP (RFC 1994) needs it in clear, MS-CHAPv2
(RFC 2759) in clear or as its NT hash, PAP (RFC 2865 s5.2) any of them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, get_args

from radius.encoder import Value
from radius.subscribers.md4 import md4
from radius.subscribers.password_hashes import HASH_KINDS, PasswordHash

LoginMethod = Literal["pap", "chap", "mschapv2"]
PasswordStorage = Literal["cleartext", "nt", "ssha2-512"]

LOGIN_METHODS: tuple[LoginMethod, ...] = get_args(LoginMethod)
_SALT_OCTETS = 16

CHECKABLE: Mapping[PasswordStorage, frozenset[LoginMethod]] = MappingProxyType(
    {
        "cleartext": frozenset(LOGIN_METHODS),
        "nt": frozenset({"pap", "mschapv2"}),
        "ssha2-512": frozenset({"pap"}),
    }
)
"""Per way to keep a password the ways to log in with it."""


def uncheckable(storage: PasswordStorage, methods: Iterable[str]) -> list[str]:
    """Those of the methods by which nobody could log in."""
    return sorted(set(methods) - CHECKABLE[storage])


def not_kept(hashed: PasswordHash, storage: PasswordStorage) -> str:
    """Why a password of which only that hash is known is not taken in, and what can be done."""
    known = f"only a hash of it is known ({hashed.attribute})"
    say = "say the password, or a new one, in its place"
    if hashed.kind is None:
        return f"{known}, which is none that can be kept ({', '.join(HASH_KINDS)}): {say}"
    by = ", ".join(sorted(CHECKABLE[hashed.kind]))
    return (
        f"{known}, and the estate keeps passwords as {storage}: let it keep them as {hashed.kind} (password_storage"
        f" under [radius]; logins are by {by} alone then), or {say}"
    )


def kept(password: str, storage: PasswordStorage, *, whose: str) -> tuple[str, Value]:
    """The check attribute that stands for a password. The same every time: its salt is made of it and of ``whose``."""
    match storage:
        case "cleartext":
            return "Cleartext-Password", password
        case "nt":
            return "NT-Password", md4(password.encode("utf-16-le"))
        case "ssha2-512":
            salt = hmac.digest(password.encode(), whose.encode(), "sha256")[:_SALT_OCTETS]
            return "SSHA2-512-Password", hashlib.sha512(password.encode() + salt).digest() + salt
