"""One line of a file of existing allocations, whatever wrote the file: what it says, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from ipam.addresses import BITS, FIRST_VID, LAST_VID, Network, parse_address, parse_network, spelt
from ipam.kinds import KIND_IN_WORDS, UNITLESS
from ipam.upkeep.pool_units import LONGEST_NOTE

ImportSource = Literal["csv", "netbox", "phpipam", "radreply"]
SOURCE_NAMES: Mapping[ImportSource, str] = {
    "csv": "CSV",
    "netbox": "NetBox",
    "phpipam": "phpIPAM",
    "radreply": "radreply",
}
STATES = ("assigned", "reserved", "quarantine")
KINDS = tuple(kind for kind in KIND_IN_WORDS if kind not in UNITLESS)
OWNER = ("customer_id", "location", "plan")
"""What must be known of whoever has an address for it to be a service's."""

_VID_IN_WORDS = f"VLAN number {FIRST_VID}..{LAST_VID} (IEEE 802.1Q)"
_USERNAME = re.compile(r"[A-Za-z0-9@._:/-]{1,128}")
_LARGEST = 2**63 - 1


class Said(NamedTuple):
    """What a value means: an address or prefix, or a C-VLAN; neither, if it is wrong."""

    network: Network | None = None
    vid: int | None = None


@dataclass(frozen=True)
class ImportLine:
    """``network``: the address or prefix; ``vid``: or the C-VLAN; one of them, unless there are ``faults``.

    ``is_exact``: it is one unit of a pool and nothing else; else it stands for all units that it touches. ``cvlan`` is
    a C-VLAN of the same service that has no line of its own. ``skipped`` says why it is no allocation, ``place`` where
    it stands, if that is no file. ``vrf_else``: what its VRF may be called here where none is called ``vrf``; where it
    names none, the one that is meant if several have the address.
    """

    number: int
    network: Network | None = None
    vid: int | None = None
    is_exact: bool = True
    vrf: str = ""
    vrf_else: tuple[str, ...] = ()
    pool: str = ""
    kind: str = ""
    state: str = ""
    customer_id: int | None = None
    username: str = ""
    location: str = ""
    plan: str = ""
    cvlan: int | None = None
    since: datetime | None = None
    available_at: datetime | None = None
    sticky_until: datetime | None = None
    note: str = ""
    skipped: str = ""
    faults: tuple[str, ...] = ()
    place: str = ""

    @property
    def where(self) -> str:
        """It stands, as people find it."""
        return self.place or f"line {self.number}"

    @property
    def value(self) -> str:
        """The address, prefix or C-VLAN as it is written everywhere."""
        return str(self.vid) if self.network is None else spelt(self.network)

    @property
    def lacks(self) -> list[str]:
        """What isn't known of its owner."""
        return [name for name in OWNER if not getattr(self, name)]


