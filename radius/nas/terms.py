"""The terms of a NAS: where it is and how it is spoken to, and everything that can be wrong with them by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from typing_extensions import TypedDict

from radius.coa.dynamic_authorization import EVERY_KEY
from radius.plans.plans import NAME
from radius.subscribers.password_storage import LOGIN_METHODS
from radius.tables import Nas

MOST_PER_SECOND = 10_000

_NAS_SECRET = re.compile(r"[A-Za-z0-9._~+/=-]{16,64}")


@dataclass(frozen=True)
class CoaTerms:
    """How a NAS takes requests about its sessions (RFC 5176).

    ``keys`` name a session to it; none: those of its dialect. ``per_second`` is how many requests it is sent at most.
    ``may_end``: a session that it refuses to change is ended.
    """

    keys: tuple[str, ...] = ()
    event_timestamp: bool = True
    per_second: int | None = None
    may_end: bool = True


@dataclass(frozen=True)
class NasTerms:
    """Where a NAS is and how it is spoken to; ``login_methods`` are those by which its subscribers may log in.

    ``lines``: it tells of lines that log in by themselves (IPoE), and no customer can choose what it sends as
    User-Name, Calling-Station-Id or circuit. Of a hotspot that is not so.
    """

    address: str
    dialect: str
    coa_port: int
    login_methods: tuple[str, ...] = LOGIN_METHODS
    lines: bool = False
    coa: CoaTerms = CoaTerms()

    @property
    def columns(self) -> dict[str, object]:
        """As columns of our table."""
        columns = {name: value for name, value in vars(self).items() if name != "coa"}
        coa = {f"coa_{name}": value for name, value in vars(self.coa).items()}
        return columns | coa | {"login_methods": " ".join(self.login_methods), "coa_keys": " ".join(self.coa.keys)}


class CoaChange(TypedDict, total=False):
    """What of ``CoaTerms`` is to be otherwise."""

    keys: tuple[str, ...]
    event_timestamp: bool
    per_second: int | None
    may_end: bool


class NasChange(TypedDict, total=False):
    """What of ``NasTerms`` is to be otherwise."""

    address: str
    dialect: str
    coa_port: int
    login_methods: tuple[str, ...]
    lines: bool
    coa: CoaChange


def terms_of_nas(nas: Nas) -> NasTerms:
    """The terms as they stand in our table."""
    methods = tuple(nas.login_methods.split())
    coa = CoaTerms(
        keys=tuple(nas.coa_keys.split()),
        event_timestamp=nas.coa_event_timestamp,
        per_second=nas.coa_per_second,
        may_end=nas.coa_may_end,
    )
    return NasTerms(
        address=nas.address,
        dialect=nas.dialect,
        coa_port=nas.coa_port,
        login_methods=methods,
        lines=nas.lines,
        coa=coa,
    )


def nas_faults(name: str, terms: NasTerms, secret: str | None) -> Iterable[str]:
    """In plain phrases."""
    return (phrase for _, phrase in nas_faults_by_part(name, terms, secret))


def nas_faults_by_part(name: str, terms: NasTerms, secret: str | None) -> Iterable[tuple[str, str]]:
    """The same, each with the part that it is of (``coa.keys``)."""
    if not NAME.fullmatch(name):
        yield "name", "its name needs 1 to 60 of A-Z a-z 0-9 . _ -"
    if not is_address(terms.address):
        yield "address", "its address is not an IPv4 address"
    if not 1 <= terms.coa_port <= 65535:
        yield "coa_port", f"coa_port is {terms.coa_port}, not between 1 and 65535"
    if set(terms.coa.keys) - set(EVERY_KEY) or len(set(terms.coa.keys)) < len(terms.coa.keys):
        yield "coa.keys", f"its coa keys need to be of {', '.join(EVERY_KEY)}, each once"
    elif terms.coa.keys and "Acct-Session-Id" not in terms.coa.keys:
        yield "coa.keys", "its coa keys need Acct-Session-Id, which tells two sessions of a line apart"
    if terms.coa.per_second is not None and not 1 <= terms.coa.per_second <= MOST_PER_SECOND:
        yield "coa.per_second", f"its coa per_second is {terms.coa.per_second}, not between 1 and {MOST_PER_SECOND}"
    if secret is not None and not _NAS_SECRET.fullmatch(secret):
        yield "secret", "its secret needs 16 to 64 of A-Z a-z 0-9 . _ ~ + / = - (RFC 2865 s3 asks for 16 and more)"
    if not terms.login_methods or set(terms.login_methods) - set(LOGIN_METHODS):
        yield "login_methods", f"its login_methods need one or more of {', '.join(LOGIN_METHODS)}"
    if len(set(terms.login_methods)) < len(terms.login_methods):
        yield "login_methods", "its login_methods have one twice"


def is_address(text: str) -> bool:
    """Whether a NAS may have it: an IPv4 address."""
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True
