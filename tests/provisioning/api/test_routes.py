"""What every route keeps: its permission, its one transaction, its key, its audit entry, and problems for answers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts
from sqlalchemy import text

from provisioning.access import ROLES, Forbidden, KnownCallers, Tokens
from provisioning.access.tokens import HONOURED_FOR
from provisioning.api import PUBLIC, Door, Doors, InCall
from provisioning.api.app import refuse_unguarded
from provisioning.api.routes import Terms
from provisioning.errors import InvalidRequest
from tests.support.api import Api

LEAD: dict[str, Any] = {"name": "Bob Hill", "email": "bob@example.net", "source": "web"}


def doors_of(app: FastAPI) -> Iterator[tuple[str, str, Terms]]:
    """(method, path, terms) of every route that is ours."""
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, Door):
            terms = route.original_route.terms
            yield terms.method, str(route.path), terms


async def test_a_role_gets_through_the_doors_of_its_permissions_and_no_other(api: Api) -> None:
    refused: set[tuple[str, str, str]] = set()
    wanted: set[tuple[str, str, str]] = set()
    for method, path, terms in doors_of(api.app):
        if terms.permission == PUBLIC:
            continue
        address = re.sub(r"{[^}]*}", "999999", path)
        for role, may in ROLES.items():
            body: dict[str, Any] = {} if method == "GET" else {"json": {}}
            answer = await api.send(method, address, role=role, **body)
            assert answer.status_code not in (401, 500), (method, path, role, answer.text)
            if answer.status_code == 403:
                assert answer.json()["code"] == Forbidden.code
                assert answer.headers["www-authenticate"] == 'Bearer realm="firstlight", error="insufficient_scope"'
                refused.add((method, path, role))
            if terms.permission not in may:
                wanted.add((method, path, role))
        nobody = await api.send(method, address, role=None)
        assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, 'Bearer realm="firstlight"')
    assert refused == wanted
    assert len(wanted) > 100


async def test_scopes_narrow_a_token(api: Api) -> None:
    token = await api.token("sales", scopes=["leads.read"])
    assert (await api.get("/leads", token=token)).status_code == 200
    assert (await api.post("/leads", LEAD, token=token)).status_code == 403


async def test_a_route_without_a_permission_does_not_come_to_be() -> None:
    with pytest.raises(TypeError, match="declares no permission"):
        Doors().door("GET", "/open", permission="no.such")(_nothing)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="declares no permission"):
        Doors().add_api_route("/open", _nothing)
    app, router = FastAPI(openapi_url=None), APIRouter()
    router.add_api_route("/open", _nothing)
    app.include_router(router)
    with pytest.raises(TypeError, match="/open is no Door"):
        refuse_unguarded(app)


async def _nothing() -> None: ...


async def test_the_same_request_again_is_the_same_answer_and_done_once(any_api: Api) -> None:
    first = await any_api.post("/leads", LEAD, key="lead-1")
    assert first.status_code == 201
    again = await any_api.send(
        "POST",
        "/leads",
        key='"lead-1"',
        content=b'{ "source": "web", "email": "bob@example.net",  "name": "Bob Hill" }',
        headers={"Content-Type": "application/json"},
    )
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replay"] == "true"
    other = await any_api.post("/leads", {**LEAD, "name": "Rob Hill"}, key="lead-1")
    assert (other.status_code, other.json()["code"]) == (422, "api.idempotency_key_reused")
    elsewhere = await any_api.post("/tickets", LEAD, key="lead-1")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (422, "api.idempotency_key_reused")
    somebody_else = await any_api.post("/leads", LEAD, key="lead-1", role="sales")
    assert somebody_else.json()["lead_id"] != first.json()["lead_id"]
    assert await _count(any_api, "SELECT count(*) FROM lead WHERE email = 'bob@example.net'") == 3
    assert len(await any_api.audit(actor="admin of the test")) == 1


async def test_of_twins_at_the_same_moment_one_is_done_and_both_get_its_answer(any_api: Api) -> None:
    token = await any_api.token("sales")
    await any_api.post("/leads", LEAD, key="before", token=token)  # to note the token's first use lines them up
    twins = [any_api.post("/leads", LEAD, key="twin", token=token) for _ in range(5)]
    answers = await asyncio.gather(*twins)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["lead_id"] for answer in answers}) == 1
    assert sorted(answer.headers.get("idempotent-replay", "") for answer in answers) == ["", *["true"] * 4]
    assert await _count(any_api, "SELECT count(*) FROM lead WHERE email = 'bob@example.net'") == 3


async def test_a_token_that_is_revoked_while_its_body_comes_changes_nothing(any_api: Api) -> None:
    token = await any_api.token("sales")
    number = await _count(any_api, "SELECT max(id) FROM api_token")

    async def body() -> AsyncIterator[bytes]:
        yield b'{"source": "web", "name": "Bob Hill",'
        async with any_api.appliance.database.begin() as db:
            await db.execute(text("UPDATE api_token SET revoked_at = created_at WHERE id = :id"), {"id": number})
        yield b'"email": "late@example.net"}'

    headers = {"Content-Type": "application/json"}
    answer = await any_api.send("POST", "/leads", key="late", token=token, content=body(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "access.token_refused")
    assert await _count(any_api, "SELECT count(*) FROM lead WHERE email = 'late@example.net'") == 0


async def test_a_request_without_a_name_is_told_which_header_it_lacks(api: Api) -> None:
    for key in ("", " ", "x" * 201, "a\tb"):
        answer = await api.post("/leads", LEAD, headers={"Idempotency-Key": key})
        assert (answer.status_code, answer.json()["code"]) == (400, "api.idempotency_key_missing")
        assert "Idempotency-Key" in answer.json()["detail"]


async def test_what_failed_left_no_key_and_is_done_when_it_comes_again(api: Api) -> None:
    refused = await api.post("/leads", {**LEAD, "email": "nowhere"}, key="retry-me")
    assert (refused.status_code, refused.json()["code"]) == (422, "provisioning.invalid_request")
    assert refused.json()["errors"] == [{"field": "email", "detail": "is not a mail address: nowhere"}]
    assert (await api.post("/leads", LEAD, key="retry-me")).status_code == 201


async def test_a_change_a_key_and_an_audit_entry_are_one_commit(any_api: Api) -> None:
    doors = Doors(prefix="/api/v1/probe", tags=["probe"])

    @doors.post("", permission="leads.write")
    async def spoil(call: InCall, wish: dict[str, Any]) -> dict[str, Any]:
        lead = await call.appliance.leads(call.db).register(**LEAD)
        await call.db.flush()
        if wish.get("fail") == "known":
            raise InvalidRequest("The probe", [])
        if wish.get("fail"):
            raise ZeroDivisionError("the password is hunter2")
        return {"lead": lead["lead_id"], "answered": "\ud800" if wish.get("unsayable") else "yes"}

    any_api.app.include_router(doors)
    kept = "SELECT (SELECT count(*) FROM lead) + (SELECT count(*) FROM idempotency_key) + count(*) FROM audit_entry"
    before = await _count(any_api, kept)
    for wish, status in (({"fail": "known"}, 422), ({"fail": "unknown"}, 500), ({"unsayable": True}, 500)):
        answer = await any_api.post("/probe", wish)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert "hunter2" not in answer.text and "Traceback" not in answer.text
    assert await _count(any_api, kept) == before
    assert (await any_api.post("/probe", {})).status_code == 200
    assert await _count(any_api, kept) == before + 3


async def test_a_reading_route_can_not_write(any_api: Api) -> None:
    doors = Doors(prefix="/api/v1/probe", tags=["probe"])

    @doors.get("", permission="leads.read")
    async def write(call: InCall) -> dict[str, Any]:
        await call.db.execute(text("UPDATE lead SET source = 'nowhere'"))
        return {}

    any_api.app.include_router(doors)
    await any_api.get("/probe")
    assert await _count(any_api, "SELECT count(*) FROM lead WHERE source = 'nowhere'") == 0


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b"{", "application/json", 400, "api.request_malformed"),
        (b'{"name": NaN}', "application/json", 400, "api.request_malformed"),
        (b'{"name": 1e999}', "application/json", 400, "api.request_malformed"),
        (b'{"name": "\\ud800"}', "application/json", 400, "api.request_malformed"),
        (b'{"name": "\\u0000"}', "application/json", 400, "api.request_malformed"),
        (b'{"name": "\xff"}', "application/json", 400, "api.request_malformed"),
        (b'{"name": ' + b"9" * 5000 + b"}", "application/json", 400, "api.request_malformed"),
        (b"[" * 33 + b"]" * 33, "application/json", 400, "api.request_malformed"),
        (b'{"' + b"[" * 40 + b'": 1}', "application/json; charset=utf-8", 422, "api.request_invalid"),
        (b"[" * 100_000, "application/json", 400, "api.request_malformed"),
        (b"name=Bob", "application/x-www-form-urlencoded", 415, "api.media_type_unsupported"),
        (b"{}", "", 415, "api.media_type_unsupported"),
        (b'"' + b"x" * 2**20 + b'"', "application/json", 413, "api.body_too_large"),
        (b"", "application/json", 422, "api.request_invalid"),
    ],
    ids=lambda value: repr(value[:20]) if isinstance(value, bytes) else None,
)
async def test_a_body_that_nobody_can_mean_is_refused(
    api: Api, content: bytes, media_type: str, status: int, code: str
) -> None:
    answer = await api.send("POST", "/leads", content=content, headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_is_cut_off_where_it_becomes_too_large_whatever_it_said(api: Api) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 65536

    answer = await api.send("POST", "/leads", content=endless(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "api.body_too_large")
    assert sent <= 20


async def test_every_refusal_is_a_problem_and_says_where(api: Api) -> None:
    unknown = await api.get("/nothing")
    assert unknown.json() == {
        "type": "urn:firstlight:problem:http.not_found",
        "title": "Not Found",
        "status": 404,
        "detail": "Not Found",
        "code": "http.not_found",
        "transient": False,
    }
    wrong = await api.send("DELETE", "/leads")
    assert (wrong.status_code, wrong.headers["allow"], wrong.json()["code"]) == (405, "GET", "http.method_not_allowed")
    shapeless = await api.post("/quotes", {"customer_id": "x", "lines": [{"offer_id": 0}], "tea": 1}, role="sales")
    assert {fault["pointer"] for fault in shapeless.json()["errors"]} == {
        "#/customer_id",
        "#/lines/0/offer_id",
        "#/valid_until",
        "#/tea",
    }
    query = await api.get("/runs", params={"limit": 201, "after": "*"})
    assert [fault["field"] for fault in query.json()["errors"]] == ["limit"]
    cursor = await api.get("/runs", params={"after": "*"})
    assert (cursor.status_code, cursor.json()["errors"][0]["field"]) == (422, "after")
    control = await api.get("/subscribers/a%00b")
    assert (control.status_code, control.json()["code"]) == (400, "api.request_malformed")


async def test_a_filter_that_the_route_does_not_know_is_refused_with_the_other_faults_and_nothing_is_done(
    api: Api,
) -> None:
    misspelt = await api.get("/runs", params={"stat": "held", "limit": 201})
    assert misspelt.status_code == 422
    told = {fault["field"]: fault["detail"] for fault in misspelt.json()["errors"]}
    assert set(told) == {"stat", "limit"}
    assert told["stat"] == (
        "only after, created_before, created_since, customer, journey, limit, state can be asked for here"
    )
    lead = {"name": "Ada", "email": "ada@mail.example"}
    changing = await api.send("POST", "/leads?dry_run=true", json=lead, role="sales")
    assert (changing.status_code, changing.json()["errors"][0]["field"]) == (422, "dry_run")
    assert "Ada" not in [each["name"] for each in (await api.get("/leads", role="sales")).json()["items"]]


async def test_no_answer_is_kept_on_its_way_or_taken_for_something_else(api: Api) -> None:
    answers = [
        await api.get("/runs"),
        await api.get("/runs/999"),
        await api.get("/nothing"),
        await api.send("DELETE", "/leads"),
        await api.post("/leads", LEAD),
        await api.get("/leads", role=None),
    ]
    assert [answer.status_code for answer in answers] == [200, 404, 404, 405, 201, 401]
    for answer in answers:
        assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")


async def test_a_database_that_is_away_is_a_503_that_says_when_to_come_again(api: Api) -> None:
    token = await api.token("admin")
    await api.appliance.database.close()
    file = str(api.appliance.database.url.database)
    api.appliance.database.reading.sync_engine.dialect.connect = _away  # type: ignore[method-assign]
    answer = await api.get("/runs", token=token)
    assert (answer.status_code, answer.json()["code"]) == (503, "provisioning.database_unreachable")
    assert answer.headers["retry-after"] == "2"
    assert file not in answer.text


def _away(*_arguments: Any, **_more: Any) -> Any:
    import sqlite3

    raise sqlite3.OperationalError("unable to open database file")


async def test_tokens_that_are_over_or_false_all_look_the_same(api: Api) -> None:
    good = await api.token("noc", days=1)
    [row] = await _rows(api, "SELECT max(id) FROM api_token")
    false = good[:-1] + ("A" if good[-1] != "A" else "B")
    answers = [await api.get("/runs", token=token) for token in (false, "firstlight_0123456789_" + "x" * 43, "x")]
    async with api.appliance.database.begin() as db:
        await db.execute(text(f"UPDATE api_token SET revoked_at = created_at WHERE id = {row[0]}"))
    answers.append(await api.get("/runs", token=good))
    async with api.appliance.database.begin() as db:
        await db.execute(text(f"UPDATE api_token SET revoked_at = NULL, expires_at = created_at WHERE id = {row[0]}"))
    answers.append(await api.get("/runs", token=good))
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].headers["www-authenticate"] == 'Bearer realm="firstlight", error="invalid_token"'


async def test_a_token_that_was_revoked_reads_for_one_more_second_and_changes_nothing(api: Api) -> None:
    now = api.appliance.clock()
    api.appliance.clock = lambda: now
    api.app.state.known = KnownCallers(api.appliance.clock)
    token = await api.token("noc", days=1)
    other = await api.token("noc", days=2)
    assert [(await api.get("/runs", token=one)).status_code for one in (token, other)] == [200, 200]
    async with api.appliance.database.begin() as db:
        tokens = Tokens(db, tenant_id=api.appliance.tenant_id, now=api.appliance.clock)
        await tokens.revoke(max(known.token_id for known in await tokens.tokens()) - 1)
    now += HONOURED_FOR - timedelta(milliseconds=1)
    assert (await api.get("/runs", token=token)).status_code == 200
    assert (await api.get("/audit", token=token)).status_code == 200
    assert (await api.get("/runs", token=token.swapcase())).status_code == 401
    refused = await api.post("/events", {"type": "x", "subject": "x", "data": {}, "key": "x"}, token=token)
    assert (refused.status_code, refused.json()["code"]) == (401, "access.token_refused")
    now += timedelta(milliseconds=1)
    assert (await api.get("/runs", token=token)).status_code == 401
    now -= timedelta(milliseconds=1)  # a clock that is set back makes nobody known again
    assert (await api.get("/runs", token=token)).status_code == 401
    assert (await api.get("/runs", token=other)).status_code == 200


async def test_a_token_that_expires_reads_no_more_from_that_moment(api: Api) -> None:
    now = api.appliance.clock()
    api.appliance.clock = lambda: now
    api.app.state.known = KnownCallers(api.appliance.clock)
    token, end = await api.token("noc", days=1), now + timedelta(days=1)
    now = end - timedelta(milliseconds=1)
    assert (await api.get("/runs", token=token)).status_code == 200
    now = end
    assert (await api.get("/runs", token=token)).status_code == 401


async def test_the_last_use_of_a_token_is_noted_once_an_hour_and_not_at_each_request(api: Api) -> None:
    asked = "SELECT last_used_at FROM api_token WHERE role = 'sales'"
    assert (await api.post("/leads", LEAD, role="sales")).status_code == 201
    [noted] = await _rows(api, asked)
    assert noted[0] is not None
    for _ in range(2):
        assert (await api.post("/leads", LEAD, role="sales")).status_code == 201
        assert (await api.get("/leads", role="sales")).status_code == 200
    assert await _rows(api, asked) == [noted]
    async with api.appliance.database.begin() as db:
        await db.execute(text("UPDATE api_token SET last_used_at = '2026-01-01 00:00:00.000000'"))
    assert (await api.post("/leads", LEAD, role="sales")).status_code == 201
    assert (await _rows(api, asked))[0][0] >= noted[0]


async def test_what_was_read_is_answered_though_the_use_of_the_token_can_not_be_noted(
    api: Api, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    token = await api.token("noc")
    async with api.appliance.database.begin() as db:
        await db.execute(
            text("CREATE TRIGGER full BEFORE UPDATE ON api_token BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
        )
    answer = await api.get("/runs", token=token)
    assert (answer.status_code, len(answer.json()["items"])) == (200, 4)
    [line] = log_lines()
    assert (line["event"], "disk is full" in line["reason"]) == ("the use of a token could not be noted", True)
    assert token not in str(line)


def test_public_doors_take_no_token_no_key_and_any_body() -> None:
    doors = Doors()
    doors.post("/hook", permission=PUBLIC)(_nothing)
    route = doors.routes[0]
    assert isinstance(route, Door)
    assert (route.terms.keyed, route.terms.takes_json, route.terms.reads) == (False, False, False)


async def test_the_description_names_each_route_s_permission_headers_and_statuses(api: Api) -> None:
    described = (await api.client.get("/openapi.json")).json()
    assert described["openapi"].startswith("3.1")
    cancel = described["paths"]["/api/v1/runs/{run_id}/cancel"]["post"]
    assert cancel["x-permission"] == "runs.operate"
    assert {parameter["name"] for parameter in cancel["parameters"]} == {"run_id", "Idempotency-Key", "If-Match"}
    assert set(cancel["responses"]) == {
        *("200", "400", "401", "403", "404", "409", "412", "413", "415", "422", "428", "503")
    }
    problem = cancel["responses"]["409"]["content"]["application/problem+json"]["schema"]["$ref"]
    assert problem == "#/components/schemas/Problem"
    assert "errors" in described["components"]["schemas"]["Problem"]["properties"]
    shapes = described["components"]["schemas"]
    assert "HTTPValidationError" not in shapes
    # Two classes of one name would be told apart by their modules, or as an input and an output, in every client.
    assert [name for name in shapes if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", name)] == []
    assert "QuoteRecordPage" in shapes
    for path, choice, told in (("runs", "journey", "input"), ("events", "type", "data")):
        wish = described["paths"][f"/api/v1/{path}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        by_name = {each["properties"][choice]["const"]: each["properties"][told] for each in wish["oneOf"]}
        wish = by_name["service_termination" if choice == "journey" else "service.termination_requested"]
        assert set(wish["properties"]) == {"username", "ends_on", "at_once", "reason"}
        assert (wish["required"], len(by_name)) == (["username", "reason"], 6)


async def test_the_page_of_the_api_has_every_route_and_takes_nothing_from_elsewhere(api: Api) -> None:
    described = (await api.client.get("/openapi.json")).json()
    page = await api.client.get("/docs")
    assert page.status_code == 200
    for path, item in described["paths"].items():
        for method in item:
            assert f"<strong>{method.upper()}</strong> {path}<" in page.text
    assert "Permission: runs.operate" in page.text
    assert re.findall(r"(?:src|href)=\"(.*?)\"", page.text) == ["/static/public.css", "/openapi.json"]
    assert "<script" not in page.text and "//" not in page.text
    assert page.headers["content-security-policy"].startswith(
        "default-src 'none'; style-src 'self'; form-action 'none'"
    )


async def _count(api: Api, question: str) -> int:
    [row] = await _rows(api, question)
    return int(row[0])


async def _rows(api: Api, question: str) -> list[Any]:
    async with api.appliance.database.read() as db:
        return list((await db.execute(text(question))).all())
