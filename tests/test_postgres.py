"""What test runs that were killed leave in memory goes with a later run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.postgres import HOME, NO_RUN_LASTS_SECONDS, clear_away

AS_A_SERVER = "import signal; signal.signal(signal.SIGQUIT, signal.SIG_DFL); print(flush=True); input()"
"""Waits, and ends when it is told to, also below a shell that has signals ignored."""


@pytest.fixture
def nobody() -> int:
    """The number of a process that was."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    return ended.pid


def home(folder: Path, owner: str, *, seconds_ago: float) -> Path:
    made = folder / f"{HOME}{owner}-abc"
    (made / "data").mkdir(parents=True)
    os.utime(made, (time.time() - seconds_ago,) * 2)
    return made


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"\n"
    return process


def test_only_what_belongs_to_a_run_that_is_long_over_is_cleared_away(tmp_path: Path, nobody: int) -> None:
    long_ago = 2 * NO_RUN_LASTS_SECONDS
    kept = [
        home(tmp_path, str(os.getpid()), seconds_ago=long_ago),
        home(tmp_path, f"{nobody}0000000", seconds_ago=0),
        home(tmp_path, "of-somebody", seconds_ago=long_ago),
    ]
    over = home(tmp_path, str(nobody), seconds_ago=long_ago)
    clear_away(tmp_path)
    assert (over.exists(), [each.exists() for each in kept]) == (False, [True, True, True])


def test_a_server_that_outlived_its_run_ends_and_no_other_of_that_number(tmp_path: Path, nobody: int) -> None:
    outlived = home(tmp_path, str(nobody), seconds_ago=0)
    waiting = [sys.executable, "-c", AS_A_SERVER]
    server = _started([*waiting, "-D", str(outlived / "data")])
    other = _started(waiting)
    try:
        for running in (other, server):
            outlived.joinpath("data").mkdir(parents=True, exist_ok=True)
            (outlived / "data" / "postmaster.pid").write_text(f"{running.pid}\n{outlived}/data\n")
            os.utime(outlived, (time.time() - 2 * NO_RUN_LASTS_SECONDS,) * 2)
            clear_away(tmp_path)
            assert not outlived.exists()
        assert server.wait(timeout=30) < 0
        assert other.poll() is None
    finally:
        for each in (server, other):
            each.kill()
            each.communicate()
