"""What tells pages that something has moved: one watcher in each process, as long as somebody looks, and one stream a
page (server-sent events, HTML section 9.2). A page then fetches its own parts anew; no content goes through a stream.

The watcher asks for the marks of the topics that are followed, twice a second and for all streams at once. So it finds
whatever has moved a run, also in another process, and costs nothing while nobody looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated

import structlog
from fastapi import Query, Response
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request

from provisioning.api import InCall
from provisioning.api.problems import Problem
from provisioning.console.doors import SIGNED_IN, ConsoleDoors, signed_in
from provisioning.console.pages import HEADERS, refused
from provisioning.console.topics import MOST_TOPICS, OVER, checked_topics, session_topic
from provisioning.database import Database
from provisioning.database_errors import as_database_error

LOOKS_EVERY_SECONDS = 0.5
PING_SECONDS = 20

log = structlog.get_logger(__name__)
doors = ConsoleDoors(name="live")

_SESSION_OVER = ServerSentEvent(event="over", data="session")

Marks = Callable[[AsyncSession, Collection[str]], Awaitable[Mapping[str, str]]]
"""Of each topic a mark that is another one as soon as it has moved."""


@dataclass(eq=False)
class _Follower:
    """One stream. What it is told next gathers in ``news`` until it takes it."""

    topics: frozenset[str]
    seen: dict[str, str] = field(default_factory=dict)
    news: dict[str, str] = field(default_factory=dict)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False


class LiveStreams:
    """All streams of one process."""

    def __init__(self, database: Database, marks: Marks, *, every_seconds: float = LOOKS_EVERY_SECONDS) -> None:
        self._database = database
        self._marks = marks
        self._every_seconds = every_seconds
        self._followers: set[_Follower] = set()
        self._watcher: asyncio.Task[None] | None = None
        self._closed = False

    async def changes(self, topics: Collection[str]) -> AsyncGenerator[dict[str, str]]:
        """The marks of those that have moved, as they move; at first of all of them, since the page may be older than
        the stream. Ends when the streams are closed or the database can't be asked: a browser comes again."""
        follower = _Follower(frozenset(topics), over=self._closed)
        self._followers.add(follower)
        try:
            if self._watcher is None and not self._closed:
                self._watcher = asyncio.create_task(self._watch())
            while not follower.over:
                await follower.woken.wait()
                follower.woken.clear()
                news, follower.news = follower.news, {}
                if news:
                    yield news
        finally:
            self._followers.discard(follower)

    def close(self) -> None:
        """Ends all streams, and takes no new ones."""
        self._closed = True
        self._end_all()

    async def _watch(self) -> None:
        try:
            while self._followers:
                topics = frozenset[str]().union(*(follower.topics for follower in self._followers))
                async with self._database.read() as db:
                    self._tell(await self._marks(db, topics))
                await asyncio.sleep(self._every_seconds)
        except SQLAlchemyError as error:
            log.warning("live pages can't be told of changes", reason=str(as_database_error(error)))
            self._end_all()
        finally:
            self._watcher = None

    def _tell(self, marks: Mapping[str, str]) -> None:
        for follower in self._followers:
            for topic in follower.topics:
                mark = marks.get(topic, "")
                if follower.seen.get(topic) != mark:
                    follower.seen[topic] = follower.news[topic] = mark
                    follower.woken.set()

    def _end_all(self) -> None:
        for follower in self._followers:
            follower.over = True
            follower.woken.set()


def _refused(request: Request, problem: Problem, headers: Mapping[str, str]) -> Response:
    """A stream is led nowhere: who isn't signed in any more is told so by an event, and the page leads itself away."""
    if problem["code"] != "access.session_over":
        return refused(request, problem, headers)
    return Response(_SESSION_OVER.encode(), media_type="text/event-stream", headers=HEADERS)


@doors.get("/live", permission=SIGNED_IN, refusal=_refused)
async def live(
    call: InCall, topic: Annotated[list[str], Query(max_length=MOST_TOPICS, description="What the page shows")]
) -> Response:
    """Says which of these has moved, each as an event ``moved``; ``over`` when the session is, and ends then."""
    topics = await checked_topics(call, topic)
    session = session_topic(signed_in(call.request).session_id)
    streams: LiveStreams = call.request.app.state.live

    async def told() -> AsyncIterator[ServerSentEvent]:
        async for news in streams.changes({*topics, session}):
            if news.pop(session, "") == OVER:
                yield _SESSION_OVER
                return
            for moved in sorted(news):
                yield ServerSentEvent(event="moved", data=moved)

    return EventSourceResponse(told(), ping=PING_SECONDS, headers={"Cache-Control": "no-store"})
