"""Files of existing allocations, read without looking at the network: CSV in, one ``ImportLine`` a row out.

The separator (comma, semicolon or tab) is the one with which the names of the columns are known. A file that says
nothing about owners takes them from a mapping, a CSV file of ours: ``username`` or ``address`` says of whom or what,
``customer_id``, ``location``, ``plan``, ``cvlan`` (and ``username`` beside an address) say whose it is, and ``vrf``
where it is, if several VRFs have the address.
"""

from __future__ import annotations

import csv
import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from ipam.addresses import spelt
from ipam.errors import RequestInvalid
from ipam.inventory.headings import IN_ENGLISH, plain, told_apart, untranslated, without_own
from ipam.inventory.lines import OWNER, Cells, ImportLine, ImportSource, held_as, parsed, spelt_anew
from ipam.inventory.shapes import BESIDE, IMPORT_COLUMNS, NEEDED, READERS, in_global_table

ERRORS = "errors"
"""The column that a dry run adds; a file that comes again with it is read without it."""
MOST_TITLES = 10
"""Among so many first lines are the names of the columns."""
_SEPARATORS = ",;\t"
_TOO_SHORT = re.compile("has [0-9]+ cells, and there are [0-9]+ columns")
"""As ``_length_fault`` says it."""
_NOTHING = "—"
"""What NetBox's tables have where there is nothing."""
_MAPPING = ("username", "address", *OWNER, "cvlan", "vrf")


@dataclass(frozen=True)
class Whose:
    """What a mapping says about an owner."""

    customer_id: int | None
    username: str
    location: str
    plan: str
    cvlan: int | None
    vrf: str = ""


@dataclass(frozen=True)
class ImportMapping:
    """Whose addresses are, by RADIUS username or by address. ``used``: of which a line was asked about, so far."""

    by_username: Mapping[str, Whose] = field(default_factory=dict)
    by_address: Mapping[str, Whose] = field(default_factory=dict)
    used: set[tuple[str, str]] = field(default_factory=set, compare=False)

    def applied(self, line: ImportLine) -> ImportLine:
        """The line with what it doesn't say itself."""
        whose = self._whose(line.value, line.username)
        if whose is None:
            return line
        return replace(
            line,
            customer_id=line.customer_id or whose.customer_id,
            username=line.username or whose.username,
            location=line.location or whose.location,
            plan=line.plan or whose.plan,
            cvlan=line.cvlan or whose.cvlan,
            vrf=line.vrf or whose.vrf,
        )

    def lend(self, cells: Cells) -> None:
        """Gives a row of ours what it leaves out, before it is read: its state and its faults go by whose it is. What
        it calls reserved is nobody's, as in a file that we have exported."""
        value = cells.text("value")
        address = (spelt_anew(value) if self.by_address else None) or value  # its line is told if it is none
        whose = self._whose(address, cells.text("username"))
        if cells.text("state") == "reserved":
            return
        if whose is not None:
            cells.fill({name: "" if said is None else str(said) for name, said in vars(whose).items()})

    def unused(self) -> list[str]:
        """Addresses and usernames that have stood in no line so far."""
        both = (("address", self.by_address), ("username", self.by_username))
        return [key for name, known in both for key in known if (name, key) not in self.used]

    def _whose(self, address: str, username: str) -> Whose | None:
        both = (("address", address, self.by_address), ("username", username, self.by_username))
        self.used.update((name, key) for name, key, known in both if key in known)
        return next((known[key] for _, key, known in both if key in known), None)


@dataclass(frozen=True)
class ImportFile:
    """``rows[i]`` is what ``lines[i]`` was read from; ``titles`` stood before the names of the columns. ``unused`` are
    addresses and usernames of the mapping beside it that stand in no line.

    ``is_live``: it is what a radius database has, where there are names too that are none of ours to number (a loopback
    of a router's login): what nobody is known to own and no pool holds is left out of it, and counted.
    """

    source: ImportSource
    separator: str
    titles: Sequence[Sequence[str]]
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    lines: Sequence[ImportLine]
    is_live: bool = False
    unused: Sequence[str] = ()

    @property
    def places(self) -> Mapping[int, str]:
        """Where each line stands, as faults say it."""
        return {line.number: line.where for line in self.lines}

    def with_errors(self, faults: Mapping[int, Sequence[str]]) -> Iterator[list[str]]:
        """The file again, a row at a time, each with all that is wrong with it in a last column; what stands in none
        comes behind. A row that breaks off stays too short, or it would come again as a whole one."""
        kept = [place for place, name in enumerate(self.header) if plain(name) != ERRORS]
        yield from (list(row) for row in self.titles)
        yield [*(self.header[place] for place in kept), ERRORS]
        for row, line in zip(self.rows, self.lines, strict=True):
            cells = [row[place] for place in kept if place < len(row)]
            yield [*cells, "; ".join(faults.get(line.number, ())), *row[len(self.header) :]]


