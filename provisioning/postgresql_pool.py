"""Connections of PostgreSQL that are handed out again: asked whether they still live only where that is in doubt.

To ask each time would be a tenth of what a short look costs, and one more way there and back. A server that ends a
session (a restart, a fail-over, an operator) says so on the connection, which is seen without a word to it; one that
vanished in silence is found by asking who has rested.
"""

from __future__ import annotations

import select
import time
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine

ASKED_AFTER_SECONDS = 1.0
RESTS_SINCE = "firstlight_rests_since"


def ask_in_doubt(engine: AsyncEngine) -> None:
    """Connections of this engine that are dead are replaced before anybody gets them, and so are all older ones."""
    dialect = engine.sync_engine.dialect

    @event.listens_for(engine.sync_engine, "checkin")
    def rest(_connection: Any, record: Any) -> None:
        record.info[RESTS_SINCE] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def look(connection: Any, record: Any, _proxy: Any) -> None:
        since = record.info.get(RESTS_SINCE)
        if since is None:  # nobody has had it yet
            return
        try:
            if time.monotonic() - since >= ASKED_AFTER_SECONDS or _was_spoken_to(connection.driver_connection):
                dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error


def _was_spoken_to(connection: Any) -> bool:
    """Whether the server has sent something unasked, or hung up."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
