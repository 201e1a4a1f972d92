"""Reads the subscribers of a FreeRADIUS that somebody else has looked after, as a list for an import.

Of each name what Firstlight has a place for becomes a cell of its line; everything else is a fault of the line, unless
whoever asks knows the attribute and leaves it out. Nothing is guessed: the tables say nothing of customers, so a second
list does. What FreeRADIUS would mangle stands there as it is, and is a fault.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from sqlalchemy import select

from radius.importing.errors import ImportUnreadable
from radius.importing.files import (
    BETWEEN_ROUTES,
    COLUMNS,
    SubscriberFile,
    SubscriberLine,
    password_faults,
    read_cells,
)
from radius.importing.groups import GroupItem, Member, group_faults, group_items
from radius.ports import Begin
from radius.projection.freeradius_tables import radcheck, radius_projection, radreply, radusergroup
from radius.projection.projection import HOST_NETMASK, Row, digest
from radius.projection.radius_database import radius_transaction
from radius.subscribers.password_hashes import HASHED, WITH_HEADER, headed, in_clear

PASSWORDS = ("Cleartext-Password", "User-Password")
_ONE_EACH = {
    "Framed-IP-Address": "ipv4",
    "Framed-Pool": "ipv4_pool",
    "Framed-IPv6-Prefix": "ipv6_wan_prefix",
    "Delegated-IPv6-Prefix": "delegated_prefix",
}
_SEVERAL = {"Framed-Route": "routes", "Framed-IPv6-Route": "ipv6_routes"}
_LINE = {"Calling-Station-Id": "station", "NAS-Port-Id": "port"}
_BINDS = "=="
"""The operator by which radcheck compares one of them; by := it says nothing of from where a login comes."""
_SETS = (":=", "=")
"""The operators by which radcheck says what a login is checked with; by another one it compares what was sent."""
_SAID_BY_EVERY_PLAN = {
    ("Service-Type", "Framed-User"),
    ("Framed-Protocol", "PPP"),
    ("Framed-IP-Netmask", HOST_NETMASK),
}
_SPELLED = {
    name.lower(): name
    for name in (
        *(*PASSWORDS, *_ONE_EACH, *_SEVERAL, *_LINE, *HASHED, WITH_HEADER, "Auth-Type"),
        *(name for name, _ in _SAID_BY_EVERY_PLAN),
    )
}
"""FreeRADIUS takes the name of an attribute in any case of letters."""
_USER = "user="
_UNMAPPED = f"{_USER}*"
_FIRST_LINE = 2
"""The first of a list in which the names of the columns stand above."""


@dataclass(frozen=True)
class Adoption:
    """What the tables don't say. ``beside``: by username more cells, by the names of their columns; ``left_out``:
    attributes that are knowingly not taken over, and, as ``user=NAME``, names; ``user=*`` are those that have no cell
    beside them. ``plans``: by the name of each plan here the attributes and values that it renders."""

    beside: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    plans: Mapping[str, Collection[tuple[str, str]]] = field(default_factory=dict)

    def leaves(self, attribute: str) -> bool:
        """Whether that attribute is left out, however it is spelled."""
        return attribute.lower() in self._attributes

    @cached_property
    def _attributes(self) -> frozenset[str]:
        return frozenset(name.lower() for name in self.left_out if not name.startswith(_USER))

    def takes(self, username: str) -> bool:
        """Whether that name is one to be taken over."""
        if f"{_USER}{username}" in self.left_out:
            return False
        return username in self.beside or _UNMAPPED not in self.left_out

    def of_nobody_in(self, names: Collection[str]) -> list[str]:
        """What has cells beside it and is none of these names."""
        return sorted(name for name in self.beside if name not in names and self.takes(name))


async def read_radius_tables(radius_begin: Begin, known: Adoption, *, own: bool) -> SubscriberFile:
    """Every name of those tables as a line, and behind them, as faults, the names beside that nobody there has. What a
    group has that its plan here does not say is a fault of the first line that is in it.
    ``own``: the tables are those of the radius database in use, whose names that Firstlight has written are left alone,
    and whose other rows are to be taken over.

    Raises:
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit
    """
    every, written, items = await _rows(radius_begin, own=own)
    by_name = {name: found for name, found in every.items() if known.takes(name)}
    of_groups = group_faults(_members(by_name, known), items, known.plans, known.leaves)
    rows: list[list[str]] = []
    lines: list[SubscriberLine] = []
    for number, (name, found) in enumerate(sorted(by_name.items()), start=_FIRST_LINE):
        taken = _Taken(name, found, known)
        rows.append([taken.cells.get(column, "") for column in COLUMNS])
        lines.append(taken.line(number, seen=digest(found) if own else None, besides=of_groups.get(name, ())))
    for number, name in enumerate(known.of_nobody_in({*every, *written}), start=_FIRST_LINE + len(lines)):
        cells = {**known.beside[name], "username": name}
        rows.append([cells.get(column, "") for column in COLUMNS])
        lines.append(SubscriberLine(number, username=name, faults=("username: the tables have no such name",)))
    return SubscriberFile(",", COLUMNS, rows, lines)


def _members(by_name: Mapping[str, Sequence[Row]], known: Adoption) -> Iterator[Member]:
    for name, rows in sorted(by_name.items()):
        for group in (dict(row.columns)["groupname"] for row in rows if row.table == "radusergroup"):
            yield Member(name, group, known.beside.get(name, {}).get("plan") or group)


async def _rows(radius_begin: Begin, *, own: bool) -> tuple[dict[str, list[Row]], set[str], list[GroupItem]]:
    """All rows by the name they stand under, the names whose rows Firstlight has written, which are left out, and what
    the groups of the others have."""
    by_name: defaultdict[str, list[Row]] = defaultdict(list)
    async with radius_transaction(radius_begin) as db:
        ours = set[str]()
        if own:
            ledger = radius_projection.c
            ours.update(await db.scalars(select(ledger.name).where(ledger.kind == "subscriber")))
        for table, columns in (
            (radcheck, ("attribute", "op", "value")),
            (radreply, ("attribute", "op", "value")),
            (radusergroup, ("groupname", "priority")),
        ):
            asked = select(table.c.username, *(table.c[name] for name in columns)).where(table.c.username.is_not(None))
            for name, *values in await db.execute(asked):
                if name not in ours:
                    texts = ("" if value is None else str(value) for value in values)
                    by_name[name].append(Row(table.name, name, tuple(zip(columns, texts, strict=True))))
        has_groups = any(row.table == "radusergroup" for rows in by_name.values() for row in rows)
        items = await group_items(db) if has_groups else []
    return by_name, ours, items


class _Taken:
    """What the rows of one name come to: ``cells`` and ``faults``."""

    def __init__(self, name: str, rows: Sequence[Row], known: Adoption) -> None:
        self.cells: dict[str, str] = {"username": name, "state": "active"}
        self.faults: list[str] = []
        self._known = known
        beside = known.beside.get(name, {})
        for row in rows:
            self._take(row, dict(row.columns), beside)
        self._take_group([dict(row.columns) for row in rows if row.table == "radusergroup"], beside)
        if beside.get("password") and password_faults(self.cells.get("password", "")):
            self.cells["password"] = beside["password"]  # in the place of one that FreeRADIUS would mangle
        for column, text in beside.items():
            if text and self.cells.setdefault(column, text) != text and column not in ("username", "state"):
                self.faults.append(f"{column} stands in the tables already, and otherwise")
        if beside.get("state"):
            self.cells["state"] = beside["state"]
        if not any(self.cells.get(column) for column in ("password", "password_hash", "login_by_line")):
            self.faults.append("has no password, neither in clear nor as a hash: say one beside it")

    def line(self, number: int, *, seen: str | None, besides: Iterable[str]) -> SubscriberLine:
        line = read_cells(number, self.cells, seen=seen)
        return SubscriberLine(**{**vars(line), "faults": (*self.faults, *line.faults, *besides)})

    def _take(self, row: Row, values: Mapping[str, str], beside: Mapping[str, str]) -> None:
        if row.table == "radusergroup" or self._known.leaves(values["attribute"]):
            return
        attribute, value = values["attribute"], values["value"]
        attribute = _SPELLED.get(attribute.lower(), attribute)
        if row.table == "radcheck":
            self._take_check(attribute, values["op"].strip(), value, beside)
        elif attribute in _ONE_EACH:
            self._once(_ONE_EACH[attribute], attribute, value)
        elif attribute in _SEVERAL:
            column = _SEVERAL[attribute]
            self.cells[column] = BETWEEN_ROUTES.join(filter(None, (self.cells.get(column), value)))
        elif (attribute, value) not in _SAID_BY_EVERY_PLAN:
            self.faults.append(f"radreply has {attribute}, for which there is no place")

    def _take_check(self, attribute: str, op: str, value: str, beside: Mapping[str, str]) -> None:
        is_password = attribute.lower().endswith("-password") or attribute == WITH_HEADER
        is_reject = attribute == "Auth-Type" and value.lower() == "reject"
        if attribute in _LINE and op == _BINDS:
            self._once(_LINE[attribute], attribute, value)
        elif attribute in _LINE or ((is_password or is_reject) and op not in _SETS):
            if not (is_password and beside.get("password")):  # which is said in its place
                how = op or "without an operator"
                self.faults.append(f"radcheck has {attribute} {how}, for which there is no place")
        elif is_reject:
            self.cells["state"] = "suspended"
        elif is_password:
            self._take_password(attribute, value, beside)
        else:
            self.faults.append(f"radcheck has {attribute}, for which there is no place")

    def _take_password(self, attribute: str, value: str, beside: Mapping[str, str]) -> None:
        clear = value if attribute in PASSWORDS else in_clear(attribute, value)
        if clear is not None:
            self._once("password", attribute, clear)
        else:
            self._take_hash(attribute, value, beside)

    def _take_hash(self, attribute: str, value: str, beside: Mapping[str, str]) -> None:
        if beside.get("password"):
            return  # the password itself is said in its place
        if "password_hash" in self.cells:
            self.faults.append("has several hashes of a password: leave out all attributes but one of them")
        self.cells["password_hash"] = headed(attribute, value)

    def _once(self, column: str, attribute: str, value: str) -> None:
        if column in self.cells:
            self.faults.append(f"has two rows of {attribute}, and one is right")
        self.cells[column] = value

    def _take_group(self, groups: Sequence[Mapping[str, str]], beside: Mapping[str, str]) -> None:
        names = [each["groupname"] for each in groups]
        if beside.get("plan"):
            return  # said beside, whatever group it was in
        if len(names) > 1:
            self.faults.append(f"is in {len(names)} groups, {', '.join(sorted(names))[:120]}: say its plan beside it")
        elif names:
            self.cells["plan"] = names[0]


def read_beside(rows: Iterable[Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
    """More cells by username, from rows by the names of their columns.

    Raises:
        ImportUnreadable: a column is unknown, or a name is missing or there twice.
    """
    beside: dict[str, Mapping[str, str]] = {}
    for number, row in enumerate(rows, start=_FIRST_LINE):
        for fault in _faults_beside(row, beside):
            raise ImportUnreadable(f"what is said beside the tables {fault} in line {number}")
        beside[row["username"]] = {name: text for name, text in row.items() if name != "username"}
    return beside


def _faults_beside(row: Mapping[str, str], before: Mapping[str, object]) -> Iterator[str]:
    unknown = [str(name) for name in row if name not in COLUMNS]
    if unknown:
        yield f"has the unknown columns {', '.join(unknown)[:120]}"
    elif not row.get("username"):
        yield "has no username"
    elif row["username"] in before:
        yield f"has {row['username']} a second time"
