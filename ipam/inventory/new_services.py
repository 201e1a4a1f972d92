"""Writing services that come with a file, and where they were; telling which have a username of another ISP's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import func, literal, select
from sqlalchemy.exc import IntegrityError

from ipam.allocation.service_rows import username_of
from ipam.bulk import insert_many
from ipam.errors import ImportRefused
from ipam.estate.rows import EstateRows
from ipam.inventory.draft import DraftService
from ipam.inventory.lines import ImportSource, as_note
from ipam.inventory.reading import chunks
from ipam.tables import Service, ServiceMove, table_of

REQUESTS = "import/"
"""How the request ids of services begin that came with a file."""
MOST_TAKEN = 100
"""Of usernames that another ISP has, so many are looked for: each takes a few statements."""
_SERVICE, _MOVE = table_of(Service), table_of(ServiceMove)


async def write_services(
    rows: EstateRows, services: Sequence[DraftService], *, at: datetime, realm: str, places: Mapping[int, str]
) -> None:
    """Gives each its number, and a username if it has none.

    Raises:
        ImportRefused: services of another ISP on the same database have some of the usernames. What they have is not
            ours to read, so it shows by trying only.
    """
    numbers = await _next_numbers(rows, len(services))
    for service, number in zip(services, numbers, strict=True):
        service.row_id = number
        service.username = service.username or username_of(service.customer_id, number, realm)
    taken: list[DraftService] = []
    for some in chunks(services):
        taken += await _taken(rows, some, at, most=MOST_TAKEN - len(taken))
        if len(taken) >= MOST_TAKEN:
            break
    if taken:
        words = "username {} is a service's of another ISP, on the same database"
        raise ImportRefused({each.first.number: [words.format(each.username)] for each in taken}, places)


async def write_moves(
    rows: EstateRows, services: Sequence[DraftService], source: ImportSource, *, at: datetime
) -> None:
    """What a service has given back elsewhere than where it is says that it was moved since: what cools off without a
    row is known by that for that premise's (``ipam.estate.cooling``)."""
    moves = [{**move, "note": as_note(source)} for service in services for move in _moves(service, at)]
    for some in chunks(moves):
        await insert_many(rows.db, _MOVE, [{"tenant_id": rows.tenant_id, **move} for move in some])


def _moves(service: DraftService, at: datetime) -> Iterator[dict[str, Any]]:
    """From where it gave something back to where it did next, or is now."""
    was = [(unit.line.since or at, int(unit.subject.partition("@")[2])) for unit in service.gave_back]
    is_now = (at, service.place.location_id)
    for (left_at, here), (_, there) in pairwise([*sorted(was, key=lambda each: each[0]), is_now]):
        if here != there:
            whence = {"service_id": service.row_id, "from_location_id": here, "to_location_id": there}
            yield {**whence, "request_id": None, "static_request": None, "at": left_at}


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


async def _next_numbers(rows: EstateRows, wanted: int) -> list[int]:
    """Of services to be; nobody else has them or will."""
    if rows.db.get_bind().dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(literal(Service.__tablename__), literal("service_id"))
        drawn = select(func.nextval(sequence)).select_from(func.generate_series(1, wanted).alias("every"))
        return list(await rows.db.scalars(drawn))
    last: int = await rows.db.scalar(select(func.coalesce(func.max(Service.service_id), 0))) or 0
    return list(range(last + 1, last + 1 + wanted))


def _service(service: DraftService, at: datetime) -> dict[str, Any]:
    times = [unit.line.since or at for unit in (*service.holds, *service.gave_back)]
    return {
        "service_id": service.row_id,
        "request_id": f"{REQUESTS}{service.username}",
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
