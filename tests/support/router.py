"""A router that answers as OSRM's table service does: twice the straight line's time, and what else is asked of it."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import parse_qs, urlsplit

from provisioning.field.travel import Place, distance_km
from tests.support.loopback import LOOPBACK, LoopbackServer

KMH = 20.0
"""Half of what straight lines are reckoned with."""


class RouterDouble(LoopbackServer):
    """``async with RouterDouble() as router``: listens at ``router.url`` until the block ends.

    ``unreachable``: where no road leads; ``says``: this body, whatever is asked, with ``status``; ``hangs``: never;
    ``drips``: a byte now and then, without an end; ``floods``: more than anybody wants.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.unreachable: set[Place] = set()
        self.status = 200
        self.says: str | None = None
        self.hangs = self.drips = self.floods = False

    @property
    def url(self) -> str:
        """As ``FIRSTLIGHT_ROUTING_URL`` names it."""
        return f"http://{LOOPBACK}:{self.port}/table/v1/driving"

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One question, kept and answered."""
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
