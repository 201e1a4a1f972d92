"""The apply script and the lab's native twin of it do the same: every case runs through node and through the lab."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from acs.testing import LabAcs, LabCpe, Parameter
from acs.testing.parameter_tree import UNSIGNED
from tests.acs.convergence.test_firstlight_apply import leaf, run
from tests.acs.testing.conftest import Nbi
from tests.acs.testing.test_apply_script import install

SSID = "Device.WiFi.SSID.1.SSID"
PASSPHRASE = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase"
VLAN = "Device.Ethernet.VLANTermination.1.VLANID"
HELD: dict[str, str | int] = {SSID: "factory", PASSPHRASE: "factory-passphrase", VLAN: 100}
WANTED: list[list[object]] = [
    [SSID, "Home", "xsd:string", False],
    [PASSPHRASE, "correct horse", "xsd:string", True],
    [VLAN, 100, "xsd:unsignedInt", False],
]


@dataclass(frozen=True)
class Case:
    """A CPE and a wish, and what must come of it."""

    name: str
    held: dict[str, str | int] = field(default_factory=lambda: dict(HELD))
    missing: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    wanted: list[list[object]] = field(default_factory=lambda: list(WANTED))
    further: dict[str, object] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()

    fault: str | None = None
    sent: tuple[tuple[str, ...], ...] = ()
    holds: dict[str, str | int] = field(default_factory=lambda: dict(HELD))
    tags_after: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Outcome:
    """What both ways can be asked for afterwards."""

    fault: str | None
    sent: tuple[tuple[str, ...], ...]
    holds: dict[str, object]
    tags: tuple[str, ...]


ROW = "Device.X_LAB.Connection.{}.PPP.{}"
LIST = f"{ROW}.X_LAB_ServiceList"
ROWS: dict[str, str | int] = {
    LIST.format(1, 1): "TR069",
    f"{ROW.format(1, 1)}.Username": "acs",
    LIST.format(2, 1): "VOIP, INTERNET",
    f"{ROW.format(2, 1)}.Username": "",
}
IN_A_ROW: list[list[object]] = [[f"{ROW.format('{wan}', '{ppp}')}.Username", "u42@isp", "xsd:string", False]]
URL = "Device.ManagementServer.ConnectionRequestURL"
ADDRESS = "Device.X_LAB.Address"


def selector(test: str, *values: str) -> list[object]:
    return ["internet", ROW.format("{wan}", "{ppp}"), "X_LAB_ServiceList", test, list(values)]


def guard(*signs: list[object]) -> dict[str, object]:
    return {"signs": list(signs), "restarting": [SSID]}


TAKEN: dict[str, str | int] = {SSID: "Home", PASSPHRASE: "correct horse", VLAN: 100}
CASES = [
    Case("what differs is sent", sent=((SSID, PASSPHRASE),), holds=TAKEN, tags_after=("cfg_r1",)),
    Case("a secret is sent again", held=TAKEN, sent=((PASSPHRASE,),), holds=TAKEN, tags_after=("cfg_r1",)),
    Case(
        "nothing differs",
        wanted=[[SSID, "factory", "xsd:string", False], [VLAN, 100, "xsd:unsignedInt", False]],
        tags_after=("cfg_r1",),
    ),
    Case(
        "one is missing",
        missing=(VLAN,),
        fault=f"missing {VLAN}",
        holds={SSID: "factory", PASSPHRASE: "factory-passphrase"},
    ),
    Case(
        "two are missing, in the order of the wish",
        missing=(VLAN, PASSPHRASE),
        tags=("cfg_r0",),
        stale=("cfg_r0",),
        fault=f"missing {PASSPHRASE},{VLAN}",
        holds={SSID: "factory"},
        tags_after=("cfg_r0",),
    ),
    Case("one is read-only", read_only=(VLAN,), fault=f"read-only {VLAN}"),
    Case(
        "missing goes before read-only",
        missing=(SSID,),
        read_only=(VLAN,),
        fault=f"missing {SSID}",
        holds={PASSPHRASE: "factory-passphrase", VLAN: 100},
    ),
    Case(
        "one is refused",
        refused=(SSID,),
        tags=("cfg_r0",),
        stale=("cfg_r0",),
        fault=f"cwmp.9003 {SSID}",
        sent=((SSID, PASSPHRASE),),
        tags_after=("cfg_r0",),
    ),
    Case(
        "stale tags go and others stay",
        tags=("cfg_r0", "gold"),
        stale=("cfg_r0",),
        sent=((SSID, PASSPHRASE),),
        holds=TAKEN,
        tags_after=("cfg_r1", "gold"),
    ),
    Case("nothing is wanted", wanted=[], tags_after=("cfg_r1",)),
    Case(
        "the row is the one whose list has it, whatever its number",
        held=ROWS,
        wanted=IN_A_ROW,
        further={"select": [selector("has", "INTERNET")]},
        tags=("row_internet_9_9", "row_internet_2_1"),
        stale=("row_internet_9_9",),
        sent=((f"{ROW.format(2, 1)}.Username",),),
        holds={**ROWS, f"{ROW.format(2, 1)}.Username": "u42@isp"},
        tags_after=("cfg_r1", "row_internet_2_1"),
    ),
    Case(
        "a token is a whole one",
        held=ROWS,
        wanted=IN_A_ROW,
        further={"select": [selector("has", "INTER", "TR06")]},
        fault=f"no instance internet: {ROW.format(1, 1)}=TR069;{ROW.format(2, 1)}=VOIP, INTERNET",
        holds=ROWS,
    ),
    Case(
        "several rows are none",
        held={**ROWS, LIST.format(3, 2): "INTERNET"},
        wanted=IN_A_ROW,
        further={"select": [selector("has", "INTERNET")]},
        tags=("cfg_r0",),
        stale=("cfg_r0",),
        fault=f"ambiguous internet: {ROW.format(2, 1)}=VOIP, INTERNET;{ROW.format(3, 2)}=INTERNET",
        holds={**ROWS, LIST.format(3, 2): "INTERNET"},
        tags_after=("cfg_r0",),
    ),
    Case(
        "a value is the whole value",
        held=ROWS,
        wanted=IN_A_ROW,
        further={"select": [selector("is", "TR069")]},
        sent=((f"{ROW.format(1, 1)}.Username",),),
        holds={**ROWS, f"{ROW.format(1, 1)}.Username": "u42@isp"},
        tags_after=("cfg_r1", "row_internet_1_1"),
    ),
    Case(
        "the only row has to be the only one",
        held=ROWS,
        wanted=IN_A_ROW,
        further={"select": [selector("only")]},
        fault=f"ambiguous internet: {ROW.format(1, 1)}=TR069;{ROW.format(2, 1)}=VOIP, INTERNET",
        holds=ROWS,
    ),
    Case(
        "no row at all",
        held={SSID: "factory"},
        wanted=IN_A_ROW,
        further={"select": [selector("only")]},
        fault="no instance internet: ",
        holds={SSID: "factory"},
    ),
    Case(
        "reading chooses too, and neither writes nor claims anything",
        held=ROWS,
        wanted=IN_A_ROW,
        further={"select": [selector("has", "INTERNET")], "read": True},
        tags=("cfg_r0",),
        holds=ROWS,
        tags_after=("cfg_r0", "row_internet_2_1"),
    ),
    Case(
        "what would cut the connection to the ACS is refused",
        further={"guard": guard([SSID, "is", ["factory"]])},
        fault=f"cuts management {SSID}",
    ),
    Case(
        "what restarts nothing may change there",
        further={"guard": {**guard([SSID, "is", ["factory"]]), "restarting": [VLAN]}},
        sent=((SSID, PASSPHRASE),),
        holds=TAKEN,
        tags_after=("cfg_r1",),
    ),
    Case(
        "another WAN may change",
        further={"guard": guard([SSID, "has", ["TR069"]])},
        sent=((SSID, PASSPHRASE),),
        holds=TAKEN,
        tags_after=("cfg_r1",),
    ),
    Case(
        "the address of the connection request tells as well",
        held={**HELD, URL: "http://10.9.0.7:7547/x", ADDRESS: "10.9.0.7"},
        further={"guard": guard([ADDRESS, "host_of", [URL]])},
        fault=f"cuts management {SSID}",
        holds={**HELD, URL: "http://10.9.0.7:7547/x", ADDRESS: "10.9.0.7"},
    ),
]


def expected(case: Case) -> Outcome:
    return Outcome(case.fault, case.sent, dict(case.holds), case.tags_after)


def argument(case: Case) -> str:
    return json.dumps({"rev": "r1", "params": case.wanted, "stale_tags": list(case.stale), **case.further})


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_script_in_node(case: Case) -> None:
    cpe = {
        path: leaf(value, writable=path not in case.read_only, secret=path == PASSPHRASE, refuses=path in case.refused)
        for path, value in case.held.items()
        if path not in case.missing
    }
    stale = list(case.stale)
    done = run(cpe, params=case.wanted, stale_tags=stale, tags=list(case.tags), rev="r1", **case.further)
    sent = tuple(tuple(path for path, _ in message) for message in done["sent"])
    assert Outcome(done["fault"], sent, done["cpe"], tuple(done["tags"])) == expected(case)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_its_twin_in_the_lab(case: Case, nbi: Nbi, lab: LabAcs) -> None:
    types = {SSID: "xsd:string", PASSPHRASE: "xsd:string", VLAN: UNSIGNED}
    parameters = {
        path: Parameter(
            value, types.get(path, "xsd:string"), writable=path not in case.read_only, secret=path == PASSPHRASE
        )
        for path, value in case.held.items()
    }
    cpe = lab.attach(LabCpe("TWIN", parameters=parameters))
    for path in case.missing:
        cpe.tree.remove(path)
    cpe.quirks.refuse.update(dict.fromkeys(case.refused, 9007))
    await cpe.power_on()
    lab.documents["devices"][cpe.device_id]["_tags"] = list(case.tags)
    await install(nbi)
    cpe.rpcs_seen.clear()
    await nbi.post(cpe, {"name": "provisions", "provisions": [["firstlight_apply", argument(case)]]})

    sent = tuple(tuple(paths) for rpc, paths in cpe.rpcs_seen if rpc == "SetParameterValues")
    holds: dict[str, object] = {path: cpe.value(path) for path in case.held if path not in case.missing}
    tags = tuple(sorted(lab.documents["devices"][cpe.device_id].get("_tags", [])))
    assert Outcome(await fault(nbi), sent, holds, tags) == expected(case)


async def fault(nbi: Nbi) -> str | None:
    """The one fault there is, in the words of the harness."""
    faults = await nbi.find("faults")
    if not faults:
        return None
    [only] = faults
    if only["code"] == "script.Error":
        return str(only["message"])
    refused = ",".join(each["parameterName"] for each in only["detail"]["setParameterValuesFault"])
    return f"{only['code']} {refused}"
