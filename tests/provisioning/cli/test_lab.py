"""``firstlight lab acs``: it says where its NBI is, answers there, and ends when it is told to."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys

from acs import NbiClient
from acs.testing import serial_of


async def devices_at(url: str) -> int:
    async with NbiClient(url) as nbi:
        return await nbi.count("devices", {})


def test_a_lab_of_every_temper_answers_until_it_is_interrupted() -> None:
    command = [sys.executable, "-m", "provisioning", "lab", "acs", "--cpes", "40", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as lab:
        assert lab.stdout is not None
        try:
            told = json.loads(lab.stdout.readline())
            assert (told["cpes"], sum(told["tempers"].values())) == (40, 40)
            assert told["tempers"]["nat"] >= 1
            assert told["serials"] == [serial_of(0), serial_of(39)]
            assert asyncio.run(devices_at(told["url"])) == 40
        finally:
            lab.send_signal(signal.SIGINT)
        assert lab.wait(timeout=20) == 0


def test_how_to_point_a_firstlight_at_it_is_said_in_words() -> None:
    command = [sys.executable, "-m", "provisioning", "lab", "acs", "--cpes", "2", "--honest", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as lab:
        assert lab.stdout is not None
        try:
            lines = [lab.stdout.readline() for _ in range(4)]
        finally:
            lab.terminate()
        assert lab.wait(timeout=20) == 0
    assert lines[0] == f"2 CPEs, {serial_of(0)} to {serial_of(1)}: 2 honest\n"
    url = lines[1].removeprefix("the NBI answers at ").partition(";")[0]
    assert url.startswith("http://127.0.0.1:")
    assert lines[2] == f"  export FIRSTLIGHT_GENIEACS_NBI_URL={url}\n"
