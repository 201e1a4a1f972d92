"""Lists of subscribers from elsewhere, for every door: bytes or another server's tables in, subscribers out.

An import is checked as a whole first, and what is wrong with any line refuses all of it. Then it is brought in batch by
batch: each is committed here, whole, and then carried over to FreeRADIUS. An import that was interrupted is repeated;
what stands there by then is left as it is, and what had not been carried over is.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncSession

from ipam import AllocatedResources, NetworkService, ServiceIncomplete, ServiceReleased
from provisioning.bootstrap import Appliance
from provisioning.commercial import unregistered
from provisioning.database import Database
from provisioning.errors import Fault, InvalidRequest
from provisioning.projections import many_more, projected_or_why_not
from provisioning.text_files import lines_of
from radius import (
    Adoption,
    GivingWay,
    ImportRefused,
    ImportUnreadable,
    RadiusDatabaseUnavailable,
    RadiusDatabaseUnfit,
    Settled,
    SubscriberFile,
    SubscriberLine,
    read_beside,
    read_radius_tables,
    read_subscribers,
    said_by_plans,
)
from workflows import framed_addresses

FILE = "file"
CONFIGURED = "configured"
"""In the place of another server's address: the radius database in use."""
FOREIGN = "FreeRADIUS' tables have rows of this name that Firstlight did not write; --from-radcheck takes them over"
BATCH = 5000
MOST_IN_BATCH = 20_000


@dataclass
class Imported:
    """How many lines there were, how many subscribers were made of them and how many were here just so, whom
    FreeRADIUS knows of them, and who could not be carried over and why: the worker tries those again."""

    lines: int
    created: int = 0
    unchanged: int = 0
    projected: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


async def opened(content: bytes) -> SubscriberFile:
    """What a file says, read but not compared with anything.

    Raises:
        InvalidRequest: it is no text.
        ImportUnreadable: it is no such list.
    """
    return await asyncio.to_thread(read_subscribers, lines_of(content, what="The import", field=FILE))


async def opened_tables(
    appliance: Appliance, url: str, *, beside: bytes | None, left_out: Sequence[str]
) -> SubscriberFile:
    """What the tables of a FreeRADIUS say, the same as a list.

    Raises:
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit: of that server.
        InvalidRequest: there is no such database, or what is said beside is no text.
        ImportUnreadable: what is said beside is no such list.
    """
    rows = [] if beside is None else _rows_beside(beside)
    async with appliance.database.read() as db:
        plans = await said_by_plans(db, appliance.tenant_id)
    known = Adoption(read_beside(rows), frozenset(left_out), plans)
    if url == CONFIGURED:
        return await read_radius_tables(appliance.radius_database.read, known, own=True)
    try:
        _refuse_no_file(make_url(url))
        database = Database(url)
    except (
        ValueError,
        ArgumentError,
        ImportError,
    ) as error:  # a driver that is not here is an ImportError of SQLAlchemy's
        raise InvalidRequest("The import", [Fault("from-radcheck", _in_words(error))]) from error
    try:
        return await read_radius_tables(database.read, known, own=False)
    except (RadiusDatabaseUnavailable, RadiusDatabaseUnfit) as error:
        raise type(error)(error.reason, elsewhere=True) from error
    finally:
        await database.close()


async def check(appliance: Appliance, file: SubscriberFile, *, customers_elsewhere: bool = False) -> Settled:
    """What the list comes to now, with every fault of every line; nothing is written. ``customers_elsewhere``: the
    numbers of customers are another system's, and any will do.

    Raises:
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit
    """
    foreign = await _foreign_names(appliance, file)
    async with appliance.database.read() as db:
        return await _checked_in(appliance, db, file, foreign, customers_elsewhere=customers_elsewhere)


async def _foreign_names(appliance: Appliance, file: SubscriberFile) -> set[str]:
    """Names of the list that FreeRADIUS' tables have rows of which Firstlight did not write, and which are not to be
    taken over.

    Raises:
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit
    """
    names = [line.username for line in file.lines if line.seen is None and not line.faults]
    return await appliance.bulk_projector.foreign(names) if names else set()


async def _checked_in(
    appliance: Appliance, db: AsyncSession, file: SubscriberFile, foreign: set[str], *, customers_elsewhere: bool
) -> Settled:
    """The same in a transaction that is open, with the names that were found to be ``foreign`` before it."""
    settled = await appliance.subscriber_import(db).check(file.lines)
    faults = {number: list(each) for number, each in settled.faults.items()}
    for number, fault in await _faults_of_services(appliance, db, file.lines):
        faults.setdefault(number, []).append(fault)
    numbers = {line.customer_id for line in file.lines if line.customer_id}
    unknown = await unregistered(db, appliance.tenant_id, numbers, elsewhere=customers_elsewhere)
    for line in file.lines:
        if line.customer_id in unknown:
            faults.setdefault(line.number, []).append(f"customer_id: {unknown[line.customer_id]}")
    for line in settled.new:
        if line.username in foreign:
            faults.setdefault(line.number, []).append(FOREIGN)
    return Settled(settled.new, settled.unchanged, dict(sorted(faults.items())))


