"""The nouns over HTTP, on an estate that has sold and installed: what is told changes what is read."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from provisioning.api.causes import ASKED_FOR, TELLS
from provisioning.commercial import CommissionTerms, LineWish, Outbox, Partners
from provisioning.commercial.mails.outbox import OutboxMail
from provisioning.line import LineOrderRow
from tests.support.api import PARTNER, Api
from workflows.engine.tables import RunRow, SignalRow

WAITING, HELD = 2, 3
OTHER = PARTNER + 1
"""Another partner's number."""


async def test_a_report_moves_the_run_that_waits_and_whoever_saw_less_looks_again(any_api: Api) -> None:
    customer = (await any_api.get(f"/runs/{WAITING}")).json()["run"]["customer_id"]
    [visit] = [each for each in await items(any_api, "/visits?state=booked") if each["customer_id"] == customer]
    address = f"/visits/{visit['visit_id']}"
    etag = (await any_api.get(address)).headers["etag"]
    scan = {"outcome": "scanned", "serial": "HWTC00000002"}
    assert (await any_api.post(f"{address}/reports", scan, role="dispatch")).status_code == 428
    told = await any_api.post(f"{address}/reports", scan, match=etag, role="dispatch")
    assert told.status_code == 201, told.text
    assert (told.json()["runs"], told.json()["report"]["serial"]) == ([WAITING], "HWTC00000002")
    stale = await any_api.post(f"{address}/reports", {"outcome": "no_access"}, match=etag, role="dispatch")
    assert (stale.status_code, stale.json()["code"]) == (412, "api.precondition_failed")
    assert (await any_api.get(address)).json()["state"] == "scanned"
    [entry] = await any_api.audit(run=WAITING)
    assert (entry["subject"], entry["before"]["state"]) == (f"visit/{visit['visit_id']}", "booked")


async def test_a_technician_knows_only_their_own_visits(api: Api) -> None:
    every = await items(api, "/visits")
    technicians = {visit["technician_id"] for visit in every}
    for technician in technicians:
        token = await api.token("technician", technician_id=technician)
        own = {visit["visit_id"] for visit in every if visit["technician_id"] == technician}
        seen = (await api.get("/visits", token=token)).json()["items"]
        assert {visit["visit_id"] for visit in seen} == own
    stranger = await api.token("technician", technician_id=999)
    address = f"/visits/{every[0]['visit_id']}"
    hidden = await api.get(address, token=stranger)
    assert (hidden.status_code, hidden.json()["code"]) == (404, "field.visit_unknown")
    report = await api.post(f"{address}/reports", {"outcome": "no_access"}, token=stranger, match="*")
    assert report.status_code == 404


async def test_lists_come_page_by_page_and_visits_in_the_order_of_their_start(api: Api) -> None:
    await another_partner(api)
    for noun, number, few in (("visits", "visit_id", 3), ("partners", "partner_id", 1), ("offers", "offer_id", 1)):
        every = [each[number] for each in await items(api, f"/{noun}")]
        paged: list[int] = []
        address = f"/{noun}?limit=1"
        while address:
            page = (await api.get(address)).json()
            assert len(page["items"]) == 1
            paged.append(page["items"][0][number])
            address = page["next"]
        assert paged == every and len(every) > few, noun


async def test_a_ticket_is_opened_read_and_moved_by_whoever_saw_it_last(any_api: Api) -> None:
    team = "deployment"
    async with any_api.appliance.database.begin() as db:
        await any_api.appliance.teams(db).define(name=team, email="deployment@isp.example", channels={})
    wish = {"title": "Look at the splitter", "description": "It is wet.", "assigned_team": team, "priority": "high"}
    opened = await any_api.post("/tickets", wish, role="sales")
    assert opened.status_code == 201, opened.text
    address = opened.headers["location"]
    assert (await any_api.get(address)).json() == opened.json()
    moved = await any_api.send(
        "PATCH", address, json={"state": "inProgress", "note": "on my way"}, match=opened.headers["etag"]
    )
    assert (moved.status_code, moved.json()["state"]) == (200, "inProgress")
    stale = await any_api.send("PATCH", address, json={"state": "resolved"}, match=opened.headers["etag"])
    assert stale.status_code == 412
    wrong = await any_api.send("PATCH", address, json={"state": "open", "tea": 1}, match="*")
    assert wrong.status_code == 422
    assert [ticket["state"] for ticket in await items(any_api, f"/tickets?team={team}")] == ["inProgress"]


