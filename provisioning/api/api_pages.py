"""``/docs``: the API's description as a page, made here from the description itself.

It has no script, and nothing of it comes from another host: an appliance may have no way to the internet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi.responses import Response

from provisioning.api.calls import InCall
from provisioning.api.openapi import PERMISSION
from provisioning.api.public_pages import Pages, page, render_plain

METHODS = ("get", "post", "put", "patch", "delete")
JSON = "application/json"

doors = Pages()


@dataclass(frozen=True)
class Field:
    """One thing that a route is told: a parameter, or a field of its body."""

    name: str
    where: str
    kind: str
    required: bool
    about: str


@dataclass(frozen=True)
class Operation:
    """One route. ``statuses``: each with its words."""

    method: str
    path: str
    about: str
    permission: str
    fields: list[Field]
    statuses: list[tuple[str, str]]


@doors.shown("/docs")
async def api_reference(call: InCall) -> Response:
    """Every route of the API: who may call it, what it is told, how it answers."""
    schema = call.request.app.openapi()
    groups = operations_by_noun(schema)
    return page(render_plain("reference.html.j2", brand=schema["info"]["title"], title="The HTTP API", groups=groups))


def operations_by_noun(schema: Mapping[str, Any]) -> dict[str, list[Operation]]:
    """What an OpenAPI description has, by the first tag of each route."""
    groups: dict[str, list[Operation]] = {}
    for path, item in schema["paths"].items():
        for method in METHODS:
            if method in item:
                tag = next(iter(item[method].get("tags", ())), "other")
                groups.setdefault(tag, []).append(_operation(schema, path, method, item[method]))
    return groups


def _operation(schema: Mapping[str, Any], path: str, method: str, described: Mapping[str, Any]) -> Operation:
    parameters = [
        Field(each["name"], each["in"], _kind(each["schema"]), each.get("required", False), each.get("description", ""))
        for each in described.get("parameters", ())
    ]
    body = described.get("requestBody", {}).get("content", {}).get(JSON, {}).get("schema", {})
    return Operation(
        method=method.upper(),
        path=path,
        about=described.get("description") or described.get("summary", ""),
        permission=described.get(PERMISSION, ""),
        fields=[*parameters, *_fields_of(schema, body)],
        statuses=[(status, each.get("description", "")) for status, each in sorted(described["responses"].items())],
    )


def _fields_of(schema: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Field]:
    shape = _resolved(schema, body)
    for name, each in shape.get("properties", {}).items():
        yield Field(name, "body", _kind(each), name in shape.get("required", ()), each.get("description", ""))
    for choice in body.get("oneOf", ()):
        for name, each in choice.get("properties", {}).items():
            for inner, part in each.get("properties", {}).items():
                is_required, about = inner in each.get("required", ()), part.get("description", "")
                yield Field(f"{name}.{inner}", choice["title"], _kind(part), is_required, about)


def _resolved(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    name = part.get("$ref", "").rpartition("/")[2]
    found: Mapping[str, Any] = schema["components"]["schemas"][name] if name else part
    return found


def _kind(part: Mapping[str, Any]) -> str:
    """A schema in a few words: ``integer``, ``list of string``, ``one of sent, failed``, or the name of a shape."""
    if "$ref" in part:
        return str(part["$ref"]).rpartition("/")[2]
    if "enum" in part:
        return "one of " + ", ".join(map(str, part["enum"]))
    if "const" in part:
        return str(part["const"])
    for several in ("anyOf", "oneOf"):
        if several in part:
            return " or ".join(_kind(each) for each in part[several])
    kind = str(part.get("type", "anything"))
    if kind == "array":
        return f"list of {_kind(part.get('items', {}))}"
    return f"{kind} ({part['format']})" if "format" in part else kind
