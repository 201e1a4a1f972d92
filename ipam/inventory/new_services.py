"""Writing services that come with a file, and where they were; telling which have a username of another ISP's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import func, literal, select
from sqlalchemy.exc import IntegrityError

from ipam.allocation.places import AnySelect
from ipam.allocation.service_rows import username_of
from ipam.bulk import among, in_parts, insert_many
from ipam.errors import ImportRefused
from ipam.estate.rows import EstateRows
from ipam.inventory.draft import DraftService
from ipam.inventory.lines import ImportSource, as_note
from ipam.tables import Service, ServiceMove, table_of

REQUESTS = "import/"
"""How the request ids of services begin that came with a file."""
MOST_TAKEN = 100
"""Of usernames that others have, so many are looked for: each takes a few statements."""
MOST_NAMES = 8
"""So many usernames are made up for a service where another ISP has one after the other."""
_ANOTHERS = "a service's of another ISP, on the same database"
_SERVICE, _MOVE = table_of(Service), table_of(ServiceMove)


async def write_services(
    rows: EstateRows, services: Sequence[DraftService], *, at: datetime, realm: str, places: Mapping[int, str]
) -> None:
    """Gives each its number, and a username if it has none.

    Raises:
        ImportRefused: others have some of the usernames: services that were made meanwhile, or those of another ISP on
            the same database. What that one has is not ours to read, so it shows by trying only.
    """
    names = {service.username for service in services if service.username}
    rest, tries = services, MOST_NAMES
    while rest:
        await _number(rows, rest, names, realm)
        taken = await _written_but(rows, rest, at)
        tries -= 1
        if taken and (tries == 0 or len(taken) >= MOST_TAKEN or any(service.first.username for service in taken)):
            raise ImportRefused(await _why_taken(rows, taken), places)
        names |= {service.username for service in taken}
        for service in taken:
            service.row_id, service.username = 0, ""
        rest = taken


async def _number(rows: EstateRows, services: Sequence[DraftService], names: set[str], realm: str) -> None:
    """Gives each its number; to one without a username the next number with which nobody logs in that we see, of any
    ISP, and nobody of the file: ``names``. Whose number won't do is offered twice as many each time."""
    last, offered, rest = 0, 1, services
    while rest:
        numbers = await _next_numbers(rows, offered * len(rest), after=last)
        made = [
            (username_of(service.customer_id, number, realm), number, service)
            for place, service in enumerate(rest)
            for number in numbers[place * offered : (place + 1) * offered]
        ]
        taken = names | await _logging_in(rows, [name for name, _, service in made if not service.username])
        for name, number, service in made:
            if service.row_id == 0 and (service.username or name not in taken):
                service.row_id, service.username = number, service.username or name
        rest = [service for service in rest if service.row_id == 0]
        last, offered = numbers[-1], offered * 2


async def _logging_in(rows: EstateRows, names: Sequence[str]) -> set[str]:
    """Which of these names somebody has or had."""
    found: set[str] = set()
    for some in in_parts(names):
        found |= set(await rows.db.scalars(select(Service.username).where(among(rows.db, Service.username, some))))
    return found


async def _why_taken(rows: EstateRows, services: Sequence[DraftService]) -> dict[int, list[str]]:
    """By the numbers of their lines, as far as it is ours to tell."""
    ours: AnySelect = select(Service.username, Service.service_id)
    ours = ours.where(Service.tenant_id == rows.tenant_id, Service.username.in_([each.username for each in services]))
    known = {name: service_id for name, service_id in await rows.db.execute(ours)}
    faults: dict[int, list[str]] = {}
    for service in services:
        whose = f"service {known[service.username]}'s" if service.username in known else _ANOTHERS
        made_up = "" if service.first.username else ", which would be made up for it,"
        faults[service.first.number] = [f"username {service.username}{made_up} is {whose}"]
    return faults


async def write_moves(
    rows: EstateRows, services: Sequence[DraftService], source: ImportSource, *, at: datetime
) -> None:
    """What a service has given back elsewhere than where it is says that it was moved since: what cools off without a
    row is known by that for that premise's (``ipam.estate.cooling``)."""
    moves = [{**move, "note": as_note(source)} for service in services for move in _moves(service, at)]
    for some in in_parts(moves):
        await insert_many(rows.db, _MOVE, [{"tenant_id": rows.tenant_id, **move} for move in some])


def _moves(service: DraftService, at: datetime) -> Iterator[dict[str, Any]]:
    """From where it gave something back to where it did next, or is now."""
    was = [(unit.line.since or at, int(unit.subject.partition("@")[2])) for unit in service.gave_back]
    is_now = (at, service.place.location_id)
    for (left_at, here), (_, there) in pairwise([*sorted(was, key=lambda each: each[0]), is_now]):
        if here != there:
            whence = {"service_id": service.row_id, "from_location_id": here, "to_location_id": there}
            yield {**whence, "request_id": None, "static_request": None, "at": left_at}


async def _written_but(rows: EstateRows, services: Sequence[DraftService], at: datetime) -> list[DraftService]:
    """All are written but these: others have their usernames."""
    taken: list[DraftService] = []
    for some in in_parts(services):
        taken += await _taken(rows, some, at, most=MOST_TAKEN - len(taken))
        if len(taken) >= MOST_TAKEN:
            break
    return taken


async def _taken(rows: EstateRows, services: Sequence[DraftService], at: datetime, *, most: int) -> list[DraftService]:
    """Those that can't be written, found by halves; all others are."""
    try:
        async with rows.db.begin_nested():
            values = [{"tenant_id": rows.tenant_id, **_service(service, at)} for service in services]
            await insert_many(rows.db, _SERVICE, values)
    except IntegrityError as exc:
        if "username" not in str(exc.orig):
            raise
        if len(services) == 1:
            return [*services]
        half = len(services) // 2
        found = await _taken(rows, services[:half], at, most=most)
        if len(found) < most:
            found += await _taken(rows, services[half:], at, most=most - len(found))
        return found
    return []


async def _next_numbers(rows: EstateRows, wanted: int, *, after: int) -> list[int]:
    """Of services to be, beyond those up to ``after``; nobody else has them or will."""
    if rows.db.get_bind().dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(literal(Service.__tablename__), literal("service_id"))
        drawn = select(func.nextval(sequence)).select_from(func.generate_series(1, wanted).alias("every"))
        return list(await rows.db.scalars(drawn))
    last: int = await rows.db.scalar(select(func.coalesce(func.max(Service.service_id), 0))) or 0
    first = max(last, after) + 1
    return list(range(first, first + wanted))


def _service(service: DraftService, at: datetime) -> dict[str, Any]:
    times = [unit.line.since or at for unit in (*service.holds, *service.gave_back)]
    return {
        "service_id": service.row_id,
        # No name: a service that is renamed keeps it, and another one may have the name then. Those of former imports
        # are names, in which there is no such sign.
        "request_id": f"{REQUESTS}#{service.row_id}",
        "customer_id": service.customer_id,
        "location_id": service.place.location_id,
        "plan_id": service.plan.plan_id,
        "svlan_id": service.svlan_id,
        "framed_pool_id": service.framed_pool_id,
        "username": service.username,
        "static_request": service.static_request,
        "state": "active" if service.holds else "released",
        "created_at": min(times),
        "released_at": None if service.holds else max(times),
    }
