"""Every trap of the ACS's doctor is found where it was laid, and nowhere else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from acs import AcsDoor, NbiClient, PresetInstaller, baseline, examine_acs
from acs.doctor import own_addresses
from acs.testing import LabAcs, LabClock
from provisioning.database import Database
from tests.acs.conftest import TENANT
from tests.acs.scripted_nbi import answer, scripted

STOCK_INFORM = json.dumps(
    {"_id": "inform", "script": "declare('Device.ManagementServer.PeriodicInformInterval', {value: 1}, {value: 300})"}
)
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def door(url: str, *, authenticated: bool = False, own: tuple[str, ...] = ()) -> AcsDoor:
    return AcsDoor("default", url, authenticated, own)


def well(*, version: str = "1.2.16+x", at: datetime = NOW, preset: str = "", script: str = "") -> tuple[bytes, bytes]:
    """An ACS that has our scripts and presets, as it answers the two questions."""
    wanted = baseline()
    scripts = [json.dumps({"_id": name, "script": script}) for name, script in wanted.scripts.items()]
    presets = [json.dumps({"_id": name, **one.document}) for name, one in wanted.presets.items()]
    presets += [preset] if preset else []
    scripts += [script] if script else []
    said = []
    for lines in (scripts, presets):
        body = ("[\n" + ",\n".join(lines) + "\n]").encode()
        head = answer("200 OK", body, f"total: {len(lines)}", f"Date: {format_datetime(at, usegmt=True)}")
        said.append(head.replace(b"1.2.16+26112238e9", version.encode()))
    return said[0], said[1]


@pytest.mark.parametrize(
    ("answers", "trap"),
    [
        (well(), None),
        (well(version="1.2.14"), "genieacs_old"),
        (well(version="1.2.15"), None),
        (well(version="1.3.0-dev"), None),
        (well(at=NOW + timedelta(minutes=3)), "clock_skew"),
        (well(at=NOW - timedelta(seconds=50)), None),
        (well(preset='{"_id": "theirs", "weight": 0}'), "preset_stops_sessions"),
        (well(script=STOCK_INFORM), "inform_interval_rival"),
        (well(script='{"_id": "theirs", "script": "declare(1)"}'), None),
        ((well()[0], well(preset="")[1].replace(b'"weight": -1000', b'"weight": -1001')), "presets_differ"),
        ((answer("502 Bad Gateway"),), "acs_no_answer"),
    ],
)
async def test_each_trap_of_what_it_says_is_found(answers: tuple[bytes, ...], trap: str | None) -> None:
    async with scripted(*answers) as (nbi, server):
        found = await examine_acs(door(server.url), nbi, now=lambda: NOW)
    assert [each["trap"] for each in found["traps"]] == ([trap] if trap else [])


@pytest.mark.parametrize(
    ("url", "authenticated", "reached", "traps"),
    [
        ("http://127.0.0.1:7557", False, [], []),
        ("http://localhost:7557", False, [("10.0.0.5", 7557)], ["nbi_open_to_others"]),
        ("http://10.0.0.9:7557", False, [], ["nbi_without_tls", "nbi_without_authentication"]),
        ("https://acs.isp.example", False, [], ["nbi_without_authentication"]),
        ("http://10.0.0.9:7558", True, [], ["nbi_without_tls"]),
        ("https://10.0.0.9:7558", True, [], []),
        ("https://10.0.0.9:7558", True, [("10.0.0.9", 7557)], ["nbi_open_to_others"]),
    ],
)
async def test_each_trap_of_its_door_is_found(
    url: str, authenticated: bool, reached: list[tuple[str, int]], traps: list[str]
) -> None:
    async def reaches(host: str, port: int) -> bool:
        return (host, port) in reached

    async with scripted(*well()) as (nbi, _):
        patient = door(url, authenticated=authenticated, own=("10.0.0.5", "2001:db8::5"))
        found = await examine_acs(patient, nbi, now=lambda: NOW, reaches=reaches)
    assert [each["trap"] for each in found["traps"]] == traps


@pytest.mark.parametrize(("host", "is_open"), [("127.0.0.1", False), ("0.0.0.0", True)])
async def test_a_door_is_really_tried(acs_database: Database, host: str, is_open: bool) -> None:
    lab = LabAcs(clock=LabClock())
    await lab.start(host)
    url = f"http://127.0.0.1:{lab.url.rpartition(':')[2]}"
    async with NbiClient(url, sleep=lab.clock.sleep) as nbi:
        installer = PresetInstaller(
            acs_database.begin,
            nbi,
            acs_name="default",
            tenant_id=TENANT,
            now=lab.clock.now,
            sleep=lab.clock.sleep,
        )
        before = await examine_acs(door(url, own=("127.0.0.2",)), nbi, now=lab.clock.now)
        await installer.install(requested_by="noc")
        after = await examine_acs(door(url, own=("127.0.0.2",)), nbi, now=lab.clock.now)
    await lab.stop()
    opened = ["nbi_open_to_others"] if is_open else []
    assert [each["trap"] for each in before["traps"]] == [*opened, "presets_differ"]
    assert [each["trap"] for each in after["traps"]] == opened
    assert after["not_looked_at"] == []


def test_the_addresses_of_this_machine_are_read_as_its_kernel_lists_them(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "fib_trie").write_text(
        "Local:\n  |-- 10.0.0.5\n     /32 host LOCAL\n  |-- 127.0.0.1\n     /32 host LOCAL\n"
        "  |-- 10.0.0.255\n     /32 link BROADCAST\n"
    )
    (tmp_path / "net" / "if_inet6").write_text(
        "00000000000000000000000000000001 01 80 10 80 lo\n"
        "20010db8000000000000000000000005 02 40 00 80 eth0\nfe800000000000000000000000000001 02 40 20 80 eth0\n"
    )
    assert own_addresses(tmp_path) == ["10.0.0.5", "2001:db8::5"]
