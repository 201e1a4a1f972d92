"""Streams: what has moved is told, at first everything; they end with session, server and database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.access import ConsoleSessions
from provisioning.console.live import LiveStreams
from provisioning.console.topics import marks_of
from provisioning.database import Database
from tests.support.console import Console

QUICK = 0.01


class Marks:
    """What the database would say."""

    def __init__(self) -> None:
        self.now = {"run/1": "a", "run/2": "a"}
        self.asked: list[frozenset[str]] = []
        self.error: Exception | None = None

    async def __call__(self, _db: AsyncSession, topics: Collection[str]) -> Mapping[str, str]:
        if self.error:
            raise self.error
        self.asked.append(frozenset(topics))
        return {topic: mark for topic, mark in self.now.items() if topic in topics}


async def test_a_stream_tells_at_first_everything_and_then_what_has_moved(database: Database) -> None:
    marks = Marks()
    streams = LiveStreams(database, marks, every_seconds=QUICK)
    first, second = streams.changes(["run/1"]), streams.changes(["run/1", "run/2"])
    assert await told(first) == {"run/1": "a"}
    assert await told(second) == {"run/1": "a", "run/2": "a"}
    marks.now["run/2"] = "b"
    assert await told(second) == {"run/2": "b"}
    marks.now["run/1"] = "c"
    assert [await told(first), await told(second)] == [{"run/1": "c"}] * 2
    assert frozenset({"run/1", "run/2"}) in marks.asked
    streams.close()
    assert [each async for each in first] == [] and [each async for each in second] == []


async def test_nobody_asks_the_database_while_nobody_looks(database: Database) -> None:
    marks = Marks()
    streams = LiveStreams(database, marks, every_seconds=QUICK)
    following = streams.changes(["run/1"])
    await told(following)
    await following.aclose()
    watcher = streams._watcher
    if watcher is not None:
        await asyncio.wait_for(watcher, 10)
    assert streams._watcher is None
    again = streams.changes(["run/1"])
    assert await told(again) == {"run/1": "a"}
    await again.aclose()
    streams.close()


async def test_streams_end_when_the_database_can_not_be_asked_and_begin_anew(
    database: Database, log_lines: Any
) -> None:
    marks = Marks()
    streams = LiveStreams(database, marks, every_seconds=QUICK)
    following = streams.changes(["run/1"])
    await told(following)
    marks.error = OperationalError("SELECT", {}, Exception("gone"))
    assert [each async for each in following] == []
    assert [line["event"] for line in log_lines()] == ["live pages can't be told of changes"]
    marks.error = None
    assert await told(streams.changes(["run/1"])) == {"run/1": "a"}
    streams.close()


async def test_a_closed_server_takes_no_new_streams(database: Database) -> None:
    streams = LiveStreams(database, Marks())
    streams.close()
    assert [each async for each in streams.changes(["run/1"])] == []


async def test_marks_change_with_what_they_stand_for(any_console: Console) -> None:
    appliance = any_console.appliance
    await any_console.somebody("noc")
    marks, topics = marks_of(appliance), ["run/3", "run/1", "held", "runs", "session/1", "session/99"]

    async def now() -> Mapping[str, str]:
        async with appliance.database.read() as db:
            return await marks(db, topics)

    before = await now()
    assert (before["session/1"], before["session/99"]) == ("runs on", "over")
    assert await now() == before
    async with appliance.database.begin() as db:
        await appliance.runs.note(db, 1, by="nora", text="called the customer")
    noted = await now()
    assert {topic for topic in topics if noted[topic] != before[topic]} == {"run/1"}
    async with appliance.database.begin() as db:
        await appliance.runs.retry(db, 3, by="nora")
        await ConsoleSessions(db, tenant_id=appliance.tenant_id, now=appliance.clock).end(1)
    after = await now()
    assert {topic for topic in topics if after[topic] != noted[topic]} == {"run/3", "held", "runs", "session/1"}
    assert after["session/1"] == "over"


async def test_only_what_moves_and_is_one_s_own_can_be_followed(console: Console) -> None:
    noc, partner, technician = [await console.somebody(role) for role in ("noc", "partner", "technician")]
    for topic in ("session/1", "run/0", "run/x", "everything", "run/99999999999"):
        assert (await noc.get("/live", params={"topic": topic})).status_code == 422, topic
    assert (await noc.get("/live", params={"topic": ["held"] * 21})).status_code == 422
    assert (await partner.get("/live", params={"topic": "run/3"})).status_code == 404
    assert (await technician.get("/live", params={"topic": "held"})).status_code == 403


async def test_a_page_that_outlived_its_session_is_told_so_and_led_nowhere(console: Console) -> None:
    told = await console.anybody().get("/live", params={"topic": "held"})
    assert (told.status_code, told.text) == (200, "event: over\r\ndata: session\r\n\r\n")
    assert told.headers["content-type"].startswith("text/event-stream")
    assert told.headers["cache-control"] == "no-store"


async def told(following: AsyncIterator[dict[str, str]]) -> dict[str, str]:
    return await asyncio.wait_for(anext(following), 10)
