"""An ``NbiClient`` whose questions about single CPEs are asked for many at once.

A question for one value of one field (``_id`` of a device, ``device`` of a task) becomes ``$in`` with those of all who
ask the like within some milliseconds: ten thousand CPEs are looked at in hundreds of questions. Chunks of 100 are what
the ACS answers quickest (400 take twice as long for each, and 1,000 it refuses).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from acs.convergence.seen_devices import LONGEST_TERMS
from acs.fleet.gatherer import Gatherer
from acs.nbi.client import Found, NbiClient
from acs.nbi.outcomes import CallOutcome, TaskOutcome
from acs.nbi.requests import Json
from acs.ports import Sleep

TERMS_AT_ONCE = 100
GATHER_SECONDS = 0.04
CALLS_AT_ONCE = 32
"""A call that nobody answers takes the ACS 2 s, in which it only waits."""
TASKS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class _Question:
    """``terms``: the values of ``field`` that are asked for; ``others``: what else the query says."""

    collection: str
    field: str
    terms: tuple[str, ...]
    others: tuple[tuple[str, str], ...]
    projection: tuple[str, ...]

    @property
    def kind(self) -> Hashable:
        return (self.collection, self.field, self.others, self.projection)

    @property
    def length(self) -> int:
        return sum(len(quote(json.dumps(f"{term}, "), safe="")) for term in self.terms)


class GatheringNbi(NbiClient):
    """Shares the connections, and all else, of ``nbi``."""

    def __init__(self, nbi: NbiClient, *, sleep: Sleep) -> None:
        vars(self).update(vars(nbi))  # one transport: its rules about trouble are the ACS's, not a caller's
        self._gatherer: Gatherer[_Question, Found] = Gatherer(
            self._find_for_all,
            most=TERMS_AT_ONCE,
            pause_seconds=GATHER_SECONDS,
            sleep=sleep,
            kind=lambda question: question.kind,
        )
        self._calls = asyncio.Semaphore(CALLS_AT_ONCE)
        self._posts = asyncio.Semaphore(TASKS_AT_ONCE)

    async def find(
        self,
        collection: str,
        query: Json,
        projection: Sequence[str],
        *,
        limit: int | None = None,
        skip: int | None = None,
    ) -> Found:
        """As ``NbiClient.find``; what is asked in company counts in ``total`` only what is its own."""
        question = _question(collection, query, projection) if limit is None and skip is None else None
        if question is None:
            return await super().find(collection, query, projection, limit=limit, skip=skip)
        return await self._gatherer.ask(question)

    async def queue_task(
        self,
        device_id: str,
        task: Json,
        *,
        unique_key: str | None = None,
        expiry_seconds: int | None = None,
        connection_request: bool = False,
    ) -> TaskOutcome:
        async with self._posts:
            return await super().queue_task(
                device_id,
                task,
                unique_key=unique_key,
                expiry_seconds=expiry_seconds,
                connection_request=connection_request,
            )

    async def call(self, device_id: str) -> CallOutcome:
        async with self._calls:
            return await super().call(device_id)

    async def close(self) -> None:
        """Lets what is asked at this moment be answered; the connections stay ``nbi``'s."""
        await self._gatherer.close()

    async def _find_for_all(self, questions: Sequence[_Question]) -> Sequence[Found | Exception]:
        by_value: dict[str, list[dict[str, Any]]] = {}
        first = questions[0]
        # What tells whose a document is has to be in it.
        projection = tuple(dict.fromkeys((first.field, *first.projection)))
        for terms in _chunks(questions):
            query = {first.field: {"$in": terms}, **dict(first.others)}
            for document in (await super().find(first.collection, query, projection)).documents:
                value = _at(document, first.field)
                if isinstance(value, str):
                    by_value.setdefault(value, []).append(document)
        answers: list[Found | Exception] = []
        for question in questions:
            own = tuple(document for term in dict.fromkeys(question.terms) for document in by_value.get(term, ()))
            answers.append(Found(len(own), own))
        return answers


def _question(collection: str, query: Json, projection: Sequence[str]) -> _Question | None:
    """The query as one that can be asked with others of its kind; None when it is another sort of query."""
    field = next((name for name in ("_id", "device", "_deviceId._SerialNumber") if name in query), None)
    # A task's _id must be a plain id.
    if field is None or (collection == "tasks" and field == "_id"):
        return None
    asked = query[field]
    terms = [asked] if isinstance(asked, str) else asked.get("$in") if isinstance(asked, Mapping) else None
    others = {name: value for name, value in query.items() if name != field}
    plain = isinstance(terms, list) and all(isinstance(term, str) for term in terms)
    if not plain or not terms or not all(isinstance(value, str) for value in others.values()):
        return None
    return _Question(collection, field, tuple(terms), tuple(sorted(others.items())), tuple(projection))


def _chunks(questions: Sequence[_Question]) -> list[list[str]]:
    """All terms once, in lists that fit a request."""
    chunks: list[list[str]] = [[]]
    length, seen = sum(len(field) + 3 for field in questions[0].projection), set[str]()
    base = length
    for question in questions:
        new = [term for term in question.terms if term not in seen]
        seen.update(new)
        if chunks[-1] and (len(chunks[-1]) + len(new) > TERMS_AT_ONCE or length + question.length > LONGEST_TERMS):
            chunks.append([])
            length = base
        chunks[-1] += new
        length += question.length
    return [chunk for chunk in chunks if chunk]


def _at(document: Mapping[str, Any], field: str) -> object:
    node: object = document
    for name in field.split("."):
        node = node.get(name) if isinstance(node, Mapping) else None
    return node
