"""Lists of CPEs and of whom each serves, for every door: bytes in, bindings out.

A list is tried as a whole first, and what is wrong with any line refuses all of it. Then it is bound batch by batch,
each committed whole. An import that was interrupted is repeated: what is bound just so by then is left as it is.

InvalidRequest
`-- CpeListRefused    lines of the list are wrong
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from acs import AcsError, canonical_serial, is_serial
from provisioning.bootstrap import Appliance
from provisioning.device_binding import DeviceBinding
from provisioning.errors import Fault, InvalidRequest, ProvisioningError
from provisioning.subscriber_looks import ExternalId, Who
from provisioning.text_files import lines_of
from radius import RadiusError

WHAT = "The list of CPEs"
WHOSE = ("username", "external_id")
SERIAL, TEMPLATE, LEAVE_ALONE, ERROR = "serial", "template", "leave_alone", "error"
BETWEEN = ";"
"""Between several names in the cell of ``leave_alone``."""
BATCH = 100
"""Nobody else writes to SQLite while a batch is tried or bound."""
MOST_IN_BATCH = 5000
_SEPARATORS = ",;\t"


@dataclass(frozen=True)
class CpeLine:
    """One CPE as a list has it; ``values`` are its template's inputs as they were typed."""

    number: int
    serial: str
    who: Who
    template: str
    values: Mapping[str, str]
    leave_alone: Sequence[str]


@dataclass(frozen=True)
class CpeFile:
    """``rows`` are the cells of each line under its number, as they were handed in."""

    separator: str
    header: Sequence[str]
    rows: Mapping[int, Sequence[str]]
    lines: Sequence[CpeLine]
    faults: Mapping[int, Sequence[str]]


class CpeListRefused(InvalidRequest):
    """Lines of a list of CPEs are wrong; ``by_line`` says which and why."""

    code = "device.list_refused"

    def __init__(self, by_line: Mapping[int, Sequence[str]], *, bound: int = 0) -> None:
        self.by_line = by_line
        faults = [Fault(f"line {number}", each) for number, all_ in by_line.items() for each in all_]
        left = f"and the {bound} lines before these are bound and stay so (mend these, and import the list again)"
        super().__init__(WHAT, faults, **({"left": left} if bound else {}))


@dataclass
class BoundCpes:
    """How many lines there were, how many CPEs were bound, and how many were bound just so."""

    lines: int
    bound: int = 0
    unchanged: int = 0


async def opened(content: bytes, *, inputs: Collection[str], template: str | None = None) -> CpeFile:
    """What a list says, read but not compared with anything. ``inputs`` are those of any template; ``template`` is that
    of a line that names none. Raises: InvalidRequest, it is no such list."""
    return await asyncio.to_thread(_read, content, frozenset(inputs), template)


async def check(
    appliance: Appliance, file: CpeFile, *, line_by_hand: bool, progress: Callable[[int], None]
) -> BoundCpes:
    """What the list comes to now; nothing is written. Raises: CpeListRefused, with every fault of every line."""
    faults = {number: list(each) for number, each in file.faults.items()}
    found = BoundCpes(len(file.rows))
    for some in _batches(file.lines, BATCH):
        try:
            async with appliance.database.begin() as db:
                wrong = await _bound(appliance, db, some, found, line_by_hand=line_by_hand)
                raise _OnlyTried
        except _OnlyTried:
            for number, each in wrong.items():
                faults.setdefault(number, []).extend(each)
        progress(len(some))
    if faults:
        raise CpeListRefused(dict(sorted(faults.items())))
    return found


