"""``/addresses`` on an estate that has installed: what is looked at, done by hand, and refused with numbers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ipam import NetworkEstate
from provisioning.addresses import AddressDesk
from provisioning.check import check_everything
from tests.support.api import Api
from tests.support.postgres import until_it_waits_for_us

HOME, NEXT_DOOR = "LOC-20001", "LOC-20090"


async def test_a_full_pool_is_a_conflict_with_its_numbers_and_never_an_empty_answer(api: Api) -> None:
    asked = {"customer_id": 1090, "service_location": NEXT_DOOR, "bandwidth_plan": "fiber-300"}
    free = await api.get("/addresses/preview", params=asked)
    assert {each["kind"]: each["how"] for each in free.json()}["ipv4"] == "fresh"
    given = await api.post("/addresses/services", asked, key="line-1", role="noc")
    assert (given.status_code, given.json()["ip_address"]) == (201, "192.0.2.2"), given.text
    assert (await api.post("/addresses/services", asked, key="line-1", role="noc")).json() == given.json()
    assert (await check_everything(api.appliance)).findings == []
    release = f"{given.headers['location']}/release"
    back = await api.post(release, {"reason": "a trial"}, match=given.headers["etag"], role="noc")
    assert back.status_code == 200, back.text
    again = await api.post(release, {"reason": "a trial"}, match=given.headers["etag"], role="noc")
    by_now = [{**each, "state": "cooling", "service_id": None} for each in back.json()["released"]]
    assert (back.json()["changed"], back.json()["now"]) == (True, [])
    assert again.json() == {**back.json(), "changed": False, "now": by_now}

    full = await api.post("/addresses/services", {**asked, "customer_id": 1091})
    preview = await api.get("/addresses/preview", params={**asked, "customer_id": 1091})

    assert (full.status_code, full.headers["content-type"]) == (409, "application/problem+json")
    problem = full.json()
    assert preview.json() == problem
    assert {name: problem[name] for name in ("code", "pool", "size", "assigned", "quarantined", "reserved")} == {
        "code": "ipam.pool_exhausted",
        "pool": "tight-v4",
        "size": 1,
        "assigned": 0,
        "quarantined": 1,
        "reserved": 0,
    }
    soon = (await api.get("/addresses/lookup?address=192.0.2.2")).json()["available_at"]
    assert problem["next_available_at"] == soon and soon.endswith("Z")
    assert any(pool["level"] == "exhausted" for pool in (await api.get("/addresses/pools")).json())


@pytest.mark.both_databases
async def test_a_re_homing_that_is_refused_for_full_pools_carries_their_numbers(any_api: Api) -> None:
    asked = {"customer_id": 1090, "service_location": NEXT_DOOR, "bandwidth_plan": "fiber-300", "request_id": "crm-7"}
    service = (await any_api.post("/addresses/services", asked)).json()["service_id"]
    await any_api.post(f"/addresses/services/{service}/release", {"reason": "moved out"}, match="*")
    soon = (await any_api.get("/addresses/lookup?address=192.0.2.2")).json()["available_at"]

    wish = {"access_nodes": ["OLT-3"], "bng": "bng-tight", "reason": "north is full"}
    refused = (await any_api.post("/addresses/rehome", wish, role="noc")).json()

    assert (refused["status"], refused["code"]) == (409, "addresses.services_in_the_way")
    assert refused["exhausted"] == [
        {
            **{"pool": "tight-v4", "size": 1, "assigned": 0, "quarantined": 1, "reserved": 0, "draining": 0},
            **{"free": 0, "wanted": 3, "next_available_at": soon},
        }
    ]


async def test_what_is_asked_for_twice_by_another_system_is_audited_when_something_comes_of_it(any_api: Api) -> None:
    asked = {"customer_id": 1090, "service_location": NEXT_DOOR, "bandwidth_plan": "fiber-300", "request_id": "crm-7"}
    given = await any_api.post("/addresses/services", asked)
    again = await any_api.post("/addresses/services", asked)
    service = given.json()["service_id"]
    released = await any_api.post(f"/addresses/services/{service}/release", {"reason": "moved out"}, match="*")
    back = await any_api.post("/addresses/services", asked)

    assert [each.status_code for each in (given, again, released, back)] == [201, 200, 200, 200], back.text
    assert back.json() == again.json() == given.json()
    entries = await any_api.audit(subject=f"service/{service}")
    assert [(each["action"], (each["before"] or {}).get("state")) for each in entries] == [
        ("addresses allocate", "released"),
        ("addresses release", None),
        ("addresses allocate", None),
    ]


async def test_the_longest_request_of_another_system_is_told_with_all_else_that_is_wrong(api: Api) -> None:
    asked = {"customer_id": 1090, "service_location": NEXT_DOOR, "bandwidth_plan": "fiber-300"}
    longest = await api.post("/addresses/services", {**asked, "request_id": "r" * 195})
    longer = await api.post("/addresses/services", {**asked, "bandwidth_plan": "gold", "request_id": "r" * 196})
    assert longest.status_code == 201, longest.text
    assert [each["pointer"] for each in longer.json()["errors"]] == ["#/request_id", "#/bandwidth_plan"]


async def test_what_a_query_says_twice_is_refused_where_one_alone_can_be_meant(api: Api) -> None:
    twice = await api.get("/addresses/holder?address=100.64.0.2&address=203.0.113.250")
    assert (twice.status_code, twice.json()["errors"]) == (
        422,
        [{"field": "address", "detail": "stands there 2 times"}],
    )
    assert (await api.get("/runs?state=held&state=failed")).status_code == 200


async def test_how_many_prefixes_are_wanted_is_looked_at_with_all_else(api: Api) -> None:
    wish = {"pool": "nope", "prefix": "2001:db8:9000::/48", "count": 5, "reason": "x"}
    refused = await api.post("/addresses/services/1/route", wish, match="*")
    faults = {each.get("pointer", each.get("field")).removeprefix("#/") for each in refused.json()["errors"]}
    assert (refused.status_code, faults) == (422, {"pool", "count"}), refused.text


@pytest.mark.both_databases
async def test_who_is_refused_together_has_the_full_pool_told_once(any_api: Api) -> None:
    asked = {"customer_id": 1090, "service_location": NEXT_DOOR, "bandwidth_plan": "fiber-300"}
    answers = await asyncio.gather(*(any_api.post("/addresses/services", asked) for _ in range(12)))
    assert sorted(each.status_code for each in answers) == [201, *[409] * 11]
    [told] = (await any_api.get("/events", params={"type": "pool.exhausted"})).json()["items"]
    assert (told["data"]["pool"], told["data"]["previous_level"], told["data"]["free"]) == ("tight-v4", "ok", 0)


async def test_a_named_request_is_the_same_service_whichever_key_and_token_it_comes_with(api: Api) -> None:
    asked = {"customer_id": 1090, "service_location": NEXT_DOOR, "bandwidth_plan": "fiber-300", "request_id": "crm-7"}
    given = await api.post("/addresses/services", asked, key="of-the-old-token", role="noc")
    again = await api.post("/addresses/services", asked, key="of-the-new-token", role="admin")
    assert (given.status_code, again.status_code) == (201, 200), again.text
    assert again.json() == given.json()

    other = await api.post("/addresses/services", {**asked, "customer_id": 1091}, role="admin")
    assert (other.status_code, other.json()["code"]) == (409, "ipam.request_conflict"), other.text
    assert "crm-7" in other.json()["detail"]
    blank = await api.post("/addresses/services", {**asked, "request_id": " "}, role="admin")
    assert blank.status_code == 422, blank.text


async def test_what_is_done_by_hand_is_audited_once_and_refused_to_whoever_only_reads(any_api: Api) -> None:
    kept = {"pool": "north-v4", "value": "100.64.3.9", "reason": "for the museum"}
    assert (await any_api.post("/addresses/reserve", kept, role="dispatch")).status_code == 403
    first = await any_api.post("/addresses/reserve", kept, key="k-1", role="noc")
    same = await any_api.post("/addresses/reserve", kept, key="k-1", role="noc")
    again = await any_api.post("/addresses/reserve", kept, role="noc")
    assert [first.json(), same.json(), again.json()] == [
        {"pool": "north-v4", "what": "100.64.3.9", "changed": True},
        {"pool": "north-v4", "what": "100.64.3.9", "changed": True},
        {"pool": "north-v4", "what": "100.64.3.9", "changed": False},
    ]
    [entry] = await any_api.audit(subject="pool/north-v4")
    assert (entry["action"], entry["reason"]) == ("addresses reserve", "for the museum")
    assert (await any_api.get("/addresses/lookup?address=100.64.3.9")).json()["state"] == "reserved"

    said = {
        ("reserve", "for the zoo"): (409, "ipam.unit_reserved"),
        ("lift", "now"): (409, "ipam.unit_not_held"),
    }
    for (verb, note), wanted in said.items():
        answer = await any_api.post(f"/addresses/{verb}", {**kept, "reason": note})
        assert (answer.status_code, answer.json()["code"]) == wanted
    freed = [await any_api.post("/addresses/unreserve", kept) for _ in range(2)]
    assert [answer.json()["changed"] for answer in freed] == [True, False]
    assert len(await any_api.audit(subject="pool/north-v4")) == 2
    span = {"pool": "north-v4", "span": "100.64.3.16/28", "note": "goes south"}  # a reason was called so once
    assert (await any_api.post("/addresses/drain", span)).json()["changed"] is True
    assert (await any_api.get("/addresses/left-behind?pool=north-v4")).json() == []
    both = await any_api.post("/addresses/drain", {**span, "reason": "goes south"})
    assert (both.status_code, [fault["pointer"] for fault in both.json()["errors"]]) == (422, ["#/note"])
    assert (await any_api.post("/addresses/undrain", span)).json()["changed"] is True
    assert (freed[0].json()["drained"], freed[0].json()["excluded"]) == (None, None)
    rogue = {"pool": "north-v4", "span": "100.64.3.9", "reason": "a rogue server"}
    assert (await any_api.post("/addresses/exclude", rogue)).json()["changed"] is True
    nobodys = (await any_api.post("/addresses/unreserve", kept)).json()
    assert (nobodys["drained"], nobodys["excluded"]) == (None, "excluded by hand (a rogue server)")
    part = {"pool": "north-pd", "span": "2001:db8:80ff:1220::/60", "reason": "goes south"}
    for verb in ("drain", "undrain", "exclude", "include"):
        answer = await any_api.post(f"/addresses/{verb}", part)
        assert answer.json() == {"pool": "north-pd", "what": "2001:db8:80ff:1200::/56", "changed": True}, answer.text
    [*_, drained] = await any_api.audit(subject="pool/north-pd")
    assert drained["after"]["what"] == "2001:db8:80ff:1200::/56"
    never = await any_api.get("/addresses/history?value=4095&pool=aggregation-north/101")
    assert (never.status_code, never.json()["code"]) == (422, "ipam.request_invalid")
    elsewhere = await any_api.post("/addresses/exclude", {**span, "span": "192.0.2.0/30"})
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (422, "ipam.request_invalid")
    nowhere = await any_api.post("/addresses/exclude", {**span, "pool": "nowhere"})
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "ipam.name_unknown")
    usage = {each["kind"]: each for each in (await any_api.get("/addresses/usage?by=bng")).json()}
    assert usage["ipv4"]["reserved"] in (0, 1)


async def test_a_pool_that_was_made_smaller_is_told_in_the_one_spelling_of_its_prefix(api: Api) -> None:
    smaller = {"pool": "north-pd", "network": "2001:DB8:8000:0::/41", "reason": "the rest goes south"}

    answer = await api.post("/addresses/shrink", smaller)

    assert answer.json() == {"pool": "north-pd", "what": "2001:db8:8000::/41", "changed": True}, answer.text


async def test_all_that_is_wrong_with_a_request_is_told_at_once_whatever_its_shape(api: Api) -> None:
    wrong: list[tuple[str, dict[str, Any], list[str]]] = [
        (
            "/addresses/services",
            {"customer_id": "no", "service_location": "LOC-9", "bandwidth_plan": "gold", "cvlan": 1},
            ["#/customer_id", "#/cvlan", "#/service_location", "#/bandwidth_plan"],
        ),
        (
            "/addresses/services",
            {"customer_id": 1, "service_location": "LOC-9", "bandwidth_plan": "gold"},
            ["service_location", "bandwidth_plan"],
        ),
        (
            "/addresses/services",
            {"customer_id": 1, "service_location": "LOC-9", "bandwidth_plan": "fiber-300", "ip_address": "1.1.1.1"},
            ["service_location", "ip_address"],
        ),
        (
            "/addresses/services",
            {"customer_id": 1, "service_location": "LOC-9", "bandwidth_plan": "gold", "cvlan": 1},
            ["#/cvlan", "#/service_location", "#/bandwidth_plan"],
        ),
        (
            "/addresses/services/99/move",
            {"service_location": "LOC-9", "reason": "moves", "cvlan": 1},
            ["#/cvlan", "service_id", "#/service_location"],
        ),
        (
            "/addresses/services/99/move",
            {"service_location": "LOC-9", "reason": " \n", "ip_address": "300.1.1.1"},
            ["#/reason", "#/ip_address", "service_id", "#/service_location"],
        ),
        ("/addresses/services/99/route", {"pool": "nowhere", "reason": "x"}, ["service_id", "pool"]),
        ("/addresses/services/99/release", {"reason": ""}, ["#/reason", "service_id"]),
        ("/addresses/reserve", {"pool": "nowhere", "value": "100.64", "reason": "x"}, ["pool", "value"]),
        ("/addresses/reserve", {"pool": "nowhere", "value": 7}, ["#/value", "#/reason", "#/pool"]),
        ("/addresses/rehome", {"access_nodes": ["OLT-9"], "bng": "bng-9"}, ["#/reason", "#/bng", "#/access_nodes"]),
        ("/addresses/nat/end-rule", {"pool": "nowhere", "reason": " "}, ["#/reason", "#/pool"]),
        ("/addresses/retire", {"pool": "nowhere", "reason": " "}, ["#/reason", "#/pool"]),
    ]
    for path, body, wheres in wrong:
        refused = await api.post(path, body, match="*")
        found = [fault.get("pointer") or fault["field"] for fault in refused.json()["errors"]]
        assert (refused.status_code, found) == (422, wheres), refused.text
    asked = {"customer_id": 0, "service_location": "LOC-9", "bandwidth_plan": "gold", "cvlan": 1}
    looks: list[tuple[str, dict[str, Any], list[str]]] = [
        ("lookup", {"address": "300.1.1.1", "vrf": "nowhere"}, ["address", "vrf"]),
        ("holder", {"address": "300.1.1.1", "vrf": "nowhere", "at": "soon"}, ["at", "address", "vrf"]),
        ("holder", {"address": "300.1.1.1", "vrf": "nowhere", "port": 7}, ["address", "vrf"]),
        ("history", {"value": "100.64.0.1/no", "vrf": "nowhere"}, ["value", "vrf"]),
        ("history", {"value": "100.64", "vrf": "nowhere", "pool": "no"}, ["vrf", "pool", "value"]),
        ("nat/blocks", {"inside": "::1", "vrf": "nowhere"}, ["inside", "vrf"]),
    ]
    for verb, params, wheres in looks:
        refused = await api.get(f"/addresses/{verb}", params=params)
        assert (refused.status_code, [fault["field"] for fault in refused.json()["errors"]]) == (422, wheres)
    nowhere = {"service_location": HOME, "bandwidth_plan": "fiber-300", "ip_address": "8.8.8.8"}
    numbers = await api.get("/addresses/preview", params={"customer_id": 1, "cvlan": 1, **nowhere})
    assert [fault["field"] for fault in numbers.json()["errors"]] == ["cvlan", "ip_address"]
    preview = await api.get("/addresses/preview", params=asked)
    assert [fault["field"] for fault in preview.json()["errors"]] == [
        "customer_id",
        "cvlan",
        "service_location",
        "bandwidth_plan",
    ]


@pytest.mark.either_database
async def test_a_time_that_nobody_can_read_is_refused_with_one_that_is_read(api: Api) -> None:
    examples = "is no moment with its zone, such as 2026-03-02T21:14Z or 2026-03-02T22:14+01:00"
    for asked, says in (
        ("yesterday", examples),
        ("2026-03-02", examples),
        ("2026-03-02T21:14", examples),
        ("1772486040", examples),
        ("2026-03-02T22:14+01:00", f"{examples}; a + is written %2B in an address"),
        ("9999-01-01T00:00Z", "is in the year 9999, not in 1970 to 2199"),
    ):
        refused = await api.get(f"/addresses/holder?address=100.64.0.1&at={asked}")
        assert refused.status_code == 422, refused.text
        assert refused.json()["errors"] == [{"field": "at", "detail": says}]
    assert (await api.get("/addresses/holder?address=100.64.0.1&at=2026-03-02T22:14%2B01:00")).status_code == 200


async def add_office_nets(api: Api) -> None:
    """Four prefixes that may be routed to whom the BNG north serves."""
    nets = {"name": "office-nets", "kind": "ipv4_routed", "network": "198.51.100.0/27"}
    async with api.appliance.database.begin() as db:
        estate = NetworkEstate(db, tenant_id=api.appliance.tenant_id, now=api.appliance.clock)
        await estate.apply({"pool": [nets | {"bindings": [{"bng": "bng-north"}]}]})


@pytest.mark.both_databases
async def test_a_service_changes_for_whoever_has_seen_what_it_holds(any_api: Api) -> None:
    await add_office_nets(any_api)
    seen = await any_api.get("/addresses/services/1")
    etag, wish = seen.headers["etag"], {"pool": "office-nets", "reason": "an office moves in"}
    assert (await any_api.post("/addresses/services/1/route", wish, role="noc")).status_code == 428

    answers = await asyncio.gather(
        *(
            any_api.post("/addresses/services/1/route", wish | {"prefix": f"198.51.100.{last}/29"}, match=etag)
            for last in (8, 16)
        )
    )

    given, slower = sorted(answers, key=lambda answer: answer.status_code)
    assert (given.status_code, given.json()["projected"]) == (200, False), given.text
    assert (slower.status_code, slower.json()["code"]) == (412, "api.precondition_failed")
    [route] = given.json()["resources"]["framed_routes"]
    prefix = route.split()[0]
    holder = (await any_api.get("/addresses/lookup", params={"address": prefix})).json()["holder"]
    assert holder["service_id"] == 1
    late = await any_api.post("/addresses/services/1/withdraw", {"prefix": prefix, "reason": "no"}, match=etag)
    assert (late.status_code, late.json()["code"]) == (412, "api.precondition_failed")
    etag = given.headers["etag"]
    assert (await any_api.get("/addresses/services/1")).headers["etag"] == etag
    move = {"service_location": NEXT_DOOR, "reason": "moves house"}
    away = await any_api.post("/addresses/services/1/move", move, match=etag)
    assert (away.status_code, away.json()["code"]) == (409, "ipam.route_not_served")
    back = await any_api.post("/addresses/services/1/withdraw", {"prefix": prefix, "reason": "no"}, match=etag)
    whose = {"customer_id": 1001, "location": HOME, "plan": "fiber-300", "state": "active", "released_at": None}
    assert {**back.json()["resources"], **whose} == seen.json()
    for prefix_, status, said in ((prefix, 200, False), ("198.51.100.24/29", 409, None)):
        body = {"prefix": prefix_, "reason": "once more"}
        again = await any_api.post("/addresses/services/1/withdraw", body, match=back.headers["etag"])
        assert (again.status_code, again.json().get("changed")) == (status, said), again.text
    away = await any_api.post("/addresses/services/1/move", move, match="*")
    assert (away.status_code, away.json()["code"]) == (409, "addresses.line_on_olt")
    stays = await any_api.post("/addresses/services/1/move", {**move, "service_location": HOME}, match="*")
    assert {**stays.json()["resources"], **whose} == seen.json()
    used = await any_api.post("/addresses/services/1/release", {"reason": "tidy"}, match="*")
    assert (used.status_code, used.json()["code"]) == (409, "addresses.service_served")
    three = await any_api.post("/addresses/services/1/route", {**wish, "count": 3}, match="*")
    routes = three.json()["resources"]["framed_routes"]
    async with any_api.appliance.database.begin() as db:
        line = await any_api.appliance.services(db).radius_service.subscriber(subscriber_id=1)
    assert (len(set(routes)), line["routes"]) == (3, routes)
    same = await any_api.post("/addresses/services/1/route", {**wish, "count": 2}, match="*")
    assert (same.json()["resources"]["framed_routes"], same.json()["changed"]) == (routes, False)
    few = (await any_api.post("/addresses/services/1/route", {**wish, "count": 7}, match="*")).json()
    numbers = [few[name] for name in ("size", "assigned", "free", "wanted")]
    assert (few["code"], numbers) == ("ipam.pool_exhausted", [4, 3, 1, 4])
    most = await any_api.post("/addresses/services/1/route", {**wish, "count": 17}, match="*")
    assert (most.status_code, [each["pointer"] for each in most.json()["errors"]]) == (422, ["#/count"])
    entries = await any_api.audit(subject="service/1")
    assert [(entry["action"], entry["reason"], entry["customer_id"]) for entry in entries] == [
        ("addresses route", "an office moves in", 1001),
        ("addresses move", "moves house", 1001),
        ("addresses withdraw", "no", 1001),
        ("addresses route", "an office moves in", 1001),
    ]


@pytest.mark.parametrize("estate", ["postgresql"], indirect=True)  # SQLite has one writer
@pytest.mark.parametrize(
    ("verb", "wish", "status"),
    [("move", {"service_location": HOME}, 200), ("withdraw", {"prefix": "192.0.2.0/29"}, 409)],
)
async def test_nodes_are_rehomed_after_a_service_that_is_just_being_changed(
    any_api: Api, monkeypatch: pytest.MonkeyPatch, verb: str, wish: dict[str, Any], status: int
) -> None:
    rehoming: list[asyncio.Task[Any]] = []
    its_own = getattr(AddressDesk, verb)

    async def and_meanwhile(desk: AddressDesk, **said: Any) -> Any:
        there = {"access_nodes": ["OLT-3"], "bng": "bng-tight", "reason": "north is full"}
        rehoming.append(asyncio.create_task(any_api.post("/addresses/rehome", there, role="noc")))
        await until_it_waits_for_us(desk._db, rehoming[0])
        return await its_own(desk, **said)

    monkeypatch.setattr(AddressDesk, verb, and_meanwhile)
    changed = await any_api.post(f"/addresses/services/1/{verb}", {**wish, "reason": "tidy"}, match="*")
    assert changed.status_code == status, changed.text
    rehomed = await rehoming[0]
    assert (rehomed.status_code, rehomed.json()["code"]) == (409, "addresses.services_in_the_way")


@pytest.mark.both_databases
async def test_what_is_reserved_is_given_to_who_says_so(any_api: Api) -> None:
    kept = {"pool": "tight-v4", "value": "192.0.2.2", "reason": "for Mrs Smith"}
    assert (await any_api.post("/addresses/reserve", kept, role="noc")).status_code == 200
    line = {"customer_id": 1090, "service_location": NEXT_DOOR, "bandwidth_plan": "fiber-300"}
    asked = {**line, "ip_address": "192.0.2.2"}

    refused = await any_api.post("/addresses/services", {**asked, "request_id": "crm-7"})
    assert (refused.status_code, refused.json()["code"]) == (409, "ipam.unit_reserved")
    assert "take_reserved" in refused.json()["detail"]
    assert (await any_api.get("/addresses/preview", params=asked)).json()["code"] == "ipam.unit_reserved"
    preview = await any_api.get("/addresses/preview", params={**asked, "take_reserved": "true"})
    assert ("named", "192.0.2.2") in {(each["how"], each["value"]) for each in preview.json()}
    nothing = await any_api.post("/addresses/services", {**line, "take_reserved": True})
    assert (nothing.status_code, [each["pointer"] for each in nothing.json()["errors"]]) == (422, ["#/take_reserved"])

    taking = {**asked, "request_id": "crm-7", "take_reserved": True}
    given = await any_api.post("/addresses/services", taking)
    again = [await any_api.post("/addresses/services", {**taking, "take_reserved": said}) for said in (True, False)]

    assert (given.status_code, given.json()["ip_address"]) == (201, "192.0.2.2")
    assert [(each.status_code, each.json()) for each in again] == [(200, given.json())] * 2
    history = (await any_api.get("/addresses/history?value=192.0.2.2")).json()
    service = given.json()["service_id"]
    assert [(each["what"], each["service_id"], each["note"]) for each in history] == [
        ("reserved", None, "for Mrs Smith"),
        ("unreserved", None, f"for service {service}, which has asked for it"),
        ("assigned", service, None),
    ]
    assert (await check_everything(any_api.appliance)).findings == []


@pytest.mark.both_databases
async def test_a_service_is_moved_to_what_is_reserved_by_who_says_so(any_api: Api) -> None:
    kept = {"pool": "north-v4", "value": "100.64.3.9", "reason": "for Mrs Smith"}
    assert (await any_api.post("/addresses/reserve", kept, role="noc")).status_code == 200
    wish = {"service_location": HOME, "ip_address": "100.64.3.9", "reason": "hers"}

    refused = await any_api.post("/addresses/services/1/move", wish, match="*")
    moved = await any_api.post("/addresses/services/1/move", {**wish, "take_reserved": True}, match="*")

    assert "take_reserved" in refused.json()["detail"]
    assert (refused.status_code, moved.status_code) == (409, 200), moved.text
    assert moved.json()["resources"]["ip_address"] == "100.64.3.9"


@pytest.mark.both_databases
async def test_a_prefix_that_is_reserved_is_routed_to_who_says_so(any_api: Api) -> None:
    await add_office_nets(any_api)
    kept = {"pool": "office-nets", "value": "198.51.100.8/29"}
    assert (await any_api.post("/addresses/reserve", {**kept, "reason": "for them"}, role="noc")).status_code == 200
    route, wish = "/addresses/services/1/route", {"pool": "office-nets", "reason": "an office moves in"}
    named = {**wish, "prefix": kept["value"]}

    refused = await any_api.post(route, named, match="*")
    unnamed = await any_api.post(route, {**wish, "take_reserved": True}, match="*")
    given = await any_api.post(route, {**named, "take_reserved": True}, match="*")

    assert (refused.status_code, refused.json()["code"]) == (409, "ipam.unit_reserved")
    assert (unnamed.status_code, [each["field"] for each in unnamed.json()["errors"]]) == (422, ["take_reserved"])
    assert (given.status_code, given.json()["resources"]["framed_routes"]) == (200, ["198.51.100.8/29 0.0.0.0 1"])
    history = (await any_api.get("/addresses/history", params={"value": kept["value"]})).json()
    assert [each["what"] for each in history] == ["reserved", "unreserved", "assigned"]


@pytest.mark.both_databases
async def test_a_re_homing_to_where_the_node_is_changes_nothing_and_is_not_audited(any_api: Api) -> None:
    before = (await any_api.get("/addresses/services/1")).json()
    drained = {"pool": "north-v4", "span": before["ip_address"], "reason": "goes"}
    assert (await any_api.post("/addresses/drain", drained)).json()["changed"] is True

    wish = {"access_nodes": ["OLT-3"], "bng": "bng-north", "reason": "once more"}
    rehomed = await any_api.post("/addresses/rehome", wish, role="noc")

    assert (rehomed.status_code, rehomed.json()) == (200, [])
    assert (await any_api.get("/addresses/services/1")).json() == before
    assert await any_api.audit(subject="bng/bng-north") == []


@pytest.mark.both_databases
async def test_who_has_seen_a_service_at_another_premise_moves_nothing_even_where_it_holds_the_same(
    any_api: Api,
) -> None:
    at_home = (await any_api.get("/addresses/services/1")).json()
    premises = ["LOC-1", "LOC-2", "LOC-3"]
    where = {"access_node": at_home["access_node"], "port": at_home["port"]}
    async with any_api.appliance.database.begin() as db:
        estate = NetworkEstate(db, tenant_id=any_api.appliance.tenant_id, now=any_api.appliance.clock)
        await estate.apply({"location": [{"id": each, **where} for each in premises]})
    asked = {"customer_id": 1090, "service_location": premises[0], "bandwidth_plan": "fiber-300"}
    given = await any_api.post("/addresses/services", asked)
    assert given.status_code == 201, given.text
    service = f"/addresses/services/{given.json()['service_id']}"
    seen = (await any_api.get(service)).headers["etag"]
    assert given.headers["etag"] == seen

    moves = [{"service_location": each, "reason": "moves house"} for each in premises]
    moved = await any_api.post(f"{service}/move", moves[1], match=seen)
    late = await any_api.post(f"{service}/move", moves[2], match=seen)

    assert (moved.json()["changed"], moved.json()["resources"]) == (True, given.json())
    assert (late.status_code, late.json()["code"]) == (412, "api.precondition_failed"), late.text
    now = (await any_api.get(service)).headers["etag"]
    assert moved.headers["etag"] == now != seen
    assert (await any_api.post(f"{service}/move", moves[2], match=now)).status_code == 200


@pytest.mark.both_databases
async def test_a_service_is_told_with_whose_it_is_and_a_released_one_only_with_whose_it_was(any_api: Api) -> None:
    asked = {"customer_id": 1090, "service_location": NEXT_DOOR, "bandwidth_plan": "fiber-300"}
    given = await any_api.post("/addresses/services", asked, role="noc")
    at = given.headers["location"]
    held = await any_api.get(at)
    back = await any_api.post(f"{at}/release", {"reason": "a trial"}, match=held.headers["etag"], role="noc")
    gone = await any_api.get(at)

    whose = {"customer_id": 1090, "location": NEXT_DOOR, "plan": "fiber-300"}
    assert (held.status_code, held.headers["etag"]) == (200, given.headers["etag"])
    assert held.json() == {**given.json(), **whose, "state": "active", "released_at": None}
    named = {name: given.json()[name] for name in ("service_id", "username")}
    assert (back.status_code, gone.status_code) == (200, 200), back.text
    assert gone.json() == {**named, **whose, "state": "released", "released_at": back.json()["released_at"]}
    assert gone.headers["etag"] != held.headers["etag"]
    paths = (await any_api.client.get("/openapi.json")).json()["paths"]
    described = paths["/api/v1/addresses/services/{service_id}"]["get"]["responses"]
    assert {"200", "404", "409"} <= described.keys()
    told = described["200"]["content"]["application/json"]["schema"]
    assert told["discriminator"]["mapping"].keys() == {"active", "released"}


async def test_a_picture_of_a_pool_can_do_nothing_but_be_looked_at(api: Api) -> None:
    picture = await api.get("/addresses/occupation.svg?pool=north-v4", role="read-only")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/svg+xml")
    assert picture.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert picture.text.startswith("<svg ") and "<script" not in picture.text
    cells = (await api.get("/addresses/occupation?pool=north-v4")).json()["cells"]
    assert (len(cells), sum(cell["assigned"] for cell in cells)) == (1024, 3)
    vlans = await api.get("/addresses/occupation", params={"pool": "aggregation-north/101"})
    assert vlans.json()["units_per_cell"] == 4
    assert (await api.get("/addresses/occupation.svg?pool=nowhere")).status_code == 404


async def test_who_was_behind_a_port_is_answered_by_rule_and_by_what_was_logged(api: Api) -> None:
    rule = {"pool": "north-v4", "outside": "203.0.113.0/27", "ports_per_subscriber": 2016, "reason": "det44"}
    assert (await api.post("/addresses/nat/rules", rule)).json() == {"pool": "north-v4", "changed": True}
    assert (await api.post("/addresses/nat/rules", rule)).json() == {"pool": "north-v4", "changed": False}
    assert (await api.post("/addresses/nat/rules", {**rule, "since": "2026-01-01T00:00:00Z"})).json()["changed"]
    assert (await api.get("/addresses/nat/rules")).json()[0]["since"] == "2026-01-01T00:00:00Z"
    held = (await api.get("/addresses/services/1")).json()["ip_address"]
    [block] = (await api.get(f"/addresses/nat/blocks?inside={held}")).json()
    asked = {"address": block["outside"], "port": block["last_port"]}
    found = (await api.get("/addresses/holder", params=asked)).json()
    assert (found["holder"]["service_id"], found["behind"]["block"]) == (1, block)
    portless = (await api.get("/addresses/holder", params={"address": block["outside"]})).json()
    assert (portless["holder"], portless["known"], portless["known_elsewhere"]) == (None, False, "port")
    ended = [await api.post("/addresses/nat/end-rule", {"pool": "north-v4", "reason": "another box"}) for _ in range(2)]
    assert [answer.json()["changed"] for answer in ended] == [True, False]
    not_known = {"holder": None, "behind": None, "known": False, "known_from": None, "known_elsewhere": None}
    assert (await api.get("/addresses/holder", params=asked)).json() == not_known
    before = {**asked, "at": "2025-12-31T00:00:00Z"}
    told_later = not_known | {"known_from": "2026-01-01T00:00:00Z"}
    assert (await api.get("/addresses/holder", params=before)).json() == told_later
    unheld = await api.get("/addresses/holder", params={**asked, "port": 80, "at": "2026-01-01T00:00:00Z"})
    assert unheld.json() == {"holder": None, "behind": None, "known": True, "known_from": None, "known_elsewhere": None}
    line: dict[str, Any] = {
        "outside": "198.51.100.7",
        "first_port": 1024,
        "last_port": 2047,
        "inside": held,
        "began_at": "2026-03-02T20:00:00Z",
    }
    log = {"source": "cgn-1", "blocks": [line]}
    assert [(await api.post("/addresses/nat/blocks", log)).json() for _ in range(2)] == [
        {
            "blocks": 1,
            "new": new,
            "ended_by_next": 0,
            "contradicts_rule": 0,
            "for_no_time": 0,
            "first_contradicting": [],
        }
        for new in (1, 0)
    ]
    nobodys = {**log, "blocks": [{**line, "first_port": 4096, "last_port": 5119, "ended_at": line["began_at"]}]}
    passed_over = (await api.post("/addresses/nat/blocks", nobodys)).json()
    assert (passed_over["blocks"], passed_over["new"], passed_over["for_no_time"]) == (1, 0, 1)
    clash = await api.post("/addresses/nat/blocks", {**log, "blocks": [{**line, "first_port": 1500}]})
    assert (clash.status_code, [each["pointer"] for each in clash.json()["errors"]]) == (422, ["#/blocks/0"])
    assert (await api.get("/addresses/nat/rules")).json() == []


@pytest.mark.both_databases
async def test_a_log_that_contradicts_the_rule_in_force_is_read_and_says_so(any_api: Api) -> None:
    rule = {"pool": "north-v4", "outside": "203.0.113.0/27", "ports_per_subscriber": 2016, "reason": "det44"}
    await any_api.post("/addresses/nat/rules", {**rule, "since": "2026-01-01T00:00:00Z"})
    block = {"outside": "203.0.113.1", "first_port": 1024, "last_port": 2047, "inside": "100.64.0.20"}
    log = {"source": "cgn-1", "blocks": [{**block, "began_at": "2026-03-02T20:00:00Z"}]}

    answer = await any_api.post("/addresses/nat/blocks", log)

    told = {**block, "began_at": "2026-03-02T20:00:00Z", "pool": "north-v4", "by_rule": "100.64.0.32"}
    counts = {"blocks": 1, "new": 1, "ended_by_next": 0, "contradicts_rule": 1, "for_no_time": 0}
    assert answer.json() == {**counts, "first_contradicting": [told]}
    [entry] = await any_api.audit(subject="nat_log/cgn-1")
    assert entry["after"] == counts


@pytest.mark.both_databases
async def test_faults_of_rules_and_logs_of_a_cgnat_point_into_the_body(any_api: Api) -> None:
    rule = {"pool": "north-v4", "outside": "203.0.113.0/27", "ports_per_subscriber": 2016, "reason": "det44"}
    host_bits = "'203.0.113.1/27' has host bits set; do you mean 203.0.113.0/27?"
    line = {"outside": "198.51.100.7", "first_port": 1024, "last_port": 2047, "inside": "100.64.0.7"}
    block: dict[str, Any] = {**line, "began_at": "2026-03-02T20:00:00Z"}
    ours, shape = "ipam.request_invalid", "api.request_invalid"
    wrong: list[tuple[str, dict[str, Any], str, list[str]]] = [
        ("rules", {**rule, "outside": "203.0.113.1/27", "vrf": "blue"}, ours, ["#/vrf", "#/outside"]),
        (
            "rules",
            {**rule, "outside": "203.0.113.1/27", "first_port": 9, "last_port": 7},
            ours,
            ["#/last_port", "#/outside"],
        ),
        ("rules", {**rule, "since": "2100-01-01T00:00Z"}, ours, ["#/since"]),
        (
            "rules",
            {**rule, "outside": "::/64", "pool": "no", "first_port": "1", "since": "2100-01-01T00:00Z"},
            shape,
            ["#/first_port", "#/pool", "#/outside", "#/since"],
        ),
        (
            "rules",
            {**rule, "first_port": 9, "last_port": 7, "reason": " "},
            shape,
            ["#/reason", "#/last_port"],
        ),
        (
            "blocks",
            {"source": " ", "blocks": [block, {**block, "vrf": "no", "inside": "x"}, {**block, "inside": "8.8.8.8"}]},
            ours,
            ["#/source", "#/blocks/1/inside", "#/blocks/1/vrf", "#/blocks/2/inside", "#/blocks/2"],
        ),
        (
            "blocks",
            {"source": "b", "blocks": [{**block, "ended_at": "2100-01-01T00:00Z"}]},
            ours,
            ["#/blocks/0/ended_at"],
        ),
        (
            "blocks",
            {"source": " ", "blocks": [{**block, "first_port": "1", "vrf": "no"}, {**block, "inside": "8.8.8.8"}, 7]},
            shape,
            ["#/blocks/0/first_port", "#/blocks/2", "#/source", "#/blocks/0/vrf", "#/blocks/1/inside"],
        ),
        (
            "blocks",
            {
                "source": "b",
                "blocks": [
                    {
                        **block,
                        "first_port": "x",
                        "last_port": 70_000,
                        "inside": "100.64.0.999",
                        "began_at": "yesterday",
                    },
                    {**block, "first_port": "x", "inside": "8.8.8.8"},
                    block,
                    {**block, "inside": "100.64.0.8"},
                ],
            },
            shape,
            [
                "#/blocks/0/first_port",
                "#/blocks/0/began_at",
                "#/blocks/1/first_port",
                "#/blocks/0/inside",
                "#/blocks/0/last_port",
                "#/blocks/1/inside",
                "#/blocks/3",
            ],
        ),
    ]
    for verb, body, code, pointers in wrong:
        refused = (await any_api.post(f"/addresses/nat/{verb}", body)).json()
        assert (refused["status"], refused["code"]) == (422, code), refused
        assert [each.get("pointer") for each in refused["errors"]] == pointers, refused

    one = (await any_api.post("/addresses/nat/rules", {**rule, "outside": "203.0.113.1/27"})).json()
    assert one["errors"] == [{"pointer": "#/outside", "detail": host_bits}]
    assert one["detail"] == f"#/outside: {host_bits}"
    nobodys = await any_api.post("/addresses/nat/rules", {**rule, "pool": "nowhere"})
    assert (nobodys.status_code, nobodys.json()["code"]) == (404, "ipam.name_unknown")
    asked = (await any_api.get("/addresses/holder?address=2001:db8::1&port=80")).json()
    assert asked["errors"] == [{"field": "address", "detail": "is 2001:db8::1; CGNAT is about IPv4"}]
    assert (await any_api.get("/addresses/nat/rules")).json() == []