async def test_a_lead_becomes_a_quote_and_an_accepted_one_says_so_as_an_event(any_api: Api) -> None:
    lead = await any_api.post("/leads", {"name": "Eve", "email": "eve@example.net", "source": "fair"})
    address, etag = lead.headers["location"], lead.headers["etag"]
    assert (await any_api.get(address)).headers["etag"] == etag
    assert (await any_api.post(f"{address}/qualify", role="sales")).status_code == 428
    qualified = await any_api.post(f"{address}/qualify", match=etag, role="sales")
    assert qualified.json()["state"] == "qualified"
    late = await any_api.post(f"{address}/disqualify", {"reason": "moved away"}, match=etag, role="sales")
    assert (late.status_code, late.json()["code"]) == (412, "api.precondition_failed")
    [event] = await items(any_api, "/events?type=lead.qualified&limit=1")
    assert event["published_by"] == "sales of the test"
    customer = (await items(any_api, "/customers?email=bob@example.net"))[0]["customer_id"]
    until = (any_api.appliance.clock() + timedelta(days=30)).isoformat()
    wish = {"customer_id": customer, "lines": [{"offer_id": 1, "quantity": 2}], "valid_until": until}
    draft = await any_api.post("/quotes", wish, role="sales")
    assert draft.status_code == 201, draft.text
    address = draft.headers["location"]
    sent = await any_api.post(f"{address}/send", match=draft.headers["etag"])
    assert (sent.status_code, sent.json()["state"]) == (200, "sent")
    assert (await any_api.post(f"{address}/withdraw", {"reason": "no"}, match=draft.headers["etag"])).status_code == 412
    wrong = {"accepted_by": " ", "payment_method": "gold", "scheduled_date": "2020-01-01", "team": "dispatch"}
    refused = await any_api.post(f"{address}/accept", wrong)
    assert [fault["pointer"] for fault in refused.json()["errors"]] == [
        *("#/payment_method", "#/accepted_by", "#/team", "#/scheduled_date")
    ]
    accepted = await any_api.post(f"{address}/accept", {"accepted_by": "Bob Hill"})
    assert accepted.json()["accepted"]["total_minor"] == draft.json()["total_minor"] > 0
    [told] = await items(any_api, "/events?type=quote.accepted&limit=1")
    assert told["data"]["quote_id"] == draft.json()["quote_id"]
    late = await any_api.post(f"{address}/withdraw", {"reason": "no"}, match="*")
    assert (late.status_code, late.json()["code"]) == (409, "quote.not_open")


async def test_whoever_sells_says_in_which_language_a_customer_is_written_to(any_api: Api) -> None:
    number = (await items(any_api, "/customers?email=bob@example.net"))[0]["customer_id"]
    address = f"/customers/{number}"
    etag = (await any_api.get(address)).headers["etag"]
    wish = {"language": "de-at", "reason": "asked on the phone"}
    assert (await any_api.send("PATCH", address, json=wish, match=etag, role="noc")).status_code == 403
    assert (await any_api.send("PATCH", address, json=wish, role="sales")).status_code == 428
    changed = await any_api.send("PATCH", address, json=wish, match=etag, role="sales")
    assert (changed.status_code, changed.json()["language"]) == (200, "de-AT")
    assert changed.headers["etag"] == (await any_api.get(address)).headers["etag"] != etag
    late = await any_api.send("PATCH", address, json={"language": None}, match=etag, role="sales")
    assert (late.status_code, late.json()["code"]) == (412, "api.precondition_failed")
    unspoken = await any_api.send("PATCH", address, json={"language": "fr"}, match="*", role="sales")
    assert (unspoken.status_code, unspoken.json()["errors"][0]["field"]) == (422, "language")
    [entry] = await any_api.audit(customer=number, limit=1)
    assert (entry["actor"], entry["reason"], entry["before"]["language"], entry["after"]["language"]) == (
        "sales of the test",
        "asked on the phone",
        None,
        "de-AT",
    )


