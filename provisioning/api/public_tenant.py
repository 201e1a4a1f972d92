"""Customers' pages: at ``/t/<name>``, and at ``/`` of the host name that a partner's brand has.

Whoever has the address may look, so a page tells the brand and how order and service stand, and neither whose it is nor
where. Its name can't be guessed. A proxy in front must pass the ``Host`` it was asked for.
"""

from __future__ import annotations

import re

from fastapi.responses import RedirectResponse, Response

from provisioning.api.calls import Call, InCall
from provisioning.api.public_pages import Pages, message, page, stylesheet
from provisioning.commercial import (
    TenantPage,
    TenantUnknown,
    common_stylesheet,
    render_brand_stylesheet,
    render_tenant_page,
)
from provisioning.commercial.tenants.tenant_page import BRAND_STYLESHEET, COMMON_STYLESHEET

doors = Pages()

_SLUG = re.compile(r"[a-z0-9-]{1,64}")
_HOST = re.compile(r"(?P<name>[a-z0-9.-]{1,253})(:[0-9]{1,5})?", re.IGNORECASE)


@doors.shown("/t/{slug}")
async def customer_page(call: InCall, slug: str) -> Response:
    """A customer's page; 404 for a name that nobody has, 410 for a page that was withdrawn."""
    return await _answer(call, slug=slug if _SLUG.fullmatch(slug) else None)


@doors.shown("/")
async def page_of_the_host(call: InCall) -> Response:
    """The page of the customer whose domain was asked for; at the appliance's own the way to the console, if it has
    one."""
    answer = await _answer(call, host=_host(call))
    home: str | None = call.request.app.state.home
    if answer.status_code == 404 and home is not None:
        return RedirectResponse(home, status_code=303)
    return answer


@doors.shown(BRAND_STYLESHEET)
async def brand_stylesheet(call: InCall, slug: str) -> Response:
    """The colours of a customer's page."""
    shown = await _find(call, slug=slug) if _SLUG.fullmatch(slug) else None
    if shown is None:
        return Response("There is no such page.\n", status_code=404, media_type="text/plain")
    return stylesheet(render_brand_stylesheet(shown))


@doors.shown(COMMON_STYLESHEET)
async def tenant_stylesheet() -> Response:
    """The stylesheet of all customers' pages."""
    return stylesheet(common_stylesheet())


async def _answer(call: Call, *, slug: str | None = None, host: str | None = None) -> Response:
    if slug is None and host is None:
        return message(call.request, "page.nothing", status=404)
    shown = await _find(call, slug=slug, host=host)
    if shown is not None:
        return page(render_tenant_page(shown), pictures=shown.logo_url)
    withdrawn = await call.appliance.tenant_pages.was_withdrawn(call.db, slug=slug, host=host)
    if withdrawn:
        return message(call.request, "page.withdrawn", status=410)
    return message(call.request, "page.nothing", status=404)


async def _find(call: Call, *, slug: str | None = None, host: str | None = None) -> TenantPage | None:
    try:
        return await call.appliance.tenant_pages.find(call.db, slug=slug, host=host)
    except TenantUnknown:
        return None


def _host(call: Call) -> str | None:
    """The host name that was asked for, without its port and a last dot."""
    found = _HOST.fullmatch(call.request.headers.get("host", ""))
    return found["name"].rstrip(".") or None if found else None