@dataclass(frozen=True)
class _Opened:
    """``rows`` each with the number of the line that it begins in; blank ones are left out."""

    separator: str
    titles: Sequence[Sequence[str]]
    header: Sequence[str]
    rows: Iterator[tuple[int, list[str]]]

    @property
    def names(self) -> list[str]:
        return [plain(name) for name in self.header]


def read_import(text: Iterable[str], source: ImportSource, mapping: ImportMapping | None = None) -> ImportFile:
    """A file of that shape, given line by line with their ends.

    Raises:
        RequestInvalid: it isn't CSV, or lacks a column. What is wrong with single rows, their lines say.
    """
    opened = _opened(text, "file", NEEDED[source], IN_ENGLISH.get(source, ""))
    names, known = without_own(opened.header, source), mapping or ImportMapping()
    _refuse_columns("file", names, IMPORT_COLUMNS if source == "csv" else None, BESIDE)
    if source == "netbox":
        _refuse_translated(names)
    names = told_apart(names, opened.header, source)
    rows: list[list[str]] = []
    lines: list[ImportLine] = []
    for number, cells in opened.rows:
        rows.append(row := _without_its_fault(cells, names))
        lines.append(_line(number, row, names, source, known))
    lines = _once(lines) if source == "radreply" else lines
    return ImportFile(source, opened.separator, opened.titles, opened.header, rows, lines, unused=known.unused())


def reply_file(rows: Iterable[Sequence[str]], mapping: ImportMapping | None = None) -> ImportFile:
    """Rows of a radius database as if they had been a file: (username, attribute, op, value) each. Their faults
    say of which name and attribute they are."""
    header, known = NEEDED["radreply"][0], mapping or ImportMapping()
    kept = [list(row) for row in rows]
    read = _once([_line(number, row, header, "radreply", known) for number, row in enumerate(kept, start=2)])
    lines = [replace(line, place=f"{row[0]}'s {row[1]}") for line, row in zip(read, kept, strict=True)]
    return ImportFile("radreply", ",", [], header, kept, lines, is_live=True, unused=known.unused())


def _line(
    number: int, row: Sequence[str], names: Sequence[str], source: ImportSource, mapping: ImportMapping
) -> ImportLine:
    if fault := _length_fault(row, names):
        return ImportLine(number, faults=(fault,))
    if source == "netbox":
        row = ["" if html.unescape(cell).strip() == _NOTHING else cell for cell in row]
    cells = Cells(names, row)
    if source == "csv":
        mapping.lend(cells)
        return READERS[source](number, cells)
    line = READERS[source](number, cells)
    if line.skipped:
        return line
    line = mapping.applied(line)
    return held_as(in_global_table(line, cells) if source == "netbox" else line)


def _length_fault(row: Sequence[str], names: Sequence[str]) -> str:
    """Empty: it has a cell for each column."""
    return "" if len(row) == len(names) else f"has {len(row)} cells, and there are {len(names)} columns"


def _without_its_fault(row: list[str], names: Sequence[str]) -> list[str]:
    """A row that is too short has what was wrong with it behind its last cell, and not in the column of that name."""
    told = ERRORS in names and 0 < len(row) < len(names) and _TOO_SHORT.match(row[-1])
    return row[:-1] if told else row


def _once(lines: Iterable[ImportLine]) -> list[ImportLine]:
    """A row that radreply has twice, maybe with another operator, gives nothing more; it is left out."""
    seen: dict[ImportLine, int] = {}
    found: list[ImportLine] = []
    for line in lines:
        first = seen.setdefault(replace(line, number=0), line.number)
        again = first != line.number and not line.skipped and not line.faults
        found.append(replace(line, skipped=f"line {first} gives it already") if again else line)
    return found