async def test_a_site_survey_is_kept_under_the_premise_s_own_id_and_read_by_whoever_may(any_api: Api) -> None:
    number = (await items(any_api, "/customers?email=bob@example.net"))[0]["customer_id"]
    address = f"/customers/{number}/site-surveys"
    wish = {"service_location": "drop-1", "result": "feasible", "notes": "in the cellar", "reason": "was there"}
    assert (await any_api.post(address, wish, role="sales")).status_code == 403
    kept = await any_api.post(address, wish, role="dispatch")
    assert (kept.status_code, kept.json()["service_location"]) == (201, "LOC-20001"), kept.text
    later = {"service_location": "LOC-20001", "result": "not_feasible"}
    assert (await any_api.post(address, later, role="dispatch")).json()["result"] == "not_feasible"
    assert [each["result"] for each in await items(any_api, address)] == ["not_feasible", "feasible"]
    [entry] = await any_api.audit(customer=number, actor="dispatch of the test", limit=1)
    assert entry["subject"] == f"customer/{number}"
    bad = {"service_location": "LOC-nowhere", "result": "feasible", "surveyed_at": "2100-01-01T00:00:00Z"}
    refused = await any_api.post(address, bad, role="dispatch")
    assert refused.status_code == 422
    assert {fault["field"] for fault in refused.json()["errors"]} == {"surveyed_at", "service_location"}
    unknown = await any_api.post("/customers/424242/site-surveys", later, role="dispatch")
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "customer_id")
    assert len(await items(any_api, address)) == 2


async def test_whoever_sells_says_how_an_order_is_paid_until_it_is(any_api: Api) -> None:
    appliance = any_api.appliance
    customer = (await items(any_api, "/customers?email=bob@example.net"))[0]["customer_id"]
    async with appliance.database.begin() as db:
        draft = await appliance.quotes(db).draft(
            customer_id=customer,
            lines=[LineWish(1)],
            valid_until=appliance.clock() + timedelta(days=30),
            payment_terms="prepaid",
        )
        await appliance.quotes(db).send(quote_id=draft["quote_id"])
    await any_api.post(f"/quotes/{draft['quote_id']}/accept", {"accepted_by": "Bob Hill"}, role="sales")
    await appliance.events.take_up(appliance.database.begin)
    async with appliance.database.begin() as db:
        ordered = await appliance.sales(db).create_order_from_quote(
            quote_id=draft["quote_id"], tenant_id=appliance.tenant_id
        )
    address = f"/orders/{ordered['order_id']}/payment-method"
    etag = (await any_api.get(f"/orders/{ordered['order_id']}")).headers["etag"]
    chosen = []
    for way in ("bank", "cash", "bank"):
        chosen.append(await any_api.post(address, {"payment_method": way}, match=etag, role="sales"))
        assert chosen[-1].status_code == 200, chosen[-1].text
        quicker, etag = etag, chosen[-1].headers["etag"]
        late = await any_api.post(address, {"payment_method": "card"}, match=quicker, role="sales")
        assert (late.status_code, late.json()["code"]) == (412, "api.precondition_failed")
    assert (await any_api.get(f"/orders/{ordered['order_id']}")).headers["etag"] == etag
    run = chosen[0].json()["run_id"]
    async with appliance.database.read() as db:
        told = await db.scalars(select(SignalRow).where(SignalRow.run_id == run).order_by(SignalRow.id))
        assert [json.loads(signal.payload) for signal in told] == [
            {"payment_method": way} for way in ("bank", "cash", "bank")
        ]
    entry = (await any_api.audit(run=run))[0]
    assert (entry["subject"], entry["customer_id"]) == (f"order/{ordered['order_id']}", customer)
    around = {"name": "payment_method", "payload": {"payment_method": "invoice"}}
    for role, status in (("sales", 403), ("noc", 422), ("dispatch", 422), ("admin", 422)):
        refused = await any_api.post(f"/runs/{run}/signals", around, role=role)
        assert refused.status_code == status, refused.text
    afterwards = await any_api.post("/orders/1/payment-method", {"payment_method": "bank"}, match="*", role="sales")
    assert [fault["field"] for fault in afterwards.json()["errors"]] == ["order_id"]
    async with appliance.database.begin() as db:
        asked = await appliance.services(db).billing_service.process_payment(
            order_id=ordered["order_id"], amount=ordered["total_amount"], payment_method="bank"
        )
    await any_api.post(f"/payments/{asked['payment_id']}/settle", {"reference": "statement 7"})
    # Its run has yet to hear so.
    paid = await any_api.post(
        address, {"payment_method": "card"}, match="*", role="sales"
    )  # its run has yet to hear so
    assert (paid.status_code, paid.json()["code"]) == (409, "order.over")
    assert f"Order {ordered['order_id']} is paid and can't become paid by card." in paid.text
    async with appliance.database.begin() as db:
        await appliance.sales(db).begin_order(order_id=ordered["order_id"])
    late = await any_api.post(address, {"payment_method": "card"}, match="*", role="sales")
    assert (late.status_code, late.json()["code"]) == (409, "order.over")


