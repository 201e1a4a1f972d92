"""``/search``: whatever somebody has in hand leads to the subscriber, and nobody is shown what isn't theirs to see."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update

from ipam import LoggedBlock
from provisioning.access import Role
from provisioning.commercial.payments import list_payments
from provisioning.commercial.payments.tables import Payment
from radius.projection.freeradius_tables import radacct
from radius.subscribers.line_identity import LineIdentity, line_columns
from radius.tables import FormerUsername, Subscriber
from tests.provisioning.console.test_lists import add_payment
from tests.support.api import PARTNER, Api
from workflows.engine.tables import RunRow

ANNA, SERIAL = "c1001-s1@isp.example", "HWTC00000001"
STATION = "A4-7B-2C-11-22-3F"


async def search(api: Api, q: str, role: Role = "noc", **more: Any) -> list[dict[str, Any]]:
    answer = await api.get("/search", params={"q": q, **more.pop("params", {})}, role=role, **more)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["hits"]
    return found


def nouns(hits: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(hit["noun"], hit["id"]) for hit in hits}


@pytest.fixture
async def online(any_api: Api) -> Api:
    """The completed installation's session is open, from a CPE whose MAC address its NAS tells."""
    async with any_api.appliance.radius_database.begin() as db:
        await db.execute(update(radacct).where(radacct.c.username == ANNA).values(callingstationid=STATION))
    await any_api.appliance.station_book.note()
    return any_api


@pytest.mark.both_databases
async def test_half_a_mac_an_address_a_serial_and_a_name_lead_to_the_same_subscriber(online: Api) -> None:
    subscriber = (await online.get(f"/subscribers/{ANNA}")).json()
    for q in ("a4:7b:2c", "11223f", "A47B.2C11.223F", ANNA, "C1001-S1@", subscriber["ipv4"], "service 1"):
        best = (await search(online, q))[0]
        assert (best["noun"], best["id"], best["username"]) == ("subscriber", ANNA, ANNA), q
        assert best["is_online"] is True, q
        assert "customer 1001, Customer 1" in best["about"], q
        assert best["why"], q
    for q in (SERIAL, "hwtc-0000 0001", "4857544300000001", "4857544300000"):
        [device] = [hit for hit in await search(online, q) if hit["id"] == SERIAL]
        assert (device["noun"], device["username"], device["customer_id"]) == ("device", ANNA, 1001), q
    for q in ("customer1@example.net", "customer 1001"):
        assert (await search(online, q))[0]["username"] == ANNA, q
    [mac] = await search(online, "a4-7b-2c-11-22-3f")
    assert mac["why"][0].startswith("it has logged in from a4:7b:2c:11:22:3f, last at 20")
    assert (mac["matched"], mac["score"]) == (["mac"], 100)


async def test_an_address_says_where_it_lies_and_a_prefix_which_pool_it_is_a_part_of(online: Api) -> None:
    delegated = (await online.get(f"/subscribers/{ANNA}")).json()["delegated_prefix"]
    inside = delegated.replace("::/56", "::17")
    assert {(hit["noun"], hit["title"]) for hit in await search(online, inside)} >= {("subscriber", ANNA)}
    [pool] = await search(online, "100.64.0.0/24")
    assert (pool["noun"], pool["id"]) == ("pool", "north-v4")
    free = await search(online, "100.64.3.250")
    assert [(hit["noun"], hit["about"]) for hit in free] == [("address", "free in pool north-v4")]
    around = {hit["id"]: hit for hit in await search(online, "100.64.0.0/10")}
    assert around["north-v4"]["about"].startswith("has 100.64.")
    assert around["north-v4"]["why"] == ["it lies in 100.64.0.0/10"]
    assert await search(online, "198.51.100.7") == []


