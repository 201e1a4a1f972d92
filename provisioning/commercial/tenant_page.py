"""A customer's page as HTML: brand, order and service state, and nothing that says whose it is.

The page runs under ``style-src 'self'``: its two stylesheets are files, one for all pages and one with the brand's
colours, and it has no script. ``<meta name="firstlight-tenant">`` is what a probe looks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jinja2 import FileSystemLoader, StrictUndefined, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

PAGES = Path(__file__).parent / "tenant_pages"
COMMON_STYLESHEET = "/static/tenant.css"
BRAND_STYLESHEET = "/t/{slug}/brand.css"
META_NAME = "firstlight-tenant"

OrderState = Literal["none", "scheduled", "in_progress", "completed", "cancelled", "failed"]
ServiceState = Literal["none", "pending", "testing", "active", "suspended", "ended"]

ORDER_WORDS: dict[OrderState, str] = {
    "none": "No order at present",
    "scheduled": "Technician's visit booked",
    "in_progress": "In progress",
    "completed": "Completed",
    "cancelled": "Cancelled",
    "failed": "Could not be carried out",
}
SERVICE_WORDS: dict[ServiceState, str] = {
    "none": "No service yet",
    "pending": "Being prepared",
    "testing": "Being tested",
    "active": "Active",
    "suspended": "Suspended",
    "ended": "Ended",
}

_environment = ImmutableSandboxedEnvironment(
    loader=FileSystemLoader(PAGES),
    autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@dataclass(frozen=True)
class TenantPage:
    """What a customer's page shows; colours as ``#rrggbb``, checked when they were given."""

    slug: str
    brand: str
    primary: str
    on_primary: str
    logo_url: str | None
    order_state: OrderState
    service_state: ServiceState


def render_tenant_page(page: TenantPage) -> str:
    """The page."""
    return _environment.get_template("page.html.j2").render(
        page=page,
        order=ORDER_WORDS[page.order_state],
        service=SERVICE_WORDS[page.service_state],
        common_stylesheet=COMMON_STYLESHEET,
        brand_stylesheet=BRAND_STYLESHEET.format(slug=page.slug),
    )


def render_brand_stylesheet(page: TenantPage) -> str:
    """The page's colours, for ``BRAND_STYLESHEET``."""
    return _environment.get_template("brand.css.j2").render(page=page)


def common_stylesheet() -> str:
    """The stylesheet of every page, for ``COMMON_STYLESHEET``."""
    return (PAGES / "tenant.css").read_text(encoding="utf-8")
