"""``POST /subscribers/imports``: a list of subscribers over HTTP, refused line by line."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from radius import GivingWay
from tests.support.api import Api
from tests.support.busy_log import BusyLog

HEADER = "username,customer_id,plan,password\n"
SOUND = HEADER + "old1@isp.example,2001,fiber-300,pass-1\nold2@isp.example,2002,fiber-300,\n"
WRONG = HEADER + "old1@isp.example,2001,gold,pass-1\nold2@isp.example,,fiber-300,`id`\n"
WHY: dict[str, object] = {"reason": "we move", "customers_elsewhere": True}
CSV = {"Content-Type": "text/csv; charset=utf-8"}


async def test_each_wrong_line_of_a_list_stands_in_the_refusal_and_nothing_is_written(any_api: Api) -> None:
    for body in ({"content": WRONG, "dry_run": True, **WHY}, {"content": WRONG, **WHY}):
        answer = await any_api.post("/subscribers/imports", body)
        assert (answer.status_code, answer.json()["code"]) == (422, "radius.import_refused")
        assert answer.json()["errors"] == [
            {"field": "line 2", "detail": "plan: there is no RADIUS plan 'gold'; known are: fiber-300, fiber-pool"},
            {
                "field": "line 3",
                "detail": "password: it begins with `, which FreeRADIUS takes as a quote and interprets",
            },
            {"field": "line 3", "detail": "customer_id is missing"},
        ]
    assert (await any_api.get("/subscribers/old2@isp.example")).status_code == 404
    assert await any_api.audit(subject="import/subscribers") == []


async def test_a_list_is_brought_in_once_and_the_worker_tells_freeradius(any_api: Api) -> None:
    where = "/subscribers/imports?file_name=old.csv&reason=we%20move&customers_elsewhere=true"
    tried = await any_api.send("POST", f"{where}&dry_run=true", headers=CSV, content=SOUND)
    assert tried.json() == {"lines": 2, "created": 2, "unchanged": 0, "dry_run": True}
    assert (await any_api.send("POST", where, headers=CSV, content=SOUND, role="read-only")).status_code == 403

    first = await any_api.send("POST", where, headers=CSV, content=SOUND, key="k-1")
    same = await any_api.send("POST", where, headers=CSV, content=SOUND, key="k-1")
    again = await any_api.post("/subscribers/imports", {"content": SOUND, **WHY})

    assert first.json() == {"lines": 2, "created": 2, "unchanged": 0, "dry_run": False}
    assert (same.json(), same.headers["Idempotent-Replay"]) == (first.json(), "true")
    assert (again.json()["created"], again.json()["unchanged"]) == (0, 2)
    entry = (await any_api.audit(subject="import/subscribers"))[-1]
    assert (entry["action"], entry["reason"], entry["after"]["file"]) == ("subscribers import", "we move", "old.csv")
    assert "pass-1" not in str(entry)

    shown = (await any_api.get("/subscribers/old1@isp.example")).json()
    assert (shown["state"], shown["projected"]) == ("active", False)
    assert await any_api.appliance.projections.catch_up() == 2
    assert (await any_api.get("/subscribers/old1@isp.example")).json()["projected"] is True


async def test_a_list_after_another_one_rests_for_those_who_log_in_meanwhile(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is locked while it rests, and a dry run need not."""
    appliance, rested, clock = api.appliance, list[float](), [0.0]

    async def sleep(seconds: float) -> None:
        async with appliance.database.begin() as db, asyncio.timeout(10):
            await db.execute(text("SELECT 1"))
        rested.append(seconds)

    def monotonic() -> float:
        clock[0] += 4.0
        return clock[0]

    monkeypatch.setattr(appliance, "giving_way", GivingWay(BusyLog(), sleep=sleep, monotonic=monotonic))
    for content, dry_run in ((SOUND, False), (SOUND, True), (SOUND, False)):
        answer = await api.post("/subscribers/imports", {"content": content, "dry_run": dry_run, **WHY})
        assert answer.status_code == 200
    assert rested == [28.0]  # 32 for 8000 logins in four seconds, less four that have gone since


async def test_what_is_no_list_is_refused_and_is_read_while_others_write(api: Api) -> None:
    await api.token("admin")
    async with api.appliance.database.begin() as db, asyncio.timeout(10):
        await db.execute(text("SELECT 1"))  # SQLite's one write lock is taken
        for request, code in (
            ({"headers": CSV, "content": b"username\n"}, "radius.import_unreadable"),
            ({"headers": CSV, "content": b'"' + SOUND.encode() + b"x" * 140_000}, "radius.import_unreadable"),
            ({"headers": CSV, "content": HEADER.encode() + b"\xff"}, "provisioning.invalid_request"),
            ({"json": {"reason": "no list"}}, "api.request_invalid"),
        ):
            answer = await api.send("POST", "/subscribers/imports?reason=we%20move", **request)
            assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_a_list_without_a_reason_or_with_a_blank_one_is_refused(api: Api) -> None:
    address, missing, blank = "/subscribers/imports", "is missing", "is blank: say why, in a few words"
    for body, detail in (({}, missing), ({"reason": "  "}, blank)):
        answer = await api.post(address, {"content": SOUND, "dry_run": True, **body})
        assert (answer.status_code, answer.json()["errors"]) == (422, [{"pointer": "#/reason", "detail": detail}])
    for query, detail in (("", missing), ("?reason=%20", blank)):
        answer = await api.send("POST", address + query, headers=CSV, content=SOUND)
        assert (answer.status_code, answer.json()["errors"]) == (422, [{"field": "reason", "detail": detail}])