@pytest.mark.both_databases
async def test_the_port_of_a_cgnat_says_who_is_behind_it_or_was_and_leads_to_the_service(any_api: Api) -> None:
    inside = (await any_api.get(f"/subscribers/{ANNA}")).json()["ipv4"]
    now = any_api.appliance.clock()
    block = LoggedBlock("203.0.113.7", 40000, 40999, inside, now - timedelta(minutes=5))
    async with any_api.appliance.database.begin() as db:
        await any_api.appliance.port_blocks(db).import_blocks([block], source="cgn-1")

    port = "203.0.113.7:40112"
    line = await search(any_api, port)

    assert {(hit["noun"], hit["id"], hit["score"]) for hit in line[:2]} == {
        ("address", port, 100),
        ("subscriber", ANNA, 100),
    }
    held = {hit["noun"]: hit for hit in line}
    assert (held["address"]["service_id"], held["address"]["customer_id"]) == (1, 1001)
    told = f"ports 40000 to 40999 by log cgn-1, inside {inside}: service 1, {ANNA} at LOC-"
    assert held["address"]["about"].startswith(told)
    assert held["address"]["about"].endswith("customer 1001, Customer 1")
    assert held["subscriber"]["why"] == [f"{port} is behind its service 1"]
    assert await search(any_api, "203.0.113.7:39999") == []
    [outside] = await search(any_api, "203.0.113.7")
    assert (outside["noun"], outside["about"]) == (
        "address",
        "of no pool here; a CGNAT has it outside: type its port after it, as in 203.0.113.7:40112",
    )
    before = f"{now - timedelta(minutes=6):%Y-%m-%dT%H:%M}Z"
    assert await search(any_api, f"{port} {before}") == []
    [then, *_] = await search(any_api, f"{port} {now.isoformat()}")
    assert then["customer_id"] == 1001
    for at, told in (("tomorrow", "'tomorrow', which is no moment"), ("2199-01-01T00:00Z", "which is yet to come")):
        refused = await any_api.get("/search", params={"q": f"{port} {at}"})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "q")
        assert told in refused.text
    assert await search(any_api, port, role="technician") == []


@pytest.mark.both_databases
async def test_who_has_typed_a_port_of_a_cgnat_s_address_is_not_told_to(any_api: Api) -> None:
    pool = {"name": "outside", "kind": "ipv4", "network": "203.0.113.0/28", "exclude": ["203.0.113.7"]}
    async with any_api.appliance.database.begin() as db:
        inside = (await any_api.get(f"/subscribers/{ANNA}")).json()["ipv4"]
        await any_api.appliance.network_estate(db).apply({"pool": [pool]})
        block = LoggedBlock("203.0.113.7", 40000, 40999, inside, any_api.appliance.clock() - timedelta(minutes=5))
        await any_api.appliance.port_blocks(db).import_blocks([block], source="cgn-1")

    [hit] = await search(any_api, "203.0.113.7")
    assert hit["about"] == (
        "excluded in pool outside (reserved); a CGNAT has it outside: type its port after it, as in 203.0.113.7:40112"
    )
    [hit] = await search(any_api, "203.0.113.7:39999")
    assert (hit["id"], hit["about"]) == ("203.0.113.7", "excluded in pool outside (reserved); a CGNAT has it outside")
    about = {hit["id"]: hit["about"] for hit in await search(any_api, "203.0.113.7:40112") if hit["noun"] == "address"}
    assert about["203.0.113.7"] == "excluded in pool outside (reserved); a CGNAT has it outside"
    assert about["203.0.113.7:40112"].startswith("ports 40000 to 40999 by log cgn-1")


@pytest.mark.both_databases
async def test_an_address_that_stands_in_two_vrfs_is_a_hit_for_each_with_its_holder(any_api: Api) -> None:
    address = (await any_api.get(f"/subscribers/{ANNA}")).json()["ipv4"]
    twin = {"name": "biz-v4", "kind": "ipv4", "network": f"{address}/32", "vrf": "biz"}
    async with any_api.appliance.database.begin() as db:
        await any_api.appliance.network_estate(db).apply({"vrf": [{"name": "biz"}], "pool": [twin]})

    found = await search(any_api, address)

    assert (found[0]["noun"], found[0]["id"]) == ("subscriber", ANNA)
    by_id = {hit["id"]: hit for hit in found if hit["noun"] == "address"}
    assert list(by_id) == [f"{address} in VRF biz", f"{address} in VRF default"]
    biz, default = by_id.values()
    assert (biz["about"], biz["service_id"]) == ("free in pool biz-v4", None)
    assert default["about"].startswith(f"assigned in pool north-v4: service 1, {ANNA} at LOC-")
    assert default["about"].endswith("customer 1001, Customer 1")
    assert (default["service_id"], default["customer_id"]) == (1, 1001)