async def bind_all(
    appliance: Appliance, db: AsyncSession, file: CpeFile, *, line_by_hand: bool, dry_run: bool
) -> BoundCpes:
    """Binds all of a list within the caller's transaction; a dry run leaves no trace there.

    Raises: CpeListRefused, with every fault of every line.
    """
    found = BoundCpes(len(file.rows))
    try:
        async with db.begin_nested():
            wrong = await _bound(appliance, db, file.lines, found, line_by_hand=line_by_hand)
            if dry_run:
                raise _OnlyTried
    except _OnlyTried:
        pass
    faults = dict(sorted({**file.faults, **wrong}.items()))
    if faults:
        raise CpeListRefused(faults)
    return found


async def bring_in(
    appliance: Appliance,
    file: CpeFile,
    *,
    line_by_hand: bool,
    batch: int = BATCH,
    audited: Callable[[AsyncSession, Mapping[str, int]], None],
    progress: Callable[[int], None],
) -> BoundCpes:
    """Binds what was checked, batch by batch; ``audited`` is told within each what it comes to.

    Raises: CpeListRefused: somebody came between; the batches before are bound.
    """
    done = BoundCpes(len(file.rows))
    for some in _batches(file.lines, batch):
        mine = BoundCpes(len(some))
        async with appliance.database.begin() as db:
            if wrong := await _bound(appliance, db, some, mine, line_by_hand=line_by_hand):
                raise CpeListRefused(wrong, bound=done.bound + done.unchanged)
            audited(db, {"bound": mine.bound, "unchanged": mine.unchanged})
        done.bound += mine.bound
        done.unchanged += mine.unchanged
        progress(len(some))
    return done


def with_errors(file: CpeFile, faults: Mapping[int, Sequence[str]]) -> str:
    """The list again, with a column of what is wrong with each line."""
    written = io.StringIO()
    writer = csv.writer(written, delimiter=file.separator, lineterminator="\n")
    kept = [place for place, name in enumerate(file.header) if _plain(name) != ERROR]
    writer.writerow([*(file.header[place] for place in kept), ERROR])
    for number, row in file.rows.items():
        cells = [row[place] if place < len(row) else "" for place in kept]
        writer.writerow([*cells, "; ".join(faults.get(number, ()))])
    return written.getvalue()


class _OnlyTried(Exception):
    """Takes a transaction back in which nothing was meant."""


async def _bound(
    appliance: Appliance, db: AsyncSession, lines: Iterable[CpeLine], told: BoundCpes, *, line_by_hand: bool
) -> dict[int, list[str]]:
    """Binds each; what cannot be, and why, by the line's number."""
    binding = appliance.device_binding(db)
    faults: dict[int, list[str]] = {}
    for line in lines:
        try:
            async with db.begin_nested():
                is_new = await _bind(binding, line, line_by_hand=line_by_hand)
        except (ProvisioningError, AcsError, RadiusError) as error:
            if error.transient:
                raise
            faults[line.number] = [str(each) for each in getattr(error, "faults", ())] or [str(error)]
        else:
            told.bound += is_new
            told.unchanged += not is_new
    return faults


async def _bind(binding: DeviceBinding, line: CpeLine, *, line_by_hand: bool) -> bool:
    """Whether it was not bound before. Raises: InvalidRequest, it is and has other settings; as ``provision``."""
    before = await binding.live(line.serial)
    await binding.provision(
        line.serial,
        who=line.who,
        template=line.template,
        values=binding.settings.typed_inputs(template=line.template, texts=line.values),
        leave_alone=line.leave_alone,
        line_by_hand=line_by_hand,
    )
    if before is not None and before != await binding.live(line.serial):
        says = "is bound there with other settings; an import changes none, `firstlight devices provision` does"
        raise InvalidRequest(WHAT, [Fault(line.serial, says)])
    return before is None


def _batches(lines: Sequence[CpeLine], size: int) -> Iterable[Sequence[CpeLine]]:
    return (lines[start : start + size] for start in range(0, len(lines), size))


