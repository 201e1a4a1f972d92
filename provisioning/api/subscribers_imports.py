"""``/subscribers/imports``: subscribers from a list, with their passwords; the worker tells FreeRADIUS of them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError
from starlette.requests import Request

from provisioning import subscriber_files
from provisioning.access import subject_of
from provisioning.api.bodies import is_csv
from provisioning.api.calls import Call, InCall
from provisioning.api.openapi import inlined
from provisioning.api.routes import Doors, Later
from provisioning.api.wishes import Reason, Wish
from provisioning.errors import Fault, InvalidRequest
from provisioning.projections import MANY_NEW
from provisioning.subscriber_desk import ANY_CUSTOMER
from radius import ImportRefused

doors = Doors(prefix="/subscribers", tags=["subscribers"])

MOST_BYTES = 16 * 1024 * 1024
"""Of a list: some hundred thousand lines."""
OF_CSV = ("file_name", "customers_elsewhere", "dry_run", "reason")


class SubscriberImportWish(Wish):
    """A list of subscribers as CSV. As ``text/csv`` the body is the content, and all else stands in the address."""

    content: str = Field(description="CSV: username, customer_id, plan, ...")
    file_name: str | None = Field(default=None, max_length=200, description="For the audit")
    customers_elsewhere: bool = Field(default=False, description=ANY_CUSTOMER)
    dry_run: bool = Field(default=False, description="Only say what it comes to")
    reason: Reason


class ImportedSubscribers(Wish):
    """How many lines there were, how many subscribers were made of them, and how many were here just so."""

    lines: int
    created: int
    unchanged: int
    dry_run: bool


_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": inlined(SubscriberImportWish.model_json_schema())},
            "text/csv": {"schema": {"type": "string"}},
        },
    }
}


async def _open(call: Call) -> Later | None:
    """Reads the list and compares it with what is here and what FreeRADIUS has, before anything may be written: it
    takes seconds, for which nobody else could write. What has come between, ``bring_in`` sees.

    After a list that was brought in just before there is a rest for those who log in meanwhile.
    """
    said = {name: value for name in OF_CSV if (value := call.request.query_params.get(name)) is not None}
    wish, content = await _read(call.request, said)
    file = await subscriber_files.opened(content)
    if len(file.lines) > subscriber_files.MOST_IN_BATCH:
        most = f"a request takes {subscriber_files.MOST_IN_BATCH} at most"
        fault = f"has {len(file.lines)} lines, and {most}: send it in parts"
        raise InvalidRequest("The import", [Fault("content", fault)])
    checked = await subscriber_files.check(call.appliance, file, customers_elsewhere=wish.customers_elsewhere)
    call.request.state.opened = wish, file, checked
    return None if wish.dry_run else call.appliance.giving_way.rest


@doors.post(
    "/imports",
    permission="subscribers.write",
    name="import",
    most_bytes=MOST_BYTES,
    openapi_extra=_BODY,
    first=_open,
)
async def import_(
    call: InCall,
    # Described and checked here, and read by ``_open``.
    file_name: Annotated[str | None, Query(max_length=200, description="Of a CSV body, for the audit")] = None,
    customers_elsewhere: Annotated[bool, Query(description=f"Of a CSV body: {ANY_CUSTOMER}")] = False,
    dry_run: Annotated[bool, Query(description="Of a CSV body: only say what it comes to")] = False,
    reason: Annotated[str | None, Query(max_length=500, description="Of a CSV body, required: why")] = None,
) -> ImportedSubscribers:
    """Takes subscribers over, all of a list or nothing; each line's faults stand in the refusal."""
    wish, file, checked = call.request.state.opened
    if checked.faults:
        raise ImportRefused(checked.faults)
    if wish.dry_run:
        call.changes_nothing()
        created, unchanged = len(checked.new), len(checked.unchanged)
    else:
        importing = call.appliance.subscriber_import(call.db)
        async with call.appliance.giving_way.work():
            brought = await importing.bring_in(file.lines)
        if len(brought.created) >= MANY_NEW:
            await importing.count_anew()
        created, unchanged = len(brought.created), len(brought.unchanged)
        counts = {"lines": len(file.lines), "created": created, "unchanged": unchanged}
        named = wish.file_name or "a body"
        call.tells(subject=subject_of("import", "subscribers"), reason=wish.reason, after={"file": named, **counts})
    return ImportedSubscribers(lines=len(file.lines), created=created, unchanged=unchanged, dry_run=wish.dry_run)


async def _read(request: Request, said: dict[str, Any]) -> tuple[SubscriberImportWish, bytes]:
    """
    Raises: RequestValidationError
    """
    body, where = await request.body(), "query" if is_csv(request) else "body"
    try:
        if is_csv(request):
            # An address says all as text.
            return SubscriberImportWish.model_validate({**said, "content": ""}, strict=False), body
        wish = SubscriberImportWish.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise RequestValidationError([{**part, "loc": (where, *part["loc"])} for part in error.errors()]) from error
    return wish, wish.content.encode()
