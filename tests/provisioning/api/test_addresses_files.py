"""``/addresses/imports``, ``/export`` and ``/reconciliation``: files over HTTP, refused line by line."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from tests.support.api import Api

KEPT = "value,note\n100.64.3.9,for the museum\n100.64.3.10,for the zoo\n"
WRONG = "value,note\n100.64.3.9,for the museum\n8.8.8.8,\n100.64.3.1/30,\n"
CSV = {"Content-Type": "text/csv; charset=utf-8"}


async def test_each_wrong_line_of_a_file_stands_in_the_refusal_and_nothing_is_written(any_api: Api) -> None:
    said = {"source": "csv", "content": WRONG}
    for body in ({**said, "dry_run": True}, said):
        answer = await any_api.post("/addresses/imports", body)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
        assert answer.json()["code"] == "ipam.import_refused"
        assert answer.json()["errors"] == [
            {"field": "line 3", "detail": "8.8.8.8 lies outside every pool"},
            {"field": "line 4", "detail": "'100.64.3.1/30' has host bits set; do you mean 100.64.3.0/30?"},
        ]
    assert "100.64.3.9" not in (await any_api.get("/addresses/export")).text
    assert await any_api.audit(subject="import/csv") == []


async def test_a_file_is_brought_in_once_whatever_is_sent_again(any_api: Api) -> None:
    where = "/addresses/imports?source=csv&file_name=old.csv&reason=we%20move"
    tried = await any_api.send("POST", f"{where}&dry_run=true", headers=CSV, content=KEPT)
    assert (tried.status_code, tried.json()["reserved"], tried.json()["dry_run"]) == (200, 2, True)
    assert (await any_api.send("POST", where, headers=CSV, content=KEPT, role="read-only")).status_code == 403

    first = await any_api.send("POST", where, headers=CSV, content=KEPT, key="k-1", role="noc")
    same = await any_api.send("POST", where, headers=CSV, content=KEPT, key="k-1", role="noc")
    other = await any_api.send("POST", where, headers=CSV, content=WRONG, key="k-1", role="noc")
    again = await any_api.post("/addresses/imports", {"content": KEPT}, role="noc")

    assert (first.status_code, first.json()["reserved"], first.json()["dry_run"]) == (200, 2, False)
    assert (same.json(), same.headers["Idempotent-Replay"]) == (first.json(), "true")
    assert (other.status_code, other.json()["code"]) == (422, "api.idempotency_key_reused")
    assert (again.json()["reserved"], again.json()["unchanged"]) == (0, 2)
    [entry] = await any_api.audit(subject="import/csv")
    assert (entry["action"], entry["reason"], entry["actor"]) == ("addresses import", "we move", "noc of the test")
    assert (entry["after"]["file"], entry["after"]["reserved"]) == ("old.csv", 2)


async def test_what_is_no_import_is_refused(api: Api) -> None:
    for request, status, code in (
        ({"headers": CSV, "content": b""}, 422, "ipam.request_invalid"),
        ({"headers": CSV, "content": b"value\n\xff\n"}, 422, "provisioning.invalid_request"),
        ({"headers": {"Content-Type": "text/plain"}, "content": KEPT}, 415, "api.media_type_unsupported"),
        ({"json": {"source": "excel"}}, 422, "api.request_invalid"),
        ({"json": {"source": "netbox"}}, 422, "provisioning.invalid_request"),
        ({"json": {"content": KEPT, "mapping": "who\n"}}, 422, "ipam.request_invalid"),
    ):
        answer = await api.send("POST", "/addresses/imports", **request)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    unknown = await api.send("POST", "/addresses/imports?source=excel", headers=CSV, content=KEPT)
    assert (unknown.status_code, unknown.json()["code"]) == (422, "api.request_invalid")


async def test_a_mapping_in_the_body_says_whose_the_addresses_of_a_file_are(any_api: Api) -> None:
    mapping = "address,customer_id,location,plan\n100.64.3.9,2001,LOC-20001,fiber-300\n"
    answer = await any_api.post("/addresses/imports", {"content": KEPT, "mapping": mapping, "dry_run": True})
    assert answer.json()["errors"][0] == {
        "field": "line 2",
        "detail": "plan fiber-300 needs something of an IPv6 WAN pool at LOC-20001, too; no line has it",
    }


@pytest.mark.both_databases
async def test_a_nul_in_a_file_is_a_fault_of_its_line(any_api: Api) -> None:
    content = b"value,state,customer_id,username,location,plan\n100.64.3.9,assigned,5,a\0b,c\0d,fiber-300\n"
    answer = await any_api.send("POST", "/addresses/imports", headers=CSV, content=content)
    assert (answer.status_code, answer.json()["errors"]) == (
        422,
        [
            {"field": "line 2", "detail": "username: FreeRADIUS never looks up a name like 'a\\x00b'"},
            {"field": "line 2", "detail": "location: no premise is known as 'c\\x00d'"},
        ],
    )


async def test_a_file_is_read_while_others_write(api: Api) -> None:
    await api.token("admin")
    async with api.appliance.database.begin() as db, asyncio.timeout(10):
        await db.execute(text("SELECT 1"))  # SQLite's one write lock is taken
        answer = await api.send("POST", "/addresses/imports", headers=CSV, content=b"value\n\xff\n")
    assert answer.status_code == 422


async def test_what_is_held_is_streamed_as_an_import_reads_it(api: Api) -> None:
    answer = await api.get("/addresses/export", params={"pool": "north-v4"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    header, *lines = answer.text.splitlines()
    assert header.startswith("vrf,pool,kind,value,state,customer_id,username")
    assert [line.split(",")[1] for line in lines] == ["north-v4"] * 4
    everything = (await api.get("/addresses/export")).text
    brought = await api.post("/addresses/imports", {"content": everything})
    assert brought.json()["unchanged"] == len(everything.splitlines()) - 1
    netbox = await api.get("/addresses/export?shape=netbox-prefixes")
    assert netbox.text.splitlines()[0] == "prefix,vrf,status,description"
    assert (await api.get("/addresses/export?pool=nowhere")).status_code == 404


async def test_all_that_is_wrong_with_what_is_asked_for_is_told_at_once(any_api: Api) -> None:
    asked = await any_api.get("/addresses/export?pool=nowhere&shape=foo&bar=1")
    assert (asked.status_code, [each["field"] for each in asked.json()["errors"]]) == (422, ["bar", "shape", "pool"])
    assert asked.json()["errors"][2]["detail"].startswith("There is no pool 'nowhere'")

    where = "/addresses/imports?source=foo&dry_run=x&bar=1"
    sent = await any_api.send("POST", where, headers=CSV, content=KEPT)
    assert (sent.status_code, [each["field"] for each in sent.json()["errors"]]) == (422, ["bar", "source", "dry_run"])


async def test_differences_are_counted_by_kind(api: Api) -> None:
    assert (await api.get("/addresses/reconciliation")).json() == {
        "missing_in_radius": 0,
        "unknown_to_ipam": 0,
        "reserved_otherwise": 0,
        "held_otherwise": 0,
        "given_twice": 0,
        "outside_pools": 0,
        "unfit": 0,
        "mismatched": 0,
        "left_out": {"anothers": 0, "under_way": 0},
        "differences": [],
    }
    async with api.appliance.radius_database.begin() as db:
        connection = await db.connection()
        await connection.exec_driver_sql(
            "INSERT INTO radreply (username, attribute, op, value)"
            " VALUES ('old@isp.example', 'Framed-IP-Address', ':=', '100.64.3.10')"
        )
    told = (await api.get("/addresses/reconciliation")).json()
    assert (told["unknown_to_ipam"], told["differences"][0]["username"]) == (1, "old@isp.example")
    assert (await api.get("/addresses/reconciliation?limit=0")).json()["differences"] == []
    held = await api.post("/addresses/imports", {"source": "radreply"})
    assert held.json()["reserved"] == 1
    assert (await api.get("/addresses/reconciliation")).json()["unknown_to_ipam"] == 0
