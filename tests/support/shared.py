"""What the processes of one test run share: made once, by whichever needs it first, and there until the run ends."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

WORKER = "PYTEST_XDIST_WORKER"


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """The same for all of them; a worker's own temporary folder lies in it."""
    own = factory.getbasetemp()
    return own.parent if WORKER in os.environ else own


async def made_once(folder: Path, name: str, make: Callable[[Path], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """What ``make`` has told of what it made in ``folder / name``, in this process or in another."""
    told = folder / f"{name}.json"
    with (folder / f"{name}.lock").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        if not told.exists():
            draft = told.with_suffix(".new")
            draft.write_text(json.dumps(await make(folder / name)))
            draft.replace(told)
        said: dict[str, Any] = json.loads(told.read_text())
    return said