async def test_lines_are_listed_and_what_the_olt_s_side_says_is_told_by_hand(api: Api) -> None:
    async with api.appliance.database.begin() as db:
        ordered = await api.appliance.services(db).line_service.authorise_line(
            customer_id=17,
            service_id=42,
            device_serial="HWTC12345678",
            access_node="OLT-1",
            port="0/1/3",
            svlan=200,
            cvlan=1203,
            management_vlan=None,
            line_profile="fiber-300",
            request_id="by hand",
        )
        row = await db.get_one(LineOrderRow, ordered["line_order_id"])
        row.state, row.adapter, row.handed_over_at = "handed_over", "manual", api.appliance.clock()
    address = f"/line-orders/{ordered['line_order_id']}"
    every = await items(api, "/line-orders")
    assert [order["line_order_id"] for order in every] == sorted((o["line_order_id"] for o in every), reverse=True)
    for question in ("state=handed_over", "customer=17"):
        assert [order["service_id"] for order in await items(api, f"/line-orders?{question}")] == [42]
    assert (await api.get("/line-orders", role="sales")).status_code == 403

    early = await api.post(f"{address}/removed", role="dispatch")
    assert (early.status_code, early.json()["code"]) == (409, "line.not_handed_over")
    blank = await api.post(f"{address}/refused", {"reason": " "}, role="dispatch")
    assert blank.json()["errors"] == [{"field": "reason", "detail": "is missing"}]
    refused = await api.post(f"{address}/refused", {"reason": "no free ONU id"}, role="dispatch")
    assert refused.status_code == 200, refused.text
    told = refused.json()["line_order"]
    assert (told["state"], told["refusal"], refused.json()["runs"]) == ("refused", "no free ONU id", [])
    [entry] = await api.audit(customer=17)
    assert (entry["action"], entry["reason"], entry["before"]["state"]) == (
        "line orders refused",
        "no free ONU id",
        "handed_over",
    )
    async with api.appliance.database.begin() as db:
        row = await db.get_one(LineOrderRow, ordered["line_order_id"])
        row.state, row.refusal, row.removal_asked_at = "handed_over", None, api.appliance.clock()
    removed = await api.post(f"{address}/removed", role="dispatch")
    assert removed.status_code == 200, removed.text
    async with api.appliance.database.read() as db:
        assert (await db.get_one(LineOrderRow, ordered["line_order_id"])).removed_at is not None


