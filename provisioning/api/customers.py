"""``/customers``: who buys, under the numbers the ISP knows them by."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from provisioning.api.calls import Call, InCall
from provisioning.api.own import own_customers
from provisioning.api.pages import After, Limit, Number, Page, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.commercial import CustomerRecord, CustomerService, CustomerUnknown

doors = Doors(prefix="/customers", tags=["customers"])


@doors.get("", permission="customers.read")
async def list_(
    call: InCall,
    email: Annotated[str | None, Query(max_length=254, description="Only those with this very mail address")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[CustomerRecord]:
    """Customers, the highest number first. A partner sees their own."""
    found = await _service(call).customers(
        email=email, among=own_customers(call), before_id=row_of(after), limit=limit + 1
    )
    return page_of(call, found, [customer["customer_id"] for customer in found], limit)


@doors.get("/{customer_id}", permission="customers.read")
async def show(call: InCall, customer_id: Number) -> CustomerRecord:
    """One customer, also one who was taken back."""
    found = await _service(call).customers(customer_id=customer_id, among=own_customers(call), limit=1)
    if not found:
        raise CustomerUnknown(customer_id)
    return found[0]


def _service(call: Call) -> CustomerService:
    return CustomerService(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)
