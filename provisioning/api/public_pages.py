"""What every page for customers shares: its frame, its stylesheet, and headers under which nothing foreign runs.

No page has a script, or a style of its own: what is drawn comes from files of this appliance, and a brand's logo from
the one host that its partner has named. Nothing is kept by browsers or proxies, and no address (which may be a one-time
link) is told to other sites. ``pages()`` makes a router whose refusals are pages, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from provisioning.api.problems import Problem
from provisioning.api.public_words import WORDS, say
from provisioning.api.routes import PUBLIC, Doors, Endpoint
from provisioning.commercial.mails.wording import Wording
from provisioning.languages import Choice, choose_words, locale_of
from provisioning.links import LANGUAGE
from provisioning.templates import templates_in

TEMPLATES = Path(__file__).parent / "templates"
STYLESHEET = "/static/public.css"
STYLESHEET_SECONDS = 300
"""How long a browser may keep a stylesheet: short, since its address stays the same over releases."""

_HOST = re.compile(r"[a-z0-9.-]+|[0-9a-f:.]+")

_templates = templates_in(TEMPLATES)


def spoken(request: Request) -> Choice:
    """What the address asks for, if pages speak that; else the ISP's own."""
    return choose_words(WORDS, request.query_params.get(LANGUAGE), request.app.state.appliance.settings.mail_language)


def render(request: Request, template: str, title: str, **variables: object) -> str:
    """A page in the common frame: in the ISP's name, in the language that is wanted. ``title``: a key of ``WORDS``."""
    appliance, language = request.app.state.appliance, spoken(request).language
    words = partial(say, language)
    return render_plain(
        template, brand=appliance.isp_name, title=words(title), language=language, say=words, **variables
    )


def render_plain(template: str, *, brand: str, title: str, language: str = "en", **variables: object) -> str:
    """A page in the common frame, as it is told; ``brand`` is whose page it is."""
    return _templates.get_template(template).render(
        brand=brand, title=title, language=language, stylesheet=STYLESHEET, **variables
    )


def wording(request: Request) -> Wording:
    """How moments and amounts read on that page: as mails write them, where the page speaks that language."""
    return Wording(locale_of(spoken(request).asked_as), request.app.state.appliance.zone)


def page(content: str, *, status: int = 200, forms: bool = False, pictures: str | None = None) -> HTMLResponse:
    """The page with its headers. ``forms``: it may be sent back to us; ``pictures``: the address of its one picture."""
    return HTMLResponse(content, status_code=status, headers=page_headers(forms=forms, pictures=pictures))


def message(request: Request, key: str, *, status: int, words: str = "", **given: object) -> HTMLResponse:
    """A page that says one thing: ``<key>.title`` over ``<key>.words`` (or ``words``), which have what is ``given``."""
    said = say(spoken(request).language, words or f"{key}.words", **given)
    return page(render(request, "message.html.j2", f"{key}.title", words=said), status=status)


def stylesheet(content: str) -> Response:
    """A stylesheet that its page may use."""
    return Response(
        content,
        media_type="text/css",
        headers={
            "Cache-Control": f"public, max-age={STYLESHEET_SECONDS}",
            "X-Content-Type-Options": "nosniff",
        },
    )


def page_headers(*, forms: bool = False, pictures: str | None = None) -> dict[str, str]:
    """Content-Security-Policy (CSP level 3) and what goes with it."""
    picture_host = _origin(pictures)
    policy = [
        "default-src 'none'",
        "style-src 'self'",
        *([f"img-src {picture_host}"] if picture_host else []),
        "form-action 'self'" if forms else "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
    return {
        "Content-Security-Policy": "; ".join(policy),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex, nofollow",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def _origin(url: str | None) -> str | None:
    """Scheme, host and port of an https address; None for a host that would say more than itself in a policy."""
    if url is None:
        return None
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" or not _HOST.fullmatch(host):
        return None
    name = f"[{host}]" if ":" in host else host
    return f"https://{name}" + (f":{parts.port}" if parts.port else "")


def refused(request: Request, problem: Problem, headers: Mapping[str, str]) -> Response:
    """What a customer is told of a refusal that no page foresees: nothing of our inside, only what to do."""
    status = problem["status"]
    answer = message(request, "trouble" if status >= 500 else "refused", status=status)
    answer.headers.update(headers)
    return answer


class Pages(Doors):
    """A router of pages: anybody may look, and none of them stands in the API's description."""

    def __init__(self) -> None:
        super().__init__(include_in_schema=False)

    def shown(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """A page that is looked at."""
        return self.get(path, permission=PUBLIC, refusal=refused, response_class=HTMLResponse, **options)

    def sent(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """What a page's button does."""
        return self.post(path, **{"permission": PUBLIC, "refusal": refused, "response_class": HTMLResponse, **options})


doors = Pages()


@doors.shown(STYLESHEET)
async def public_stylesheet() -> Response:
    """The stylesheet of all pages but a customer's own."""
    return stylesheet(_STYLESHEET)


_STYLESHEET = (TEMPLATES / "public.css").read_text(encoding="utf-8")
