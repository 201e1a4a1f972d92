"""``firstlight devices converge | sweep | unknown | fleet`` at a lab ACS in a process of its own."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy.engine import make_url

from acs.testing import LabControl, serial_of
from provisioning.bootstrap import open_appliance
from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type

SERIAL = "HWTC00000001"


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The remote control of a lab with four CPEs; the commands go to its NBI."""
    command = [sys.executable, "-m", "acs.testing", "--cpes", "4", "--honest", "--factor", "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        monkeypatch.setenv("FIRSTLIGHT_GENIEACS_NBI_URL", told["url"])
        yield told["control_url"]
        process.terminate()


async def bind(isp: Settings, serial: str) -> None:
    async with open_appliance(isp) as appliance, appliance.database.begin() as db:
        await appliance.services(db).genieacs_service.provision_device(
            customer_id=1001,
            service_id=9_001,
            device_serial=serial,
            config_template="tr181-pppoe",
            values={"pppoe_username": "x@isp", "pppoe_password": "secret:lab/x", "cpe_vlan_id": 100},
        )
        await appliance.vault.seal(db, "secret:lab/x", "pass-of-x")


def set_acs(isp: Settings, acs_name: str) -> None:
    with closing(sqlite3.connect(make_url(isp.database_url).database or "")) as database, database:
        database.execute("UPDATE acs_device SET acs_name = ? WHERE serial = ?", (acs_name, SERIAL))


async def username_at(control_url: str, serial: str) -> str:
    async with LabControl(control_url) as control:
        return (await control.cpe(serial)).ppp.username


def test_cpes_at_the_acs_are_found_and_one_is_bound_and_converged(isp: Settings, type_: Type, lab: str) -> None:
    swept = type_("devices", "sweep", "--json").json
    assert (swept["devices"], swept["unbound"], swept["new_unbound"], swept["due"]) == (4, 4, 4, [])
    listed = type_("devices", "unknown", "--json").json
    of_the_lab = [each for each in listed if each["serial"].startswith("LABC")]
    assert {each["serial"] for each in of_the_lab} == {serial_of(number) for number in range(4)}
    others = len(listed) - len(of_the_lab)  # those at the ACS that the estate was made with

    asyncio.run(bind(isp, serial_of(0)))
    passed_over = type_("devices", "converge", "--all-not-converged").out
    assert "1 more await their first Inform; `firstlight devices sweep` looks who has reported" in passed_over
    assert "1 are due" in type_("devices", "sweep").out
    done = type_("devices", "converge", serial_of(0), "--reason", "new in the lab", "--json").json
    assert (done["converged"], done["states"]) == (1, {"accepted_unverifiable": 1})
    assert asyncio.run(username_at(lab, serial_of(0))) == "x@isp"

    told = type_("devices", "fleet").out
    assert f"{3 + others}  at the ACS and nobody's" in told
    assert "ACS default: GenieACS 1.2.16+lab, 4 CPEs, 0 tasks, 0 faults" in told
    [deed] = [each for each in type_("audit", "list", "--json").json if each["action"] == "devices converge"]
    assert deed["reason"] == "new in the lab"


def test_what_is_to_be_converged_has_to_be_said_and_why(isp: Settings, type_: Type, lab: str) -> None:
    refused = type_("devices", "converge", serial_of(0))
    assert "reason: is needed" in refused.err
    assert "give serial numbers, or --all-not-converged" in type_("devices", "converge").err
    unknown = type_("devices", "converge", "NOSUCH", "--reason", "why not")
    assert unknown.err == "refused: CPE NOSUCH is not bound to any service.\n"


def test_an_acs_that_does_not_answer_keeps_nobody_from_the_others(
    isp: Settings, type_: Type, lab: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("FIRSTLIGHT_GENIEACS_NBI_URLS", "south=http://127.0.0.1:9")
        patched.setattr("acs.nbi.transport.CONNECT_RETRY_SECONDS", ())
        swept = type_("devices", "sweep")
        assert (swept.status, swept.out.startswith("4 CPEs in 1 pages:")) == (1, True), swept.err
        assert "not asked: ACS south. The ACS at http://127.0.0.1:9 cannot be reached.\n" in swept.err
        late = type_("devices", "missed-informs")
        assert (late.status, "of the ACSes that were asked" in late.out, "ACS south" in late.err) == (1, True, True)
        some = type_("devices", "converge", "--all-not-converged", "--json")
        assert (some.status, list(some.json["without"])) == (1, ["south"])
        set_acs(isp, "south")
    nowhere = type_("devices", "converge", SERIAL, "--reason", "why not")
    assert (nowhere.status, "There is no ACS 'south'; known are: default." in nowhere.err) == (2, True)
