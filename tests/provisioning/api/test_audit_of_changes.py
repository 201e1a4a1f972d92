"""Every door that changes something leaves behind for whom, why, what was there before and what there is now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from sqlalchemy import insert, text, update

from acs import FIRST_SESSION_KEY, provisioning_code
from ipam import NetworkEstate
from provisioning.api import PUBLIC, Door
from provisioning.commercial.payments.tables import Payment
from provisioning.field.tables import Visit
from provisioning.line import LineOrderRow
from radius.projection.freeradius_tables import nas
from tests.support.api import PARTNER, Api
from tests.support.silent_nas import silent_nas
from workflows.engine.tables import RunRow, SignalRow

CUSTOMER = 1001
CPE = "HWTC00000001"
WHY = "as was said on the phone"
DONE = "c1001-s1@isp.example"
CHANGES_NOTHING = {("POST", "/api/v1/mails/preview"), ("POST", "/api/v1/plans/{name}/try")}
TAKES_LEAVE = "/technicians/{technician_id}/leave"
VERBS = ("refresh", "get", "set", "ping", "download", "reboot", "factory-reset", "firmware")
MAKES = {
    "/runs",
    "/events",
    "/installation-tickets",
    "/tickets",
    "/leads",
    "/customers/{customer_id}/site-surveys",
    "/quotes",
    "/webhooks",
    "/partners/{partner_id}/orders",
    "/partners/{partner_id}/domains",
    "/addresses/nat/blocks",
    "/addresses/services",
    "/addresses/imports",
    "/subscribers",
    "/subscribers/imports",
    "/nas",
    "/campaigns",
    "/technicians",
    TAKES_LEAVE,
    "/technicians/{technician_id}/stock",
    "/visit-jobs",
    "/visits",
    "/visits/invitations",
    "/visits/{visit_id}/photos",
    "/calendar-feeds",
    *(f"/devices/{{serial}}/{verb}" for verb in VERBS),
    "/devices",
    "/devices/imports",
}
"""There was nothing before."""
OF_NO_CUSTOMER = {"/leads", "/leads/{lead_id}/qualify", "/leads/{lead_id}/disqualify"}
"""And whatever is about a partner, a webhook or a pool."""
OTHERS = (
    "/partners",
    "/webhooks",
    "/plans",
    "/nas",
    "/sessions/close",
    "/campaigns",
    "/technicians",
    "/visit-jobs",
    "/calendar-feeds",
    "/fleet/converge",
    "/devices/{serial}/overrides",
    "/devices/imports",
    "/subscribers/imports",
    *(f"/addresses/{what}" for what in ("imports", "nat/", "rehome", "retire", "shrink")),
)
OF_A_POOL = {
    f"/addresses/{verb}" for verb in ("reserve", "unreserve", "lift", "exclude", "include", "drain", "undrain")
}


class Script:
    """Calls one route after the other and looks at what each has left."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.called: set[tuple[str, str]] = set()

    async def __call__(self, route: str, body: Any, method: str = "POST", **numbers: Any) -> dict[str, Any]:
        """What it has answered. A ``reason`` or the like in the body must stand in the audit."""
        answer = await self.api.send(method, route.format(**numbers), json=body, match="*")
        assert answer.status_code in (200, 201, 202), (route, answer.text)
        self.called.add((method, f"/api/v1{route}"))
        entry = (await self.api.audit(limit=1))[0]
        assert entry["door"] == "api" and entry["subject"], entry
        if route not in OF_NO_CUSTOMER | OF_A_POOL and not route.startswith(OTHERS):
            assert entry["customer_id"] is not None, entry
        assert (entry["before"] is None) == (route in MAKES), entry
        assert entry["after"] is not None, entry
        for name in ("reason", "note", "reference"):
            assert entry["reason"] == body[name] if body.get(name) else True, entry
        self.last = entry
        told: dict[str, Any] = answer.json()
        return told

    async def set(self, statement: Any) -> None:
        async with self.api.appliance.database.begin() as db:
            await db.execute(statement)


@pytest.fixture
def script(api: Api) -> Script:
    return Script(api)