async def test_who_may_start_anything_may_not_do_by_it_what_its_own_door_refuses_them(api: Api) -> None:
    assert ASKED_FOR.keys() == TELLS.keys() == set(api.appliance.events.types)
    assert {event: api.appliance.events.type_of(journey) for event, (journey, _shape) in TELLS.items()} == {
        event: event for event in TELLS
    }
    told = {"subject": "quote/1", "data": {"quote_id": 1}, "key": "quote/1/accepted"}
    for event_type in ("quote.accepted", "partner.customer.created", "lead.qualified"):
        refused = await api.post("/events", {"type": event_type, **told}, role="noc")
        assert (refused.status_code, refused.json()["code"]) == (403, "access.forbidden"), event_type
    assert await items(api, "/events?type=partner.customer.created") == []
    for journey in ("quote_accepted_to_order", "partner_customer_provisioning", "customer_renewal_process"):
        refused = await api.post("/runs", {"journey": journey, "input": {}}, role="noc")
        assert (refused.status_code, refused.json()["code"]) == (403, "access.forbidden"), journey
    scoped = await api.token("noc", scopes=["runs.start"])
    installation = {"journey": "isp_ticket_to_deployment", "input": {}}
    assert (await api.post("/runs", installation, token=scoped)).status_code == 403
    assert (await api.post("/runs", installation, role="noc")).status_code == 422


async def test_a_service_is_to_end_by_api_and_is_kept_after_all(any_api: Api) -> None:
    hook = {"url": "https://hooks.example/in", "event_types": ["service.termination_requested"]}
    address = (await any_api.post("/webhooks", hook)).headers["location"]
    day = (any_api.appliance.clock() + timedelta(days=30)).date().isoformat()
    wish = {"username": "c1001-s1@isp.example", "ends_on": day, "reason": "moves away"}
    start = {"journey": "service_termination", "input": wish}
    begun = [await any_api.post("/runs", start, role="noc") for _ in range(2)]
    assert [answer.status_code for answer in begun] == [201, 201], begun[0].text
    run = begun[0].json()["run_id"]
    assert [answer.json() for answer in begun] == [{"run_id": run, "new": True}, {"run_id": run, "new": False}]

    assert await any_api.appliance.events.take_up(any_api.appliance.database.begin) == 0
    [event] = await items(any_api, "/events?type=service.termination_requested")
    assert (event["subject"], event["state"], event["run_id"], event["data"]) == ("service/1", "started", run, wish)
    [told] = await items(any_api, f"{address}/deliveries")
    assert (told["type"], told["subject"]) == ("service.termination_requested", "service/1")
    assert told["data"] == {"event_id": event["id"]}

    kept = await any_api.post(f"/runs/{run}/cancel", {"reason": "stays after all"}, match="*", role="noc")
    assert kept.status_code == 200, kept.text
    assert kept.json()["run"]["state"] != "held"
    subscriber = (await any_api.get(f"/subscribers/{wish['username']}")).json()
    assert subscriber["state"] == "active", "nothing of it has happened"


EDGES = ("0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00")


@pytest.mark.parametrize("edge", EDGES)
async def test_times_at_the_edge_of_the_calendar_are_refused_by_their_names(api: Api, edge: str) -> None:
    for address, names in (
        ("/runs", ("created_since", "created_before")),
        ("/visits", ("ends_after", "starts_before")),
        ("/addresses/holder", ("at",)),
    ):
        asked = {"address": "192.0.2.1"} if address.endswith("holder") else {}
        answer = await api.get(address, params=asked | dict.fromkeys(names, edge))
        assert (answer.status_code, answer.json()["code"]) == (422, "api.request_invalid"), address
        assert {fault["field"] for fault in answer.json()["errors"]} == set(names)
    quote = {"customer_id": 1, "lines": [{"offer_id": 1}], "valid_until": edge}
    drafted = await api.post("/quotes", quote, role="sales")
    assert [fault["pointer"] for fault in drafted.json()["errors"]] == ["#/valid_until", "#/customer_id"]
    told = {"outcome": "no_access", "next_appointment": {"technician_id": 7001, "scheduled_date": edge}}
    reported = await api.post("/visits/2/reports", told, match="*", role="dispatch")
    assert [fault["pointer"] for fault in reported.json()["errors"]] == ["#/next_appointment/scheduled_date"]