async def test_numbers_of_orders_tickets_runs_and_visits_are_found_and_no_amount_is_told(any_api: Api) -> None:
    order = (await any_api.get("/orders")).json()["items"][0]
    [hit] = await search(any_api, f"order {order['order_id']}")
    assert nouns([hit]) == {("order", str(order["order_id"]))}
    assert not {"total_minor", "currency"} & set(hit) and "49." not in hit["about"]
    assert nouns(await search(any_api, "run 1")) == {("run", "1")}
    assert nouns(await search(any_api, "T-1")) >= {("run", "1")}
    assert {("run", "1"), ("visit", "1"), ("order", str(order["order_id"]))} <= nouns(await search(any_api, "1"))
    assert await search(any_api, "run 999999999999") == await search(any_api, "ticket 7") == []
    bob = await search(any_api, "bob hill", role="sales")
    assert [(hit["noun"], hit["title"], hit["username"]) for hit in bob] == [("customer", "Bob Hill", None)]


@pytest.mark.both_databases
async def test_a_subscriber_is_found_by_its_line_by_your_number_and_by_the_name_that_it_had(any_api: Api) -> None:
    waiting = "c1002-s2@isp.example"
    line = line_columns(LineIdentity(station="f0761c0000aa"))
    bound = {**line, "external_id": "K-77/b"}
    async with any_api.appliance.database.begin() as db:
        await db.execute(update(Subscriber).where(Subscriber.username == waiting).values(**bound))
        number = await db.scalar(select(Subscriber.id).where(Subscriber.username == waiting))
        tenant_id, now = any_api.appliance.tenant_id, any_api.appliance.clock()
        former = {"tenant_id": tenant_id, "subscriber_id": number, "username": "old-name@isp", "given_up_at": now}
        await db.execute(insert(FormerUsername).values(**former))
    for q, why in (
        ("f0:76:1c", "its line is f0:76:1c:00:00:aa"),
        ("0000aa", "its line is f0:76:1c:00:00:aa"),
        ("K-77/b", "it is K-77/b to you"),
        ("old-name@isp", "it was old-name@isp before"),
    ):
        [hit] = await search(any_api, q)
        assert (hit["id"], hit["why"], hit["is_online"]) == (waiting, [why], False), q


@pytest.mark.both_databases
async def test_a_session_leads_to_whose_it_is_by_the_name_that_it_has_now(online: Api) -> None:
    known = (await online.get(f"/subscribers/{ANNA}")).json()
    address, appliance = known["ipv4"], online.appliance
    async with appliance.database.begin() as db:
        await appliance.subscriber_desk(db).rename(ANNA, username="anna@isp.example", cpe_by_hand=True)
        await db.execute(update(FormerUsername).values(free_at=appliance.clock()))

    for q in (address, STATION):
        [best, *_] = await search(online, q)
        assert (best["id"], best["username"], best["is_online"]) == ("anna@isp.example", "anna@isp.example", True), q
    found = await search(online, address)
    assert f"its session under {ANNA} has {address} since " in found[0]["why"][0]
    assert [hit for hit in found if hit["id"] == ANNA] == []


