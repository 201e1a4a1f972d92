"""Plain lists: sessions, pools, CPEs, partners, licences, payments, webhooks, checks, audit; each for its roles."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from acs import DeviceRecord, RefusedFirstSessions
from acs.tables import AcsDevice
from ipam import PoolOutlook
from ipam.tables import PoolSample
from provisioning.access import Deed, keep_deed
from provisioning.bootstrap import Appliance
from provisioning.check import CheckResult, Finding
from provisioning.check_records import record_check
from provisioning.commercial.partners.domain_tables import PartnerDomain
from provisioning.commercial.payments.tables import Payment
from provisioning.commercial.selling.selling_tables import SalesOrder
from provisioning.console.devices import ParameterFault, by_parameter
from provisioning.console.words import octets, sentence
from provisioning.forecast import forecast
from provisioning.webhooks.tables import Webhook
from radius import Reaper
from tests.support.console import Console

NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)


async def test_the_online_list_is_filtered_by_nas_and_plan_and_leads_to_a_username(any_console: Console) -> None:
    nora = await any_console.somebody("noc")
    page = (await nora.get("/sessions")).text
    assert "No worker has counted open sessions lately." in page and "c1001-s1@isp.example</a>" in page
    appliance = any_console.appliance
    await Reaper(appliance.radius_database.begin, tenant_id=appliance.tenant_id, now=appliance.clock).sweep()
    page = (await nora.get("/sessions")).text
    assert "1 session was open when the worker looked last." in page
    (guard,) = await any_console.appliance.session_looks.guards()
    for asked, is_there in (
        ({"nas": guard["nas"]}, True),
        ({"nas": guard["nas_address"]}, True),
        ({"nas": "198.51.100.77"}, False),
        ({"plan": "no-such"}, False),
        ({"doubtful": "yes"}, False),
    ):
        page = (await nora.get("/sessions", params=asked)).text
        assert ("c1001-s1@isp.example</a>" in page) == is_there, asked
    mistyped = await nora.get("/sessions", params={"nas": "no such"})
    assert (mistyped.status_code, "no such" in mistyped.text) == (404, True), "an empty list would say that all are off"
    past = (await nora.get("/sessions/of", params={"username": "c1001-s1@isp.example"})).text
    assert "Sessions of c1001-s1@isp.example" in past and "not yet" in past
    assert "No session of nobody is known" in (await nora.get("/sessions/of", params={"username": "nobody"})).text


async def test_a_pool_shows_its_numbers_its_forecast_and_its_picture(any_console: Console) -> None:
    nora = await any_console.somebody("noc")
    async with any_console.appliance.database.begin() as db:
        await db.execute(delete(PoolSample))  # as before a worker has looked
    page = (await nora.get("/pools")).text
    assert '<a href="/pools/of?pool=aggregation-north/101">' in page and "no history yet" in page
    assert "<small>delegated IPv6 prefixes</small>" in page and "<small>C-VLANs</small>" in page
    one = (await nora.get("/pools/of", params={"pool": "north-v4"})).text
    assert 'class="occupation" role="img" aria-label="north-v4: ' in one
    picture = await nora.get("/pools/picture.svg", params={"pool": "north-v4"})
    assert picture.headers["content-type"] == "image/svg+xml"
    assert picture.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert picture.text.startswith("<svg")
    assert (await nora.get("/pools/of", params={"pool": "none"})).status_code == 404


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ({"free": 0, "units_per_day": 3.0, "days_to_exhaustion": 0.0}, "full"),
        ({"free": 0, "chain_free": 9, "units_per_day": 0.0, "days_to_exhaustion": 3.0}, "full, and served on by b"),
        (
            {"free": 0, "chain_free": 9, "draining": 5, "units_per_day": 0.0, "days_to_exhaustion": None},
            "being drained, and served on by b",
        ),
        ({"free": 9, "units_per_day": None, "days_to_exhaustion": None}, "too soon to say"),
        ({"free": 9, "units_per_day": -1.0, "days_to_exhaustion": None}, "not going down"),
        ({"free": 9, "units_per_day": 3.0, "days_to_exhaustion": 3.0}, "full on 2026-06-04, at 3 a day"),
        (
            {"free": 9, "units_per_day": None, "days_to_exhaustion": 3.0, "chain": ["a", "b"]},
            "full with b on 2026-06-04",
        ),
        ({"free": 9, "units_per_day": 0.01, "days_to_exhaustion": 1e12}, "lasts for more than ten years"),
    ],
)
def test_a_forecast_says_what_is_known(numbers: dict[str, Any], told: str) -> None:
    chain = ["a", "b"] if "chain_free" in numbers else ["a"]
    outlook = {"pool": "a", "draining": 0, "chain": chain, "chain_free": numbers["free"], **numbers}
    assert forecast(PoolOutlook(**outlook), NOW) == told  # type: ignore[typeddict-item]


async def test_cpes_are_listed_by_state_cause_and_who_was_left_to_a_person(any_console: Console) -> None:
    nora = await any_console.somebody("noc")
    async with any_console.appliance.database.begin() as db:
        serial = (await db.scalars(select(AcsDevice.serial).where(AcsDevice.state != "withdrawn"))).first()
        refused = [{"path": "Device.WiFi.SSID.1.SSID", "code": "9007", "meaning": "invalid value"}]
        told = {"state": "faulted", "details": refused, "unreached_why": "offline", "handed_over_at": NOW}
        await db.execute(update(AcsDevice).where(AcsDevice.serial == serial).values(**told, unreached_since=NOW))
    link = f'<a href="/devices/{serial}">{serial}</a></th>'
    page = (await nora.get("/devices")).text
    assert link in page and "refused with 9007: 1 CPE" in page and "it is off, or its line is down" in page
    for asked, is_there in (
        ({"state": "faulted"}, True),
        ({"state": "queued"}, False),
        ({"why": "offline"}, True),
        ({"why": "silent"}, False),
        ({"handed_over": "yes"}, True),
        ({"customer": "1999"}, False),
    ):
        assert (link in (await nora.get("/devices", params=asked)).text) == is_there, asked
    one = (await nora.get(f"/devices/{serial}")).text
    assert "9007: invalid value" in one and "secret:" in one
    assert (await nora.get("/devices", params={"state": "none"})).status_code == 422
    assert (await nora.get("/devices/HWTC99999999")).status_code == 404
    assert "No campaign was ever planned." in (await nora.get("/campaigns")).text


async def test_a_cpe_that_was_refused_in_its_first_session_is_found_with_what_to_do(any_console: Console) -> None:
    nora = await any_console.somebody("noc")
    appliance, told = any_console.appliance, "told nothing in its first session"
    assert told not in (await nora.get("/devices")).text
    async with appliance.database.begin() as db:
        serial = (await db.scalars(select(AcsDevice.serial).where(AcsDevice.state != "withdrawn"))).first()
        assert serial is not None
        waits = {"state": "awaiting_first_inform", "applied_at": None, "applied_revision": None, "written_at": None}
        await db.execute(update(AcsDevice).where(AcsDevice.serial == serial).values(**waits))
        refusals = RefusedFirstSessions(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        await refusals.note(serial=serial, acs_name="south", why="other_acs")
    assert (
        f'<a href="/devices?refused=yes"><span class="chip warn">{told}</span> 1</a>'
        in (await nora.get("/devices")).text
    )
    listed = (await nora.get("/devices", params={"refused": "yes"})).text
    assert listed.count("</a></th>") == 1 and "but reports to ACS south, and is bound to another." in listed
    one = (await nora.get(f"/devices/{serial}")).text
    assert "Told nothing in its first session" in one
    assert f"<code>firstlight devices move {serial} --acs south --reason ...</code>" in one


def test_faults_are_counted_by_parameter_the_most_frequent_first() -> None:
    def device(serial: str, *details: dict[str, Any]) -> DeviceRecord:
        return {"device_serial": serial, "details": list(details)}  # type: ignore[typeddict-item]

    refused = {"path": "Device.A", "code": "9007", "meaning": "invalid value"}
    differs = {"path": "Device.B", "wanted": "x", "reported": None}
    assert by_parameter([device("S1", refused), device("S2", refused, differs), device("S3")]) == [
        ParameterFault("Device.A", "refused with 9007", 2, "S1"),
        ParameterFault("Device.B", "is not as it should be", 1, "S2"),
    ]


async def test_a_partners_page_shows_their_host_names_and_what_is_the_matter_with_them(any_console: Console) -> None:
    sales, since = await any_console.somebody("sales"), any_console.appliance.clock()
    looks: tuple[tuple[dict[str, Any], str, str], ...] = (
        ({}, "nordnetz.example", "proven"),
        ({"missing_since": since}, "pages answer there until", 'TXT "firstlight-partner='),
        ({"proven_at": None, "lost_at": since}, "no page answers there", "claim it anew"),
        ({"missing_since": None, "lost_at": None}, "its DNS must hold", "_firstlight.nordnetz.example"),
    )
    for changes, *shown in looks:
        if changes:
            async with any_console.appliance.database.begin() as db:
                await db.execute(update(PartnerDomain).values(**changes))
        page = unescape((await sales.get("/partners/21")).text)
        assert [words for words in shown if words not in page] == []


async def test_partners_licences_and_payments_are_for_those_who_may_see_money(any_console: Console) -> None:
    sales, partner, noc = [await any_console.somebody(role) for role in ("sales", "partner", "noc")]
    for path in ("/partners", "/licences", "/payments"):
        assert (await sales.get(path)).status_code == 200
        assert (await noc.get(path)).status_code == 403
    assert (await partner.get("/payments")).status_code == 403
    one = (await partner.get("/partners/21")).text
    assert re.search(r'EUR [\d.]+ for <a href="/customers/', one) and "allocat" in one
    assert (await partner.get("/partners/22")).status_code == 404
    licences = (await partner.get("/licences")).text
    assert licences.count('<th scope="row">') == 2
    async with any_console.appliance.database.read() as db:
        given = await any_console.appliance.licences(db).licenses()
    assert all(each["license_key"] not in licences for each in given)
    assert "No payment yet." in (await sales.get("/payments")).text
    await add_payment(any_console.appliance)
    payments = (await sales.get("/payments")).text
    assert 'href="/payments/1"' in payments and "EUR 49.90" in payments
    assert "Every talk about it" in (await sales.get("/payments/1")).text
    assert (await sales.get("/payments", params={"state": "none"})).status_code == 422


async def test_who_sees_no_money_sees_no_amount_in_the_audit(console: Console) -> None:
    admin, nora = await console.somebody("admin"), await console.somebody("noc")
    deed = Deed(action="PUT /orders/1", actor="ada", door="api", subject="order/1", after={"total_amount": "49.90"})
    async with console.appliance.database.begin() as db:
        await keep_deed(db, deed, tenant_id=console.appliance.tenant_id, at=NOW)
    whole, part = [(await person.get("/audit", params={"actor": "ada"})).text for person in (admin, nora)]
    assert "49.90" in whole and "49.90" not in part and "(not shown)" in part
    assert "<code>order/1</code>" in part
    found = (await nora.get("/audit", params={"actor": "nobody"})).text
    assert "Nobody has changed anything like that." in found
    assert (await nora.get("/audit", params={"run": "x"})).status_code == 422
    assert (await (await console.somebody("read-only")).get("/audit")).status_code == 403


async def test_a_webhook_shows_its_host_alone_and_what_is_wrong_with_it(console: Console) -> None:
    admin = await console.somebody("admin")
    row: dict[str, Any] = {"url": "https://noc.example/hook?token=abc", "event_types": ["pool.critical"]}
    row |= {"state": "disabled", "disable_reason": "gone", "disabled_at": NOW, "added_at": NOW, "added_by": "nora"}
    async with console.appliance.database.begin() as db:
        await db.execute(insert(Webhook).values(**row, tenant_id=console.appliance.tenant_id))
    for path in ("/webhooks", "/webhooks/1"):
        page = (await admin.get(path)).text
        assert "noc.example" in page and "is disabled: gone" in page and "token" not in page.replace("form_token", "")
    home = (await admin.get("/home")).text
    assert 'href="/webhooks/1"' in home
    assert (await (await console.somebody("noc")).get("/webhooks")).status_code == 403


async def test_the_last_check_is_shown_with_its_time_and_without_what_is_about_money(console: Console) -> None:
    admin, nora = await console.somebody("admin"), await console.somebody("noc")
    assert "Nobody has ever asked" in (await nora.get("/checks")).text
    findings = [Finding("payment.settled", "payment/1", "49.90 EUR"), Finding("ipam.held", "service/1", "lost")]
    at = console.appliance.clock() - timedelta(minutes=5)
    async with console.appliance.database.begin() as db:
        common: dict[str, Any] = {"tenant_id": console.appliance.tenant_id, "checked_at": at, "took_seconds": 1.0}
        await record_check(db, CheckResult(70, 2, findings), **common)
    whole, part = (await admin.get("/checks")).text, (await nora.get("/checks")).text
    assert "49.90 EUR" in whole and "49.90" not in part
    assert "<li>lost" in part and "70 invariants were asked" in part


def test_octets_and_sentences_read_well() -> None:
    assert [octets(number) for number in (0, 999, 1000, 4_200_000_000, 250_000_000_000)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "4.2 GB",
        "250 GB",
    ]
    assert sentence("run `firstlight check` <now>") == "run <code>firstlight check</code> &lt;now&gt;"


async def add_payment(appliance: Appliance) -> None:
    """One that waits for a bank, of the order that there is."""
    async with appliance.database.begin() as db:
        order = (await db.scalars(select(SalesOrder))).first()
        assert order is not None
        row: dict[str, Any] = {"tenant_id": appliance.tenant_id, "order_id": order.id, "customer_id": order.customer_id}
        row |= {"amount_minor": 4990, "currency": "EUR", "method": "bank", "provider": "manual"}
        row |= {"state": "awaiting", "idempotency_key": "k1", "request_id": "r1", "requested_at": NOW}
        await db.execute(insert(Payment).values(**row))
