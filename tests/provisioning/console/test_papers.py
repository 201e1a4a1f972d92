"""What has to do with a customer on paper: their page, orders, tickets, mails, notices; and access nodes."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import update

from provisioning.access import list_audit
from provisioning.commercial import TicketDesk
from provisioning.field.tables import Visit
from provisioning.line import line_orders
from tests.support.console import Console, Person

ANNA = 1001


async def page(person: Person, path: str, **asked: str) -> str:
    """The page, which must be there."""
    answer = await person.get(path, params=asked)
    assert answer.status_code == 200, (path, answer.text)
    return answer.text


async def open_ticket(console: Console, customer_id: int | None = ANNA) -> int:
    async with console.appliance.database.begin() as db:
        opened = await console.appliance.services(db).ticketing_service.create_ticket(
            title="No light since noon",
            description="The neighbours have none either.",
            customer_id=customer_id,
            priority="urgent",
            assigned_team="noc",
        )
    return opened["ticket_id"]


async def test_a_customer_s_page_has_all_that_is_theirs(any_console: Console) -> None:
    ticket = await open_ticket(any_console)
    admin = await any_console.somebody("admin")
    assert f'<a href="/customers/{ANNA}">{ANNA}</a>' in await page(admin, "/customers", email="customer1@example.net")
    assert "Older ones" in await page(admin, "/customers")
    seen = await page(admin, f"/customers/{ANNA}")
    assert f"Customer 1, customer {ANNA}" in seen
    for link in (
        '<a href="/subscribers/1">c1001-s1@isp.example</a>',
        '<a href="/devices/HWTC00000001">HWTC00000001</a>',
        '<a href="/runs/1">run 1</a>',
        f'<a href="/tickets/{ticket}">ticket {ticket}</a> No light since noon',
    ):
        assert link in seen, link
    [mail] = set(re.findall(r'<a href="(/mails/\d+)">mail \d+</a> [^<]*your service is live', seen))
    shown = await page(admin, mail)
    assert "customer1@example.net" in shown and "Every attempt" in shown and "250 2.0.0" in shown
    assert (await admin.get("/customers/999")).status_code == 404


async def test_a_customer_s_page_shows_what_the_role_may_see(console: Console) -> None:
    await open_ticket(console)
    nora, dispatcher = await console.somebody("noc"), await console.somebody("dispatch")
    for person, there, left_out in (
        (nora, ("lines", "cpes", "runs", "tickets", "mails"), ("orders",)),
        (dispatcher, ("lines", "cpes", "runs", "orders", "tickets"), ("mails",)),
    ):
        seen = await page(person, f"/customers/{ANNA}")
        assert all(f'<h2 id="{kind}">' in seen for kind in there)
        assert not any(f'<h2 id="{kind}">' in seen for kind in left_out)
    assert (await (await console.somebody("technician")).get(f"/customers/{ANNA}")).status_code == 403


async def test_a_partner_opens_their_own_customers_and_nobody_else_s(console: Console) -> None:
    partner = await console.somebody("partner")
    own = re.findall(r'<a href="/customers/(\d+)">', await page(partner, "/customers"))
    assert own and str(ANNA) not in own
    seen = await page(partner, f"/customers/{own[0]}")
    assert "Ada Byron" in seen and '<h2 id="lines">' not in seen
    assert (await partner.get(f"/customers/{ANNA}")).status_code == 404


async def test_quotes_are_listed_and_lead_from_the_customer_to_the_order(any_console: Console) -> None:
    sales, nora = await any_console.somebody("sales"), await any_console.somebody("noc")
    listed = await page(sales, "/quotes")
    [quote] = set(re.findall(r'<a href="(/quotes/\d+)">', listed))
    assert "Bob Hill" in listed and "EUR 88.90" in listed
    seen = await page(sales, quote)
    assert "Fibre 300" in seen and "by Bob Hill" in seen and "EUR 49.00" in seen
    [orders] = re.findall(r'<a href="(/orders\?customer=\d+)">', seen)
    [order] = set(re.findall(r'<a href="(/orders/\d+)">', await page(sales, orders)))
    assert f'<a href="{quote}">' in await page(sales, order)
    [customer] = set(re.findall(r'<a href="(/customers/\d+)">', seen))
    assert f'<a href="{quote}">' in await page(sales, customer)
    assert "No quote like that." in await page(sales, "/quotes", state="expired")
    assert (await nora.get("/quotes")).status_code == 403


async def test_orders_are_listed_and_shown_whole_for_who_may_see_them(any_console: Console) -> None:
    sales = await any_console.somebody("sales")
    [order] = set(re.findall(r'<a href="(/orders/\d+)">', await page(sales, "/orders")))
    seen = await page(sales, order)
    assert "EUR" in seen and "What was bought" in seen and "Fibre 300" in seen
    assert "No order like that." in await page(sales, "/orders", state="failed")
    assert (await sales.get("/orders", params={"state": "no"})).status_code == 422
    assert (await (await any_console.somebody("noc")).get(order)).status_code == 403


async def test_a_visit_leads_to_its_order_only_where_that_is_ours(any_console: Console) -> None:
    ada, database = await any_console.somebody("admin"), any_console.appliance.database
    [order] = set(re.findall(r'<a href="(/orders/\d+)">', await page(ada, "/orders")))
    [whose] = re.findall(r'<a href="/customers/(\d+)">', await page(ada, order))
    ours, theirs = int(order.rpartition("/")[2]), 7009
    for number, link in ((ours, True), (theirs, False)):
        async with database.begin() as db:
            await db.execute(update(Visit).where(Visit.id == 1).values(customer_id=int(whose), order_id=number))
        seen = await page(ada, "/visits/1")
        assert f"order {number}" in seen and (f'<a href="/orders/{number}">' in seen) == link


async def test_tickets_stand_in_the_order_in_which_they_are_due(any_console: Console) -> None:
    ticket = await open_ticket(any_console, None)
    nora = await any_console.somebody("noc")
    assert f'<a href="/tickets/{ticket}"><strong>No light since noon</strong></a>' in await page(nora, "/tickets")
    seen = await page(nora, f"/tickets/{ticket}")
    assert "nobody in particular" in seen and "<option>inProgress</option>" in seen
    assert "No ticket like that." in await page(nora, "/tickets", state="closed")
    assert "No ticket like that." in await page(nora, "/tickets", overdue="yes", team="noc")
    async with any_console.appliance.database.begin() as db:
        desk = TicketDesk(db, tenant_id=any_console.appliance.tenant_id, now=any_console.appliance.clock)
        await desk.update(ticket_id=ticket, state="cancelled", note="by mistake")
    assert "No ticket is to be done." in await page(nora, "/tickets")
    assert f'href="/tickets/{ticket}"' in await page(nora, "/tickets", state="all")


async def test_a_ticket_is_moved_on_its_page_by_who_has_seen_it_as_it_is(any_console: Console) -> None:
    ticket = await open_ticket(any_console)
    nora, reader = await any_console.somebody("noc"), await any_console.somebody("read-only")
    form = {"seen": "1", "state": "inProgress", "assigned_team": "onboarding", "priority": "", "note": "Line 3 is dark"}

    assert (await nora.send(f"/tickets/{ticket}", {**form, "note": " ", "seen": "7"})).status_code == 422
    assert (await nora.send(f"/tickets/{ticket}", {**form, "seen": "one"})).status_code == 422
    assert (await nora.send(f"/tickets/{ticket}", {**form, "assigned_team": "nobody"})).status_code == 404
    assert (await nora.send(f"/tickets/{ticket}", {**form, "state": "closed"})).status_code == 409
    assert (await reader.send(f"/tickets/{ticket}", form)).status_code == 403
    assert "<form" not in (await page(reader, f"/tickets/{ticket}")).partition("<main")[2]
    assert (await nora.send(f"/tickets/{ticket}", form)).status_code == 303
    assert (await nora.send(f"/tickets/{ticket}", form)).status_code == 409  # it is another by now

    async with any_console.appliance.database.read() as db:
        desk = TicketDesk(db, tenant_id=any_console.appliance.tenant_id, now=any_console.appliance.clock)
        moved = await desk.ticket(ticket)
        [entry] = await list_audit(db, tenant_id=any_console.appliance.tenant_id, limit=1)
    kept = (moved["state"], moved["assigned_team"], moved["priority"], moved["note"])
    assert kept == ("inProgress", "onboarding", "urgent", "Line 3 is dark")
    assert (entry.action, entry.subject, entry.reason) == ("tickets change", f"ticket/{ticket}", "Line 3 is dark")
    assert entry.before is not None and entry.after is not None
    assert (entry.before["state"], entry.after["state"]) == ("open", "inProgress")


async def test_mails_and_notices_are_listed_with_what_was_answered(any_console: Console) -> None:
    nora = await any_console.somebody("noc")
    seen = await page(nora, "/mails", recipient="customer1@example.net")
    assert "your service is live" in seen and "customer2@example.net" not in seen
    assert "No mail like that." in await page(nora, "/mails", state="refused")
    assert "No notice" in await page(nora, "/notices", state="failed")
    async with any_console.appliance.database.begin() as db:
        await any_console.appliance.services(db).notifications_service.notify_team(
            team="noc", channel="email", subject="Pool", message="Pool north-v4 is full."
        )
    seen = await page(nora, "/notices", team="noc")
    assert "Pool north-v4 is full." in seen and "team noc by email" in seen


async def test_a_service_shows_what_it_holds_and_its_lines_to_which_their_orders_lead(any_console: Console) -> None:
    nora = await any_console.somebody("noc")
    page = (await nora.get("/services/1")).text
    async with any_console.appliance.database.read() as db:
        held = await any_console.appliance.services(db).network_service.resources(1)
        [line] = [each for each in await line_orders(db, any_console.appliance.tenant_id) if each["service_id"] == 1]
    assert f"<dt>IPv4</dt><dd>{held['ip_address']}</dd>" in page and held["delegated_prefix"] in page  # type: ignore[operator]
    assert f'<a href="/access-nodes/of?name={held["access_node"]}">' in page
    assert '<a href="/customers/1001">' in page and f'<a href="/devices/{line["device_serial"]}">' in page
    assert f'id="line-order-{line["line_order_id"]}"' in page
    answer = await nora.get(f"/line-orders/{line['line_order_id']}")
    assert answer.headers["location"] == f"/services/1#line-order-{line['line_order_id']}"
    assert (await nora.get("/services/999999")).status_code == 404


async def test_an_access_node_says_how_many_lines_it_has_and_what_needs_a_person_there(any_console: Console) -> None:
    nora = await any_console.somebody("noc")
    listed = await page(nora, "/access-nodes")
    assert re.findall(r"/access-nodes/of\?name=([\w-]+)", listed) == ["OLT-3", "OLT-TIGHT"]
    assert "behind bng-tight" in listed and "C-VLANs: " in listed
    assert "OLT-3" not in await page(nora, "/access-nodes", behind="OLT-3")
    seen = await page(nora, "/access-nodes/of", name="OLT-3")
    assert re.search(r"\d+ lines? in service, behind bng-north\.", seen)
    assert "Nothing here needs anybody now." in seen
    assert (await nora.get("/access-nodes/of", params={"name": "OLT-99"})).status_code == 404


@pytest.mark.parametrize("path", ["/customers", "/orders", "/tickets", "/mails", "/notices", "/access-nodes"])
async def test_whoever_has_not_the_permission_is_told_so(console: Console, path: str) -> None:
    assert (await (await console.somebody("technician")).get(path)).status_code == 403
