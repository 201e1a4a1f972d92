"""A router that answers as OSRM's table service does: twice the straight line's time, and what else is asked of it."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

from provisioning.field.travel import Place, distance_km

LOOPBACK = "127.0.0.1"
KMH = 20.0
"""Half of what straight lines are reckoned with."""


class RouterDouble:
    """``async with RouterDouble() as router``: listens at ``router.url`` until the block ends.

    ``unreachable``: where no road leads; ``says``: this body, whatever is asked, with ``status``; ``hangs``: never;
    ``drips``: a byte now and then, without an end; ``floods``: more than anybody wants.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.unreachable: set[Place] = set()
        self.status = 200
        self.says: str | None = None
        self.hangs = self.drips = self.floods = False
        self._server: asyncio.Server | None = None
        self._conversations: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> RouterDouble:
        self._server = await asyncio.start_server(self._take, LOOPBACK, 0)
        self.url = f"http://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}/table/v1/driving"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)
        await self._server.wait_closed()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            target = head.split(" ")[1]
            self.asked.append(target)
            if self.hangs:
                await asyncio.Event().wait()
            if self.drips or self.floods:
                await self._pour(writer)
            body = (self.says if self.says is not None else self._table(target)).encode()
            about = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close"
            writer.write(f"HTTP/1.1 {self.status} X\r\n{about}\r\n\r\n".encode() + body)
            await writer.drain()
        finally:
            self._conversations.discard(task)
            writer.close()

    async def _pour(self, writer: asyncio.StreamWriter) -> None:
        some = b" " * (1 if self.drips else 1_000_000)
        writer.write(b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
        while True:
            writer.write(some)
            await writer.drain()
            await asyncio.sleep(0.02 if self.drips else 0)

    def _table(self, target: str) -> str:
        parts = urlsplit(target)
        places = [_place(each) for each in parts.path.rpartition("/")[2].split(";")]
        asked = parse_qs(parts.query)
        origins, destinations = (
            [int(each) for each in asked[name][0].split(";")] for name in ("sources", "destinations")
        )
        rows = [[self._seconds(places[one], places[other]) for other in destinations] for one in origins]
        return json.dumps({"code": "Ok", "durations": rows, "sources": [], "destinations": []})

    def _seconds(self, here: Place, there: Place) -> float | None:
        return None if self.unreachable & {here, there} else round(distance_km(here, there) / KMH * 3600, 1)


def _place(text: str) -> Place:
    longitude, latitude = text.split(",")
    return Place(float(latitude), float(longitude))
