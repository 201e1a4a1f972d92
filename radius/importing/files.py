"""Lists of subscribers from elsewhere, read without looking at who is here: CSV in, one ``SubscriberLine`` a row out.

The separator (comma, semicolon or tab) is the one with which the names of the columns are known. Names and passwords
are taken to the letter, blanks included: what FreeRADIUS would mangle is a fault of its line and never mended here.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from ipaddress import IPv4Address
from typing import Literal

from radius.encoder import encode, of_no_host, safe_username
from radius.errors import EncodingRefused, SeveralRefused
from radius.importing.errors import ImportUnreadable
from radius.projection.projection import FramedAddresses, checked_addresses
from radius.subscribers.external_ids import external_id_faults
from radius.subscribers.line_identity import LineIdentity
from radius.subscribers.password_hashes import PasswordHash, read_hash
from radius.subscribers.requests import MAX_ID

ImportedState = Literal["pending", "active", "suspended"]

IMPORTED_STATES: tuple[ImportedState, ...] = ("pending", "active", "suspended")
COLUMNS = (
    *("username", "customer_id", "plan", "state", "password", "password_hash", "service_id", "external_id"),
    *("ipv4", "ipv4_pool", "ipv6_wan_prefix", "delegated_prefix", "routes", "ipv6_routes"),
    *("station", "port", "circuit", "remote", "login_by_line"),
)
NEEDED = ("username", "customer_id", "plan")
ERROR = "error"
"""The column that a dry run adds; a file that comes again with it is read without it."""
BETWEEN_ROUTES = ";"
_SEPARATORS = ",;\t"
NO_ADDRESSES = FramedAddresses()
NO_LINE = LineIdentity()
_TO_THE_LETTER = ("username", "password", "external_id", "port", "circuit", "remote")
_YES_OR_NO = {"": False, "no": False, "yes": True}


@dataclass(frozen=True, repr=False)
class SubscriberLine:
    """One subscriber as a list has it; ``faults`` say what is wrong with it. ``password`` None: it gets a random one,
    unless ``password_hash`` is all that is known of the one it has.

    ``line`` is where it may log in from, and ``login_by_line`` whether that line does so by itself (IPoE).

    ``seen`` is the digest of the rows that it was read from, where these are to be taken over.
    """

    number: int
    username: str = ""
    customer_id: int = 0
    plan: str = ""
    state: ImportedState = "active"
    password: str | None = None
    password_hash: PasswordHash | None = None
    service_id: int | None = None
    external_id: str | None = None
    addresses: FramedAddresses = NO_ADDRESSES
    line: LineIdentity = NO_LINE
    login_by_line: bool = False
    faults: tuple[str, ...] = ()
    seen: str | None = None

    def __repr__(self) -> str:
        return f"SubscriberLine({self.number}: {self.username!r})"


@dataclass(frozen=True, repr=False)
class SubscriberFile:
    """``rows[i]`` is what ``lines[i]`` was read from. They hold passwords, which no repr shows."""

    separator: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    lines: Sequence[SubscriberLine]

    def with_errors(self, faults: Mapping[int, Sequence[str]]) -> Iterator[list[str]]:
        """The file again, a row at a time, each with all that is wrong with it in a last column; what stands in none
        comes behind."""
        kept = [place for place, name in enumerate(self.header) if _plain(name) != ERROR]
        yield [*(self.header[place] for place in kept), ERROR]
        for row, line in zip(self.rows, self.lines, strict=True):
            cells = [row[place] if place < len(row) else "" for place in kept]
            yield [*cells, "; ".join(faults.get(line.number, ())), *row[len(self.header) :]]


def read_subscribers(text: Sequence[str]) -> SubscriberFile:
    """A file, given line by line with their ends.

    Raises:
        ImportUnreadable: it isn't CSV, or its columns are not those that are known. What is wrong with single rows,
            their lines say.
    """
    separator, header = _header(text)
    names = [_plain(name) for name in header]
    _refuse_columns(names)
    rows: list[list[str]] = []
    lines: list[SubscriberLine] = []
    reader, begins = csv.reader(text, delimiter=separator, strict=True), 1
    try:
        for row in reader:
            if begins > 1 and any(cell.strip() for cell in row):
                rows.append(row)
                lines.append(_line(begins, names, row))
            begins = reader.line_num + 1
    except csv.Error as exc:
        raise ImportUnreadable(f"it is no CSV, {exc} in line {reader.line_num}") from exc
    return SubscriberFile(separator, header, rows, lines)


def read_cells(number: int, cells: Mapping[str, str], *, seen: str | None = None) -> SubscriberLine:
    """One subscriber from the cells of its row, by the names of their columns."""
    faults: list[str] = []
    given = {name: text if name in _TO_THE_LETTER else text.strip() for name, text in cells.items()}
    username, password = given.get("username", ""), given.get("password") or None
    faults += _username(username)
    if password is not None:
        faults += password_faults(password)
    password_hash = _hash(given, password, faults)
    customer_id = _number(given, "customer_id", faults)
    if customer_id is None and not given.get("customer_id"):
        faults.append("customer_id is missing")
    if not given.get("plan"):
        faults.append("plan is missing")
    service_id = _number(given, "service_id", faults)
    external_id = given.get("external_id") or None
    faults += external_id_faults(external_id)
    line, by_line = _bound(given, faults)
    if by_line and (password is not None or password_hash is not None):
        faults.append("password: a line that logs in by itself has none")
    return SubscriberLine(
        number=number,
        username=username,
        customer_id=customer_id or 0,
        plan=given.get("plan", ""),
        state=_state(given.get("state", ""), faults),
        password=password,
        password_hash=password_hash,
        service_id=service_id,
        external_id=external_id,
        addresses=_addresses(username, given, faults),
        line=line,
        login_by_line=by_line,
        faults=tuple(faults),
        seen=seen,
    )


def _line(number: int, names: Sequence[str], row: Sequence[str]) -> SubscriberLine:
    if len(row) != len(names):
        return SubscriberLine(number, faults=(f"has {len(row)} cells, and there are {len(names)} columns",))
    return read_cells(number, dict(zip(names, row, strict=True)))


def _header(text: Sequence[str]) -> tuple[str, list[str]]:
    for separator in _SEPARATORS:
        try:
            first: list[str] = next(csv.reader(text, delimiter=separator), [])
        except csv.Error as exc:  # a quote that is never closed
            raise ImportUnreadable(f"it is no CSV, {exc} in line 1") from exc
        if {_plain(name) for name in first}.issuperset(NEEDED):
            return separator, first
    raise ImportUnreadable(f"its first line doesn't name its columns, among them {', '.join(NEEDED)}")


def _refuse_columns(names: Sequence[str]) -> None:
    if unknown := [name for name in names if name not in COLUMNS and name != ERROR]:
        raise ImportUnreadable(f"it has unknown columns, {', '.join(unknown)[:200]}; it may have {', '.join(COLUMNS)}")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ImportUnreadable(f"it has two columns called {', '.join(twice)}")


def _plain(name: str) -> str:
    return name.strip().lower().removeprefix("\ufeff").replace(" ", "_")


def _username(username: str) -> Iterator[str]:
    if not username:
        yield "username is missing"
        return
    try:
        safe_username(username)
    except EncodingRefused as refused:
        yield f"username: {str(refused).rstrip('.')}"


def password_faults(password: str) -> list[str]:
    """Why FreeRADIUS would not have it as it is."""
    try:
        encode("Cleartext-Password", password, place="check")
    except EncodingRefused as refused:
        return [f"password: {getattr(refused, 'reason', refused)}"]
    return []


def _hash(cells: Mapping[str, str], password: str | None, faults: list[str]) -> PasswordHash | None:
    """The hash that a row has, where it does not have the password itself."""
    text = cells.get("password_hash")
    if not text:
        return None
    found, wrong = read_hash(text)
    faults += wrong
    if password is None:
        return found
    if found is not None and not wrong and not found.is_of(password):
        why = "is not that of the password" if found.kind is not None else "cannot be compared with the password"
        faults.append(f"password_hash: it ({found.attribute}) {why}, which is there too: leave one of the two out")
    return None


def _number(cells: Mapping[str, str], name: str, faults: list[str]) -> int | None:
    text = cells.get(name, "")
    if not text:
        return None
    if re.fullmatch(r"[0-9]{1,19}", text) and 1 <= int(text) <= MAX_ID:
        return int(text)
    faults.append(f"{name}: {text[:60]!r} is no positive whole number")
    return None


def _state(text: str, faults: list[str]) -> ImportedState:
    for state in IMPORTED_STATES:
        if text == state:
            return state
    if text:
        faults.append(f"state: {text[:60]!r} is none of {', '.join(IMPORTED_STATES)}")
    return "active"


def _bound(cells: Mapping[str, str], faults: list[str]) -> tuple[LineIdentity, bool]:
    names = (field.name for field in fields(LineIdentity))
    line = LineIdentity(**{name: cells.get(name) or None for name in names}).in_one_spelling
    said = cells.get("login_by_line", "").lower()
    if said not in _YES_OR_NO:
        faults.append(f"login_by_line: {said[:60]!r} is not yes or no")
    by_line = _YES_OR_NO.get(said, False)
    if line != NO_LINE or by_line:
        faults += line.faults(logs_in=by_line)
    return line, by_line


def _addresses(username: str, cells: Mapping[str, str], faults: list[str]) -> FramedAddresses:
    asked = FramedAddresses(
        ipv4=cells.get("ipv4") or None,
        ipv4_pool=cells.get("ipv4_pool") or None,
        ipv6_wan_prefix=cells.get("ipv6_wan_prefix") or None,
        delegated_prefix=cells.get("delegated_prefix") or None,
        routes=_routes(cells.get("routes", "")),
        ipv6_routes=_routes(cells.get("ipv6_routes", "")),
    )
    if asked == NO_ADDRESSES:
        return asked
    try:
        checked = checked_addresses(username, asked)
        if checked.ipv4 is not None and (kind := of_no_host(IPv4Address(checked.ipv4))):
            faults.append(f"Framed-IP-Address: {checked.ipv4} is {kind}, which no line can have")
        return checked
    except SeveralRefused as several:
        faults += [_in_short(one) for one in several.refused]
    except EncodingRefused as refused:
        faults.append(_in_short(refused))
    return NO_ADDRESSES


def _in_short(refused: EncodingRefused) -> str:
    reason = getattr(refused, "reason", None)
    return str(refused).rstrip(".") if reason is None else f"{getattr(refused, 'attribute', 'address')}: {reason}"


def _routes(cell: str) -> tuple[str, ...]:
    return tuple(route.strip() for route in cell.split(BETWEEN_ROUTES) if route.strip())
