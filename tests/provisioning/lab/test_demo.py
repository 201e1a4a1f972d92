"""The README's first command, as its user types it: the same proof on both databases, and against another ACS."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_string
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from typer.testing import CliRunner

from acs.testing import LabAcs, LabCpe, WallClock
from provisioning.bootstrap import Appliance, open_appliance
from provisioning.cli import app
from provisioning.cli.demo import ways_in
from provisioning.commercial.payments import list_payments
from provisioning.console import assets
from provisioning.lab import demo
from provisioning.lab.demo import Lab
from provisioning.lab.errors import DemoFailed
from provisioning.lab.installing import install
from provisioning.settings import load_settings
from provisioning.sight import ALL_SIGHT
from tests.support.estate import Household, tomorrow
from tests.support.lab import open_journey_lab
from tests.support.postgres import PostgresServer

FIRSTLIGHT = Path(sys.executable).parent / "firstlight"
EXAMPLE = Path("deploy/examples/install-ticket.json").read_text()
ESTATE = Path("deploy/examples/lab-estate.toml").read_text()


@dataclass(frozen=True)
class Ended:
    """How the command ended."""

    status: int
    output: str
    told: str

    @property
    def last_line(self) -> Any:
        return json.loads(self.output.splitlines()[-1])


async def run_demo(home: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Ended:
    process = await start_demo(home, *arguments, environment=environment)
    output, told = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, output.decode(), told.decode())


async def start_demo(
    home: Path, *arguments: str, environment: Mapping[str, str] | None = None, stays: bool = False
) -> asyncio.subprocess.Process:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTLIGHT_")}
    return await asyncio.create_subprocess_exec(
        str(FIRSTLIGHT),
        "demo",
        *(["--port", "0"] if stays else ["--once"]),
        "--home",
        str(home),
        *arguments,
        env=clean | dict(environment or {}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "sqlite":
        return {}
    server: PostgresServer = request.getfixturevalue("postgres")
    return {"FIRSTLIGHT_DATABASE_URL": server.create_database()}


async def test_the_demo_ends_with_a_live_subscriber_and_its_proof(tmp_path: Path, environment: dict[str, str]) -> None:
    ended = await run_demo(tmp_path / "lab", "--json", environment=environment)
    assert ended.status == 0, ended.told
    proof = ended.last_line
    assert proof["state"] == "completed"
    assert 0 < proof["seconds"] < 20
    assert proof["radius"] == proof["radius"] | {
        "reply": "Access-Accept",
        "framed_ip_address": proof["subscriber"]["ip_address"],
        "delegated_prefix": proof["subscriber"]["delegated_prefix"],
        "rate": "150000k/300000k",
        "wrong_password": "Access-Reject",
        "before_scan": "Access-Reject",
    }
    assert proof["cpe"] == proof["cpe"] | {
        "serial": "HWTC4A2B9C01",
        "ppp_username": proof["subscriber"]["username"],
        "ppp_status": "Connected",
        "vlan_id": 100,
        "wifi_ssid": "Brandt-Home",
        "wifi_passphrase": "as sealed",
    }
    assert proof["check"]["failed"] == 0
    assert proof["bill"] == {"running": 1}
    mail = message_from_string(await asyncio.to_thread(Path(proof["mail"]["file"]).read_text))
    assert (mail["To"], mail["Message-ID"]) == ("ada.brandt@customer.example", proof["mail"]["message_id"])


@pytest.mark.second_half
async def test_the_barest_ticket_at_another_vendors_nas_comes_to_its_end_too(tmp_path: Path) -> None:
    """No appointment, no planned serial, no name for the WiFi; the other data model, the other way to tell a rate."""
    ticket, estate = tmp_path / "ticket.json", tmp_path / "estate.toml"
    left_out = dict.fromkeys(("appointment", "device_serial", "wifi_ssid"))
    other = {"ticket_id": "T-2026-0043", "config_template": "tr098-pppoe"}
    ticket.write_text(json.dumps(json.loads(EXAMPLE) | left_out | other))
    estate.write_text(ESTATE.replace('dialect = "mikrotik"', 'dialect = "wispr"'))
    ended = await run_demo(tmp_path / "lab", "--json", "--ticket", str(ticket), "--estate", str(estate))
    assert ended.status == 0, ended.told
    assert (ended.last_line["state"], ended.last_line["check"]["failed"]) == ("completed", 0)
    assert ended.last_line["radius"]["rate"] == ("WISPr-Bandwidth-Max-Up 150000000, WISPr-Bandwidth-Max-Down 300000000")
    today = datetime.now(UTC)
    days = "|".join(f"{today + timedelta(days=ahead):%Y-%m-%d}" for ahead in (0, 1))  # midnight may have come meanwhile
    assert re.search(rf"  dispatch sends Tess Kaminski on ({days}) at 09:00 UTC$", ended.told, re.MULTILINE)


@pytest.mark.second_half
async def test_a_wait_that_nobody_in_the_laboratory_can_end_ends_the_demo(tmp_path: Path) -> None:
    ticket = tmp_path / "ticket.json"
    async with open_journey_lab(tmp_path / "lab", line_adapter="manual") as lab:
        ticket.write_text(json.dumps(Household(1).ticket(tomorrow(lab.clock.now()))))
        async with asyncio.timeout(60):
            with pytest.raises(DemoFailed) as failed:
                await install(Lab(lab.world, lab.appliance), ticket, lambda _: None)
    assert str(failed.value).startswith("run 1 waits for line_answer in line_answer, which the demo can't tell it: ")


@pytest.mark.second_half
async def test_a_demo_that_takes_too_long_says_so_and_leaves_nothing_running(tmp_path: Path) -> None:
    home = tmp_path / "lab"
    ended = await run_demo(home, "--json", "--within", "3")
    assert ended.status == 1
    message = ended.last_line["error"]["message"]
    assert message.startswith("the demo was not at its end after 3 s; the last it said was: "), ended.told
    assert freeradius_of(home) == []


@pytest.mark.second_half
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_demo_that_is_called_off_leaves_no_freeradius(tmp_path: Path, number: signal.Signals) -> None:
    home = tmp_path / "lab"
    process = await start_demo(home)
    async with asyncio.timeout(60):
        while not freeradius_of(home):  # it has just been started, and doesn't answer yet
            assert process.returncode is None
            await asyncio.sleep(0.02)
        process.send_signal(number)
        _, told = await process.communicate()
    assert process.returncode == 128 + number, told.decode()
    assert "Traceback" not in told.decode()
    assert freeradius_of(home) == []


ENDS_LATE = """import pathlib, signal, sys, time
def end(*_):
    time.sleep(0.3)
    pathlib.Path(sys.argv[2], "last-words").touch()
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while True: signal.pause()"""
NEVER_ENDS = """import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True: signal.pause()"""


@pytest.mark.parametrize(("script", "status"), [(ENDS_LATE, 0), (NEVER_ENDS, -signal.SIGKILL)])
def test_a_freeradius_that_was_left_has_ended_before_its_folder_is_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, status: int
) -> None:
    if script == NEVER_ENDS:
        monkeypatch.setattr(demo, "ENDS_WITHIN_SECONDS", 0.2)
    raddb = tmp_path / "freeradius" / "raddb"
    raddb.mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-c", script, str(raddb), str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as left:
        assert left.stdout is not None and left.stdout.readline() == "ready\n"
        demo._end_what_was_left(tmp_path)
        demo._empty_folder(tmp_path)
        assert left.poll() == status
    assert list(tmp_path.iterdir()) == []


@pytest.mark.second_half
async def test_a_demo_stays_open_with_its_console_until_it_is_told_to_end(tmp_path: Path) -> None:
    home = tmp_path / "lab"
    process = await start_demo(home, "--customers", "0", stays=True)
    assert process.stdout is not None
    async with asyncio.timeout(100):
        while not (found := re.search(r"http://127\.0\.0\.1:\d+/welcome/[\w-]{43}", await _line(process.stdout))):
            assert process.returncode is None
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(found[0])  # it listens already, and answers when it is ready
        assert "Nobody can sign in yet" in answer.text
        process.send_signal(signal.SIGINT)
        await process.communicate()
    assert process.returncode == 0
    assert freeradius_of(home) == []


@pytest.mark.second_half
async def test_a_demo_for_a_phone_is_served_by_tls_of_its_own_ca_to_the_network(tmp_path: Path) -> None:
    home = tmp_path / "lab"
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"https://127.0.0.1:{free.getsockname()[1]}"
    environment = {"FIRSTLIGHT_PUBLIC_URL": address}
    process = await start_demo(home, "--phone", "--customers", "0", environment=environment, stays=True)
    assert process.stdout is not None
    told = ""
    async with asyncio.timeout(100):
        while not (found := re.search(rf"{address}/welcome/[\w-]{{43}}", line := await _line(process.stdout))):
            assert process.returncode is None
            told += line
        trusting = ssl.create_default_context(cafile=home / "tls" / "firstlight-lab-ca.crt")
        async with httpx.AsyncClient(verify=trusting, trust_env=False) as client:
            answer = await client.get(found[0])
        assert "Nobody can sign in yet" in answer.text
        process.send_signal(signal.SIGINT)
        output, _ = await process.communicate()
    assert process.returncode == 0
    assert f"opens {address}/field, once it trusts the laboratory's CA" in told
    assert str(home / "tls" / "firstlight-lab-ca.crt") in told.replace("\n", "")
    assert "PRIVATE KEY" not in told + output.decode()


def test_a_demo_that_would_stay_open_says_at_once_what_its_pages_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "NEEDED", (*assets.NEEDED, "chart.min.js"))
    assets.assets.cache_clear()
    try:
        ended = CliRunner().invoke(app, ["demo", "--home", str(tmp_path / "lab")])
    finally:
        assets.assets.cache_clear()
    assert ended.exit_code == 2
    assert "chart.min.js" in ended.stderr and "deploy/assets" in ended.stderr
    assert not (tmp_path / "lab").exists()


def test_a_demo_whose_port_is_taken_starts_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = CliRunner().invoke(app, ["demo", "--home", str(tmp_path / "lab"), "--port", str(port)])
    assert ended.exit_code == 1
    told = " ".join(ended.stderr.split())
    assert f"Nobody can be served at 127.0.0.1, port {port}: Address already in use" in told
    assert "choose another port with --port" in told
    assert not (tmp_path / "lab").exists()


@pytest.mark.second_half
@pytest.mark.timeout(300)
async def test_a_demo_that_stays_open_gets_a_town_with_trouble_of_several_kinds(tmp_path: Path) -> None:
    home, told, link = tmp_path / "lab", dict[str, str](), ""
    process = await start_demo(home, "--customers", "120", stays=True)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(240):
            while "the town is complete" not in (line := await _line(process.stdout)):
                assert line and "the town stays as far as it has come" not in line, line
                if found := re.search(r"export (FIRSTLIGHT_\w+)=(\S+)", line):
                    told[found[1]] = found[2].strip("'")
                if found := re.search(r"  noc       noc         (http\S+)", line):
                    link = found[1]
            async with httpx.AsyncClient(trust_env=False) as client:
                assert "Choose a password" in (await client.get(link)).text
            while "settings-of-autumn has begun" not in (line := await _line(process.stdout)):
                assert line and "waits for somebody to start it" not in line, line
            while "settings-of-autumn has stopped" not in (line := await _line(process.stdout)):
                assert line
        async with open_appliance(load_settings(**_settings_of(told))) as appliance, appliance.database.read() as db:
            seen = await appliance.attention_desk(db, ALL_SIGHT).look()
            online = await appliance.session_looks.online(limit=500)
            traded = await _traded(appliance, db)
    finally:
        process.send_signal(signal.SIGINT)
        await process.communicate()
    assert process.returncode == 0
    assert freeradius_of(home) == []
    assert {item.kind for item in seen.items} >= {"nas_silent", "run_held", "webhook_failing", "campaign_stopped"}
    held = " ".join(item.sentence for item in seen.items if item.kind == "run_held")
    for step in ("apply_device", "confirm_port", "schedule_installation", "capture_payment"):
        assert f"held in {step}" in held
    assert len(online) > 100  # all but who is suspended, and the port that is dark
    assert traded == {
        "payments": {"captured", "refunded", "declined", "requires_action", "awaiting"},
        "orders": {"completed", "cancelled", "acknowledged"},
        "quotes": {"draft", "sent", "accepted", "withdrawn", "expired"},
        "licences": {"active", "revoked"},
        "campaigns": {"settings-of-autumn", "firmware-2.1.4"},
        "webhooks": ["enabled", "enabled"],
    }


async def _traded(appliance: Appliance, db: AsyncSession) -> dict[str, Any]:
    """The states of what was sold, and what is to be done with the CPEs."""
    quotes = await appliance.quotes(db).quotes(limit=200)
    return {
        "payments": {each.state for each in await list_payments(db, tenant_id=appliance.tenant_id, limit=200)},
        "orders": {each["state"] for each in await appliance.sales(db).orders(limit=200)},
        "quotes": {each["state"] for each in quotes},
        "licences": {each["state"] for each in await appliance.licences(db).licenses(limit=200)},
        "campaigns": {each["name"] for each in await appliance.campaigns(db).campaigns()},
        "webhooks": [each["state"] for each in await appliance.webhooks(db).webhooks()],
    }


def _settings_of(told: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix("FIRSTLIGHT_").lower(): value for name, value in told.items()}


async def _line(stream: asyncio.StreamReader) -> str:
    return (await stream.readline()).decode()


def freeradius_of(home: Path) -> list[int]:
    """The servers that run with this laboratory's configuration."""
    configuration = str(home / "freeradius" / "raddb").encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended meanwhile
        if configuration in command:
            found.append(int(process.name))
    return found


