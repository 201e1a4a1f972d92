"""Lists a page at a time, by key: a page is what comes after a row, so rows that come and go shift nothing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Path, Query
from pydantic import BaseModel, Field

from provisioning.api.calls import Call
from provisioning.errors import Fault, InvalidRequest
from provisioning.intake import LARGEST_NUMBER
from workflows import Moment

__all__ = [
    "LARGEST_RUN",
    "MOST",
    "After",
    "Limit",
    "Moment",
    "Number",
    "Page",
    "RunNumber",
    "Wanted",
    "page_of",
    "row_of",
]

MOST = 200
T = TypeVar("T")

Number = Annotated[int, Path(ge=1, le=LARGEST_NUMBER)]
"""What names something in an address."""

LARGEST_RUN = 2**31 - 1
"""Runs and events are counted in 32 bits: PostgreSQL fails at comparing them with more."""
RunNumber = Annotated[int, Path(ge=1, le=LARGEST_RUN)]

Wanted = Annotated[int | None, Query(ge=1, le=LARGEST_NUMBER)]
"""A number in a filter."""

Limit = Annotated[int, Query(ge=1, le=MOST, description="How many at most")]
After = Annotated[str | None, Query(max_length=100, description="The cursor of the page before: opaque")]


class Page(BaseModel, Generic[T]):
    """Some of a list. ``next`` is the address of what follows; null at the end."""

    items: list[T]
    next: str | None = Field(default=None)


def row_of(cursor: str | None, *, most: int = LARGEST_NUMBER) -> int | None:
    """The row after which the page begins, ``most`` at most. Raises: InvalidRequest."""
    if cursor is None:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidRequest("The list", [Fault("after", "is no cursor that a list has given")])
    return min(int(text), most)


def page_of(call: Call, found: Sequence[T], numbers: Sequence[int], limit: int) -> Page[T]:
    """A page of what was found when one more than ``limit`` was asked for; ``numbers`` are the rows' own."""
    if len(found) <= limit:
        return Page(items=list(found))
    cursor = base64.urlsafe_b64encode(str(numbers[limit - 1]).encode()).decode().rstrip("=")
    address = call.request.url.include_query_params(after=cursor, limit=limit)
    return Page(items=list(found[:limit]), next=f"{address.path}?{address.query}")
