"""The door for an ACS that asks in a CPE's first session: an answer for one that proves who it is, or one refusal."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from sqlalchemy.exc import OperationalError

from acs import FIRST_SESSION_KEY, RefusedFirstSessions, provisioning_code
from acs.testing import FirstlightExtension, LabClock
from tests.deploy.test_genieacs_extension import play
from tests.support.api import Api, open_api
from tests.support.healthy_estate import HealthyEstate

SERIAL, DONE = "HWTC0000BEEF", "HWTC00000001"
KEY = "0f" * 32
WHERE = "/acs/default/first-sessions"


@pytest.fixture
async def asked(estate: HealthyEstate, tmp_path: Path) -> AsyncIterator[Api]:
    """An appliance that the ACS asks, and a CPE that has never reported: the one that takes another's place."""
    settings = estate.copy(tmp_path / "copy", public_url="https://isp.example", genieacs_first_session="default")
    async with open_api(settings) as api:
        wish = {"new_serial": SERIAL, "line_by_hand": True, "reason": "it is broken"}
        assert (await api.post(f"/devices/{DONE}/swap", wish)).status_code == 202
        async with api.appliance.database.begin() as db:
            await api.appliance.vault.seal(db, FIRST_SESSION_KEY, KEY)
        yield api


def question(api: Api, serial: str = SERIAL, **other: Any) -> dict[str, Any]:
    code = provisioning_code(KEY, tenant_id=api.appliance.tenant_id, serial=serial)
    return {"serial": serial, "data_model": "TR-181", "provisioning_code": code, **other}


async def scoped(api: Api) -> str:
    """What the ACS's host has: it may do nothing else."""
    return await api.token("admin", scopes=("devices.hand_out",))


async def test_a_cpe_with_its_code_is_told_what_render_shows(asked: Api) -> None:
    told = await asked.post(WHERE, question(asked), token=await scoped(asked))
    assert told.status_code == 200, told.text
    assert told.headers["cache-control"] == "no-store"
    async with asked.appliance.database.read() as db:
        rendered = await asked.appliance.device_settings(db).rendered(device_serial=SERIAL)
        secret = [str(each["value"]) for each in rendered["parameters"] if each["secret"]]
        opened = await asked.appliance.vault.reveal_many(db, secret)
    shown = {each["path"]: opened.get(str(each["value"]), each["value"]) for each in rendered["parameters"]}
    said = json.loads(told.json()["settings"])
    assert {path: value for path, value, *_ in said["params"]} == shown
    assert said["rev"] == told.json()["revision"] == rendered["revision"]
    device = (await asked.get(f"/devices/{SERIAL}")).json()
    assert (device["state"], device["handed_out_at"] is not None) == ("awaiting_first_inform", True)


async def test_whoever_is_refused_hears_the_same_and_leaves_nothing(asked: Api) -> None:
    token = await scoped(asked)
    count = len(await asked.audit(limit=200))
    right = question(asked)
    wrong = {**right, "provisioning_code": provisioning_code("00", tenant_id="x", serial=SERIAL)}
    questions = {
        "wrong code": (WHERE, wrong),
        "unknown device": (WHERE, question(asked, "HWTC0000CAFE")),
        "unknown device, wrong code": (WHERE, {**wrong, "serial": "HWTC0000CAFE"}),
        "no serial": (WHERE, {**right, "serial": "/.*/"}),
        "withdrawn": (WHERE, question(asked, DONE)),
        "other data model": (WHERE, {**right, "data_model": "TR-098"}),
    }
    answers = {name: await asked.post(path, body, token=token) for name, (path, body) in questions.items()}
    told = {name: {**answer.json(), "instance": ""} for name, answer in answers.items()}
    assert {answer.status_code for answer in answers.values()} == {404}
    assert told["wrong code"]["code"] == "acs.first_session_refused"
    assert [name for name, each in told.items() if each != told["wrong code"]] == []
    assert not [name for name, answer in answers.items() if right["provisioning_code"] in answer.text]
    assert len(await asked.audit(limit=200)) == count
    device = (await asked.get(f"/devices/{SERIAL}")).json()
    assert device["handed_out_at"] is None


async def test_a_noc_sees_who_was_refused_when_why_and_what_to_do(asked: Api) -> None:
    token = await scoped(asked)
    assert (await asked.get(f"/devices/{SERIAL}")).json()["first_session_refused"] is None
    wrong = {**question(asked), "provisioning_code": "a" * 32}
    assert (await asked.post(WHERE, wrong, token=token)).status_code == 404
    refused = (await asked.get(f"/devices/{SERIAL}")).json()["first_session_refused"]
    assert (refused["why"], refused["acs_name"]) == ("wrong_code", "default")
    assert refused["words"] == "It did not show the provisioning code of its serial number."
    assert f"firstlight devices acs codes {SERIAL}" in refused["remedy"]
    assert "a" * 32 not in str(refused)
    listed = (await asked.get("/devices?refused=true")).json()["items"]
    assert [each["device_serial"] for each in listed] == [SERIAL]
    assert (await asked.get("/fleet")).json()["refused"] == 1
    assert (await asked.post(WHERE, question(asked), token=token)).status_code == 200
    assert (await asked.get(f"/devices/{SERIAL}")).json()["first_session_refused"] is None
    assert (await asked.get("/fleet")).json()["refused"] == 0