@pytest.mark.both_databases
@pytest.mark.parametrize("has_class", [True, False])
async def test_a_session_under_a_name_that_another_has_by_now_does_not_lead_to_that_one(
    online: Api, has_class: bool
) -> None:
    known = (await online.get(f"/subscribers/{ANNA}")).json()
    address, appliance = known["ipv4"], online.appliance
    async with appliance.database.begin() as db:
        await appliance.subscriber_desk(db).rename(ANNA, username="anna@isp.example", cpe_by_hand=True)
        await db.execute(update(FormerUsername).values(free_at=appliance.clock()))
        radius = appliance.services(db).radius_service
        made = await radius.create_subscriber(
            customer_id=known["customer_id"], username=ANNA, bandwidth_profile=known["plan"]
        )
    if not has_class:
        async with appliance.radius_database.begin() as db:
            await db.execute(update(radacct).values({radacct.c["class"]: None}))

    for q in (address, STATION):
        by_name = {hit["id"]: hit for hit in await search(online, q) if hit["noun"] == "subscriber"}
        assert list(by_name) == ["anna@isp.example"], q
        assert by_name["anna@isp.example"]["is_online"] is True, q
    [other] = [hit for hit in await search(online, ANNA) if hit["id"] == ANNA]
    assert other["is_online"] is False
    [had] = (await online.get(f"/sessions/who-had?address={address}")).json()
    assert had["subscriber"] == {"subscriber_id": known["subscriber_id"], "username": "anna@isp.example"}

    async with appliance.database.begin() as db:
        await appliance.services(db).radius_service.terminate(subscriber_id=known["subscriber_id"])
    [was] = [hit for hit in await search(online, address) if hit["noun"] == "subscriber" and hit["why"]]
    assert (was["id"], was["username"], made["username"]) == ("anna@isp.example", None, ANNA)
    assert f"a session of subscriber {known['subscriber_id']}, which was terminated, has {address} since " in str(was)


async def test_each_role_sees_what_its_permissions_say(online: Api) -> None:
    assert await search(online, "a4:7b:2c", role="sales") == await search(online, SERIAL, role="sales") == []
    assert await search(online, "order 1", role="dispatch") != []
    assert [hit["is_online"] for hit in await search(online, "customer 1001", role="sales")] == [None]
    narrowed = await online.token("noc", scopes=["search.read", "customers.read"])
    assert nouns(await search(online, "1", token=narrowed)) <= {("customer", "1")}
    no_search = await online.token("noc", scopes=["customers.read"])
    assert (await online.get("/search?q=anna", token=no_search)).status_code == 403
    assert (await online.get("/search?q=anna", role=None)).status_code == 401


@pytest.mark.both_databases
async def test_a_quote_a_payment_a_pool_and_a_nas_are_found_by_who_may_see_them(any_api: Api) -> None:
    await add_payment(any_api.appliance)
    async with any_api.appliance.database.begin() as db:
        await db.execute(
            update(Payment).values(
                state="captured", captured_at=any_api.appliance.clock(), provider_ref="SEPA 2026/Abc 77"
            )
        )
        [payment] = await list_payments(db, tenant_id=any_api.appliance.tenant_id)
        quote = (await any_api.appliance.quotes(db).quotes(limit=1))[0]
        nas = (await any_api.appliance.services(db).radius_service.nas_list())[0]
    asked = f"quote {quote['quote_id']}"
    [found] = await search(any_api, asked, role="sales")
    assert (found["noun"], found["id"], found["customer_id"]) == ("quote", str(quote["quote_id"]), quote["customer_id"])
    assert found["about"].startswith(f"{quote['state']}, valid until 20")
    for q in (f"payment {payment.payment_id}", "SEPA 2026/Abc 77", "sepa 2026/abc 77".upper()):
        hits = [hit for hit in await search(any_api, q, role="sales") if hit["noun"] == "payment"]
        if q.isupper():
            assert hits == [], "a reference in letters of both kinds is written as it is"
            continue
        assert [(hit["id"], hit["customer_id"]) for hit in hits] == [(str(payment.payment_id), payment.customer_id)], q
    assert ("payment", str(payment.payment_id)) not in nouns(await search(any_api, str(payment.payment_id)))
    assert await search(any_api, asked) == await search(any_api, "SEPA 2026/Abc 77") == []  # the NOC sees no money
    assert (
        await search(any_api, "SEPA 2026/Abc 77", role="partner") == await search(any_api, asked, role="partner") == []
    )

    for q in ("north-v4", "NORTH-V"):
        [pool] = [hit for hit in await search(any_api, q) if hit["id"] == "north-v4"]
        assert (pool["noun"], pool["why"][0][:8]) == ("pool", "its name"), q
    for q in (nas["name"], nas["name"][:3].upper(), nas["address"], nas["address"].rpartition(".")[0] + "."):
        [hit] = [hit for hit in await search(any_api, q) if hit["noun"] == "nas"]
        assert (hit["id"], hit["about"]) == (nas["name"], f"{nas['address']}, {nas['dialect']}"), q
        for role in ("sales", "partner", "technician"):
            assert not {"nas", "pool"} & {hit["noun"] for hit in await search(any_api, q, role=role)}, (q, role)


