"""Reading what is sent: as much as is allowed, JSON that anybody can mean, addresses without control characters."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.requests import Request

from provisioning.api.errors import BodyTooLarge, MediaTypeUnsupported, RequestMalformed

MOST_BYTES = 1024 * 1024
DEEPEST = 32
JSON_TYPE = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)

CSV_TYPE = re.compile(r"text/csv\s*(?:;.*)?", re.IGNORECASE)

_NO_BRACKETS = bytes(each for each in range(256) if each not in b"[]{}")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_HALF_A_CHARACTER = re.compile("[\ud800-\udfff\x00]")


def check_address(request: Request) -> None:
    """No control characters, and UTF-8. Raises: RequestMalformed."""
    raw = request.scope.get("raw_path") or request.url.path.encode()
    told = unquote_to_bytes(raw) + b"?" + unquote_to_bytes(request.scope["query_string"].replace(b"+", b" "))
    if _CONTROL.search(told):
        raise RequestMalformed("The address holds a control character.")
    try:
        told.decode()
    except UnicodeDecodeError:
        raise RequestMalformed("The address isn't UTF-8.") from None


async def read_body(request: Request, *, most_bytes: int = MOST_BYTES) -> bytes:
    """The whole body. Raises: BodyTooLarge, as soon as that is known."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > most_bytes:
        raise BodyTooLarge(most_bytes)
    chunks, size = list[bytes](), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most_bytes:
            raise BodyTooLarge(most_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


def check_json(request: Request, body: bytes) -> None:
    """Raises: MediaTypeUnsupported, RequestMalformed."""
    if not body:
        return
    if not is_json(request):
        raise MediaTypeUnsupported
    if _depth(body) > DEEPEST:
        raise RequestMalformed(f"The JSON is nested deeper than {DEEPEST} levels.")
    try:
        read = json.loads(body.decode("utf-8"), parse_constant=_no_number, object_pairs_hook=_each_once)
    except UnicodeDecodeError as error:
        raise RequestMalformed("The body isn't UTF-8 text.") from error
    except json.JSONDecodeError as error:
        where = f"{error.msg} in line {error.lineno}, column {error.colno}"
        raise RequestMalformed(f"The body isn't JSON: {where}.") from error
    except ValueError as error:  # numbers of thousands of digits, or none at all; a name that stands there twice
        raise RequestMalformed(f"The body isn't JSON that anybody means: {error}.") from error
    if any(_HALF_A_CHARACTER.search(each) for each in _leaves(read) if isinstance(each, str)):
        raise RequestMalformed("The JSON holds a NUL or half of a character (a lone surrogate).")
    if any(math.isinf(each) for each in _leaves(read) if isinstance(each, float)):
        raise RequestMalformed("The JSON holds a number that is too large.")


def is_json(request: Request) -> bool:
    """By its media type."""
    return JSON_TYPE.fullmatch(request.headers.get("content-type", "").strip()) is not None


def is_csv(request: Request) -> bool:
    """By its media type (RFC 4180 section 3)."""
    return CSV_TYPE.fullmatch(request.headers.get("content-type", "").strip()) is not None


def replayed(request: Request, body: bytes) -> Request:
    """The request with its body read already."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(request.scope, receive)


def _depth(body: bytes) -> int:
    """How deep brackets are nested, those in texts left out, in a time that grows as the body does.

    A text that is never closed reaches to the end; a backslash outside of texts ends what a reader of JSON gets to see.
    """
    unescaped = body.replace(rb"\\", b"").replace(rb"\"", b"")
    deepest = depth = 0
    for byte in b"".join(unescaped.split(b'"')[::2]).translate(None, delete=_NO_BRACKETS):
        depth += 1 if byte in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _each_once(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 8259 section 4: what is read of a name that stands there twice, nobody has agreed on."""
    found = dict(fields)
    if len(found) < len(fields):
        raise ValueError("a name stands twice in one object")
    return found


def _leaves(value: Any) -> Iterator[Any]:
    """Every text and number in it, names of fields included."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value