async def test_a_refusal_that_cannot_be_written_down_changes_no_answer(
    asked: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise OperationalError("UPDATE", {}, Exception("database is locked"))

    monkeypatch.setattr(RefusedFirstSessions, "note", fail)
    wrong = {**question(asked), "provisioning_code": "a" * 32}
    answer = await asked.post(WHERE, wrong, token=await scoped(asked))
    assert (answer.status_code, answer.json()["code"]) == (404, "acs.first_session_refused")
    assert (await asked.get(f"/devices/{SERIAL}")).json()["first_session_refused"] is None


async def test_the_code_of_a_cpe_is_not_enough_nor_is_that_of_anybody_else(asked: Api) -> None:
    assert (await asked.post(WHERE, question(asked), role=None)).status_code == 401
    for role in ("noc", "read-only", "dispatch", "technician"):
        assert (await asked.post(WHERE, question(asked), role=role)).status_code == 403, role
    token = await scoped(asked)
    assert (await asked.get(f"/devices/{SERIAL}", token=token)).status_code == 403


async def test_a_question_is_small_and_names_its_fields(asked: Api) -> None:
    token = await scoped(asked)
    assert (await asked.post(WHERE, question(asked, manufacturer="x" * 5000), token=token)).status_code == 413
    odd = await asked.post(WHERE, question(asked, data_model="TR-69", shoe_size=43), token=token)
    assert odd.status_code == 422
    assert question(asked)["provisioning_code"] not in odd.text


async def test_where_no_acs_asks_nobody_is_told_anything(any_api: Api) -> None:
    refused = await any_api.post(WHERE, question(any_api))
    assert (refused.status_code, refused.json()["code"]) == (404, "acs.first_sessions_off")


async def test_an_acs_that_is_not_to_ask_is_told_so_whatever_cpe_it_asks_for(asked: Api) -> None:
    wrong = {**question(asked), "provisioning_code": "a" * 32}
    bodies = (question(asked), wrong, question(asked, "HWTC0000CAFE"))
    told = [(await asked.post("/acs/south/first-sessions", body, token=await scoped(asked))).json() for body in bodies]
    assert [each["code"] for each in told] == ["acs.first_sessions_off"] * 3
    assert len({each["detail"] for each in told}) == 1


async def test_the_lab_s_extension_asks_at_this_door(asked: Api) -> None:
    transport = httpx.ASGITransport(asked.app)
    extension = FirstlightExtension("http://isp.test", await scoped(asked), LabClock(), transport=transport)
    right = question(asked)
    args = ["default", SERIAL, "TR-181", right["provisioning_code"], "", ""]
    told = await extension("settings", args)
    assert told is not None and json.loads(told)["params"]
    assert await extension("settings", [*args[:3], "a" * 32, "", ""]) is None
    assert extension.answers == [200, 404]
    stranger = FirstlightExtension("http://isp.test", "nobody's", LabClock(), transport=transport)
    assert (await stranger("settings", args), stranger.answers) == (None, ["HTTPStatusError"])
    assert (await stranger("settings", args), stranger.answers) == (None, ["HTTPStatusError"])  # it is left in peace


@asynccontextmanager
async def serving(api: Api) -> AsyncIterator[str]:
    """The application at an address of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(api.app, log_config=None, lifespan="off", timeout_graceful_shutdown=5))
        answering = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await answering


async def test_the_extension_beside_genieacs_asks_at_this_door_and_is_answered_in_time(
    asked: Api, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(await scoped(asked))
    right = question(asked)
    args = ["default", SERIAL, "TR-181", right["provisioning_code"], "", ""]
    async with serving(asked) as url:
        told = await asyncio.to_thread(play, token_file, {"times": 2}, url=url, args=args)
        wrong = [*args[:3], "a" * 32, "", ""]
        refused = await asyncio.to_thread(play, token_file, {}, url=url, args=wrong)
        token_file.write_text("nobody's")
        stranger = await asyncio.to_thread(play, token_file, {}, url=url, args=args)
        lab = FirstlightExtension(url, await scoped(asked), LabClock())
        [answers] = told["answers"]
        one, *others = [json.loads(each) for each in (*answers, await lab("settings", args) or "")]
    proofs = {each.pop("proof") for each in (one, *others)}  # each is a hand-out of its own
    assert (len(proofs), others) == (3, [one, one])
    assert one["params"] and told["written"] == []
    assert (refused["answers"], refused["written"]) == ([[None]], [])
    assert stranger["answers"] == [[None]]
    assert stranger["written"][0].endswith("it answers 401, access.token_refused")
