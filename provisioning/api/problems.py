"""Problem details (RFC 9457): every refusal of the API is ``application/problem+json`` with a code and a sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import structlog
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from typing_extensions import TypedDict

from acs import AcsError
from ipam import IpamError
from provisioning.access import TokenMissing, TokenRefused
from provisioning.address_errors import pool_numbers
from provisioning.api.statuses import RETRY_AFTER_SECONDS, status_of
from provisioning.database_errors import DatabaseError, as_database_error
from provisioning.errors import ProvisioningError
from radius import RadiusError
from workflows import NO_MOMENT, WorkflowError, fault_in_words

_SPACE_FOR_PLUS = re.compile(r":\d\d(?:\.\d+)? \d\d(?::?\d\d)?$")

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:firstlight:problem:"
OURS = (ProvisioningError, WorkflowError, IpamError, RadiusError, AcsError)
UNKEPT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Goes with every answer that says nothing else: it holds customers' data, and is what its media type says."""
UNEXPECTED = "Something failed that nobody has foreseen, nothing was changed; the appliance's log says what."

log = structlog.get_logger(__name__)


class ProblemFault(TypedDict, total=False):
    """One thing wrong: ``pointer`` (RFC 6901) into the body, or ``field`` by name; ``detail`` says what."""

    pointer: str
    field: str
    detail: str


class Problem(TypedDict, total=False):
    """Why nothing was done.

    Of pools that are full or have too few (``ipam.pool_exhausted``) also their numbers, how many were wanted, and when
    the first address comes back; null: none is on its way (RFC 9457 section 3.2). Where such pools are among several
    things that stand against a move or a re-homing, ``exhausted`` has the same of each of them. Of a slot that can't be
    had, the nearest ones that can.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    transient: bool
    errors: list[ProblemFault]
    pool: str
    size: int
    assigned: int
    quarantined: int
    reserved: int
    draining: int
    free: int
    wanted: int
    alternatives: list[dict[str, Any]]
    next_available_at: str | None
    exhausted: list[dict[str, Any]]


def problem_of(error: Exception) -> tuple[Problem, dict[str, str]]:
    """(the problem, headers) of an error; what nobody has foreseen goes to the log, never to the caller."""
    if isinstance(error, SQLAlchemyError):
        error = as_database_error(error)
    if isinstance(error, OURS):
        return _of_ours(error)
    if isinstance(error, RequestValidationError):
        return _of_validation(error), {}
    if isinstance(error, HTTPException):
        code = f"http.{HTTPStatus(error.status_code).phrase.lower().replace(' ', '_').replace('-', '_')}"
        return _problem(error.status_code, code, str(error.detail)), dict(error.headers or {})
    log.error("request failed", exc_info=error)
    return _problem(500, "api.unexpected_error", UNEXPECTED), {}


def problem_response(problem: Problem, headers: Mapping[str, str]) -> JSONResponse:
    """The answer that a problem is."""
    return JSONResponse(problem, problem["status"], {**UNKEPT, **headers}, media_type=MEDIA_TYPE)


async def answer_problem(_request: Request, error: Exception) -> JSONResponse:
    """For the framework: what never came to a route."""
    return problem_response(*problem_of(error))


def _of_ours(error: Any) -> tuple[Problem, dict[str, str]]:
    status = status_of(error)
    detail = error.in_short if isinstance(error, DatabaseError) else str(error)
    problem = _problem(status, error.code, detail, transient=bool(error.transient))
    if faults := [_fault(fault) for fault in getattr(error, "faults", ())]:
        problem["errors"] = faults
    if others := getattr(error, "alternatives", ()):
        problem["alternatives"] = jsonable_encoder(others)
    problem.update(jsonable_encoder(pool_numbers(error), custom_encoder={datetime: _in_utc}))
    headers = {}
    if error.transient and status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if isinstance(error, TokenMissing):
        headers["WWW-Authenticate"] = 'Bearer realm="firstlight"'
    if isinstance(error, TokenRefused):
        headers["WWW-Authenticate"] = 'Bearer realm="firstlight", error="invalid_token"'
    if error.code == "access.forbidden":
        headers["WWW-Authenticate"] = 'Bearer realm="firstlight", error="insufficient_scope"'
    if status >= 500 and not error.transient:
        log.error("request failed", code=error.code, detail=str(error))
    elif isinstance(error, DatabaseError):
        log.warning("request put off", code=error.code, detail=str(error))
    return problem, headers


def _in_utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _of_validation(error: RequestValidationError) -> Problem:
    faults = [_of_field(part["loc"], fault_in_words(part) + _written_in_an_address(part)) for part in error.errors()]
    problem = _problem(422, "api.request_invalid", "The request was refused, nothing was written.")
    problem["errors"] = faults
    return problem


def _written_in_an_address(part: Mapping[str, Any]) -> str:
    """A + that stands in a query as it is means a space (the URL standard's form encoding), as before a zone here."""
    is_query, told = part["loc"][0] == "query", str(part.get("input"))
    is_meant = is_query and fault_in_words(part) == NO_MOMENT and _SPACE_FOR_PLUS.search(told)
    return "; a + is written %2B in an address" if is_meant else ""


def _of_field(place: Sequence[int | str], message: str) -> ProblemFault:
    where, *path = place
    if where == "body":
        escaped = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
        return ProblemFault(pointer=f"#{escaped}", detail=message)
    return ProblemFault(field=".".join(str(step) for step in path), detail=message)


def _fault(fault: Any) -> ProblemFault:
    """Of a fault, whichever package found it."""
    if isinstance(fault, tuple):
        where, detail = map(str, fault)
        if where.startswith("#/"):
            return ProblemFault(pointer=where, detail=detail)
        return ProblemFault(field=where, detail=detail)
    if hasattr(fault, "field"):
        return ProblemFault(field=str(fault.field), detail=str(fault.reason))
    return ProblemFault(field="", detail=str(fault))


def _problem(status: int, code: str, detail: str, *, transient: bool = False) -> Problem:
    return Problem(
        type=TYPE + code,
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        transient=transient,
    )
