"""Port blocks out of a CGNAT box's log, as CSV: read whole, or refused with every line that can't be meant."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from ipam import DEFAULT_VRF, ImportedBlocks, LoggedBlock, PortBlocks
from provisioning.days import moment_in
from provisioning.errors import Fault, InvalidRequest
from workflows import NO_MOMENT

NEEDED = ("outside", "first_port", "last_port", "inside", "began_at")
OPTIONAL = ("ended_at", "vrf")
_SEPARATORS = ",;\t"
COLUMNS = "columns"
"""What is wrong with a line whose values may be anything's."""
LONGEST_NUMBER = 18
"""So many digits are read as a number."""


@dataclass(frozen=True)
class ReadLog:
    """The blocks of a log, and what of its lines is none, as ``line 3: last_port``; of all lines the parts that can be
    read, named as in ``LoggedBlock``."""

    what: str
    blocks: list[LoggedBlock]
    faults: list[Fault]
    parts: list[Mapping[str, Any]]


def read_blocks(path: Path) -> ReadLog:
    """A line each: outside, first_port, last_port, inside, began_at, and where there is one ended_at and vrf; times in
    ISO 8601 with their zone, the columns in any order under their names, with commas, semicolons or tabs between them.

    What the blocks say is for ``PortBlocks`` to check.

    Raises: InvalidRequest: no CSV, or without its columns.
    """
    log = ReadLog(f"The log {path.name}", [], [], [])
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            heading = file.readline()
            separator = max(_SEPARATORS, key=lambda each: len(_known(heading.split(each))))
            lines = csv.DictReader(chain([heading], file), strict=True, delimiter=separator)
            lines.fieldnames = [_plain(name) for name in lines.fieldnames or ()]
            if wrong := _faults_of_heading(lines.fieldnames):
                raise InvalidRequest(log.what, wrong)
            for line in lines:
                where = f"line {lines.line_num}"
                found = dict(_faults_of_line(line))
                log.faults.extend(Fault(f"{where}: {field}", reason) for field, reason in found.items())
                parts = {} if COLUMNS in found else _parts(line, found.keys())
                log.parts.append({"where": where, **parts})
                if not found:
                    log.blocks.append(LoggedBlock(where=where, **parts))
    except OSError as error:
        raise InvalidRequest(log.what, [Fault(str(path), error.strerror or "can't be read")]) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidRequest(log.what, [*log.faults, Fault(str(path), f"is not CSV: {error}")]) from error
    return log


async def import_log(log: ReadLog, blocks: PortBlocks, *, source: str) -> ImportedBlocks:
    """What was read becomes known, in the caller's transaction.

    Raises: InvalidRequest with all that is wrong, line by line; RequestInvalid where each line is one of a log.
    """
    if not log.faults:
        return await blocks.import_blocks(log.blocks, source=source)
    others = [Fault(*fault) for fault in await blocks.faults_in_log(source, log.parts)]
    raise InvalidRequest(log.what, sorted([*log.faults, *others], key=_line_of))


def _line_of(fault: Fault) -> int:
    """What is no line's, such as its source, is the whole log's, and comes first."""
    line = re.match(r"line (\d+)", fault.field)
    return int(line[1]) if line else 0


def _plain(name: str) -> str:
    return name.strip().lower()


def _known(names: list[str]) -> set[str]:
    return {_plain(name) for name in names} & {*NEEDED, *OPTIONAL}


def _faults_of_heading(names: Sequence[str]) -> list[Fault]:
    known = NEEDED + OPTIONAL
    missing = [Fault(name, "is no column of the first line") for name in NEEDED if name not in names]
    unknown = [Fault(name, "is not known here") for name in names if name not in known]
    return missing + unknown + [Fault(name, "is the name of two columns") for name in known if names.count(name) > 1]


def _faults_of_line(line: dict[str, str | None]) -> Iterator[tuple[str, str]]:
    if None in line or any(line[name] is None for name in NEEDED):
        yield COLUMNS, "are more or fewer than the first line names"
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


def _parts(line: Mapping[str, str | None], malformed: Collection[str]) -> dict[str, Any]:
    """What the line says, but for what is malformed; with what a block is that leaves out what it may."""
    said = {name: (line.get(name) or "").strip() for name in (*NEEDED, *OPTIONAL)}
    read: dict[str, Callable[[str], Any]] = {
        "first_port": int,
        "last_port": int,
        "began_at": _moment,
        "ended_at": lambda text: _moment(text) if text else None,
        "vrf": lambda text: text or DEFAULT_VRF,
    }
    return {name: read.get(name, str)(text) for name, text in said.items() if name not in malformed}


def _moment(text: str) -> datetime | None:
    try:
        moment = moment_in(text)
        return moment and moment.astimezone(UTC)
    except OverflowError:  # an edge of the calendar lies beyond it in UTC
        return None