async def test_a_malformed_wish_is_refused_with_what_is_wrong_with_the_rest_as_well(any_api: Api) -> None:
    lead = {"name": 7, "email": "nowhere", "phone": "x", "offer_id": "999", "existing_customer_id": 10**8, "tea": 1}
    lines: list[dict[str, Any]] = [{"offer_id": 1}, {"offer_id": 999, "quantity": 0}, {"offer_id": "x"}]
    quote = {"customer_id": 10**8, "lines": lines, "valid_until": "2020-01-01T00:00:00Z"}
    terms = {"customer_id": "1", "lines": [], "payment_terms": "gold"}
    event = {"type": "tea.ready", "subject": "", "data": []}
    for address, wrong, pointers in (
        ("/leads", lead, "name source tea email phone offer_id existing_customer_id"),
        ("/quotes", quote, "lines/2/offer_id valid_until lines/1/offer_id lines/1/quantity customer_id"),
        ("/quotes", terms, "valid_until payment_terms lines customer_id"),
        ("/quotes", {"lines": "x"}, "customer_id lines valid_until"),
        ("/events", event, "subject data key type"),
    ):
        refused = await any_api.post(address, wrong)
        assert (refused.status_code, refused.json()["code"]) == (422, "api.request_invalid")
        assert sorted(fault["pointer"] for fault in refused.json()["errors"]) == sorted(
            f"#/{each}" for each in pointers.split()
        )
    for address in ("/leads", "/quotes", "/events"):
        assert (await any_api.post(address, [])).status_code == 422
        assert (await any_api.post(address)).status_code == 422


async def test_an_event_by_api_is_one_event_and_an_unknown_kind_is_refused(any_api: Api) -> None:
    wish = {
        "type": "ticket.installation_approved",
        "subject": "ticket/x",
        "data": {"ticket_id": "x"},
        "key": "ticket/x",
    }
    first = await any_api.post("/events", wish, role="noc")
    again = await any_api.post("/events", wish, role="noc")
    assert (first.status_code, first.json()["new"], again.json()) == (
        201,
        True,
        {"event_id": first.json()["event_id"], "new": False},
    )
    other = await any_api.post("/events", {**wish, "subject": "ticket/y"})
    assert (other.status_code, other.json()["code"]) == (409, "workflow.event_conflict")
    unknown = await any_api.post("/events", {**wish, "type": "tea.ready"})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "workflow.event_type_unknown")
    await any_api.appliance.events.take_up(any_api.appliance.database.begin)
    [settled] = await items(any_api, "/events?type=ticket.installation_approved&state=refused")
    assert settled["run_id"] is None and "was refused" in settled["reason"]
    assert settled["key"] == "told/ticket/x"


async def another_partner(api: Api) -> int:
    """One with licences, a customer and that customer's run; the customer's number."""
    appliance = api.appliance
    async with appliance.database.begin() as db:
        await Partners(db, tenant_id=appliance.tenant_id, now=appliance.clock).register(
            partner_id=OTHER,
            name="Südnetz",
            email="orders@suednetz.example",
            license_template_id=1,
            license_quota=3,
            commission=CommissionTerms("fixed", "EUR", fixed_minor=2500),
        )
        brought = await appliance.services(db).customer_service.create_partner_customer(
            partner_id=OTHER, customer_data={"name": "Uma Stone", "email": "uma@example.org"}
        )
        theirs = brought["customer_id"]
        await db.execute(update(RunRow).where(RunRow.id == 1).values(customer_id=theirs))
    return theirs