def changing(app: FastAPI) -> Iterator[tuple[str, str]]:
    """The routes with a token that change something."""
    for route in iter_route_contexts(app.routes):
        door = route.original_route
        if isinstance(door, Door) and not door.terms.reads and door.terms.permission != PUBLIC:
            yield door.terms.method, str(route.path).replace(":path}", "}")


async def test_every_change_tells_for_whom_why_before_and_after(script: Script) -> None:
    await runs_and_events(script)
    await tickets_visits_and_lines(script)
    await selling(script)
    await partners_and_webhooks(script)
    await subscribers(script)
    await addresses(script)
    await campaigns(script)
    await devices(script)
    assert set(changing(script.api.app)) - script.called == CHANGES_NOTHING
    count = len(await script.api.audit(limit=200))
    seen = await script.api.post("/mails/preview", {"template": "service_activated"})
    assert (seen.status_code, len(await script.api.audit(limit=200))) == (200, count)


async def runs_and_events(script: Script) -> None:
    day = (script.api.appliance.clock() + timedelta(days=30)).date().isoformat()
    wish = {"username": DONE, "ends_on": day, "reason": "moves away"}
    run = (await script("/runs", {"journey": "service_termination", "input": wish}))["run_id"]
    assert (script.last["run_id"], script.last["customer_id"]) == (run, CUSTOMER)
    when = (script.api.appliance.clock() + timedelta(days=3)).isoformat()
    payload = {"technician_id": 7002, "scheduled_date": when}
    await script("/runs/{run_id}/signals", {"name": "appointment", "payload": payload}, run_id=2)
    assert script.last["after"] == {"signal": "appointment", "new": True, "told": payload}
    assert (script.last["before"]["state"], script.last["customer_id"]) == ("pending", 1002)
    heard = {
        "consumed_at": script.api.appliance.clock(),
        "consumed_by": "appointment/1",
    }  # no worker is there to hear it
    await script.set(update(SignalRow).where(SignalRow.run_id == 2).values(heard))
    handed = await script("/runs/{run_id}/hand-over", {"reason": WHY, "team": "onboarding"}, run_id=3)
    assert script.last["after"] == {"run_id": 3, **handed}
    await script("/runs/{run_id}/notes", {"text": "called the customer"}, run_id=3)
    assert script.last["reason"] == "called the customer"
    await script("/runs/{run_id}/retry", {"reason": WHY}, run_id=3)
    for verb in ("skip", "roll-back"):
        await script.set(update(RunRow).where(RunRow.id == 3).values(state="held"))
        await script(f"/runs/{{run_id}}/{verb}", {"reason": WHY}, run_id=3)
    await script("/runs/{run_id}/cancel", {"reason": WHY}, run_id=run)
    told = {"type": "ticket.installation_approved", "subject": "ticket/x", "key": "x"}
    event = await script("/events", told | {"data": {"ticket_id": "x", "customer_id": CUSTOMER}})
    await script.api.appliance.events.take_up(script.api.appliance.database.begin)
    await script("/events/{event_id}/retry", {"reason": WHY}, **event)
    assert script.last["before"]["state"] == "refused"
    await script.api.appliance.events.take_up(script.api.appliance.database.begin)
    await script("/events/{event_id}/set-aside", {"reason": WHY}, **event)
    assert script.last["before"]["state"] == "refused"


