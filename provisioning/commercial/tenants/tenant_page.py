"""A customer's page as HTML: brand, order and service state, and nothing that says whose it is.

The page runs under ``style-src 'self'``: its two stylesheets are files, one for all pages and one with the brand's
colours, and it has no script. ``<meta name="firstlight-tenant">`` is what a probe looks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from provisioning.languages import ENGLISH, Choice
from provisioning.templates import templates_in

PAGES = Path(__file__).parent / "tenant_pages"
COMMON_STYLESHEET = "/static/tenant.css"
BRAND_STYLESHEET = "/t/{slug}/brand.css"
META_NAME = "firstlight-tenant"

OrderState = Literal["none", "scheduled", "in_progress", "completed", "cancelled", "failed"]
ServiceState = Literal["none", "pending", "testing", "active", "suspended", "ended"]

HEADINGS: dict[str, tuple[str, str]] = {"en": ("Your service", "Your order"), "de": ("Ihr Anschluss", "Ihr Auftrag")}
"""By language: above the service's state, and above the order's."""
ORDER_WORDS: dict[str, dict[OrderState, str]] = {
    "en": {
        "none": "No order at present",
        "scheduled": "Technician's visit booked",
        "in_progress": "In progress",
        "completed": "Completed",
        "cancelled": "Cancelled",
        "failed": "Could not be carried out",
    },
    "de": {
        "none": "Zurzeit kein Auftrag",
        "scheduled": "Technikertermin vereinbart",
        "in_progress": "In Arbeit",
        "completed": "Abgeschlossen",
        "cancelled": "Storniert",
        "failed": "Konnte nicht ausgeführt werden",
    },
}
SERVICE_WORDS: dict[str, dict[ServiceState, str]] = {
    "en": {
        "none": "No service yet",
        "pending": "Being prepared",
        "testing": "Being tested",
        "active": "Active",
        "suspended": "Suspended",
        "ended": "Ended",
    },
    "de": {
        "none": "Noch kein Anschluss",
        "pending": "In Vorbereitung",
        "testing": "Wird getestet",
        "active": "Aktiv",
        "suspended": "Gesperrt",
        "ended": "Beendet",
    },
}

_templates = templates_in(PAGES)


@dataclass(frozen=True)
class TenantPage:
    """What a customer's page shows; colours as ``#rrggbb``, checked when they were given. ``spoken``: the language
    of its words, one of ``HEADINGS``.
    """

    slug: str
    brand: str
    primary: str
    on_primary: str
    logo_url: str | None
    order_state: OrderState
    service_state: ServiceState
    spoken: Choice = ENGLISH


def render_tenant_page(page: TenantPage) -> str:
    """The page."""
    spoken = page.spoken.language
    service_heading, order_heading = HEADINGS[spoken]
    return _templates.get_template("page.html.j2").render(
        page=page,
        language=spoken,
        service_heading=service_heading,
        order_heading=order_heading,
        order=ORDER_WORDS[spoken][page.order_state],
        service=SERVICE_WORDS[spoken][page.service_state],
        common_stylesheet=COMMON_STYLESHEET,
        brand_stylesheet=BRAND_STYLESHEET.format(slug=page.slug),
    )


def render_brand_stylesheet(page: TenantPage) -> str:
    """The page's colours, for ``BRAND_STYLESHEET``."""
    return _templates.get_template("brand.css.j2").render(page=page)


def common_stylesheet() -> str:
    """The stylesheet of every page, for ``COMMON_STYLESHEET``."""
    return (PAGES / "tenant.css").read_text(encoding="utf-8")