async def test_a_partner_sees_and_orders_for_themselves_alone(api: Api) -> None:
    theirs, other = await another_partner(api), await api.token("partner", partner_id=OTHER)
    [own] = (await api.get("/partners", role="partner")).json()["items"]
    assert own["partner_id"] == PARTNER
    assert [partner["partner_id"] for partner in await items(api, "/partners")] == [PARTNER, OTHER]
    for address in ("", "/customers", "/ledger", "/commissions", "/domains"):
        answer = await api.get(f"/partners/{OTHER}{address}", role="partner")
        assert (answer.status_code, answer.json()["code"]) == (404, "partner.unknown")
        assert (await api.get(f"/partners/{OTHER}{address}", token=other)).status_code == 200
    assert (await api.post(f"/partners/{OTHER}/orders", {}, role="partner")).status_code == 404
    assert (await api.post(f"/partners/{OTHER}/orders", {}, token=other)).status_code == 422
    assert (await api.post(f"/partners/{OTHER}/domains", {"domain": "x.example"}, role="partner")).status_code == 404
    claimed = (await api.post(f"/partners/{OTHER}/domains", {"domain": "x.example"}, token=other)).json()
    assert (claimed["state"], claimed["txt_name"]) == ("claimed", "_firstlight.x.example")
    assert await items(api, f"/partners/{OTHER}/domains", token=other) == [claimed]
    for address in (f"/customers/{theirs}", "/runs/1"):
        assert (await api.get(address, role="partner")).status_code == 404
        assert (await api.get(address, token=other)).status_code == 200
    assert [run["id"] for run in await items(api, "/runs", token=other)] == [1]
    assert await items(api, "/runs", role="partner") == []
    assert [entry["licenses"] for entry in await items(api, f"/partners/{OTHER}/ledger", token=other)] == [3]
    brought = {each["customer_id"] for each in await items(api, f"/partners/{PARTNER}/customers", role="partner")}
    assert {each["customer_id"] for each in await items(api, "/customers", role="partner")} == brought != set()
    somebody = next(each for each in await items(api, "/customers") if each["customer_id"] not in brought)
    assert (await api.get(f"/customers/{somebody['customer_id']}", role="partner")).status_code == 404
    assert len(await items(api, f"/partners/{PARTNER}/commissions", role="partner")) == 1
    assert (await items(api, f"/partners/{PARTNER}/ledger", role="partner"))[0]["movement"] == "granted"
    order: dict[str, Any] = {
        "order_ref": "N-1",
        "customer_data": {"name": "Ann", "email": "ann@example.org"},
        "license_count": 1,
        "white_label_config": {"name": "Nordnetz"},
        "offer_id": 1,
    }
    own_price = {**order, "offer_id": None, "sale_amount": "99999.00"}
    refused = await api.post(f"/partners/{PARTNER}/orders", own_price, role="partner")
    assert [fault["field"] for fault in refused.json()["errors"]] == ["sale_amount"]
    taken = await api.post(f"/partners/{PARTNER}/orders", order, role="partner")
    assert (taken.status_code, taken.json()["event_key"]) == (201, f"partner/{PARTNER}/order/N-1")
    again = await api.post(f"/partners/{PARTNER}/orders", order, role="partner")
    assert (again.status_code, again.json()) == (201, taken.json())
    changed = {**order, "license_count": 2, "customer_data": {**order["customer_data"], "phone": "+43 1 5550"}}
    refused = await api.post(f"/partners/{PARTNER}/orders", changed, role="partner")
    assert (refused.status_code, refused.json()["code"]) == (409, "partner.ordered_otherwise")
    for differs in ("license_count is 1, not 2", "phone was not said, and is +4315550 now"):
        assert differs in refused.json()["detail"]
    faulty = await api.post(f"/partners/{PARTNER}/orders", {"tea": 1}, role="partner")
    assert {"tea", "order_ref", "license_count"} <= {fault["field"] for fault in faulty.json()["errors"]}


