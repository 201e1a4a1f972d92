"""What the OpenAPI description says of every route by itself: its permission, its headers, the statuses it may have."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from provisioning.api.problems import MEDIA_TYPE, Problem

if TYPE_CHECKING:
    from provisioning.api.routes import Terms

_OF_ONE_KIND = re.compile(r'"(#/components/schemas/|)Page_(\w+)_"')
"""A name, or a reference to it, that is made for a page of this kind."""

PERMISSION = "x-permission"
SECURITY = "token"

WORDS: dict[int, str] = {
    400: "The request can't be read, or a header is missing",
    401: "No token, or one that isn't good",
    403: "The token's role or scopes don't include this",
    404: "There is none, or none of yours",
    409: "It stands against what is there now",
    412: "It isn't as `If-Match` says any more",
    413: "The body is too large",
    415: "The body isn't JSON",
    422: "Faults in what was sent, all of them named; nothing was written",
    428: "`If-Match` is missing",
    503: "Not now: come again",
}


def described(path: str, terms: Terms, *, if_match: bool) -> dict[str, Any]:
    """The documented statuses and headers of a route under these terms."""
    statuses = [400, 401, 403, 422, 503]
    statuses += [404] if "{" in path or terms.permission.startswith("partners.") else []
    statuses += [] if terms.reads else [409, 413, 415]
    statuses += [412, 428] if if_match else []
    headers = [_header("Idempotency-Key", "Names the request; the same key and body again is the same answer")]
    headers = headers if terms.keyed else []
    headers += [_header("If-Match", "The ETag of what you have seen, or `*`")] if if_match else []
    extra: dict[str, Any] = {PERMISSION: terms.permission, "security": [{SECURITY: []}]}
    if headers:
        extra["parameters"] = headers
    return {"responses": {status: problem(WORDS[status]) for status in sorted(statuses)}, "openapi_extra": extra}


def problem(words: str) -> dict[str, Any]:
    """A documented refusal."""
    return {"description": words, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with its definitions where they are referred to, to stand inside of a description."""
    definitions = schema.get("$defs", {})

    def whole(part: Any) -> Any:
        if isinstance(part, list):
            return [whole(each) for each in part]
        if not isinstance(part, dict):
            return part
        reference = part.get("$ref", "")
        if reference.startswith("#/$defs/"):
            return whole(definitions[reference.removeprefix("#/$defs/")])
        return {name: whole(each) for name, each in part.items() if name != "$defs"}

    inside: dict[str, Any] = whole(schema)
    return inside


def describe(app: FastAPI) -> None:
    """Makes the application's description whole: the shape of a problem, and how a token is sent."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _whole(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _whole(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
    )
    shape = TypeAdapter(Problem).json_schema(ref_template="#/components/schemas/{model}")
    components = schema.setdefault("components", {})
    components.setdefault("schemas", {}).update(shape.pop("$defs", {}), Problem=shape)
    components["securitySchemes"] = {SECURITY: {"type": "http", "scheme": "bearer"}}
    named: dict[str, Any] = json.loads(_OF_ONE_KIND.sub(r'"\1\2Page"', json.dumps(schema)))
    return named


def _header(name: str, words: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": True,
        "description": words,
        "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
    }
