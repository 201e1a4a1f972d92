"""Doors for people: who comes is known by the cookie of a session, what they send by the form of a page of ours.

A change must come from our own pages: the browser says so (``Sec-Fetch-Site``, or ``Origin``), and the form carries the
token of its session. What nobody needs to be signed in for (signing in) is held to the first alone.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl, urlsplit

from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from provisioning.access import ANYBODY, PERMISSIONS, Caller, ConsoleSessions, Permission, RequestForged, SignedIn
from provisioning.api import PUBLIC, Call, Door, Doors
from provisioning.api.errors import MediaTypeUnsupported, RequestMalformed
from provisioning.api.routes import Endpoint
from provisioning.bootstrap import Appliance
from provisioning.console.pages import FORM_TOKEN, refused

SIGNED_IN: Final = "signed in"
"""In the place of a permission: whoever has signed in, whatever their role."""
COOKIE = "firstlight_session"
TOKEN_HEADER = "x-form-token"  # noqa: S105 - the header's name
FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 1000
OURS = frozenset({"same-origin"})


class Form(dict[str, str]):
    """What a page's form has sent; of a field that was sent several times the last one counts, all are in ``all``."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__(pairs)
        self.all = pairs

    def text(self, name: str) -> str:
        """The field without the blanks around it; nothing if it wasn't sent."""
        return self.get(name, "").strip()


class ConsoleDoor(Door):
    """One route of the console."""

    name_in_audit: ClassVar = "console"
    takes: ClassVar = PERMISSIONS | {PUBLIC, SIGNED_IN}

    async def _let_in(self, appliance: Appliance, request: Request) -> Caller:
        async with appliance.database.read() as db:
            return await self._caller(appliance, db, request)

    async def _caller(self, appliance: Appliance, db: AsyncSession, request: Request) -> Caller:
        if self.terms.permission == PUBLIC:
            return ANYBODY
        sessions = ConsoleSessions(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        signed_in = await sessions.find(request.cookies.get(COOKIE))
        request.state.signed_in = signed_in
        if self.terms.permission != SIGNED_IN:
            signed_in.caller.require(self.terms.permission)
        return signed_in.caller

    def _check_body(self, request: Request, body: bytes) -> None:
        """Raises: RequestForged, MediaTypeUnsupported, RequestMalformed."""
        if not _comes_from_here(request):
            raise RequestForged
        request.state.form = form = _read_form(request, body)
        if self.terms.permission != PUBLIC:
            _require_token(request, form.get(FORM_TOKEN, ""))


class ScriptDoor(ConsoleDoor):
    """A route that a page's script calls: it takes JSON or a picture, and the token of its session in a header."""

    def _check_body(self, request: Request, body: bytes) -> None:
        """Raises: RequestForged, MediaTypeUnsupported, RequestMalformed."""
        if not _comes_from_here(request):
            raise RequestForged
        _require_token(request, request.headers.get(TOKEN_HEADER, ""))
        Door._check_body(self, request, body)


class ConsoleDoors(Doors):
    """A router of the console's doors; none of them stands in the API's description."""

    kind = ConsoleDoor

    def __init__(self, *, name: str) -> None:
        super().__init__(include_in_schema=False, tags=[name])

    def page(
        self, path: str, *, permission: Permission | str = SIGNED_IN, **options: Any
    ) -> Callable[[Endpoint], Endpoint]:
        """A page that is looked at."""
        return self.get(path, permission=permission, refusal=refused, response_class=HTMLResponse, **options)

    def act(
        self, path: str, *, permission: Permission | str = SIGNED_IN, **options: Any
    ) -> Callable[[Endpoint], Endpoint]:
        """What a form of a page does; it answers with a page or, when it is done, leads to one (303)."""
        return self.post(
            path,
            permission=permission,
            refusal=refused,
            response_class=HTMLResponse,
            keyed=False,
            takes_json=False,
            **options,
        )


class ScriptDoors(Doors):
    """A router of what a page's script calls; what it is refused is a problem, as the API's. Not in its description."""

    kind = ScriptDoor

    def __init__(self, *, name: str) -> None:
        super().__init__(include_in_schema=False, tags=[name])


def signed_in(request: Request) -> SignedIn:
    """Who has signed in; only behind a door that isn't public."""
    found: SignedIn = request.state.signed_in
    return found


def form_of(call: Call) -> Form:
    """What the form has sent."""
    form: Form = call.request.state.form
    return form


def _comes_from_here(request: Request) -> bool:
    """Whether a browser says that one of our own pages has sent this (Fetch Metadata; RFC 6454 for older ones). What is
    no browser says neither, and carries nobody's cookie but its own."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in OURS
    origin = request.headers.get("origin")
    try:
        return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")
    except ValueError:  # no address at all, as ``http://[``
        return False


def _require_token(request: Request, sent: str) -> None:
    """Raises: RequestForged."""
    if not hmac.compare_digest(sent.encode(), signed_in(request).form_token.encode()):
        raise RequestForged


def _read_form(request: Request, body: bytes) -> Form:
    if body and request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise MediaTypeUnsupported("This takes what a page's form sends, and nothing else.")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except (UnicodeDecodeError, ValueError) as error:
        raise RequestMalformed("The form can't be read.") from error
    if any("\x00" in value or any("\ud800" <= each <= "\udfff" for each in value) for _, value in pairs):
        raise RequestMalformed("The form holds a NUL or half of a character.")
    return Form(pairs)
