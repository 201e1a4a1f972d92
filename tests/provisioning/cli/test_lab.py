"""``firstlight lab``: its ACS says where its NBI is, answers there, and ends when told to; and a certificate."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from acs import NbiClient
from acs.testing import serial_of
from provisioning.cli import app
from provisioning.lab import authority
from provisioning.serving import tls_files


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


@pytest.mark.parametrize(("found", "host"), [(["192.168.7.9", "10.8.0.3"], "192.168.7.9"), ([], "localhost")])
def test_a_certificate_of_a_ca_of_its_own_is_made_and_how_to_serve_with_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: list[str], host: str
) -> None:
    monkeypatch.setattr(authority, "lan_addresses", lambda: found)
    arguments = ["lab", "certificate", "--folder", str(tmp_path / "tls"), "--name", "box.lan", "--name", "10.1.2.3"]
    told = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert told["authority_is_new"] is True
    assert {"localhost", "127.0.0.1", "box.lan", "10.1.2.3"} <= set(told["names"])
    assert tls_files(Path(told["certificate"]), Path(told["key"]), now=datetime.now(UTC)) is not None
    again = CliRunner().invoke(app, arguments)
    words = " ".join(again.stdout.split())
    assert f"whoever trusts {told['authority']} trusts this server" in words
    served = f"FIRSTLIGHT_PUBLIC_URL=https://{host}:8443 firstlight serve --host 0.0.0.0 --port 8443"
    assert f"{served} --certificate {told['certificate']} --key {told['key']}" in words
    assert "PRIVATE KEY" not in again.stdout


def test_names_that_the_ca_can_t_vouch_for_are_refused_in_words(tmp_path: Path) -> None:
    arguments = ["lab", "certificate", "--folder", str(tmp_path), "--name", "198.51.100.7", "--name", "two words"]
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 2
    assert "198.51.100.7: is no address of this machine or of a private network" in ended.stderr
    assert "two words: is no host name" in ended.stderr
    assert list(tmp_path.iterdir()) == []
