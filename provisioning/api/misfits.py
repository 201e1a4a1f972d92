"""A request of which a part is malformed, or not known, is refused with what is wrong with its other parts as well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, cast, get_args, get_origin

from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request

from provisioning.api.calls import Call
from workflows import fault_in_words, sound_parts

Misfits = Callable[[Call, Mapping[str, Any]], Awaitable[Iterable[tuple[str, str]]]]
"""Of the well formed parts of a request, by their names: what is wrong with which. ``path.x`` is x of the path, where
the body has an x as well."""


async def with_misfits(call: Call, malformed: RequestValidationError, find: Misfits) -> RequestValidationError:
    """The same refusal, with all faults of the request. Of a part that has a fault already nothing more is said."""
    said = {"query": dict(call.request.query_params), "body": malformed.body}
    sound = sound_parts(said, cast(ValidationError, malformed))  # the faults of both look alike
    parts = [part for part in sound.values() if isinstance(part, dict)]
    found = await find(call, {name: value for part in parts for name, value in part.items()})
    blamed = {".".join(map(str, fault["loc"][1:])) for fault in malformed.errors()}
    more = [
        {"type": "value_error", "loc": _place(call, where, malformed.body), "msg": what}
        for where, what in found
        if where not in blamed
    ]
    return RequestValidationError([*malformed.errors(), *more], body=malformed.body)


def as_read(shape: type[BaseModel], sound: Mapping[str, Any]) -> dict[str, Any]:
    """Of the well formed parts those that the body of this shape has, as its route would be given them."""
    return {name: _reader(shape, name).validate_python(sound[name]) for name in shape.model_fields if name in sound}


@cache
def _reader(shape: type[BaseModel], name: str) -> TypeAdapter[Any]:
    """Made once: a log may have thousands of blocks."""
    return TypeAdapter[Any](shape.model_fields[name].rebuild_annotation())


def with_known_fields(malformed: RequestValidationError, body: Any) -> list[dict[str, Any]]:
    """Its faults, and of a field that ``body``, a model, does not know which ones it knows."""
    model = body if isinstance(body, type) and issubclass(body, BaseModel) else None
    return [_with_known_fields(fault, model) for fault in malformed.errors()]


def _with_known_fields(fault: dict[str, Any], model: type[BaseModel] | None) -> dict[str, Any]:
    where, *place = fault["loc"]
    if fault["type"] != "extra_forbidden" or where != "body":
        return fault
    return {**fault, "type": "value_error", "msg": fault_in_words(fault, model=model, place=place)}


def _place(call: Call, where: str, body: Any) -> tuple[str, ...]:
    parts = tuple(where.split("."))
    if parts[0] == "path" and len(parts) > 1:
        return parts
    if where in call.request.path_params and not (isinstance(body, dict) and where in body):
        return ("path", where)
    return ("query" if where in call.request.query_params else "body", *parts)


def names_in_query(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """The parameters of a route that stand in the query, and those of what it depends on; whether each may stand there
    several times."""
    yield from ((field.alias, _is_list(field.field_info.annotation)) for field in dependant.query_params)
    for each in dependant.dependencies:
        yield from names_in_query(each)


def _is_list(annotation: Any) -> bool:
    return list in {get_origin(each) for each in (annotation, *get_args(annotation))}


def unknown_in_query(request: Request, known: Mapping[str, bool]) -> list[dict[str, Any]]:
    """What the query names and its route doesn't know, or names twice where one alone can be meant, as the framework
    tells a fault. ``known``: by name whether there may be several."""
    only = f"only {', '.join(sorted(known))} can be asked for here" if known else "nothing can be asked for here"
    times = Counter(name for name, _ in request.query_params.multi_items())
    twice = {name: f"stands there {count} times" for name, count in times.items() if count > 1}
    said = {name: only if name not in known else twice.get(name) for name in sorted(times) if not known.get(name)}
    return [{"type": "value_error", "loc": ("query", name), "msg": what} for name, what in said.items() if what]