async def test_what_an_installation_has_made_is_found_by_customer_service_address_and_serial(api: Api) -> None:
    run = (await api.get("/runs/1")).json()
    results = {step["name"]: step["result"] for step in run["steps"]}
    service, username = results["allocate_resources"]["service_id"], results["create_subscriber"]["username"]
    held = (await api.get(f"/addresses/services/{service}")).json()
    assert held["username"] == username
    holder = (await api.get("/addresses/holder", params={"address": held["ip_address"]})).json()["holder"]
    assert (holder["service_id"], holder["until"]) == (service, None)
    nobody = dict.fromkeys(("holder", "behind", "known", "known_from", "known_elsewhere"))
    assert (await api.get("/addresses/holder?address=192.0.2.1")).json() == nobody
    nobody["known"] = False  # no rule and no log tells of it
    assert (await api.get("/addresses/holder?address=192.0.2.1&port=53")).json() == nobody
    assert any(pool["assigned"] for pool in (await api.get("/addresses/pools")).json())
    subscriber = (await api.get(f"/subscribers/{username}")).json()
    assert subscriber["state"] == "active" and subscriber["password"].startswith("secret:")
    for number in (subscriber["subscriber_id"], 10**18, "x"):
        found = await api.get(f"/subscribers/{number}?by=id")
        assert found.json() == subscriber if number == subscriber["subscriber_id"] else found.status_code == 404
    assert (await api.get(f"/subscribers/{subscriber['subscriber_id']}/data-cap?by=id")).json() is None
    customer = run["run"]["customer_id"]
    assert [each["username"] for each in await items(api, f"/subscribers?customer={customer}")] == [username]
    [device] = await items(api, f"/devices?customer={customer}")
    assert (await api.get(f"/devices/{device['device_serial']}")).json() == device
    settings = f"/devices/{device['device_serial']}/settings"
    assert (await api.get(settings)).json()["revision"] == device["revision"]
    assert "huawei-tr098" in {each["name"] for each in await items(api, "/devices/templates")}
    other = {"changes": {"wifi_ssid": "Mine"}, "reason": "asked by phone"}
    told = (await api.post(f"/devices/{device['device_serial']}/overrides", other, role="noc")).json()
    assert (told["overrides"], told["state"]) == ({"wifi_ssid": "Mine"}, "queued")
    wrong = await api.post(f"/devices/{device['device_serial']}/overrides", {**other, "changes": {"colour": 1}})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "acs.overrides_refused")
    line = results["authorise_line"]["line_order_id"]
    assert (await api.get(f"/line-orders/{line}")).json()["device_serial"] == device["device_serial"]
    [subscription] = await items(api, f"/subscriptions?customer={customer}")
    assert subscription["service_id"] == service
    end = f"/subscriptions/{subscription['subscription_id']}/cancel"
    assert (await api.post(end, {"reason": "moves", "at_once": True}, role="noc")).status_code == 403
    assert (await api.post(end, {"reason": "moves", "at_once": True}, match='"older"', role="sales")).status_code == 412
    etag = (await api.get(f"/subscriptions/{subscription['subscription_id']}")).headers["etag"]
    installed = await api.post(end, {"reason": "moves", "at_once": True}, match=etag, role="sales")
    assert (installed.status_code, installed.json()["code"]) == (409, "billing.subscription_installed")
    [order] = await items(api, "/orders")
    assert (await api.get(f"/orders/{order['order_id']}")).json()["lines"]
    assert 1 in {offer["offer_id"] for offer in await items(api, "/offers")}
    assert await items(api, "/payments") == []


async def items(api: Api, address: str, **more: Any) -> list[dict[str, Any]]:
    answer = await api.get(address, **more)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_mails_are_listed_and_looked_at_and_nothing_is_sent(api: Api) -> None:
    async def outbox() -> list[OutboxMail]:
        async with api.appliance.database.read() as db:
            return await Outbox(db, tenant_id=api.appliance.tenant_id).mails()

    before = await outbox()
    listed = {mail["template"]: mail for mail in await items(api, "/mails/templates")}
    mail = listed["service_activated"]
    assert (mail["languages"], mail["sample"]["plan"]) == (["de", "en"], "fiber-300")
    assert {"name": "plan", "kind": "text", "optional": False, "parts": []} in mail["variables"]

    given = {"template": "service_activated", "variables": mail["sample"] | {"plan": "fiber-9"}, "language": "de-AT"}
    seen = await api.post("/mails/preview", given, role="read-only")
    assert seen.status_code == 200, seen.text
    assert (seen.json()["language"], "fiber-9" in seen.json()["text"]) == ("de", True)
    assert "https://isp.example/links/this-is-a-preview" in seen.json()["html"]

    unfit = {"activated_at": "0001-01-01T00:00:00+14:00", "pin": 1}
    for faults in (unfit, {"activated_at": unfit["activated_at"]}):
        faulty = await api.post("/mails/preview", given | {"variables": mail["sample"] | faults})
        assert (faulty.status_code, faulty.json()["code"]) == (422, "provisioning.invalid_request")
    assert (await api.post("/mails/preview", given, role="technician")).status_code == 403
    assert await outbox() == before
