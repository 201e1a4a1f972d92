"""FreeRADIUS by a configuration that isn't the product's, as a child process."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from radius.testing.errors import FreeRadiusFailed

PROGRAM = Path("/usr/sbin/freeradius")
_START_SECONDS = 10.0


@contextmanager
def running(raddb: Path, run_dir: Path, *options: str, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """For the time of the block; it writes its ``radius.log`` to ``run_dir``.

    Raises:
        FreeRadiusFailed: it did not come up.
    """
    command: Sequence[str] = (str(PROGRAM), "-d", str(raddb), *options, "-f")
    with (run_dir / "output.log").open("wb") as output:
        process = subprocess.Popen(command, cwd=run_dir, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            _await_ready(process, run_dir)
            yield
        finally:
            process.terminate()
            process.wait()


def _await_ready(process: subprocess.Popen[bytes], run_dir: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while True:
        logs = [run_dir / "output.log", run_dir / "radius.log"]
        said = "".join(log.read_text(errors="replace") for log in logs if log.exists())
        if "Ready to process requests" in said:
            return
        if process.poll() is not None or time.monotonic() > until:
            raise FreeRadiusFailed(f"{PROGRAM.name} in {run_dir.name} did not come up", said[-2000:])
        time.sleep(0.05)  # a look at its log: nothing else tells when a server that has no status port is ready


def free_port(address: str = "127.0.0.1") -> int:
    """A UDP port that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((address, 0))
        port: int = one.getsockname()[1]
        return port
