"""The lab as a process of its own: the outside world goes on while Firstlight's processes come and go.

    python -m acs.testing [--host 127.0.0.1] [--port 0] [--control-port 0] [--factor 1.0] [--state FILE] [--cpes N]

Prints one JSON line, `{"url": NBI, "control_url": ..., "pid": ...}`, and runs until SIGTERM or SIGINT. With `--state`
it begins with what the file holds and leaves a snapshot there when it ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from acs.testing.clock import WallClock
from acs.testing.control_api import ControlApi
from acs.testing.population import HONEST, SHARES, populate
from acs.testing.server import LabAcs


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m acs.testing", description="A lab ACS with simulated CPEs.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="of the NBI; 0 is any free one")
    parser.add_argument("--control-port", type=int, default=0, help="of the remote control; 0 is any free one")
    parser.add_argument("--factor", type=float, default=1.0, help="of the lab's waits: 0.1 is ten times as fast")
    parser.add_argument("--state", type=Path, help="file to begin from and to leave a snapshot in")
    parser.add_argument("--cpes", type=int, default=0, help="CPEs that have reported already, TR-181 and TR-098 mixed")
    parser.add_argument("--honest", action="store_true", help="none of them is offline, behind NAT, lying, ...")
    parser.add_argument("--inform-seconds", type=int, default=300, help="the interval of their Informs")
    parser.add_argument("--sessions", type=int, default=20, help="the ACS holds at once; 20 for each CWMP worker")
    asyncio.run(_run(parser.parse_args()))


async def _run(options: argparse.Namespace) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    lab = LabAcs(WallClock(options.factor))
    control = ControlApi(lab)
    state: Path | None = options.state
    if (content := await asyncio.to_thread(_read, state)) is not None:
        lab.restore(content)
    lab.cwmp.max_sessions = options.sessions
    shares = HONEST if options.honest else SHARES
    populate(lab, options.cpes, shares=shares, inform_interval_seconds=options.inform_seconds)
    await lab.start(options.host, options.port)
    await control.start(options.host, options.control_port)
    sys.stdout.write(json.dumps({"url": lab.url, "control_url": control.url, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    try:
        await ended.wait()
    finally:
        await control.stop()
        await asyncio.to_thread(_write, state, lab.snapshot())
        await lab.stop()


def _read(state: Path | None) -> dict[str, object] | None:
    if state is None or not state.exists():
        return None
    content: dict[str, object] = json.loads(state.read_text())
    return content


def _write(state: Path | None, content: dict[str, object]) -> None:
    if state is not None:
        draft = state.with_name(f"{state.name}.new")
        draft.write_text(json.dumps(content))
        draft.replace(state)


if __name__ == "__main__":
    main()
