"""How a customer's subscribers stand."""

from __future__ import annotations

from radius import states_of_customer
from tests.radius.conftest import Site


async def test_a_customers_subscribers_are_told_in_the_order_in_which_they_were_made(site: Site) -> None:
    first, second = await site.create(), await site.create()
    async with site.database.begin() as db:
        await site.service(db).activate(subscriber_id=second["subscriber_id"])
        await site.service(db).terminate(subscriber_id=first["subscriber_id"])
        assert await states_of_customer(db, tenant_id=site.tenant_id, customer_id=7) == ["terminated", "active"]
        assert await states_of_customer(db, tenant_id=site.tenant_id, customer_id=8) == []
        assert await states_of_customer(db, tenant_id="another", customer_id=7) == []