def _read(content: bytes, inputs: frozenset[str], template: str | None) -> CpeFile:
    """Raises: InvalidRequest."""
    text = lines_of(content, what=WHAT, field="file")
    separator, header = _header(text)
    names = [_plain(name) for name in header]
    _refuse_columns(names, inputs, template)
    rows: dict[int, Sequence[str]] = {}
    reader, begins = csv.reader(text, delimiter=separator, strict=True), 1
    try:
        for row in reader:
            if begins > 1 and any(cell.strip() for cell in row):
                rows[begins] = row
            begins = reader.line_num + 1
    except csv.Error as error:
        raise InvalidRequest(WHAT, [Fault("file", f"is no CSV: {error} in line {reader.line_num}")]) from error
    lines, faults = _lines(names, rows, template)
    return CpeFile(separator, header, rows, lines, faults)


def _lines(
    names: Sequence[str], rows: Mapping[int, Sequence[str]], template: str | None
) -> tuple[list[CpeLine], dict[int, list[str]]]:
    lines: list[CpeLine] = []
    faults: dict[int, list[str]] = {}
    first: dict[Who, int] = {}
    for number, row in rows.items():
        cells = {name: cell.strip() for name, cell in zip(names, row, strict=False)}
        wrong = [] if len(row) == len(names) else [f"has {len(row)} cells, and there are {len(names)} columns"]
        wrong = wrong or _wrong(cells, template)
        serial = cells.get(SERIAL, "")
        username, number_of_theirs = (cells.get(name, "") for name in WHOSE)
        who: Who = username or ExternalId(number_of_theirs)
        if not wrong:
            wrong = [
                f"has the {what} of line {earlier}"
                for what, key in (("CPE", f"{SERIAL} {canonical_serial(serial)}"), ("subscriber", who))
                if (earlier := first.setdefault(key, number)) != number
            ]
        if wrong:
            faults[number] = wrong
            continue
        values = {name: cell for name, cell in cells.items() if cell and name not in _OURS}
        kept = [name.strip() for name in cells.get(LEAVE_ALONE, "").split(BETWEEN) if name.strip()]
        lines.append(CpeLine(number, serial, who, cells.get(TEMPLATE) or str(template), values, kept))
    return lines, faults


_OURS = frozenset({*WHOSE, SERIAL, TEMPLATE, LEAVE_ALONE, ERROR})


def _wrong(cells: Mapping[str, str], template: str | None) -> list[str]:
    said = [name for name in WHOSE if cells.get(name)]
    wrong = [] if len(said) == 1 else ["names nobody" if not said else "has a username and an external_id"]
    if not is_serial(cells.get(SERIAL, "")):
        wrong.append(f"serial: {cells.get(SERIAL, '')[:80]!r} is none")
    if not (cells.get(TEMPLATE) or template):
        wrong.append("template is missing")
    return wrong


def _header(text: Sequence[str]) -> tuple[str, list[str]]:
    for separator in _SEPARATORS:
        try:
            first: list[str] = next(csv.reader(text, delimiter=separator), [])
        except csv.Error as error:
            raise InvalidRequest(WHAT, [Fault("file", f"is no CSV: {error} in line 1")]) from error
        names = {_plain(name) for name in first}
        if SERIAL in names and names.intersection(WHOSE):
            return separator, first
    raise InvalidRequest(
        WHAT, [Fault("file", f"doesn't name its columns in its first line: {SERIAL}, and {' or '.join(WHOSE)}")]
    )


def _refuse_columns(names: Sequence[str], inputs: frozenset[str], template: str | None) -> None:
    """Raises: InvalidRequest."""
    faults = [Fault(name, "is there twice") for name in sorted({name for name in names if names.count(name) > 1})]
    known = inputs | _OURS
    faults += [Fault(name, "is no column, nor an input of any template") for name in names if name not in known]
    if TEMPLATE not in names and template is None:
        faults.append(Fault(TEMPLATE, "is neither a column nor given for all (--template)"))
    if faults:
        raise InvalidRequest(WHAT, faults)


def _plain(name: str) -> str:
    return name.strip().lower()
