"""A request of which a part is malformed is refused with what is wrong with its other parts as well."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, cast

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from provisioning.api.calls import Call
from workflows import sound_parts

Misfits = Callable[[Call, Mapping[str, Any]], Awaitable[Iterable[tuple[str, str]]]]
"""Of the well formed parts of a request, by their names: what is wrong with which."""


async def with_misfits(call: Call, malformed: RequestValidationError, find: Misfits) -> RequestValidationError:
    """The same refusal, with all faults of the request."""
    said = {"query": dict(call.request.query_params), "body": malformed.body}
    sound = sound_parts(said, cast(ValidationError, malformed))  # the faults of both look alike
    parts = [part for part in sound.values() if isinstance(part, dict)]
    found = await find(call, {name: value for part in parts for name, value in part.items()})
    more = [{"type": "value_error", "loc": (_place(call, where), where), "msg": what} for where, what in found]
    return RequestValidationError([*malformed.errors(), *more], body=malformed.body)


def _place(call: Call, where: str) -> str:
    if where in call.request.path_params:
        return "path"
    return "query" if where in call.request.query_params else "body"