def test_the_ways_in_work_in_a_shell() -> None:
    open_to_all = load_settings(data_dir="/srv/o'brien's lab", tenant_id="north")
    script = "; ".join([*ways_in(open_to_all), 'printf %s "$FIRSTLIGHT_DATA_DIR|$FIRSTLIGHT_DATABASE_URL"'])
    heard = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    assert heard == f"/srv/o'brien's lab|{open_to_all.database_url}"


@pytest.mark.parametrize("url", ["postgresql://isp:hunter2@db.isp.example/lab", "postgresql:///lab?password=hunter2"])
def test_the_ways_in_tell_no_password(url: str) -> None:
    lines = ways_in(load_settings(data_dir="/srv/lab", database_url=url))
    assert [line for line in lines if "DATABASE_URL" in line] == [
        "# FIRSTLIGHT_DATABASE_URL too, as it was set for this demo; its password is not shown here"
    ]
    assert "export FIRSTLIGHT_TENANT_ID=default" in lines
    assert not any("hunter2" in line or "***" in line for line in lines)


async def test_a_refused_ticket_names_every_fault_and_starts_nothing(tmp_path: Path) -> None:
    ticket = tmp_path / "ticket.json"
    wrong = {"device_serial": "*", "service_location": "LOC-0"}
    ticket.write_text(json.dumps(json.loads(EXAMPLE) | wrong))
    ended = await run_demo(tmp_path / "lab", "--ticket", str(ticket))
    assert ended.status == 2
    assert "device_serial: is '*', but must be a serial" in ended.told
    assert "service_location: No premise is known as 'LOC-0'" in ended.told
    assert "Traceback" not in ended.told


@pytest.fixture
async def other_acs() -> AsyncIterator[LabAcs]:
    """A GenieACS that the demo did not start, with a CPE switched on behind it."""
    acs = LabAcs(clock=WallClock())
    await acs.start()
    acs.attach(LabCpe("HWTC4A2B9C01", data_model="TR-181"))
    yield acs
    await acs.stop()


@pytest.mark.second_half
async def test_the_demo_works_against_an_acs_that_it_did_not_start(tmp_path: Path, other_acs: LabAcs) -> None:
    environment = {"FIRSTLIGHT_GENIEACS_NBI_URL": other_acs.url}
    demo = asyncio.create_task(run_demo(tmp_path / "lab", "--json", environment=environment))
    cpe = other_acs.cpe("HWTC4A2B9C01")
    await cpe.power_on()
    ended = await demo
    assert ended.status == 0, ended.told
    assert ended.last_line["cpe"]["state"] == "accepted_unverifiable"
    assert cpe.ppp.username == ended.last_line["subscriber"]["username"]
    assert cpe.ppp.vlan_id == 100
