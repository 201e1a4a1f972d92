"""The console's places by the work they belong to, and who may see which: nobody is led to a door that doesn't open
for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provisioning.access import Caller, Permission

FEW = 7
"""So many places stand beside each other on one line; of more, those of one kind of work are in one menu."""


@dataclass(frozen=True)
class Place:
    """One entry of the navigation, and what else is looked at from there: pages that have no entry of their own."""

    path: str
    title: str
    permission: Permission
    leads_to: tuple[str, ...] = ()

    def holds(self, path: str) -> bool:
        """Whether a page is this place, or behind it."""
        return any(path == each or path.startswith(f"{each}/") for each in (self.path, *self.leads_to))


@dataclass(frozen=True)
class Menu:
    """Places of one kind of work. ``title``: empty, where they stand open beside each other."""

    title: str
    places: Sequence[Place]

    def holds(self, path: str) -> bool:
        """Whether a page is one of its places, or behind one."""
        return any(place.holds(path) for place in self.places)


MENUS = (
    Menu(
        "",
        (
            Place("/home", "Now", "attention.read"),
            Place("/queue", "Fallout queue", "runs.read"),
            Place("/runs", "Runs", "runs.read"),
        ),
    ),
    Menu(
        "Customers",
        (
            Place("/subscribers", "Subscribers", "subscribers.read", leads_to=("/services",)),
            Place("/customers", "Customers", "customers.read"),
            Place("/tickets", "Tickets", "tickets.read"),
            Place("/mails", "Mails", "mails.read", leads_to=("/notices",)),
        ),
    ),
    Menu(
        "Network",
        (
            Place("/sessions", "Sessions", "subscribers.read"),
            Place("/pools", "Pools", "addresses.read"),
            Place("/access-nodes", "Access nodes", "addresses.read"),
            Place("/devices", "CPEs", "devices.read"),
            Place("/campaigns", "Campaigns", "devices.read"),
        ),
    ),
    Menu(
        "Field",
        (
            Place("/visits", "Visits", "visits.read"),
            Place("/dispatch", "Dispatch", "visits.write"),
            Place("/technicians", "Technicians", "technicians.read"),
            Place("/field", "My day", "visits.report"),
        ),
    ),
    Menu(
        "Sales",
        (
            Place("/quotes", "Quotes", "quotes.read"),
            Place("/orders", "Orders", "orders.read"),
            Place("/payments", "Payments", "payments.read"),
            Place("/partners", "Partners", "partners.read"),
            Place("/licences", "Licences", "partners.read"),
        ),
    ),
    Menu(
        "System",
        (
            Place("/checks", "Checks", "runs.operate"),
            Place("/webhooks", "Webhooks", "webhooks.read"),
            Place("/audit", "Audit", "audit.read"),
        ),
    ),
)
PLACES = tuple(place for menu in MENUS for place in menu.places)


def menus_of(caller: Caller) -> list[Menu]:
    """What this caller may see, in order. A menu of one place would only be in the way of it."""
    seen = [Menu(menu.title, [each for each in menu.places if each.permission in caller.permissions]) for menu in MENUS]
    if sum(len(menu.places) for menu in seen) <= FEW:
        return [Menu("", [place for menu in seen for place in menu.places])]
    return [Menu(menu.title if len(menu.places) > 1 else "", menu.places) for menu in seen if menu.places]