async def test_a_partner_finds_only_their_own_customers_and_a_technician_only_their_own_visits(online: Api) -> None:
    [ada] = await search(online, "ada byr", role="partner")
    assert (ada["noun"], ada["title"], ada["username"]) == ("customer", "Ada Byron", None)
    for q in ("customer", "bob", ANNA, SERIAL, "a4:7b:2c", "run 1", "1", "order 1", "customer1@example.net"):
        found = await search(online, q, role="partner")
        assert all(hit["customer_id"] == ada["customer_id"] for hit in found), q
    async with online.appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id == 2).values(customer_id=ada["customer_id"]))
    assert nouns(await search(online, "run 2", role="partner")) == {("run", "2")}
    assert nouns(await search(online, f"customer {ada['customer_id']}", role="partner")) != set()
    stranger = await online.token("partner", partner_id=PARTNER + 1)
    assert await search(online, "ada", token=stranger) == []

    visits = (await online.get("/visits")).json()["items"]
    for technician in {visit["technician_id"] for visit in visits}:
        token = await online.token("technician", technician_id=technician)
        own = {("visit", str(visit["visit_id"])) for visit in visits if visit["technician_id"] == technician}
        for visit in visits:
            assert nouns(await search(online, str(visit["visit_id"]), token=token)) <= own
        assert await search(online, "customer", token=token) == await search(online, ANNA, token=token) == []


async def test_as_many_as_were_asked_for_and_the_rest_is_said_to_be_there(any_api: Api) -> None:
    answer = (await any_api.get("/search", params={"q": "customer", "limit": 2})).json()
    assert (len(answer["hits"]), answer["more"], answer["asked"]) == (2, True, "customer")
    assert "name" in answer["read_as"]
    short = await any_api.get("/search?q=a")
    assert (short.status_code, short.json()["errors"][0]["field"]) == (422, "q")
    assert (await any_api.get("/search", params={"q": "x" * 201})).status_code == 422
    for q in ("%", "' OR 1=1 --", "\\", "_", "🦊🦊", "\u202eevil", "1" * 60):
        assert await search(any_api, q + "zz") == []


@pytest.mark.both_databases
async def test_a_radius_database_that_can_not_be_read_is_told_and_hides_nothing_that_stands_elsewhere(
    online: Api,
) -> None:
    subscriber = (await online.get(f"/subscribers/{ANNA}")).json()
    async with online.appliance.radius_database.begin() as db:
        for table in ("radacct", "radius_station"):
            await db.execute(text(f"ALTER TABLE {table} RENAME TO {table}_of_somebody"))

    async def asked(q: str, role: Role = "noc") -> tuple[list[dict[str, Any]], list[str]]:
        answer = await online.get("/search", params={"q": q}, role=role)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        for each in found["not_asked"]:
            assert each["why"].startswith("The radius database cannot be used as it is ("), q
        return found["hits"], [each["what"] for each in found["not_asked"]]

    [line, *_], unknown = await asked(ANNA)
    assert (line["id"], line["is_online"], unknown) == (ANNA, None, ["who is online"])
    assert line["about"].endswith("; whether it is online is not known")
    [line, *_], unknown = await asked(subscriber["ipv4"])
    assert (line["id"], unknown) == (ANNA, [f"whose session has {subscriber['ipv4']}", "who is online"])
    assert await asked(STATION) == ([], ["who has logged in from such a MAC address"])
    assert (await asked("run 1"))[1] == []
    [customer], unknown = await asked("customer 1001", role="sales")
    assert (customer["id"], unknown) == ("1001", [])  # who sees no sessions is told of none
