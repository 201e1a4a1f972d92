"""Who sells in the town, and to whom: customers of partners with licences, pages and commissions, and a lead of today.

What is over was made by the services at a clock that is set back. Today one partner orders a customer, who is served,
and one orders more licences than they have, which comes to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from provisioning.bootstrap import Appliance
from provisioning.lab.demo import Lab
from provisioning.lab.names import name_of
from provisioning.lab.settling import set_back
from provisioning.lab.town import Home

LICENCE, PORTAL_OFFER = 1, 1
SOLD_FOR = Decimal("49.90")
FIRST_NAME = 5_000
"""From here on nobody of the town is called so by chance."""
BRANDS = {21: ("Nordnetz", "#0b5d3b"), 22: ("Hafenkontor", "#1d4f91"), 23: ("Seewerk", "#7a2e8e")}
ASKS_TOO_MUCH, TOO_MANY = 24, 40


@dataclass(frozen=True)
class Brought:
    """A customer whom a partner brought so many days ago, with so many licences."""

    partner_id: int
    days_ago: int
    licences: int


BROUGHT = (Brought(21, 70, 3), Brought(22, 52, 2), Brought(21, 41, 1), Brought(23, 24, 4), Brought(22, 9, 2))
LICENSED_DAYS_AGO = (64, 38, 12)
"""When customers of the ISP's own were given a licence; the first of them has left it since."""


async def write_partners(lab: Lab, everybody: Sequence[Home]) -> None:
    """The licences, pages and commissions of the last weeks."""
    now = lab.appliance.clock()
    async with set_back(lab.appliance) as (then, clock):
        for number, brought in enumerate(BROUGHT):
            clock.moment = now - timedelta(days=brought.days_ago)
            await _bring(then, brought, _person(number))
        for number, days in enumerate(LICENSED_DAYS_AGO):
            clock.moment = now - timedelta(days=days)
            await _license(then, everybody[number % len(everybody)], returned=number == 0)


async def _bring(then: Appliance, brought: Brought, person: dict[str, str]) -> None:
    name, colour = BRANDS[brought.partner_id]
    async with then.database.begin() as db:
        services = then.services(db)
        customer = await services.customer_service.create_partner_customer(
            partner_id=brought.partner_id, customer_data=person
        )
        who: dict[str, Any] = {"customer_id": customer["customer_id"], "partner_id": brought.partner_id}
        await services.license_service.allocate_from_partner(**who, license_count=brought.licences)
        await services.deployment_service.provision_partner_tenant(**who, white_label_config=_brand(name, colour))
        await services.partner_service.record_commission(**who, commission_type="percentage", amount=SOLD_FOR)


async def _license(then: Appliance, home: Home, *, returned: bool) -> None:
    async with then.database.begin() as db:
        licences = then.licences(db)
        given = await licences.issue_license(
            customer_id=home.customer_id, license_template_id=LICENCE, tenant_id=then.tenant_id
        )
        if returned:
            await licences.revoke_license(license_id=given["license_id"], reason="The customer does not want it.")


async def sell_through_partners(lab: Lab) -> None:
    """Two partners order, and a lead is found worth a customer; the worker carries out what that sets going."""
    appliance, (partner_id, (name, colour)) = lab.appliance, next(iter(BRANDS.items()))
    async with appliance.database.begin() as db:
        desk = appliance.partner_desk(db)
        await desk.submit(partner_id, _order(10, 2, _brand(name, colour)), by="demo")
        await desk.submit(ASKS_TOO_MUCH, _order(11, TOO_MANY, {"name": "Inselladen"}), by="demo")
    async with appliance.database.begin() as db:
        leads, person = appliance.leads(db), _person(12)
        lead = await leads.register(source="web", offer_id=PORTAL_OFFER, name=person["name"], email=person["email"])
        await leads.qualify(lead_id=lead["lead_id"], by="demo")


def _order(number: int, licences: int, brand: dict[str, Any]) -> dict[str, Any]:
    return {
        "order_ref": f"PO-2026-{number:03}",
        "customer_data": _person(number),
        "license_count": licences,
        "white_label_config": brand,
        "offer_id": PORTAL_OFFER,
    }


def _brand(name: str, colour: str) -> dict[str, Any]:
    return {"name": name, "colours": {"primary": colour}}


def _person(number: int) -> dict[str, str]:
    return {"name": name_of(FIRST_NAME + number), "email": f"brought{number}@customer.example"}
