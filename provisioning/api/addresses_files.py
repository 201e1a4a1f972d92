"""``/addresses/imports``, ``/export``, ``/reconciliation``: allocations as files, and RADIUS compared with them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import Query
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError
from starlette.requests import Request
from starlette.responses import StreamingResponse

from ipam import ExportShape, ImportCounts, ImportFile, ImportRefused, ImportSource
from provisioning.access import subject_of
from provisioning.address_files import as_csv, opened
from provisioning.api.addresses_parts import misfits
from provisioning.api.bodies import is_csv
from provisioning.api.calls import Call, InCall
from provisioning.api.openapi import WORDS, inlined, problem
from provisioning.api.routes import Doors
from provisioning.api.wishes import LongReason, Wish
from provisioning.bootstrap import Appliance
from provisioning.reconciliation import KINDS, RadiusComparison, Reconciled

doors = Doors(prefix="/addresses", tags=["addresses"])

MOST_BYTES = 16 * 1024 * 1024
"""Of a file: some hundred thousand lines."""
LINES_AT_ONCE = 500
OF_CSV = ("source", "file_name", "dry_run", "reason")
NOT_THERE = {404: problem(WORDS[404])}


class Import(Wish):
    """A file of existing allocations, and whose shape it has. Without ``content``, radreply's is read from the radius
    database. As ``text/csv`` the body is the content, and all else but ``mapping`` stands in the address."""

    source: ImportSource = "csv"
    content: str | None = None
    mapping: str | None = Field(default=None, description="CSV: username or address; customer_id, location, plan, vrf")
    file_name: str | None = Field(default=None, max_length=200, description="For the audit")
    dry_run: bool = Field(default=False, description="Only say what it comes to")
    reason: LongReason | None = Field(default=None, description="Why, for the audit")


class ImportedAddresses(ImportCounts):
    """What a file comes to; ``dry_run``: nothing of it was written."""

    dry_run: bool


class ReconciliationLeftOut(Wish):
    """What was not compared: services that another system looks after and RADIUS knows nothing of, and what a run is
    about to carry over."""

    anothers: int
    under_way: int


class Reconciliation(Wish):
    """How many differences there are of each kind, and the first of them, each with the command that puts it right."""

    missing_in_radius: int
    unknown_to_ipam: int
    reserved_otherwise: int
    held_otherwise: int
    given_twice: int
    outside_pools: int
    unfit: int
    mismatched: int
    left_out: ReconciliationLeftOut
    differences: list[Reconciled]


class CsvLines(StreamingResponse):
    """CSV (RFC 4180)."""

    media_type = "text/csv"


_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": inlined(Import.model_json_schema())},
            "text/csv": {"schema": {"type": "string"}},
        },
    }
}


async def _open(call: Call) -> None:
    """Reads what is to be brought in before anything may be written: the radius database is elsewhere, and a large file
    takes seconds."""
    said = {name: value for name in OF_CSV if (value := call.request.query_params.get(name)) is not None}
    wish, content = await _read(call.request, said)
    mapping = None if wish.mapping is None else wish.mapping.encode()
    call.request.state.opened = wish, await opened(call.appliance, wish.source, content=content, mapping=mapping)


@doors.post(
    "/imports",
    permission="addresses.write",
    name="import",
    most_bytes=MOST_BYTES,
    openapi_extra=_BODY,
    first=_open,
)
async def import_(
    call: InCall,
    # Described and checked here, and read by ``_open``.
    source: Annotated[ImportSource | None, Query(description="Of a CSV body: whose file it is")] = None,
    file_name: Annotated[str | None, Query(max_length=200, description="Of a CSV body, for the audit")] = None,
    dry_run: Annotated[bool, Query(description="Of a CSV body: only say what it comes to")] = False,
    reason: Annotated[str | None, Query(max_length=1000, description="Of a CSV body: why, for the audit")] = None,
) -> ImportedAddresses:
    """Takes existing allocations over, all of a file or nothing; each line's faults stand in the refusal."""
    wish, file = call.request.state.opened
    counts = await _brought_in(call, file, wish)
    return ImportedAddresses(**counts, dry_run=wish.dry_run)


async def _read(request: Request, said: dict[str, Any]) -> tuple[Import, bytes | None]:
    """
    Raises: RequestValidationError
    """
    body, where = await request.body(), "query" if is_csv(request) else "body"
    try:
        if is_csv(request):
            return Import.model_validate(said, strict=False), body  # an address says all as text
        wish = Import.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise RequestValidationError([{**part, "loc": (where, *part["loc"])} for part in error.errors()]) from error
    return wish, None if wish.content is None else wish.content.encode()


async def _brought_in(call: Call, file: ImportFile, wish: Import) -> ImportCounts:
    """
    Raises: ImportRefused
    """
    inventory = call.appliance.inventory(call.db)
    if wish.dry_run:
        call.changes_nothing()
        checked = await inventory.check(file)
        if checked.faults:
            raise ImportRefused(checked.faults, file.places)
        return checked.counts
    counts = await inventory.bring_in(file)
    made = (counts["services"], counts["assigned"], counts["reserved"], counts["quarantine"], counts["updated"])
    if not any(made):
        call.changes_nothing()
        return counts
    named = wish.file_name or ("radius database" if wish.content is None and wish.source == "radreply" else "a body")
    call.tells(subject=subject_of("import", file.source), reason=wish.reason, after={"file": named, **counts})
    return counts


@doors.get("/export", permission="addresses.read", response_class=CsvLines, responses=NOT_THERE, misfits=misfits)
async def export(
    call: InCall,
    pool: Annotated[str | None, Query(min_length=1, max_length=120, description="Only this pool")] = None,
    shape: Annotated[ExportShape, Query(description="In which columns: ours, or of NetBox's bulk imports")] = "csv",
) -> CsvLines:
    """Everything that is held, reserved or cooling, as an import reads it, while it is read."""
    async with aclosing(call.appliance.inventory(call.db).export(pool=pool)) as rows:
        await anext(rows, None)  # a pool that isn't there is refused as long as that can be said
    attached = {"Content-Disposition": 'attachment; filename="allocations.csv"'}
    return CsvLines(_exported(call.appliance, pool, shape), headers=attached)


async def _exported(appliance: Appliance, pool: str | None, shape: ExportShape) -> AsyncIterator[str]:
    """In a transaction of its own: the answer is sent when the route's has ended."""
    async with appliance.database.read() as db:
        inventory = appliance.inventory(db)
        rows = [inventory.columns(shape)]
        async for row in inventory.export(pool=pool, shape=shape):
            rows.append(row)
            if len(rows) == LINES_AT_ONCE:
                yield as_csv(rows)
                rows = []
        yield as_csv(rows)


@doors.get("/reconciliation", permission="addresses.read")
async def reconciliation(
    call: InCall,
    limit: Annotated[int, Query(ge=0, le=10_000, description="How many differences are told at most")] = 1000,
) -> Reconciliation:
    """RADIUS' replies compared with what is allocated."""
    counts, told = dict.fromkeys(KINDS, 0), list[Reconciled]()
    comparison = RadiusComparison(call.appliance)
    async for found in comparison.differences():
        counts[found["difference"]] += 1
        if len(told) < limit:
            told.append(found)
    left_out = ReconciliationLeftOut(anothers=comparison.anothers, under_way=comparison.under_way)
    return Reconciliation(**counts, left_out=left_out, differences=told)
