"""A customer's page over HTTP: what its probe looks for, what a stranger sees, and what is no page."""

from __future__ import annotations

from typing import Any

import httpx
from sqlalchemy import update

from provisioning.bootstrap import Appliance
from provisioning.commercial import TenantProbe
from provisioning.commercial.partners.domain_tables import PartnerDomain
from provisioning.commercial.tenants.tenant_page import COMMON_STYLESHEET
from tests.support.host_names import prove_host_name
from workflows.answers import ProvisionedTenant

DOMAIN = "portal.nordnetz.example"
LOGO = "https://cdn.nordnetz.example:8443/logo.svg"


async def partners_page(appliance: Appliance, logo_url: str = LOGO) -> ProvisionedTenant:
    """Of the customer Ada Byron in Byron Street, sold by Nordnetz."""
    async with appliance.database.begin() as db:
        services = appliance.services(db)
        brought = await services.customer_service.create_partner_customer(
            partner_id=21, customer_data={"name": "Ada Byron", "email": "ada@example.com"}
        )
        who: dict[str, Any] = {"customer_id": brought["customer_id"], "partner_id": 21}
        await services.license_service.allocate_from_partner(**who, license_count=1)
        brand = {"name": "Nordnetz", "colours": {"primary": "#0b5d3b"}, "domain": DOMAIN, "logo_url": logo_url}
        await prove_host_name(db, 21, "nordnetz.example", tenant_id=appliance.tenant_id, at=appliance.clock())
        return await services.deployment_service.provision_partner_tenant(**who, white_label_config=brand)


async def test_a_page_answers_at_its_address_as_its_probe_wants_it(
    appliance: Appliance, browser: httpx.AsyncClient
) -> None:
    provisioned = await partners_page(appliance)
    answer = await TenantProbe(browser, now=appliance.clock).answers(provisioned["tenant_url"])
    assert (answer["tenant_url"], answer["status"]) == (provisioned["tenant_url"], 200)


async def test_a_stranger_sees_brand_and_states_and_nothing_of_the_customer(
    appliance: Appliance, browser: httpx.AsyncClient
) -> None:
    provisioned = await partners_page(appliance)
    shown = await browser.get(f"/t/{provisioned['tenant_id']}")
    assert "<h1>Nordnetz</h1>" in shown.text and "No service yet" in shown.text
    for personal in ("Ada", "Byron", "ada@example.com", f"{provisioned['deployment_id']}<"):
        assert personal not in shown.text
    assert shown.headers["cache-control"] == "no-store"
    assert shown.headers["referrer-policy"] == "no-referrer"
    assert shown.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; img-src https://cdn.nordnetz.example:8443; form-action 'none'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


async def test_a_logo_cannot_say_more_in_the_policy_than_where_it_is(
    appliance: Appliance, browser: httpx.AsyncClient
) -> None:
    provisioned = await partners_page(appliance, logo_url="https://a;script-src:443/logo.svg")
    policy = (await browser.get(f"/t/{provisioned['tenant_id']}")).headers["content-security-policy"]
    assert "script-src" not in policy and "img-src" not in policy


async def test_its_stylesheets_come_from_here(appliance: Appliance, browser: httpx.AsyncClient) -> None:
    slug = (await partners_page(appliance))["tenant_id"]
    brand = await browser.get(f"/t/{slug}/brand.css")
    assert brand.headers["content-type"] == "text/css; charset=utf-8"
    assert "--primary: #0b5d3b" in brand.text
    assert "var(--primary)" in (await browser.get(COMMON_STYLESHEET)).text
    assert (await browser.get("/t/nordnetz-xxxxxxxx/brand.css")).status_code == 404


async def test_a_domain_leads_to_its_page_whatever_the_port_and_the_letters(
    appliance: Appliance, browser: httpx.AsyncClient
) -> None:
    await partners_page(appliance)
    for host in (DOMAIN, "Portal.Nordnetz.Example:8443", f"{DOMAIN}."):
        shown = await browser.get("/", headers={"Host": host})
        assert (shown.status_code, "<h1>Nordnetz</h1>" in shown.text) == (200, True)
    for host in ("isp.example", "[::1]:80", "a b", "", "nordnetz.example"):
        assert (await browser.get("/", headers={"Host": host})).status_code == 404


async def test_a_domain_that_is_not_proven_any_more_leads_nowhere(
    appliance: Appliance, browser: httpx.AsyncClient
) -> None:
    provisioned = await partners_page(appliance)
    async with appliance.database.begin() as db:
        await appliance.partner_domains(db).drop(partner_id=21, domain="nordnetz.example")
    assert (await browser.get("/", headers={"Host": DOMAIN})).status_code == 404
    assert (await browser.get(f"/t/{provisioned['tenant_id']}")).status_code == 200
    async with appliance.database.begin() as db:
        deployment = appliance.services(db).deployment_service
        await deployment.withdraw_tenant(deployment_id=provisioned["deployment_id"], reason="moved")
    assert (await browser.get("/", headers={"Host": DOMAIN})).status_code == 404
    assert (await browser.get(f"/t/{provisioned['tenant_id']}")).status_code == 410


async def test_a_domain_whose_proof_is_missing_leads_to_its_page_until_the_proof_is_withdrawn(
    appliance: Appliance, browser: httpx.AsyncClient
) -> None:
    provisioned = await partners_page(appliance)
    now = appliance.clock()
    for lost, status in (({"missing_since": now}, 200), ({"proven_at": None, "lost_at": now}, 404)):
        async with appliance.database.begin() as db:
            await db.execute(update(PartnerDomain).values(**lost))
        assert (await browser.get("/", headers={"Host": DOMAIN})).status_code == status
    assert (await browser.get(f"/t/{provisioned['tenant_id']}")).status_code == 200


async def test_what_was_withdrawn_is_gone_and_what_never_was_is_not_found(
    appliance: Appliance, browser: httpx.AsyncClient
) -> None:
    provisioned = await partners_page(appliance)
    async with appliance.database.begin() as db:
        await appliance.services(db).deployment_service.withdraw_tenant(
            deployment_id=provisioned["deployment_id"], reason="moved to Ada's new address"
        )
    gone = await browser.get(f"/t/{provisioned['tenant_id']}")
    assert gone.status_code == 410 and "closed" in gone.text and "Ada" not in gone.text
    assert (await browser.get("/", headers={"Host": DOMAIN})).status_code == 410
    for unknown in ("nordnetz-k3v9q2mw", "A", "..%2f..%2fetc", "x" * 300):
        missing = await browser.get(f"/t/{unknown}")
        assert missing.status_code == 404, unknown
    senseless = await browser.get("/t/%00")
    assert (senseless.status_code, "just as you were given it" in senseless.text) == (400, True)
