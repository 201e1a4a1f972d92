"""Logins as FreeRADIUS writes them to a file, a line each (``login_file`` in its ``modules.conf``): pure.

Thirteen fields between bars; what came over the wire is escaped as everywhere (``=7C``), so no field has a bar or ends
the line. The last field is a dot: a line without it was not written to its end, since the disk was full. It lacks what
the NAS said, or it is of no use; and the next line may stand right behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

MOST_CHARACTERS = 253
"""An attribute of RADIUS has no more octets (RFC 2865 s5); a name or a line is kept up to here."""
MOST_ABOUT = 64
FIELDS = 13
SURE = 8
"""So many fields are there whatever the NAS said, up to the name; behind it stands what may be missing."""
_BEGUN = re.compile(rb"[0-9]{10}\|Access-(?:Accept|Reject)\|")
_ABOVE_ASCII = re.compile("(?:=[89A-F][0-9A-F])+")


class LoginLine(NamedTuple):
    """A row of ``radius_login``, without its number, in the order of its columns."""

    username: str
    accepted: bool
    reason: str | None
    about: str | None
    method: str
    nas_address: str
    nas_said_address: str | None
    nas_identifier: str | None
    calling_station: str | None
    nas_port: str | None
    circuit: str | None
    happened_at: datetime


class ReadLines(NamedTuple):
    """What lines said, in their order, and those that no server of ours can have written."""

    logins: list[LoginLine]
    unreadable: list[bytes]


def read_lines(lines: Iterable[bytes]) -> ReadLines:
    """Each line with or without its end."""
    read = ReadLines([], [])
    for line in lines:
        behind = _last_begun(line)
        if behind:
            _add(line[:behind], read)
        _add(line[behind:], read)
    return read


def _add(line: bytes, read: ReadLines) -> None:
    login = _read(line)
    if login is None:
        read.unreadable.append(line)
    else:
        read.logins.append(login)


def _last_begun(line: bytes) -> int:
    """Where the last login in a line begins."""
    return max((found.start() for found in _BEGUN.finditer(line)), default=0)


def _read(line: bytes) -> LoginLine | None:
    fields = line.decode(errors="replace").rstrip("\n").split("|")
    if not all(each.isascii() and each.isprintable() for each in fields):
        return None
    if not SURE < len(fields) <= FIELDS or (len(fields) == FIELDS and fields[-1] not in (".", "")):
        return None
    moment, answer, reason, method, source, said, about, name = fields[:SURE]
    fits = len(reason) <= 32 and 0 < len(method) <= 16 and 0 < len(source) <= 45 and len(said) <= 45
    if not (fits and name and moment.isascii() and moment.isdigit() and len(moment) <= 10):
        return None
    wire = [*fields[SURE : FIELDS - 1], "", "", "", ""]
    identifier, station, port, circuit = (_kept(each) or None for each in wire[: FIELDS - 1 - SURE])
    return LoginLine(
        username=_kept(name),
        accepted=answer == "Access-Accept",
        reason=reason or None,
        about=_kept(about)[:MOST_ABOUT] or None,
        method=method,
        nas_address=source,
        nas_said_address=said or None,
        nas_identifier=identifier,
        calling_station=station,
        nas_port=port,
        circuit=circuit,
        happened_at=datetime.fromtimestamp(int(moment), UTC),
    )


def _kept(field: str) -> str:
    """As SQL would have got it: there characters above ASCII are not escaped, only octets that are none."""
    return _ABOVE_ASCII.sub(_characters, field)[:MOST_CHARACTERS]


def _characters(escaped: re.Match[str]) -> str:
    octets = bytes.fromhex(escaped[0].replace("=", ""))
    found = octets.decode(errors="surrogateescape")
    return "".join(f"={ord(each) - 0xDC00:02X}" if "\udc80" <= each <= "\udcff" else each for each in found)
