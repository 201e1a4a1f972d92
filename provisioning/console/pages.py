"""How pages are made: one frame, strict headers, times and states in words; no script and no style stands in a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request

from provisioning.access import SignedIn
from provisioning.api import Call
from provisioning.api.problems import Problem
from provisioning.console.destinations import linked
from provisioning.console.navigation import menus_of
from provisioning.console.words import FILTERS
from provisioning.days import day_of

TEMPLATES = Path(__file__).parent / "templates"
FORM_TOKEN = "form_token"  # noqa: S105 - the field's name
SIGN_IN = "/sign-in"
SIGN_OUT = "/sign-out"
NO_PAGE = "There is no page at this address."
ALLOWED: Mapping[str, str] = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",  # Pico's marks of form fields are pictures inside of its sheet
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def policy(allows: Mapping[str, str]) -> str:
    """What a page may load and run: as every page, but for this."""
    return "; ".join(f"{name} {value}" for name, value in {**ALLOWED, **allows}.items())


HEADERS = {
    "Content-Security-Policy": policy({}),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def today(call: Call) -> date:
    """The day that it is where the ISP is."""
    return day_of(call.appliance.clock(), call.appliance.zone)


def show(
    call: Call,
    template: str,
    title: str,
    *,
    topics: Iterable[str] = (),
    status: int = 200,
    allows: Mapping[str, str] | None = None,
    **variables: object,
) -> HTMLResponse:
    """A page in the console's frame. ``topics``: what it follows while it is looked at. ``allows``: what its policy
    says otherwise, or besides."""
    page = _page(call.request, template, status=status, title=title, topics=" ".join(topics), **variables)
    if allows is not None:
        page.headers["Content-Security-Policy"] = policy(allows)
    return page


def to(path: str) -> RedirectResponse:
    """Leads there when a form has done its work."""
    return RedirectResponse(path, status_code=303, headers=HEADERS)


def refused(request: Request, problem: Problem, headers: Mapping[str, str]) -> Response:
    """The page of a problem: its sentence and every fault. Who isn't signed in is led to where they can."""
    if problem["code"] == "access.session_over":
        return _to_sign_in(request)
    faults = problem.get("errors", [])
    if problem["code"] == "http.not_found" and problem["detail"] == problem["title"]:
        problem = {**problem, "detail": NO_PAGE}
    page = refused_with(request, problem, "problem.html.j2", title=problem["title"], faults=faults)
    page.headers.update({name: value for name, value in headers.items() if name.lower() == "retry-after"})
    return page


def refused_with(request: Request, problem: Problem, template: str, **variables: object) -> Response:
    """A page of its own for a problem, with its sentence and its status."""
    return _page(request, template, status=problem["status"], topics="", sentence=problem["detail"], **variables)


def _to_sign_in(request: Request) -> Response:
    """A part of a page can't be led away, its page can (htmx reads the header). Afterwards they are where they were: of
    a form that was sent, at the page that it stands on, and it was not taken."""
    if request.url.path == SIGN_OUT:
        return to(SIGN_IN)  # that is what it was sent for
    is_part = "hx-request" in request.headers
    if is_part or request.method != "GET":
        came_for = _local(request, request.headers.get("hx-current-url" if is_part else "referer", ""))
    else:
        came_for = _path(request.url.path, request.url.query)
    asked = {} if came_for in ("", "/home") or came_for.startswith(SIGN_IN) else {"next": came_for}
    if request.method != "GET" and not is_part:
        asked["sent"] = "yes"
    address = f"{SIGN_IN}?{urlencode(asked, safe='/', quote_via=quote)}" if asked else SIGN_IN
    if is_part:
        return Response(status_code=200, headers={**HEADERS, "HX-Redirect": address})
    return to(address)


def _local(request: Request, address: str) -> str:
    """A page of ours that a browser says it was at; nothing of any other."""
    try:
        said = urlsplit(address)
    except ValueError:  # no address at all, as ``http://[``
        return ""
    return _path(said.path, said.query) if said.netloc == request.headers.get("host") else ""


def _path(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def _page(request: Request, template: str, *, status: int, **variables: object) -> HTMLResponse:
    appliance = request.app.state.appliance
    who: SignedIn | None = getattr(request.state, "signed_in", None)
    content = (
        environment()
        .get_template(template)
        .render(
            isp=appliance.isp_name,
            now=appliance.clock(),
            who=who,
            menus=menus_of(who.caller) if who else [],
            here=request.url.path,
            may=who.caller.permissions if who else frozenset(),
            form_token_name=FORM_TOKEN,
            **variables,
        )
    )
    return HTMLResponse(content, status_code=status, headers=HEADERS)


@cache
def environment() -> Environment:
    """Templates of ours: what they are not given they can't name, and what they are given is escaped."""
    from provisioning.console.assets import address_of

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update({**FILTERS, "linked": linked})
    given: dict[str, Any] = {"asset": address_of}
    made.globals.update(given)
    return made
