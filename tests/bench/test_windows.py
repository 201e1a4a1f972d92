"""The windows count what clients do: each in a process of its own, both sides in turn."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bench.windows import Acts, Clients

CLIENTS, RUNS, AT_MOST = 2, 3, 5


@dataclass(frozen=True)
class Noting:
    """Writes down each operation, by client; ``refuses`` fails at its first one of ours."""

    folder: Path
    refuses: bool = False

    @asynccontextmanager
    async def opened(self, client: int) -> AsyncIterator[Acts]:
        with (self.folder / str(client)).open("a") as log:

            async def floor() -> float:
                log.write(f"floor {os.getpid()}\n")
                return 1.0

            async def ours() -> float:
                if self.refuses:
                    raise ValueError("no address is left")
                log.write(f"ours {os.getpid()}\n")
                return 2.0

            yield {"floor": floor, "ours": ours}


def measure(folder: Path) -> None:
    """What the test runs in a process without threads, from which others can be forked."""
    with Clients(CLIENTS) as clients:
        at_most = AT_MOST * CLIENTS * (RUNS + 1)
        pairs = clients.alternate(Noting(folder), clients=CLIENTS, runs=RUNS, seconds=10, at_most=at_most)
        for pair in pairs:
            assert [len(each) for each in pair.floor.took_ms] == [AT_MOST] * CLIENTS
            assert [len(each) for each in pair.ours.took_ms] == [AT_MOST] * CLIENTS
            assert pair.ratio == pytest.approx(2.0)
        with pytest.raises(RuntimeError, match="client 0: ValueError: no address is left"):
            clients.alternate(Noting(folder, refuses=True), clients=1, runs=1, seconds=10, at_most=2)


def test_every_operation_of_every_client_is_counted_and_the_sides_take_turns(tmp_path: Path) -> None:
    code = f"from pathlib import Path; from tests.bench.test_windows import measure; measure(Path({str(tmp_path)!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 0, done.stderr
    logs = [(tmp_path / str(client)).read_text().splitlines() for client in range(CLIENTS)]
    turns = [line.split()[0] for line in logs[1]]
    assert turns == ([*["floor"] * AT_MOST, *["ours"] * AT_MOST] * (RUNS + 1))
    assert len({line.split()[1] for log in logs for line in log}) == CLIENTS
