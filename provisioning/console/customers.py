"""``/customers``: who buys; of one customer all that is theirs: lines, CPEs, quotes, orders, tickets, mails, runs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Response

from provisioning.amounts import line_without_amounts, summary_without_amounts
from provisioning.api import Call, InCall
from provisioning.api.own import own_customers, own_runs
from provisioning.api.pages import After, Number, page_of, row_of
from provisioning.commercial import CustomerRecord, CustomerUnknown, Outbox, TicketDesk
from provisioning.console.doors import ConsoleDoors
from provisioning.console.pages import show
from provisioning.sight import sees_money
from workflows import list_runs

ON_A_PAGE = 50
NEWEST = 10
"""So many of each kind stand on a customer's page; the lists have the others."""

doors = ConsoleDoors(name="customers")


@doors.page("/customers", permission="customers.read")
async def customers(call: InCall, email: Annotated[str, Query(max_length=254)] = "", after: After = None) -> Response:
    """Customers, the highest number first. A partner sees their own."""
    found = await call.appliance.customers(call.db).customers(
        email=email.strip() or None, among=own_customers(call), before_id=row_of(after), limit=ON_A_PAGE + 1
    )
    page = page_of(call, found, [customer["customer_id"] for customer in found], ON_A_PAGE)
    return show(call, "customers.html.j2", "Customers", customers=page.items, next=page.next, wanted={"email": email})


@doors.page("/customers/{customer_id}", permission="customers.read")
async def customer(call: InCall, customer_id: Number) -> Response:
    """One customer, and the newest of all that is theirs, as far as it may be seen."""
    found = await call.appliance.customers(call.db).customers(
        customer_id=customer_id, among=own_customers(call), limit=1
    )
    if not found:
        raise CustomerUnknown(customer_id)
    return show(
        call,
        "customer.html.j2",
        f"{found[0]['name']}, customer {customer_id}",
        customer=found[0],
        most=NEWEST,
        theirs=await _theirs(call, found[0]),
    )


async def _theirs(call: Call, customer: CustomerRecord) -> dict[str, Any]:
    """By kind the newest; a kind that may not be seen is left out."""
    services, may, number = call.appliance.services(call.db), call.caller.permissions, customer["customer_id"]
    theirs: dict[str, Any] = {}
    if "subscribers.read" in may:
        theirs["lines"] = await services.radius_service.subscribers(customer_id=number, limit=NEWEST)
    if "devices.read" in may:
        theirs["devices"] = await services.genieacs_service.devices(customer_id=number, limit=NEWEST)
    if "quotes.read" in may:
        theirs["quotes"] = await call.appliance.quotes(call.db).quotes(customer_id=number, limit=NEWEST)
    if "orders.read" in may:
        theirs["orders"] = await call.appliance.sales(call.db).orders(customer_id=number, limit=NEWEST)
    if "tickets.read" in may:
        desk = TicketDesk(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)
        theirs["tickets"] = await desk.tickets(customer_id=number, limit=NEWEST)
    if "mails.read" in may:
        outbox = Outbox(call.db, tenant_id=call.tenant_id)
        mails = await outbox.mails(recipient=customer["email"], limit=NEWEST)
        theirs["mails"] = mails if sees_money(call.caller) else [line_without_amounts(mail) for mail in mails]
    if "runs.read" in may:
        runs = await list_runs(
            call.db, tenant_id=call.tenant_id, customer_id=number, among=own_runs(call), limit=NEWEST
        )
        theirs["runs"] = runs if sees_money(call.caller) else [summary_without_amounts(run) for run in runs]
    return theirs
