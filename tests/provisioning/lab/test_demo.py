"""The README's first command, as its user types it: the same proof on both databases, and against another ACS."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from email import message_from_string
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from acs.testing import LabAcs, LabCpe, WallClock
from provisioning.database import Database
from tests.support.postgres import PostgresServer

FIRSTLIGHT = Path(sys.executable).parent / "firstlight"
EXAMPLE = Path("deploy/examples/install-ticket.json").read_text()


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
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTLIGHT_")}
    process = await asyncio.create_subprocess_exec(
        str(FIRSTLIGHT),
        "demo",
        "--once",
        "--home",
        str(home),
        *arguments,
        env=clean | dict(environment or {}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, told = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, output.decode(), told.decode())


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


async def test_a_demo_database_is_used_again_but_never_somebody_elses(tmp_path: Path, postgres: PostgresServer) -> None:
    ours = {"FIRSTLIGHT_DATABASE_URL": postgres.create_database()}
    for _ in range(2):
        assert (await run_demo(tmp_path / "lab", "--json", environment=ours)).last_line["run"] == 1
    theirs = postgres.create_database()
    await execute(theirs, "CREATE TABLE crown_jewels (id int)")
    refused = await run_demo(tmp_path / "other", environment={"FIRSTLIGHT_DATABASE_URL": theirs})
    assert refused.status != 0
    assert "FIRSTLIGHT_DATABASE_URL: holds tables that no lab made; give the demo an empty database" in refused.told
    await execute(theirs, "SELECT * FROM crown_jewels")


async def execute(url: str, statement: str) -> None:
    database = Database(url)
    async with database.begin() as db:
        await db.execute(text(statement))
    await database.close()


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
