"""What somebody may have meant with what they typed into the one search box. Pure: nothing is looked up.

One text may mean several things (twelve digits are half of many numbers); each is told as a clue, the likeliest first.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Literal, get_args

from acs import beginnings_of_serial
from provisioning.commercial import words_of
from provisioning.days import moment_in
from provisioning.errors import Fault, InvalidRequest
from workflows import NO_MOMENT

ClueKind = Literal[
    "mac",
    "port",
    "address",
    "serial",
    "email",
    "phone",
    "number",
    "username",
    "external_id",
    "run_key",
    "reference",
    "pool_or_nas",
    "name",
]
CLUES: dict[ClueKind, str] = {
    "mac": "a MAC address or either half of one",
    "port": "a port of a CGNAT's outside address",
    "address": "an IP address or prefix",
    "serial": "the beginning of a serial number",
    "email": "a mail address",
    "phone": "a telephone number",
    "number": "one of our numbers",
    "username": "a username",
    "external_id": "a number in another system",
    "run_key": "what a run is for",
    "reference": "a payment's reference",
    "pool_or_nas": "a pool or NAS",
    "name": "a name",
}
"""In words: as what something was looked for."""
Numbered = Literal["order", "ticket", "run", "customer", "visit", "service", "line order", "quote", "payment"]

LONGEST = 200
SHORTEST = 2
SHORTEST_MAC, LONGEST_MAC = 4, 12
SHORTEST_PHONE, LONGEST_PHONE = 5, 18
LONGEST_NUMBER = 18
LARGEST_PORT = 65535

_SPACE = re.compile(r"\s+")
_PAIRS = re.compile(r"[0-9a-f]{2}([:. -][0-9a-f]{2})*([:. -][0-9a-f]?)?")
_FOURS = re.compile(r"[0-9a-f]{4}([:. -][0-9a-f]{4})*([:. -][0-9a-f]{0,3})?")
_SIXES = re.compile(r"[0-9a-f]{6}[:-][0-9a-f]{0,6}")
_SPELT_MAC = re.compile(r"(?=.*[A-Fa-f])[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){2,5}")
"""Pairs, of which one has a letter: it is nothing else."""
_BARE = re.compile(r"[0-9a-f]{4,12}")
_SOME_OCTETS = re.compile(r"(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?\.?")
_PORT = re.compile(r"(?P<address>[0-9.]+):(?P<port>[0-9]{1,5})(?: (?P<at>.+))?")
_PHONE = re.compile(r"\+?[0-9()./\s-]+")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]*")
_USERNAME = re.compile(r"[A-Za-z0-9@._:/-]{2,128}")
_NOUNS = "|".join(get_args(Numbered)).replace(" ", "[ -]")
_NUMBER = re.compile(rf"(?:({_NOUNS})\s*[#:/]?\s*|#)?0*([1-9][0-9]{{0,{LONGEST_NUMBER - 1}}})")
_TOKEN = re.compile(r"\S{2,128}")


@dataclass(frozen=True)
class Clue:
    """One meaning of what was typed, in the one spelling in which it is looked for.

    ``mac``: hexadecimal digits, four to twelve; ``port``: an IPv4 address, a colon and the port, and ``at`` says when,
    if that was said; ``address``: an address or prefix, and ``beside_port`` says that a port of it was typed;
    ``serial``: a beginning; ``number``: digits, and ``of`` says of what, if that was said; ``reference``: of a payment;
    ``pool_or_nas``: the beginning of a pool's or NAS' name.
    """

    kind: ClueKind
    value: str
    of: Numbered | None = None
    at: datetime | None = None
    beside_port: bool = False


def cleaned(text: str) -> str:
    """As it is looked for: no control characters, no blanks around, one between words."""
    printable = "".join(each for each in unicodedata.normalize("NFC", text) if each.isprintable() or each.isspace())
    return _SPACE.sub(" ", printable).strip()[:LONGEST]


def recognise(text: str) -> tuple[Clue, ...]:
    """Every meaning it may have, the likeliest first; empty: it is too short to say.

    Raises:
        InvalidRequest: what stands after an address and its port is no moment.
    """
    typed = cleaned(text)
    numbers = _numbers(typed)
    if len(typed) < SHORTEST:
        return numbers
    address = _address(typed)
    if address is not None:
        return (Clue("address", address),)
    if of_port := _port(typed):
        is_name = all(each.at is None for each in of_port)  # a line, or a system, may name itself after a DSLAM's port
        of_name = (Clue("username", typed.lower()), Clue("external_id", typed), Clue("run_key", typed))
        return (*of_port, *of_name, Clue("reference", typed)) if is_name else of_port
    if _SPELT_MAC.fullmatch(typed):  # a line may log in under its MAC address
        return (*_mac(typed), Clue("username", typed.lower()))
    clues = [*numbers, *_mac(typed), *_serials(typed), *_email(typed), *_phone(typed)]
    if _USERNAME.fullmatch(typed):
        clues.append(Clue("username", typed.lower()))
    if _TOKEN.fullmatch(typed) and any(each.isdigit() for each in typed):
        clues += [Clue("external_id", typed), Clue("run_key", typed)]
    if any(each.isdigit() for each in typed):
        clues.append(Clue("reference", typed))
    return (*clues, Clue("pool_or_nas", typed), *_name(typed))


def _numbers(typed: str) -> tuple[Clue, ...]:
    found = _NUMBER.fullmatch(typed.lower())
    if found is None:
        return ()
    nouns: tuple[Numbered, ...] = get_args(Numbered)
    of = next((noun for noun in nouns if noun == (found.group(1) or "").replace("-", " ")), None)
    return (Clue("number", found.group(2), of),)


def _address(typed: str) -> str | None:
    """An address or prefix as its RFC writes it; the first octets of an IPv4 address are the prefix that they say."""
    bare = typed.removeprefix("[").removesuffix("]")
    if "%" in bare:
        return None
    try:
        if "/" in bare:
            return str(ip_network(bare, strict=False))
        address = ip_address(bare)
        return str((address.version == 6 and address.ipv4_mapped) or address)  # RFC 4291 s2.5.5.2
    except ValueError:
        return _some_octets(bare)


def _port(typed: str) -> tuple[Clue, ...]:
    """A port of an address, as logs write it, now or at the time after it. Now it may also be of an address that is one
    customer's, and of one time only the CGNAT is asked.

    Raises:
        InvalidRequest: the time is none.
    """
    found = _PORT.fullmatch(typed)
    address = _address(found["address"]) if found else None
    if found is None or address is None or "/" in address or not 1 <= int(found["port"]) <= LARGEST_PORT:
        return ()
    port = f"{address}:{int(found['port'])}"
    if found["at"] is None:
        return (Clue("port", port), Clue("address", address, beside_port=True))
    return (Clue("port", port, at=_moment(found["at"])),)


def _moment(typed: str) -> datetime:
    moment = moment_in(typed)
    try:
        if moment is not None:
            return moment.astimezone(UTC)
    except OverflowError:  # an edge of the calendar lies beyond it in UTC
        pass
    raise InvalidRequest("The search", [Fault("q", f"asks about {typed!r}, which {NO_MOMENT}")])


def _some_octets(typed: str) -> str | None:
    found = _SOME_OCTETS.fullmatch(typed)
    octets = [part for part in found.groups() if part is not None] if found else []
    if not octets or any(int(part) > 255 for part in octets):
        return None
    whole = ".".join(str(int(part)) for part in [*octets, *["0"] * (4 - len(octets))])
    return f"{whole}/{8 * len(octets)}"


def _mac(typed: str) -> list[Clue]:
    small = typed.lower()
    spelt_so = any(form.fullmatch(small) for form in (_PAIRS, _FOURS, _SIXES, _BARE))
    digits = re.sub(r"[^0-9a-f]", "", small)
    return [Clue("mac", digits)] if spelt_so and SHORTEST_MAC <= len(digits) <= LONGEST_MAC else []


def _serials(typed: str) -> list[Clue]:
    return [Clue("serial", beginning) for beginning in beginnings_of_serial(typed)]


def _email(typed: str) -> list[Clue]:
    return [Clue("email", typed.casefold())] if _EMAIL.fullmatch(typed) else []


def _phone(typed: str) -> list[Clue]:
    digits = sum(each.isdigit() for each in typed)
    looks_so = _PHONE.fullmatch(typed) is not None and SHORTEST_PHONE <= digits <= LONGEST_PHONE
    return [Clue("phone", typed)] if looks_so else []


def _name(typed: str) -> list[Clue]:
    """One of its words, at least, has no digit in it."""
    words = words_of(typed)
    is_name = any(word.isalpha() for word in words) and "@" not in typed
    return [Clue("name", " ".join(words))] if is_name else []


def network_of(address: str) -> IPv4Network | IPv6Network:
    """Of a clue's value."""
    return ip_network(address, strict=False)
