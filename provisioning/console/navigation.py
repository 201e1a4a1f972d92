"""The console's places, and who may see which: nobody is led to a door that doesn't open for them."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.access import Caller, Permission


@dataclass(frozen=True)
class Place:
    """One entry of the navigation."""

    path: str
    title: str
    permission: Permission


PLACES = (
    Place("/home", "Now", "attention.read"),
    Place("/queue", "Fallout queue", "runs.read"),
    Place("/runs", "Runs", "runs.read"),
    Place("/subscribers", "Subscribers", "subscribers.read"),
    Place("/customers", "Customers", "customers.read"),
    Place("/quotes", "Quotes", "quotes.read"),
    Place("/orders", "Orders", "orders.read"),
    Place("/tickets", "Tickets", "tickets.read"),
    Place("/visits", "Visits", "visits.read"),
    Place("/dispatch", "Dispatch", "visits.write"),
    Place("/technicians", "Technicians", "technicians.read"),
    Place("/field", "My day", "visits.report"),
    Place("/sessions", "Sessions", "subscribers.read"),
    Place("/pools", "Pools", "addresses.read"),
    Place("/access-nodes", "Access nodes", "addresses.read"),
    Place("/devices", "CPEs", "devices.read"),
    Place("/mails", "Mails", "mails.read"),
    Place("/webhooks", "Webhooks", "webhooks.read"),
    Place("/partners", "Partners", "partners.read"),
    Place("/licences", "Licences", "partners.read"),
    Place("/payments", "Payments", "payments.read"),
    Place("/checks", "Checks", "runs.operate"),
    Place("/audit", "Audit", "audit.read"),
)


def places_of(caller: Caller) -> list[Place]:
    """What this caller may see, in order."""
    return [place for place in PLACES if place.permission in caller.permissions]
