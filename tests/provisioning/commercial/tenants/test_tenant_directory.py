"""The directory: which page answers to whom, and what it tells of order and service at this moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.commercial import LineWish, TenantDirectory, TenantPage, TenantUnknown
from provisioning.commercial.tenants.tenant_page import render_tenant_page
from provisioning.estate import import_estate
from provisioning.languages import ENGLISH
from provisioning.tickets import read_ticket
from radius.tables import Subscriber
from tests.support.appliances import ESTATE, TICKET, Original
from tests.support.host_names import prove_host_name
from workflows.answers import ProvisionedTenant
from workflows.engine.tables import RunRow

CUSTOMER = 1001
FIBRE, HOSTED = 1, 2  # offers


@pytest.fixture
async def appliance(migrated_sqlite: Original, tmp_path: Path) -> AsyncIterator[Appliance]:
    async with open_appliance(migrated_sqlite.copy(tmp_path, public_url="https://isp.example")) as opened:
        await import_estate(opened, ESTATE)
        yield opened


async def own_page(appliance: Appliance) -> ProvisionedTenant:
    async with appliance.database.begin() as db:
        services = appliance.services(db)
        issued = await services.license_service.issue_license(
            customer_id=CUSTOMER, license_template_id=1, tenant_id=appliance.tenant_id
        )
        return await services.deployment_service.provision_tenant(
            customer_id=CUSTOMER, license_key=issued["license_key"], deployment_type="hosted"
        )


async def partners_page(appliance: Appliance, domain: str) -> ProvisionedTenant:
    async with appliance.database.begin() as db:
        services = appliance.services(db)
        brought = await services.customer_service.create_partner_customer(
            partner_id=21, customer_data={"name": "Ada", "email": "ada@example.com"}
        )
        who: dict[str, Any] = {"customer_id": brought["customer_id"], "partner_id": 21}
        await services.license_service.allocate_from_partner(**who, license_count=1)
        config = {"name": "Nordnetz", "colours": {"primary": "#0b5d3b"}, "domain": domain}
        await prove_host_name(db, 21, domain, tenant_id=appliance.tenant_id, at=appliance.clock())
        return await services.deployment_service.provision_partner_tenant(**who, white_label_config=config)


async def look(appliance: Appliance, slug: str | None = None, host: str | None = None) -> TenantPage:
    async with appliance.database.read() as db:
        return await appliance.tenant_pages.find(db, slug=slug, host=host)


async def test_a_page_under_the_isps_own_brand(appliance: Appliance) -> None:
    provisioned = await own_page(appliance)
    assert provisioned["tenant_url"] == f"https://isp.example/t/{provisioned['tenant_id']}"
    assert await look(appliance, provisioned["tenant_id"]) == TenantPage(
        slug=provisioned["tenant_id"],
        brand="isp.example",
        primary="#14507a",
        on_primary="#ffffff",
        logo_url=None,
        order_state="none",
        service_state="none",
    )


async def test_a_page_speaks_its_customers_language_and_else_the_isps(appliance: Appliance) -> None:
    slug = (await own_page(appliance))["tenant_id"]
    assert (await look(appliance, slug)).spoken == ENGLISH
    async with appliance.database.begin() as db:
        await appliance.customers(db).speak(customer_id=CUSTOMER, language="de-AT")
    page = await look(appliance, slug)
    assert (page.spoken.asked_as, "Ihr Anschluss" in render_tenant_page(page)) == ("de-AT", True)


async def test_the_order_moves_from_planned_to_carried_out(appliance: Appliance) -> None:
    slug = (await own_page(appliance))["tenant_id"]
    async with appliance.database.begin() as db:
        deployment = await appliance.services(db).deployment_service.schedule_deployment(
            order_id=1,
            customer_id=CUSTOMER,
            priority="normal",
            scheduled_date=appliance.clock().date() + timedelta(days=2),
        )
    assert (await look(appliance, slug)).order_state == "scheduled"
    async with appliance.database.begin() as db:
        run_id = (await appliance.desk(db).accept(read_ticket(TICKET), by="test")).run_id
    assert (await look(appliance, slug)).order_state == "in_progress"
    async with appliance.database.begin() as db:
        await appliance.services(db).deployment_service.release_deployment(
            deployment_id=deployment["deployment_id"], reason="done"
        )
    for state, shown in (("completed", "completed"), ("failed", "cancelled"), ("held", "in_progress")):
        async with appliance.database.begin() as db:
            await db.execute(update(RunRow).where(RunRow.id == run_id).values(state=state))
        assert (await look(appliance, slug)).order_state == shown


async def test_what_was_ordered_and_subscribed_to_is_told_too(appliance: Appliance) -> None:
    slug = (await own_page(appliance))["tenant_id"]
    async with appliance.database.begin() as db:
        services, quotes = appliance.services(db), appliance.quotes(db)
        quote = await quotes.draft(
            customer_id=CUSTOMER, lines=[LineWish(HOSTED)], valid_until=appliance.clock() + timedelta(days=1)
        )
        await quotes.send(quote_id=quote["quote_id"])
        await services.crm_service.accept_quote(quote_id=quote["quote_id"], accepted_by="Ada")
        order = await services.sales_service.create_order_from_quote(
            quote_id=quote["quote_id"], tenant_id=appliance.tenant_id
        )
    page = await look(appliance, slug)
    assert (page.order_state, page.service_state) == ("in_progress", "none")

    who: dict[str, Any] = {"customer_id": CUSTOMER, "tenant_id": appliance.tenant_id}
    async with appliance.database.begin() as db:
        await appliance.services(db).billing_service.create_subscription(**who, plan_id=FIBRE)
    assert (await look(appliance, slug)).service_state == "pending"
    async with appliance.database.begin() as db:
        billing = appliance.services(db).billing_service
        hosted = await billing.create_subscription(**who, plan_id=HOSTED)
        await appliance.services(db).sales_service.fail_order(order_id=order["order_id"], reason="the duct collapsed")
    page = await look(appliance, slug)
    assert (page.order_state, page.service_state) == ("failed", "active")
    assert "Could not be carried out" in render_tenant_page(page)
    async with appliance.database.begin() as db:
        await appliance.services(db).billing_service.cancel_subscription(
            subscription_id=hosted["subscription_id"], reason="moves"
        )
    assert (await look(appliance, slug)).service_state == "pending"


async def test_the_service_is_what_the_best_of_its_subscribers_is(appliance: Appliance) -> None:
    slug = (await own_page(appliance))["tenant_id"]
    async with appliance.database.begin() as db:
        radius = appliance.services(db).radius_service
        for username in ("a@isp.example", "b@isp.example"):
            await radius.create_subscriber(customer_id=CUSTOMER, username=username, bandwidth_profile="fiber-300")
    assert (await look(appliance, slug)).service_state == "pending"
    for state, shown in (("active", "active"), ("suspended", "suspended"), ("terminated", "pending")):
        async with appliance.database.begin() as db:
            await db.execute(update(Subscriber).where(Subscriber.username == "a@isp.example").values(state=state))
        assert (await look(appliance, slug)).service_state == shown


async def test_a_domain_leads_to_its_page_until_that_is_withdrawn(appliance: Appliance) -> None:
    provisioned = await partners_page(appliance, "portal.nordnetz.example")
    page = await look(appliance, host="Portal.Nordnetz.example")
    assert (page.slug, page.brand, page.primary) == (provisioned["tenant_id"], "Nordnetz", "#0b5d3b")
    async with appliance.database.read() as db:
        with pytest.raises(TenantUnknown):
            await TenantDirectory(tenant_id="south", isp_name="South").find(db, slug=page.slug)
    async with appliance.database.begin() as db:
        await appliance.services(db).deployment_service.withdraw_tenant(
            deployment_id=provisioned["deployment_id"], reason="left"
        )
    for named in ({"host": "portal.nordnetz.example"}, {"slug": page.slug}, {"host": "isp.example"}, {}):
        with pytest.raises(TenantUnknown):
            await look(appliance, **named)
    assert (await partners_page(appliance, "portal.nordnetz.example"))["tenant_id"] != page.slug
