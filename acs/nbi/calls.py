"""What every subject of the NBI is asked through: one transport, queries, and the plain writes."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from acs.nbi.answers import Answer
from acs.nbi.documents import total_of
from acs.nbi.errors import NbiRequestInvalid
from acs.nbi.outcomes import Done, Rejected, Unknown, WriteOutcome
from acs.nbi.requests import LONGEST_TARGET, Json, query_kind, query_target
from acs.nbi.transport import NbiTransport

LARGEST_BATCH = 100
"""Values of one ``$in``: more cost the ACS more than they save (measured at 100, 250, 400)."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a query found: how many there are in all (the ``total`` header), and the documents asked for."""

    total: int
    documents: tuple[dict[str, Any], ...]


class NbiCalls:
    """Queries of any collection, and writes that are done or not."""

    def __init__(self, transport: NbiTransport) -> None:
        self._transport = transport

    async def find(
        self,
        collection: str,
        query: Json,
        projection: Sequence[str],
        *,
        limit: int | None = None,
        skip: int | None = None,
    ) -> Found:
        """The documents a query means, projected. Strings are compared literally or refused.

        Raises: NbiRequestInvalid, NbiUnreachable, NbiTimedOut, NbiGarbled, NbiRejected, NbiPoisoned.
        """
        target = query_target(collection, query, projection, limit=limit, skip=skip)
        kind = query_kind(collection, query)
        total, documents = await self._transport.collect(target, kind=kind)
        return Found(total, tuple(documents))

    async def find_in(
        self, collection: str, field: str, values: Iterable[str], projection: Sequence[str]
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The documents whose ``field`` is one of many values: 100 to a request at most, and none of it too long.

        Raises: as ``find``; before anything is sent where a value is none to ask for.
        """
        for some in batches(collection, field, values, projection):
            found = await self.find(collection, {field: {"$in": some}}, projection)
            for document in found.documents:
                yield document

    async def stream(
        self, collection: str, query: Json, projection: Sequence[str], *, limit: int | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The same, one by one and in constant memory; what breaks in the middle is raised, not tried again."""
        async with aclosing(self._transport.stream(query_target(collection, query, projection, limit=limit))) as lines:
            async for document in lines:
                yield document

    async def count(self, collection: str, query: Json) -> int:
        """How many documents a query means; costs the ACS no document."""
        target = query_target(collection, query, ("_id",))
        return total_of(await self._transport.head(target, kind=query_kind(collection, query)))

    async def _one(self, collection: str, name: str, projection: Sequence[str]) -> dict[str, Any] | None:
        """The document under exactly that ``_id``: there is no GET of one thing."""
        found = await self.find(collection, {"_id": name}, ("_id", *projection))
        return next((document for document in found.documents if document.get("_id") == name), None)

    async def _write(self, method: str, target: str, body: bytes | None = None) -> WriteOutcome:
        return outcome_of(await self._transport.write(method, target, body))


def outcome_of(answer: Answer | Unknown) -> WriteOutcome:
    """What a plain write came to."""
    if not isinstance(answer, Answer):
        return answer
    return Done() if answer.status in (200, 201, 204) else Rejected(answer.status, answer.said)


def batches(collection: str, field: str, values: Iterable[str], projection: Sequence[str]) -> Iterator[list[str]]:
    """The values in groups that one ``$in`` can ask for, each once.

    Raises: NbiRequestInvalid before the first group where a value is none to ask for, all of them named.
    """
    wanted = list(dict.fromkeys(values))
    room = LONGEST_TARGET - len(query_target(collection, {field: {"$in": []}}, projection))
    faults: list[str] = []
    for value in wanted:
        try:
            query_target(collection, {field: {"$in": [value]}}, projection)
        except NbiRequestInvalid as refused:
            faults += refused.faults
    if faults:
        raise NbiRequestInvalid(faults)
    batch: list[str] = []
    length = 0
    for value in wanted:
        cost = len(quote(json.dumps(value) + ", ", safe=""))
        if batch and (len(batch) == LARGEST_BATCH or length + cost > room):
            yield batch
            batch, length = [], 0
        batch.append(value)
        length += cost
    if batch:
        yield batch