def read_mapping(text: Iterable[str]) -> ImportMapping:
    """Whose what is.

    Raises:
        RequestInvalid: with all that is wrong.
    """
    opened = _opened(text, "mapping", (("username",), ("address",)))
    names, faults = opened.names, list[str]()
    _refuse_columns("mapping", names, _MAPPING)
    by_username: dict[str, Whose] = {}
    by_address: dict[str, Whose] = {}
    for number, row in opened.rows:
        if fault := _length_fault(row, names):
            faults.append(f"line {number}: {fault}")
            continue
        cells = Cells(names, row)
        location, plan, vrf = (cells.text(name) for name in ("location", "plan", "vrf"))
        whose = Whose(cells.customer_id(), cells.username(), location, plan, cells.cvlan(), vrf)
        address = cells.text("address")
        where, key = (by_address, _key(address, cells)) if address else (by_username, whose.username)
        cells.faults += [] if key else ["names neither a username nor an address"]
        cells.faults += [f"{key} stands in two lines"] if key in where else []
        where[key] = whose
        faults += [f"line {number}: {fault}" for fault in cells.faults]
    if faults:
        raise RequestInvalid("mapping", f"has {len(faults)} fault(s): {'; '.join(faults)}")
    return ImportMapping(by_username, by_address)


def _key(address: str, cells: Cells) -> str:
    """Of an address or prefix, or of an address with the mask of its link, as NetBox writes it."""
    try:
        return spelt(parsed(address))
    except ValueError:
        host = cells.address(address).network
        return address if host is None else spelt(host)


def _opened(text: Iterable[str], what: str, needed: Sequence[Sequence[str]], in_english: str = "") -> _Opened:
    """With the separator that makes the names of the columns known in one of the first lines. ``in_english``: what to
    do if they are of another language."""
    lines = iter(text)
    first = list(islice(lines, MOST_TITLES))
    first[:1] = [line.removeprefix("\ufeff") for line in first[:1]]
    for separator in _SEPARATORS:
        titles: list[list[str]] = []
        for _, row in _numbered(first, separator, what, strict=False):
            names = {plain(name) for name in row}
            if any(names.issuperset(each) for each in needed):
                rows = _numbered(chain(first, lines), separator, what, strict=True)
                return _Opened(separator, titles, row, islice(rows, len(titles) + 1, None))
            titles.append(row)
    columns = " or ".join(" and ".join(each) for each in needed)
    hint = f"; if they are in another language, {in_english}" if in_english else ""
    raise RequestInvalid(what, f"has no line with the names of its columns, among them {columns}{hint}")


def _numbered(lines: Iterable[str], separator: str, what: str, *, strict: bool) -> Iterator[tuple[int, list[str]]]:
    reader, begins = csv.reader(lines, delimiter=separator, strict=strict), 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield begins, row
            begins = reader.line_num + 1
    except csv.Error as exc:
        raise RequestInvalid(what, f"is no CSV: {exc} in line {reader.line_num}") from exc


def _refuse_columns(what: str, names: Sequence[str], known: Sequence[str] | None, beside: Iterable[str] = ()) -> None:
    """``known``: the only ones (with those ``beside``), if there may be no others."""
    if known is not None and (unknown := _unknown(names, (*beside, *known))):
        raise RequestInvalid(what, f"has unknown columns: {unknown}; it takes {', '.join(known)}")
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise RequestInvalid(what, f"has two columns called {', '.join(twice)}")


def _refuse_translated(names: Sequence[str]) -> None:
    """What they say would be lost, without a word."""
    if found := [*untranslated(names)]:
        columns, are = ("column", "is") if len(found) == 1 else ("columns", "are")
        said, english = (", ".join(words) for words in zip(*found, strict=True))
        why = f"has the {columns} {said}, which {are} {english} in English"
        what = f"{IN_ENGLISH['netbox']}; if that is a custom field of yours, export {english}, too"
        raise RequestInvalid("file", f"{why}: {what}")


def _unknown(names: Sequence[str], known: Sequence[str]) -> str:
    """Those columns that nobody knows, one without a name (a comma at the end) by its number; empty: there are none."""
    numbered = enumerate(names, start=1)
    return ", ".join(name or f"number {number}, without a name" for number, name in numbered if name not in known)
