"""Roles and what each may do. A permission is a noun and a verb; every route of the API names the one it takes."""

from __future__ import annotations

from typing import Literal, get_args

Permission = Literal[
    "addresses.read",
    "addresses.write",
    "attention.read",
    "audit.read",
    "customers.read",
    "customers.write",
    "devices.hand_out",
    "devices.operate",
    "devices.read",
    "devices.write",
    "events.publish",
    "events.read",
    "installations.order",
    "leads.read",
    "leads.write",
    "lines.answer",
    "lines.read",
    "mails.read",
    "nas.read",
    "nas.write",
    "offers.read",
    "orders.read",
    "partners.grant",
    "partners.order",
    "partners.read",
    "payments.choose",
    "payments.read",
    "payments.settle",
    "plans.read",
    "plans.write",
    "quotes.accept",
    "quotes.read",
    "quotes.write",
    "runs.operate",
    "runs.read",
    "runs.signal",
    "runs.start",
    "search.read",
    "subscribers.read",
    "subscribers.write",
    "subscriptions.end",
    "subscriptions.read",
    "technicians.read",
    "technicians.write",
    "tickets.read",
    "tickets.write",
    "visits.override",
    "visits.read",
    "visits.report",
    "visits.write",
    "webhooks.read",
    "webhooks.write",
]
Role = Literal["admin", "noc", "dispatch", "sales", "partner", "technician", "read-only"]

PERMISSIONS: frozenset[Permission] = frozenset(get_args(Permission))
READING = frozenset(each for each in PERMISSIONS if each.endswith(".read")) - {
    "audit.read",
    "technicians.read",  # where each lives, and why they are away
    "webhooks.read",
}
MONEY: frozenset[Permission] = frozenset(
    {"offers.read", "orders.read", "partners.read", "payments.read", "quotes.read", "subscriptions.read"}
)
"""What tells prices, amounts and commissions: no business of who keeps the network going."""

ROLES: dict[Role, frozenset[Permission]] = {
    "admin": PERMISSIONS,
    "noc": (READING - MONEY)
    | {
        "addresses.write",
        "audit.read",
        "devices.write",
        "devices.operate",
        "events.publish",
        "installations.order",
        "lines.answer",
        "nas.write",
        "plans.write",
        "runs.operate",
        "runs.signal",
        "runs.start",
        "subscribers.write",
        "technicians.read",
        "technicians.write",
        "tickets.write",
        "visits.override",
        "visits.report",
        "visits.write",
    },
    "dispatch": frozenset(
        {
            "addresses.read",
            "attention.read",
            "customers.read",
            "devices.read",
            "installations.order",
            "lines.answer",
            "lines.read",
            "orders.read",
            "runs.read",
            "runs.signal",
            "search.read",
            "subscribers.read",
            "technicians.read",
            "technicians.write",
            "tickets.read",
            "tickets.write",
            "visits.read",
            "visits.report",
            "visits.write",
        }
    ),
    "sales": frozenset(
        {
            "attention.read",
            "customers.read",
            "customers.write",
            "leads.read",
            "leads.write",
            "mails.read",
            "offers.read",
            "orders.read",
            "partners.grant",
            "partners.order",
            "partners.read",
            "payments.choose",
            "payments.read",
            "payments.settle",
            "quotes.accept",
            "quotes.read",
            "quotes.write",
            "runs.read",
            "search.read",
            "subscriptions.end",
            "subscriptions.read",
            "tickets.read",
            "tickets.write",
        }
    ),
    "partner": frozenset(
        {
            "attention.read",
            "customers.read",
            "offers.read",
            "partners.order",
            "partners.read",
            "runs.read",
            "search.read",
        }
    ),
    "technician": frozenset({"attention.read", "search.read", "visits.read", "visits.report"}),
    "read-only": READING,
}
"""What each role may do. Of what a partner or a technician may do, only their own."""