class Cells:
    """The cells of one row by the names of their columns; reading them gathers what is wrong with them."""

    def __init__(self, names: Iterable[str], row: Iterable[str]) -> None:
        names = [*names]
        self._columns = frozenset(names)
        self._cells = {name: text for name, cell in zip(names, row, strict=True) if (text := cell.strip())}
        self.faults: list[str] = []

    def has(self, name: str) -> bool:
        """Whether there is such a column, whatever it says."""
        return name in self._columns

    def text(self, *names: str) -> str:
        """The first of these columns that says something."""
        for name in names:
            if name in self._cells:
                return self._cells[name]
        return ""

    def fill(self, said: Mapping[str, str]) -> None:
        """Cells that say nothing say this."""
        self._cells = {name: text for name, text in said.items() if text} | self._cells

    def customer_id(self) -> int | None:
        return self._number("customer_id", 1, _LARGEST, "positive whole number")

    def cvlan(self) -> int | None:
        return self._number("cvlan", FIRST_VID, LAST_VID, _VID_IN_WORDS)

    def _number(self, name: str, lowest: int, highest: int, words: str) -> int | None:
        text = self.text(name)
        if not text:
            return None
        if re.fullmatch(r"[0-9]{1,19}", text) and lowest <= int(text) <= highest:
            return int(text)
        self.faults.append(f"{name}: {text[:60]!r} is no {words}")
        return None

    def username(self) -> str:
        text = self.text("username")
        if text and not _USERNAME.fullmatch(text):
            self.faults.append(f"username: FreeRADIUS never looks up a name like {text[:128]!r}")
        return text

    def moment(self, name: str) -> datetime | None:
        text = self.text(name)
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is not None:
                return moment.astimezone(UTC)
        except (ValueError, OverflowError):  # an edge of the calendar lies beyond it in UTC
            self.faults.append(f"{name}: {text[:60]!r} is no time such as 2030-01-31T12:00:00Z")
            return None
        self.faults.append(f"{name}: {text} has no time zone; write {moment.isoformat()}Z if it is UTC")
        return None

    def value(self, text: str) -> Said:
        """One unit: an address, a prefix without host bits, or a C-VLAN's number."""
        is_number = re.fullmatch(r"[0-9]{1,5}", text) is not None
        try:
            if text and not is_number and self.text("kind") == "cvlan":
                raise ValueError(f"{text[:60]!r} is no {_VID_IN_WORDS}")
            return Said(vid=_vid(int(text))) if is_number else Said(parsed(text))
        except ValueError as exc:
            self.faults.append(str(exc) if text else "value is missing")
            return Said()

    def address(self, text: str) -> Said:
        """An interface's address, whose mask says how its link is numbered and not what is allocated."""
        address, slash, mask = text.partition("/")
        try:
            host = parsed(address)
        except ValueError as exc:
            self.faults.append(str(exc) if text else "the address is missing")
            return Said()
        if slash and not (re.fullmatch(r"[0-9]{1,3}", mask) and int(mask) <= host.bits):
            self.faults.append(f"{text!r} has no prefix length of IPv{host.family} behind its slash")
        return Said(host)


def parsed(text: str) -> Network:
    """An address, or a prefix without host bits.

    Raises:
        ValueError: says what is wrong with it.
    """
    if "/" in text:
        return parse_network(text)
    family, number = parse_address(text)
    return Network(family, number, BITS[family])


def spelt_anew(text: str) -> str | None:
    """The one spelling of what somebody has written; None: it is no address or prefix."""
    try:
        return spelt(parsed(text))
    except ValueError:
        return None


def _vid(number: int) -> int:
    if not FIRST_VID <= number <= LAST_VID:
        raise ValueError(f"{number} is no {_VID_IN_WORDS}")
    return number


def as_note(source: ImportSource, *words: str) -> str:
    """What a unit is kept for when nothing is known but what another system calls it."""
    said = " ".join("".join(each if each.isprintable() else " " for each in " ".join(words)).split())
    note = f"imported from {SOURCE_NAMES[source]}" + (f": {said}" if said else "")
    return note if len(note) <= LONGEST_NOTE else f"{note[: LONGEST_NOTE - 4]} ..."


def is_note_of(source: ImportSource, note: str | None) -> bool:
    """Whether ``as_note`` has written it for that system."""
    bare = as_note(source)
    return note is not None and (note == bare or note.startswith(f"{bare}: "))


def held_as(line: ImportLine) -> ImportLine:
    """What another system has allocated is a service's if its owner is known, and else kept for nobody. An owner of
    whom only part is said is refused: what is said would be lost."""
    if not line.lacks:
        return replace(line, state="assigned")
    if line.lacks == ["customer_id", "plan"]:  # where equipment is stands in a column of that name, too
        return replace(line, state="reserved", location="")
    wrong = [name for name in line.lacks if any(fault.startswith(f"{name}:") for fault in line.faults)]
    lacks, faults = [name for name in line.lacks if name not in wrong], line.faults
    if lacks and len(lacks) < len(OWNER):
        faults += (f"whose it is takes {', '.join(OWNER)}: {', '.join(lacks)} is missing",)
    return replace(line, state="reserved", faults=faults)


def kinds_meant(line: ImportLine) -> set[str]:
    """Of which kinds its value may be, as far as that is said: of any, if nothing is."""
    if line.kind in KINDS:
        return {line.kind}
    if line.network is not None:
        return {kind for kind in KIND_IN_WORDS if kind.startswith(f"ipv{line.network.family}")}
    return {"cvlan"} if line.vid is not None else {*KIND_IN_WORDS}
