"""The terms of a NAS: where it is and how it is spoken to, and everything that can be wrong with them by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from typing_extensions import TypedDict

from radius.coa.dynamic_authorization import EVERY_KEY
from radius.encoder import of_no_host
from radius.plans.plans import NAME
from radius.subscribers.password_storage import LOGIN_METHODS
from radius.tables import Nas

MOST_PER_SECOND = 10_000

_IPV4_IN_IPV6 = IPv6Network("::/96")
"""IPv4-compatible addresses (RFC 4291 s2.5.5.1), with ``::`` and ``::1``."""
_NAS_SECRET = re.compile(r"[A-Za-z0-9._~+/=-]{24,64}")


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
    User-Name, Calling-Station-Id or circuit. Of a hotspot that is not so. ``calls_itself``: what it says in
    NAS-IP-Address and NAS-IPv6-Address (RFC 2865 s5.4, RFC 3162 s2.1) where that isn't ``address``, from which its
    packets come; one of each family at most, the IPv4 address first.
    """

    address: str
    dialect: str
    coa_port: int
    login_methods: tuple[str, ...] = LOGIN_METHODS
    lines: bool = False
    coa: CoaTerms = CoaTerms()
    calls_itself: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        said = sorted((_in_one_spelling(each) for each in self.calls_itself), key=_family)
        object.__setattr__(self, "calls_itself", tuple(said))

    @property
    def columns(self) -> dict[str, object]:
        """As columns of our table."""
        columns = {name: value for name, value in vars(self).items() if name != "coa"}
        coa = {f"coa_{name}": value for name, value in vars(self.coa).items()}
        lists = {"login_methods": self.login_methods, "coa_keys": self.coa.keys, "calls_itself": self.calls_itself}
        return columns | coa | {name: " ".join(each) for name, each in lists.items()}


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
    calls_itself: tuple[str, ...]


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
        calls_itself=tuple(nas.calls_itself.split()),
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
    elif kind := _of_no_nas(IPv4Address(terms.address)):
        yield "address", f"its address {terms.address} is {kind}, from which no packet comes"
    for fault in _of_what_it_calls_itself(terms):
        yield "calls_itself", fault
    if not 1 <= terms.coa_port <= 65535:
        yield "coa_port", f"coa_port is {terms.coa_port}, not between 1 and 65535"
    yield from _coa_faults(terms.coa)
    if secret is not None and not _NAS_SECRET.fullmatch(secret):
        yield "secret", "its secret needs 24 to 64 of A-Z a-z 0-9 . _ ~ + / = - (RFC 2865 s3 asks for 16 and more)"
    if not terms.login_methods or set(terms.login_methods) - set(LOGIN_METHODS):
        yield "login_methods", f"its login_methods need one or more of {', '.join(LOGIN_METHODS)}"
    if len(set(terms.login_methods)) < len(terms.login_methods):
        yield "login_methods", "its login_methods have one twice"


def _coa_faults(coa: CoaTerms) -> Iterable[tuple[str, str]]:
    if set(coa.keys) - set(EVERY_KEY) or len(set(coa.keys)) < len(coa.keys):
        yield "coa.keys", f"its coa keys need to be of {', '.join(EVERY_KEY)}, each once"
    elif coa.keys and "Acct-Session-Id" not in coa.keys:
        yield "coa.keys", "its coa keys need Acct-Session-Id, which tells two sessions of a line apart"
    if coa.per_second is not None and not 1 <= coa.per_second <= MOST_PER_SECOND:
        yield "coa.per_second", f"its coa per_second is {coa.per_second}, not between 1 and {MOST_PER_SECOND}"


def _of_what_it_calls_itself(terms: NasTerms) -> Iterable[str]:
    families = []
    for said in terms.calls_itself:
        try:
            address = ip_address(said)
        except ValueError:
            yield f"what it calls itself, {said[:60]!r}, is neither an IPv4 nor an IPv6 address"
            continue
        if said == terms.address:
            yield f"it calls itself {said}, which is its address: say what it calls itself besides"
        elif isinstance(address, IPv6Address) and (address.scope_id or address.ipv4_mapped or address in _IPV4_IN_IPV6):
            yield f"it calls itself {said[:60]}: no NAS can say that in NAS-IPv6-Address"
        families.append(address.version)
    if len(set(families)) < len(families):
        yield "it calls itself by two addresses of one family: a NAS says one of each at most"


def _family(text: str) -> int:
    """4 or 6; what is no address comes last."""
    try:
        return ip_address(text).version
    except ValueError:
        return 7


def _in_one_spelling(text: str) -> str:
    """As FreeRADIUS writes it; what is no address stays as it is."""
    try:
        return str(ip_address(text))
    except ValueError:
        return text


def _of_no_nas(address: IPv4Address) -> str | None:
    """Why no packet of a NAS comes from there. From a loopback address one does: of a NAS on this machine."""
    return None if address.is_loopback else of_no_host(address)


def is_address(text: str) -> bool:
    """Whether it is an IPv4 address."""
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True
