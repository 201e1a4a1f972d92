"""``/services/{service_id}``: what a service holds, and its lines on the OLT, also before it has a subscriber and when
that is long gone. A line order's own address leads there."""

from __future__ import annotations

from fastapi import Response

from ipam import AllocatedResources, ServiceIncomplete, ServiceReleased
from provisioning.api import Call, InCall
from provisioning.api.pages import Number
from provisioning.console.doors import ConsoleDoors
from provisioning.console.lists import names_of
from provisioning.console.pages import show, to
from provisioning.line import LineOrderRecord, line_order_as_it_is, line_orders
from provisioning.line.orders import as_line_order

MOST_LINES = 50

doors = ConsoleDoors(name="addresses")


@doors.page("/services/{service_id}", permission="addresses.read")
async def service(call: InCall, service_id: Number) -> Response:
    """One service: whose it is, where, what it holds now, and which lines it was given."""
    facts = await call.appliance.address_lookup(call.db).service(service_id)
    held, without = await _held(call, service_id)
    return show(
        call,
        "service.html.j2",
        f"Service {service_id}",
        facts=facts,
        held=held,
        without=without,
        lines=await _lines(call, facts["customer_id"], service_id),
        names=await names_of(call, [facts["customer_id"]]),
    )


@doors.page("/line-orders/{line_order_id}", permission="lines.read")
async def line_order(call: InCall, line_order_id: Number) -> Response:
    """Leads to it on the page of its service."""
    found = as_line_order(await line_order_as_it_is(call.db, call.tenant_id, line_order_id))
    return to(f"/services/{found['service_id']}#line-order-{line_order_id}")


async def _held(call: Call, service_id: int) -> tuple[AllocatedResources | None, str]:
    """What it holds; if that is nothing, or not all that it should, why."""
    try:
        return await call.appliance.services(call.db).network_service.resources(service_id), ""
    except (ServiceReleased, ServiceIncomplete) as error:
        return None, str(error)


async def _lines(call: Call, customer_id: int, service_id: int) -> list[LineOrderRecord]:
    """Its line orders, the newest first, for who may read them."""
    if "lines.read" not in call.caller.permissions:
        return []
    found = await line_orders(call.db, call.tenant_id, customer_id=customer_id, limit=MOST_LINES)
    return [each for each in found if each["service_id"] == service_id]