async def tickets_visits_and_lines(script: Script) -> None:
    api = script.api
    async with api.appliance.database.read() as db:
        given: Any = await db.scalar(text("SELECT input FROM run WHERE id = 1"))
    answer = await api.send(
        "POST", "/installation-tickets", content=given, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 201, answer.text
    entry = (await api.audit(limit=1))[0]
    assert (entry["run_id"], entry["customer_id"], entry["after"]["new"]) == (1, CUSTOMER, False)
    script.called.add(("POST", "/api/v1/installation-tickets"))
    wish = {"title": "Look", "description": "It is wet.", "assigned_team": "noc", "customer_id": CUSTOMER}
    ticket = await script("/tickets", wish)
    await script("/tickets/{ticket_id}", {"state": "inProgress", "note": WHY}, "PATCH", **ticket)
    visits = (await api.get("/visits?state=booked")).json()["items"]
    await script("/visits/{visit_id}/reports", {"outcome": "not_feasible", "note": WHY}, **visits[0])
    await found_ont(script, visits)
    await field_work(script)
    said = {"answer": {"actual_port": "0/1/3", "reason": WHY}, "refused": {"reason": WHY}, "removed": {"reason": WHY}}
    for number, (verb, body) in enumerate(said.items()):
        line = await handed_over(api, service_id=42 + number, port=f"0/1/{3 + number}", is_removed=verb == "removed")
        await script(f"/line-orders/{{line_order_id}}/{verb}", body, line_order_id=line)


async def field_work(script: Script) -> None:
    """Who works when, what is booked and moved, and what is done there."""
    api = script.api
    technician: dict[str, Any] = {"technician_id": 70}
    await script("/technicians", {"technician_id": 70, "name": "Tess"})
    await script("/technicians/{technician_id}/plan", {"van": "M-FL 7"}, **technician)
    await script("/technicians/{technician_id}/stock", {"serials": ["HWTC00000001"]}, **technician)
    out = {"serials": ["HWTC00000001"], "reason": WHY}
    await script("/technicians/{technician_id}/stock/out", out, **technician)
    begin = api.appliance.clock() + timedelta(days=40)
    away = {"starts_at": begin.isoformat(), "ends_at": (begin + timedelta(days=1)).isoformat(), "reason": WHY}
    await script("/technicians/leave/{leave_id}/withdraw", {}, **await script(TAKES_LEAVE, away, **technician))
    await script("/visit-jobs", {"name": "repair", "duration_minutes": 60})
    await script.set(update(RunRow).where(RunRow.id == 2).values(state="pending", waiting_for="appointment"))
    await script.set(update(Visit).where(Visit.customer_id == 1002).values(state="cancelled"))
    await script("/visits/invitations", {"run_id": 2, "job": "repair"})
    assert (script.last["run_id"], script.last["customer_id"]) == (2, 1002)
    wish = {"customer_id": CUSTOMER, "technician_id": 70, "address": "1 High Street", "job": "repair"}
    ends: dict[str, dict[str, Any]] = {"cancel": {"reason": WHY}, "no-show": {"reason": WHY}}
    for number, (verb, body) in enumerate(ends.items()):
        at = {"starts_at": (begin - timedelta(days=5 + number)).isoformat()}
        visit = await script("/visits", {**wish, **at})
        moved = {"technician_id": 70, "starts_at": (begin - timedelta(days=9 + number)).isoformat(), "reason": WHY}
        await script("/visits/{visit_id}/reschedule", moved, **visit)
        act = {"key": f"act {number}", "kind": "record", "made_at": api.appliance.clock().isoformat()}
        await script("/visits/{visit_id}/acts", {**act, "content": {"changes": {"splitter": "SP-4"}}}, **visit)
        begun = {"starts_at": api.appliance.clock() - timedelta(minutes=1), "held_from": None}
        await script.set(update(Visit).where(Visit.id == visit["visit_id"]).values(begun))
        await script(f"/visits/{{visit_id}}/{verb}", body, **visit)
    photo = await api.send(
        "POST",
        f"/visits/{visit['visit_id']}/photos",
        content=b"\x89PNG\r\n\x1a\n small",
        headers={"Content-Type": "image/png"},
    )
    assert photo.status_code == 201, photo.text
    assert (await api.audit(limit=1))[0]["customer_id"] == CUSTOMER
    script.called.add(("POST", "/api/v1/visits/{visit_id}/photos"))
    feed = await script("/calendar-feeds", technician)
    await script("/calendar-feeds/{feed_id}/revoke", {}, **feed["feed"])


async def found_ont(script: Script, visits: list[dict[str, Any]]) -> None:
    """At the port where a technician is at work."""
    [visit] = [each for each in visits if each["planned_port"] is not None]
    now = script.api.appliance.clock()
    hours = {"starts_at": now - timedelta(hours=1), "ends_at": now + timedelta(hours=1)}
    again = {"state": "booked", "outcome_at": None, "outcome_note": None}
    await script.set(update(Visit).where(Visit.id == visit["visit_id"]).values(**hours, **again))
    async with script.api.appliance.database.read() as db:
        place = await script.api.appliance.services(db).network_service.locate(visit["location"])
    seen = {"serial": "HWTC0000F0DA", "access_node": place["access_node"], "port": visit["planned_port"]}
    await script("/found-onts", {**seen, "reason": WHY})


async def handed_over(api: Api, *, service_id: int, port: str, is_removed: bool) -> int:
    """A line that a person is to put on the OLT, or to take off."""
    async with api.appliance.database.begin() as db:
        ordered = await api.appliance.services(db).line_service.authorise_line(
            customer_id=17,
            service_id=service_id,
            device_serial=f"HWTC000009{service_id}",
            access_node="OLT-1",
            port=port,
            svlan=200,
            cvlan=1200 + service_id,
            management_vlan=None,
            line_profile="fiber-300",
            request_id=f"by hand {service_id}",
        )
        row = await db.get_one(LineOrderRow, ordered["line_order_id"])
        row.state, row.adapter, row.handed_over_at = "handed_over", "manual", api.appliance.clock()
        row.removal_asked_at = api.appliance.clock() if is_removed else None
    return int(ordered["line_order_id"])


async def selling(script: Script) -> None:
    api = script.api
    for verb in ("qualify", "disqualify"):
        lead = await script("/leads", {"name": "Eve", "email": "eve@example.net", "source": "fair"})
        await script(f"/leads/{{lead_id}}/{verb}", {"reason": WHY}, **lead)
        assert script.last["before"]["state"] == "new"
    until = (api.appliance.clock() + timedelta(days=30)).isoformat()
    wish = {"customer_id": CUSTOMER, "lines": [{"offer_id": 1}], "valid_until": until, "payment_terms": "prepaid"}
    await script("/quotes/{quote_id}/withdraw", {"reason": WHY}, **await script("/quotes", wish))
    quote = await script("/quotes", wish)
    await script("/quotes/{quote_id}/send", {"reason": WHY}, **quote)
    await script("/quotes/{quote_id}/accept", {"accepted_by": "Ada", "reason": WHY}, **quote)
    assert script.last["before"] == {"state": "sent", "version": 2}
    await api.appliance.events.take_up(api.appliance.database.begin)
    async with api.appliance.database.begin() as db:
        services = api.appliance.services(db)
        order = await services.sales_service.create_order_from_quote(
            quote_id=quote["quote_id"], tenant_id=api.appliance.tenant_id
        )
        payment = await services.billing_service.process_payment(
            order_id=order["order_id"], amount=order["total_amount"], payment_method="bank", request_id="asked"
        )
        hosted = await services.billing_service.create_subscription(
            customer_id=CUSTOMER, plan_id=2, tenant_id=api.appliance.tenant_id
        )
    said = {"payment_method": "cash", "reason": WHY}
    await script("/orders/{order_id}/payment-method", said, order_id=order["order_id"])
    asked = {"payment_id": payment["payment_id"], "method": "bank", "state": "requested"}
    assert script.last["before"] == {"state": "acknowledged", "payment": asked}
    this = update(Payment).where(Payment.id == payment["payment_id"])
    await script.set(this.values(state="awaiting"))
    await script("/payments/{payment_id}/settle", {"reference": "statement 7"}, **payment)
    await script.set(this.values(refund_asked_at=api.appliance.clock()))
    await script("/payments/{payment_id}/refunded", {"reference": "transfer 9"}, **payment)
    await script("/subscriptions/{subscription_id}/cancel", {"reason": WHY, "at_once": True}, **hosted)
    found = {"service_location": "LOC-20001", "result": "feasible", "reason": WHY}
    await script("/customers/{customer_id}/site-surveys", found, customer_id=CUSTOMER)
    await script("/customers/{customer_id}", {"language": "de", "reason": WHY}, "PATCH", customer_id=CUSTOMER)
    assert (script.last["before"]["language"], script.last["after"]["language"]) == (None, "de")


async def partners_and_webhooks(script: Script) -> None:
    order = {
        "order_ref": "N-1",
        "customer_data": {"name": "Ann", "email": "ann@example.org"},
        "license_count": 1,
        "white_label_config": {"name": "Nordnetz"},
        "offer_id": 1,
    }
    await script("/partners/{partner_id}/orders", order, partner_id=PARTNER)
    await script("/partners/{partner_id}/domains", {"domain": "nordnetz.example"}, partner_id=PARTNER)
    await script("/partners/{partner_id}/grants", {"licenses": 3, "note": WHY}, partner_id=PARTNER)
    hook = await script("/webhooks", {"url": "https://hooks.example/in", "event_types": ["run.state_changed"]})
    await script("/webhooks/{webhook_id}/rotate-secret", {"keep_hours": 0, "reason": WHY}, **hook)
    await script("/webhooks/{webhook_id}/disable", {"reason": WHY}, **hook)
    await script("/webhooks/{webhook_id}/enable", {"reason": WHY}, **hook)
    await script("/webhooks/{webhook_id}/replay", {"since": "2026-01-01T00:00:00Z", "reason": WHY}, **hook)


async def subscribers(script: Script) -> None:
    said = {
        "change-plan": {"plan": "fiber-300"},
        "suspend": {"garden": "fiber-pool"},
        "resume": {},
        "rotate-password": {},
        "disconnect": {},
        "set-right": {},
    }
    await script("/subscribers/{username}/change-plan", {"plan": "fiber-pool", "reason": WHY}, username=DONE)
    for verb, wish in said.items():
        changed = await script(f"/subscribers/{{username}}/{verb}", wish | {"reason": WHY}, username=DONE)
        assert changed["change"]["act"] == verb.replace("-", "_")
    assert script.last["subject"] == "subscriber/1"
    assert (script.last["before"]["state"], script.last["after"]["subscriber"]["state"]) == ("active", "active")
    await script("/subscribers/{username}/bind", {"station": "00-1a-2b-3c-4d-5e", "reason": WHY}, username=DONE)
    await script("/subscribers/{username}/unbind", {"reason": WHY}, username=DONE)
    await script("/subscribers/{username}/identify", {"external_id": "ERP-9", "reason": WHY}, username=DONE)
    renamed = {"username": "anna@isp.example", "cpe_by_hand": True, "reason": WHY}
    await script("/subscribers/{username}/rename", renamed, username=DONE)
    terms = {"download_kbps": 400_000, "upload_kbps": 100_000, "data_cap_octets": 10**12, "reason": WHY}
    await script("/plans/{name}/define", terms, name="fiber-300")
    assert script.last["subject"].startswith("plan/")
    await script("/plans/{name}/apply", {"reason": WHY}, name="fiber-300")
    await script("/subscribers/{username}/lift-cap", {"octets": 10**9, "reason": WHY}, username="anna@isp.example")
    listed = "username,customer_id,plan,password\nold1@isp.example,2001,fiber-300,pass-1\n"
    assert (await script("/subscribers/imports", {"content": listed, "customers_elsewhere": True, "reason": WHY}))[
        "created"
    ] == 1
    new = {"username": "new1@isp.example", "customer_id": 2003, "plan": "fiber-300", "reason": WHY}
    new["customers_elsewhere"] = True
    made = await script("/subscribers", new)
    assert (script.last["subject"], script.last["before"]) == (f"subscriber/{made['subscriber_id']}", None)
    late = "username,customer_id,plan,state\nold2@isp.example,2002,fiber-300,pending\n"
    await script("/subscribers/imports", {"content": late, "customers_elsewhere": True, "reason": WHY})
    for verb in ("activate", "end"):
        await script(f"/subscribers/{{username}}/{verb}", {"reason": WHY}, username="old2@isp.example")
    added = await script("/nas", {"name": "bng-9", "address": "198.51.100.9", "dialect": "mikrotik", "reason": WHY})
    await script("/nas/{name}/change", {"coa_port": 1700, "reason": WHY}, name="bng-9")
    assert (script.last["before"]["coa_port"], script.last["after"]["nas"]["coa_port"]) == (3799, 1700)
    rotated = await script("/nas/{name}/rotate-secret", {"reason": WHY}, name="bng-9")
    assert script.last["subject"] == f"nas/{added['nas']['nas_id']}"
    appliance = script.api.appliance
    async with appliance.radius_database.begin() as radius_db:
        theirs = {"nasname": "198.51.100.9", "shortname": "hall-9", "secret": "theirs-since-2009"}
        await radius_db.execute(insert(nas).values(theirs))
    await script("/nas/{name}/adopt", {"reason": WHY}, name="bng-9")
    assert script.last["after"] == {"nas": "bng-9", "adopted": True}
    removed = await script("/nas/{name}/remove", {"reason": WHY}, name="bng-9")
    assert script.last["before"]["ipv4"] == "198.51.100.9"
    assert script.last["after"] == {"nas": "bng-9", "removed": True, "sessions_left": removed["sessions_left"]}
    await silent_nas(appliance.radius_database, "192.0.2.44", DONE, now=appliance.clock())
    assert (await script("/sessions/close", {"nas": "192.0.2.44", "reason": WHY}))["closed"] == 1
    kept_in_audit = str(await script.api.audit(limit=5))
    assert theirs["secret"] not in kept_in_audit
    assert added["secret"] not in kept_in_audit
    assert rotated["secret"] not in kept_in_audit


async def campaigns(script: Script) -> None:
    group = {"template": "tr181-pppoe"}
    await script("/campaigns", {"name": "wifi", "template": "tr181-pppoe", "group": group, "canary": 1})
    for verb in ("start", "pause", "resume", "cancel"):
        await script(f"/campaigns/{{name}}/{verb}", {"reason": WHY}, name="wifi")
    assert (script.last["before"], script.last["after"]) == (
        {"state": "running"},
        {"campaign": "wifi", "state": "cancelled"},
    )


async def devices(script: Script) -> None:
    told: dict[str, dict[str, Any]] = {
        "get": {"paths": ["Device.DeviceInfo.UpTime"]},
        "set": {"values": {"Device.WiFi.Radio.1.Channel": 11}, "reason": WHY},
        "ping": {"host": "198.51.100.1"},
        "download": {"url": "http://198.51.100.1/file"},
        "firmware": {"file": "v2.bin", "reason": WHY},
        "reboot": {"reason": WHY},
        "factory-reset": {"reason": WHY},
    }
    for verb in VERBS:
        asked = await script(f"/devices/{{serial}}/{verb}", told.get(verb, {}), serial=CPE)
        await script("/device-operations/{operation_id}/cancel", {"reason": WHY}, **asked)
    wish = {"changes": {"inform.verified_seconds": 43200}, "reason": WHY}
    await script("/devices/{serial}/overrides", wish, serial=CPE)
    await script("/fleet/converge", {"serials": [CPE], "reason": WHY})
    await script("/devices/{serial}/wifi", {"request_id": "1", "ssid": "Attic", "reason": WHY}, serial=CPE)
    urls = {"genieacs_nbi_url": "http://127.0.0.1:7557", "genieacs_nbi_urls": {"west": "http://127.0.0.1:7558"}}
    script.api.appliance.settings = script.api.appliance.settings.model_copy(update=urls)
    await script("/devices/{serial}/move", {"acs": "west", "reason": WHY}, serial=CPE)
    assert (script.last["before"], script.last["after"]) == ({"acs": "default"}, {"acs": "west"})
    new = {"new_serial": "HWTC0000000A", "line_by_hand": True, "reason": WHY}
    swapped = await script("/devices/{serial}/swap", new, serial=CPE)
    await first_session(script, swapped["device_serial"])
    await script("/devices/{serial}/withdraw", {"reason": WHY}, serial=swapped["device_serial"])
    assert (script.last["before"]["state"], script.last["after"]["state"]) == ("awaiting_first_inform", "withdrawn")
    bound = {"username": "anna@isp.example", "serial": CPE, "template": "tr181-pppoe", "values": {"cpe_vlan_id": 100}}
    await script("/devices", {**bound, "line_by_hand": True, "reason": WHY})
    assert (script.last["subject"], script.last["after"]["state"]) == (f"device/{CPE}", "awaiting_first_inform")
    await script("/devices/{serial}/withdraw", {"reason": WHY}, serial=CPE)
    listed = f"serial,username,cpe_vlan_id\n{CPE},anna@isp.example,100\n"
    cpes: dict[str, Any] = {"content": listed, "template": "tr181-pppoe", "line_by_hand": True, "reason": WHY}
    assert (await script("/devices/imports", cpes))["bound"] == 1


async def first_session(script: Script, serial: str) -> None:
    """What a CPE is to have goes out, and no secret of it stays in the audit."""
    api = script.api
    device = (await api.get(f"/devices/{serial}")).json()
    asked_at = {"genieacs_first_session": frozenset({device["acs_name"]})}
    api.appliance.settings = api.appliance.settings.model_copy(update=asked_at)
    async with api.appliance.database.begin() as db:
        key = await api.appliance.vault.seal_if_missing(db, FIRST_SESSION_KEY, "0f" * 32)
    code = provisioning_code(key, tenant_id=api.appliance.tenant_id, serial=serial)
    body = {"serial": serial, "data_model": device["data_model"], "provisioning_code": code}
    told = await script("/acs/{name}/first-sessions", body, name=device["acs_name"])
    assert script.last["subject"] == f"device/{serial}"
    assert script.last["after"] == {"revision": told["revision"]}
    secret = [value for _, value, _, is_secret, *_ in json.loads(told["settings"])["params"] if is_secret]
    kept = str(script.last)
    assert secret and not [value for value in [code, *secret] if value in kept]


async def addresses(script: Script) -> None:
    api, pool = script.api, {"pool": "north-v4", "note": WHY}
    routed = {"name": "office", "kind": "ipv4_routed", "network": "198.51.100.0/27", "bindings": [{"bng": "bng-north"}]}
    line: dict[str, Any] = {"service_location": "LOC-20005", "bandwidth_plan": "fiber-300"}
    async with api.appliance.database.begin() as db:
        await NetworkEstate(db, tenant_id=api.appliance.tenant_id, now=api.appliance.clock).apply({"pool": [routed]})
        network = api.appliance.services(db).network_service
        gone = await network.allocate_resources(customer_id=CUSTOMER, **line | {"service_location": "LOC-20006"})
        await network.release_resources(service_id=gone["service_id"])
    await script("/addresses/lift", pool | {"value": gone["ip_address"]})
    for verb in ("reserve", "unreserve"):
        await script(f"/addresses/{verb}", pool | {"value": "100.64.3.9"})
    assert script.last["before"]["reserved"] == 1
    for verb in ("exclude", "include", "drain", "undrain"):
        await script(f"/addresses/{verb}", pool | {"span": "100.64.3.16/28"})
    assert (script.last["subject"], script.last["before"]["draining"]) == ("pool/north-v4", 16)
    await script("/addresses/shrink", {"pool": "office", "network": "198.51.100.0/28", "note": WHY})
    await script("/addresses/retire", {"pool": "tight-v4", "note": WHY})
    await script("/addresses/rehome", {"access_nodes": ["OLT-TIGHT"], "bng": "bng-north", "note": WHY})
    assert script.last["before"] == {"behind": {"OLT-TIGHT": "bng-tight"}}
    await script("/addresses/services/{service_id}/move", {"service_location": "LOC-20001", "note": WHY}, service_id=1)
    given = await script("/addresses/services/{service_id}/route", {"pool": "office", "reason": WHY}, service_id=1)
    prefix = given["resources"]["framed_routes"][0].split()[0]
    await script("/addresses/services/{service_id}/withdraw", {"prefix": prefix, "reason": WHY}, service_id=1)
    assert script.last["before"]["framed_routes"] == [f"{prefix} 0.0.0.0 1"]
    asked = await script("/addresses/services", line | {"customer_id": CUSTOMER})
    await script("/addresses/services/{service_id}/release", {"reason": WHY}, service_id=asked["service_id"])
    rule = {"pool": "north-v4", "outside": "203.0.113.0/27", "ports_per_subscriber": 2016, "reason": WHY}
    await script("/addresses/nat/rules", rule)
    assert script.last["before"] == {"rule": None}
    begun = script.last["after"]["rule"]
    assert (begun["outside"], begun["ports_per_subscriber"]) == ("203.0.113.0/27", 2016)
    await script("/addresses/nat/end-rule", {"pool": "north-v4", "reason": WHY})
    assert (script.last["before"], script.last["after"]) == ({"rule": begun}, {"rule": None})
    block = {"outside": "198.51.100.77", "first_port": 1024, "last_port": 2047, "inside": "100.64.0.7"}
    log = {"source": "cgn-1", "blocks": [{**block, "began_at": "2026-03-02T20:00:00Z"}]}
    await script("/addresses/nat/blocks", log)
    kept = {"content": "value,note\n100.64.3.40,for the museum\n", "reason": WHY}
    assert (await script("/addresses/imports", kept))["reserved"] == 1
