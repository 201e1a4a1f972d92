"""Port blocks out of a CGNAT box's log, as CSV: read whole, or refused with every line that can't be meant."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ipam import LoggedBlock
from provisioning.errors import Fault, InvalidRequest
from workflows import NO_MOMENT

NEEDED = ("outside", "first_port", "last_port", "inside", "began_at")
OPTIONAL = ("ended_at", "vrf")
LONGEST_NUMBER = 18
"""So many digits are read as a number."""


def read_blocks(path: Path) -> list[LoggedBlock]:
    """A line each: outside, first_port, last_port, inside, began_at, and where there is one ended_at and vrf; times in
    ISO 8601 with their zone, the columns in any order under their names.

    Raises: InvalidRequest with all that can't be meant, line by line; what another says is for ``PortBlocks`` to check.
    """
    what, faults, blocks = f"The log {path.name}", list[Fault](), list[LoggedBlock]()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file, strict=True)
            faults += _faults_of_heading(lines.fieldnames or ())
            for line in () if faults else lines:
                where = f"line {lines.line_num}"
                found = list(_faults_of_line(line))
                faults += [Fault(f"{where}: {field}", reason) for field, reason in found]
                if not found:
                    blocks.append(block := _block(line, where))
                    faults += [Fault(where, reason) for reason in block.faults()]
    except OSError as error:
        raise InvalidRequest(what, [Fault(str(path), error.strerror or "can't be read")]) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidRequest(what, [Fault(str(path), f"is not CSV: {error}")]) from error
    if faults:
        raise InvalidRequest(what, faults)
    return blocks


def _faults_of_heading(names: object) -> list[Fault]:
    given = list(names) if isinstance(names, list | tuple) else []
    missing = [Fault(name, "is no column of the first line") for name in NEEDED if name not in given]
    return missing + [Fault(str(name), "is not known here") for name in given if name not in NEEDED + OPTIONAL]


def _faults_of_line(line: dict[str, str | None]) -> Iterator[tuple[str, str]]:
    if None in line or any(line[name] is None for name in NEEDED):
        yield "columns", "are more or fewer than the first line names"
        return
    for name in NEEDED:
        text = line[name] or ""
        if not text.strip():
            yield name, "is missing"
        elif name.endswith("_port") and not (text.strip().isdecimal() and len(text.strip()) <= LONGEST_NUMBER):
            yield name, f"{text[:60]} is not a whole number"
    for name in ("began_at", "ended_at"):
        if (text := (line.get(name) or "").strip()) and _moment(text) is None:
            yield name, f"{text[:60]} {NO_MOMENT}"


def _block(line: dict[str, str | None], where: str) -> LoggedBlock:
    said = {name: (text or "").strip() for name, text in line.items()}
    began_at = _moment(said["began_at"])
    assert began_at is not None, "else it is a fault"
    more = {"vrf": said["vrf"]} if said.get("vrf") else {}
    return LoggedBlock(
        outside=said["outside"],
        first_port=int(said["first_port"]),
        last_port=int(said["last_port"]),
        inside=said["inside"],
        began_at=began_at,
        ended_at=_moment(said["ended_at"]) if said.get("ended_at") else None,
        where=where,
        **more,
    )


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):  # an edge of the calendar lies beyond it in UTC
        return None
