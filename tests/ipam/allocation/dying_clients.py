"""Clients that die by `kill -9` one after the other, each at the next thing that it asks of the database.

    python -m tests.ipam.allocation.dying_clients DATABASE_URL EVERY

``EVERY`` 1 is each instant, 4 every fourth one from the first. Each takes a service and is told so, takes another one,
and gives the first one back; what it was told it prints, one JSON object a line, after the COMMIT. The last one comes
through.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import signal
import sys
from typing import Any
from unittest.mock import patch

import structlog
from sqlalchemy import event

from ipam.allocation import at_once_postgresql
from provisioning.database import Database
from tests.bench.windows import FORK
from tests.ipam.conftest import Network

PREMISE = "LOC-2"
"""A line there has an address, two prefixes and a C-VLAN."""


def say(**told: Any) -> None:
    """In one write, which outlives who wrote it."""
    os.write(sys.stdout.fileno(), (json.dumps(told) + "\n").encode())


class Death:
    """Comes at the n-th instant at which it is looked for."""

    def __init__(self, instant: int) -> None:
        self._left = instant

    def comes(self, *_: Any) -> None:
        """Or not yet."""
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    async def lies_in_wait(self, network: Network) -> None:
        """Before everything that is sent to the database from now on, BEGIN and COMMIT included."""
        engine = network.database.engine
        if network.database.is_postgresql:
            asked_at_once = at_once_postgresql._begun_and_asked  # beside SQLAlchemy, so that its events don't tell

            async def asked(driven: Any, said: tuple[Any, ...], kept: Any) -> str | bytes | None:
                self.comes()
                return await asked_at_once(driven, said, kept)

            patch.object(at_once_postgresql, "_begun_and_asked", asked).start()
            event.listen(engine.sync_engine, "before_cursor_execute", self.comes)
            event.listen(engine.sync_engine, "commit", self.comes)
            return
        async with engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.set_trace_callback(self.comes)


async def live(url: str, instant: int) -> None:
    network, death, customer = Network(Database(url)), Death(instant), 10 * instant
    first = await network.allocate(customer, PREMISE, request_id=f"before/{instant}")
    say(did="allocated", request=f"before/{instant}", customer=customer, answer=first)
    await death.lies_in_wait(network)
    say(did="allocating", request=f"during/{instant}", customer=customer + 1)
    second = await network.allocate(customer + 1, PREMISE, request_id=f"during/{instant}")
    death.comes()
    say(did="allocated", request=f"during/{instant}", customer=customer + 1, answer=second)
    say(did="releasing", service_id=first["service_id"])
    released = await network.release(first["service_id"])
    death.comes()
    say(did="released", service_id=first["service_id"], units=[each["value"] for each in released["released"]])
    await network.database.close()


def client(url: str, instant: int) -> None:
    asyncio.run(live(url, instant))


def main(url: str, every: int) -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    for instant in itertools.count(1, every):
        process = FORK.Process(target=client, args=(url, instant))
        process.start()
        process.join()
        if process.exitcode != -signal.SIGKILL:
            return process.exitcode or 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