async def bring_in(
    appliance: Appliance,
    file: SubscriberFile,
    *,
    batch: int = BATCH,
    audited: Callable[[Mapping[str, int]], None],
    carrying: Callable[[], AbstractContextManager[None]] = nullcontext,
    progress: Callable[[int], None] = lambda _lines: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    customers_elsewhere: bool = False,
) -> Imported:
    """Checks all of it, makes the subscribers batch by batch and carries each batch over, with a rest between them for
    those who log in meanwhile.

    ``audited`` is told within each batch's transaction what it comes to, and ``carrying`` is around what only carries
    over; ``progress`` is told how many lines are done.

    Raises:
        ImportRefused: lines are wrong; those of batches before, if somebody came between, are in.
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit: all before is done; call again.
    """
    checked = await check(appliance, file, customers_elsewhere=customers_elsewhere)
    if checked.faults:
        raise ImportRefused(checked.faults)
    done, counted = Imported(lines=len(file.lines)), 0
    giving_way = GivingWay(appliance.logins, sleep=sleep)
    for start in range(0, len(file.lines), batch):
        some = file.lines[start : start + batch]
        async with giving_way.batch():
            async with appliance.database.begin() as db:
                brought = await appliance.subscriber_import(db).bring_in(some)
                if brought.created:
                    audited({"created": len(brought.created), "unchanged": len(brought.unchanged)})
            done.created += len(brought.created)
            done.unchanged += len(brought.unchanged)
            with carrying():
                await carry_over(appliance, some, {**brought.unchanged, **brought.created}, done)
        progress(len(some))
        if many_more(done.created, counted, is_last=start + batch >= len(file.lines)):
            await _count_anew(appliance)
            counted = done.created
    return done


async def _count_anew(appliance: Appliance) -> None:
    """
    Raises:
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit
    """
    async with appliance.database.begin() as db:
        await appliance.subscriber_import(db).count_anew()
    await appliance.bulk_projector.count_anew()


async def carry_over(
    appliance: Appliance, lines: Sequence[SubscriberLine], ids: Mapping[str, int], done: Imported
) -> None:
    """Makes FreeRADIUS know these subscribers; what can't be is noted with its reason.

    Raises:
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit
    """
    names = {number: name for name, number in ids.items()}
    seen = {line.username: line.seen for line in lines if line.seen is not None}
    bulk = await appliance.bulk_projector.project_new(list(names), seen=seen)
    done.projected += len(names) - len(bulk.left)
    for number in bulk.left:
        shown = await projected_or_why_not(appliance.projector.project_subscriber(number))
        if isinstance(shown, Exception):
            done.failed.append((names[number], str(shown)))
        else:
            done.projected += 1


async def _faults_of_services(
    appliance: Appliance, db: AsyncSession, lines: Sequence[SubscriberLine]
) -> list[tuple[int, str]]:
    """Lines of a service must be as that service has been allocated its username and addresses."""
    named = {line.service_id for line in lines if line.service_id is not None}
    if not named:
        return []
    allocated = await _allocated(appliance.services(db).network_service, named)
    return [(line.number, fault) for line in lines for fault in _service_faults(line, allocated)]


async def _allocated(
    network: NetworkService, service_ids: Collection[int]
) -> Mapping[int, AllocatedResources | ServiceIncomplete]:
    """What these services hold, or what they lack; a service that holds nothing is left out."""
    allocated: dict[int, AllocatedResources | ServiceIncomplete] = {
        each["service_id"]: each for each in await network.all_resources()
    }
    active = await network.active_service_ids()
    for service_id in (set(service_ids) & set(active)) - allocated.keys():
        try:
            allocated[service_id] = await network.resources(service_id)
        except ServiceIncomplete as lacking:
            allocated[service_id] = lacking
        except ServiceReleased:  # while we looked
            continue
    return allocated


def _service_faults(
    line: SubscriberLine, allocated: Mapping[int, AllocatedResources | ServiceIncomplete]
) -> Iterator[str]:
    if line.service_id is None:
        return
    service = allocated.get(line.service_id)
    if service is None:
        yield f"service_id: no service {line.service_id} holds addresses"
    elif isinstance(service, ServiceIncomplete):
        yield f"service_id: {service}"
    elif service["username"] != line.username:
        yield f"service_id: service {line.service_id} is {service['username']}'s"
    elif framed_addresses(service) != line.addresses:
        yield f"service_id: service {line.service_id} was allocated other addresses"


def with_errors(file: SubscriberFile, faults: Mapping[int, Sequence[str]]) -> str:
    """The list again as CSV (RFC 4180 but for the ends of lines), with a column of what is wrong with each line."""
    written = io.StringIO()
    csv.writer(written, delimiter=file.separator, lineterminator="\n").writerows(file.with_errors(faults))
    return written.getvalue()


def _rows_beside(content: bytes) -> list[dict[str, str]]:
    """
    Raises: InvalidRequest, ImportUnreadable
    """
    rows: list[dict[str, str]] = []
    reader = csv.DictReader(lines_of(content, what="The import", field=FILE), restval="", strict=True)
    try:
        names = reader.fieldnames or ()
        for row in reader:
            if (more := row.pop(None, None)) is not None:
                cells = f"{len(names) + len(more)} cells, and there are {len(names)} columns"
                raise ImportUnreadable(f"what is said beside the tables has {cells} in line {reader.line_num}")
            rows.append(row)
    except csv.Error as error:
        where = f"{error} in line {reader.reader.line_num}"
        raise ImportUnreadable(f"what is said beside the tables is no CSV, {where}") from error
    return rows


def _refuse_no_file(url: URL) -> None:
    """Whoever opens a file of SQLite that is not there makes one.

    Raises: InvalidRequest
    """
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise InvalidRequest("The import", [Fault("from-radcheck", f"there is no file {url.database}")])


def _in_words(error: Exception) -> str:
    known = "it takes sqlite:////folder/file.db, postgresql://user@host/name or the word configured"
    return f"names no database that can be read ({type(error).__name__}); {known}"
