"""Replays one death of a worker, as a failing test prints it; what it leaves stays in the folder that it names.

.venv/bin/python -m tests.durability.replay postgresql installed 'apply_device.effect#1'
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import uvloop

from provisioning.logs import configure_logs
from tests.durability.lane import StoryBroken
from tests.durability.stories import STORIES
from tests.durability.sweep import KINDS, Death, open_lanes, survive
from tests.support.postgres import PostgresServer
from tests.support.worker_process import Instant


async def replay(death: Death, folder: Path) -> None:
    """A story without a death, then the same with it."""
    server = PostgresServer()
    if death.kind == "postgresql":
        server.start()
    try:
        async with open_lanes(folder, server, of_each=1, kinds=(death.kind,), households=9, commits=True) as (lane,):
            clean = await lane.play(death.story)
            await survive(lane, death, None if death.story.cancelled_when_lost else clean)
    finally:
        if death.kind == "postgresql":
            server.stop()


def main() -> int:
    """0: it was survived."""
    parser = argparse.ArgumentParser(description="Kill a worker at an instant of a journey, and look.")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("story", choices=STORIES)
    parser.add_argument("instants", nargs="+", help="point#n; a second one is for the worker that follows")
    parser.add_argument("--freeze", action="store_true", help="SIGSTOP, and SIGCONT at the end, in SIGKILL's place")
    given = parser.parse_args()
    death = Death(given.kind, STORIES[given.story], tuple(map(Instant.parse, given.instants)), frozen=given.freeze)
    folder = Path(tempfile.mkdtemp(prefix="firstlight-replay-"))
    configure_logs(level="error", form="console")
    try:
        uvloop.run(replay(death, folder))
    except StoryBroken as broken:
        sys.stdout.write(f"{broken}\n\neverything is in {folder}\n")
        return 1
    sys.stdout.write(f"survived; everything is in {folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
