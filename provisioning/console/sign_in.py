"""``/home``, ``/sign-in``, ``/sign-out``: who one is, and where one begins."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated
from urllib.parse import urlsplit

import structlog
from fastapi import Query, Response

from provisioning.access import (
    AccessError,
    ConsoleSessions,
    CountedTry,
    Recognised,
    SignInRefused,
    SignIns,
    SignInsBusy,
    SignInsTooMany,
    subject_of,
)
from provisioning.access.sign_ins import WINDOW
from provisioning.api import PUBLIC, Call, InCall
from provisioning.api.problems import problem_of
from provisioning.api.routes import Later
from provisioning.console.doors import COOKIE, ConsoleDoors, form_of, signed_in
from provisioning.console.pages import SIGN_IN, SIGN_OUT, show, to

HOME = "/home"
SHOWN_NAME = 64
NOT_TAKEN = "You were signed out when you sent it, so nothing was done: sign in, and send it again."

log = structlog.get_logger(__name__)
doors = ConsoleDoors(name="users")

_PATH = re.compile(r"/(?![/\\])[^\\\s]*")


@doors.page(SIGN_IN, permission=PUBLIC)
async def sign_in_page(
    call: InCall,
    next: Annotated[str, Query(max_length=2000)] = HOME,
    sent: Annotated[str, Query(max_length=5, description="Whether a form was sent when the session was over")] = "",
) -> Response:
    """Name and password."""
    return _form(call, next_=next, refusal=NOT_TAKEN if sent else "")


async def _look(call: Call) -> Response | Later:
    """Before anything may be written: who is refused takes no lock."""
    appliance, name = call.appliance, form_of(call).text("login_name")
    common = {"tenant_id": appliance.tenant_id, "now": appliance.clock}
    try:
        tried = await sign_ins_of(call).look(call.db, name, address=_address(call), **common)  # type: ignore[arg-type]
    except (SignInsTooMany, SignInsBusy) as refusal:
        return _refuse(call, refusal)
    return partial(_compare, call, tried)


async def _compare(call: Call, tried: CountedTry) -> Response | None:
    """A password takes its time, in which nothing is held of the database."""
    try:
        call.request.state.recognised = await sign_ins_of(call).compare(tried, form_of(call).get("password", ""))
    except (SignInRefused, SignInsBusy) as refusal:
        return _refuse(call, refusal)
    return None


@doors.act(SIGN_IN, permission=PUBLIC, first=_look)
async def sign_in(call: InCall) -> Response:
    """Begins a session: a new token, whatever cookie came along."""
    recognised: Recognised = call.request.state.recognised
    user = recognised.user
    call.tells(actor=user.login_name, subject=subject_of("console user", user.user_id), after={"role": user.role})
    wanted = form_of(call).text("next")
    answer = to(wanted if _PATH.fullmatch(wanted) else HOME)
    try:
        await begin_session(call, answer, user.user_id, password_hash=recognised.password_hash)
    except SignInRefused as refusal:
        call.changes_nothing()
        return _refuse(call, refusal)
    return answer


@doors.act(SIGN_OUT)
async def sign_out(call: InCall) -> Response:
    """Ends the session."""
    who = signed_in(call.request)
    await ConsoleSessions(call.db, tenant_id=call.tenant_id, now=call.appliance.clock).end(who.session_id)
    call.tells(subject=subject_of("console session", who.session_id))
    answer = to(SIGN_IN)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax", secure=_is_secure(call))
    return answer


def sign_ins_of(call: Call) -> SignIns:
    """The tries and passwords of this process."""
    sign_ins: SignIns = call.request.app.state.sign_ins
    return sign_ins


async def begin_session(call: Call, answer: Response, user_id: int, *, password_hash: str) -> None:
    """Signs this person in with what is answered. The one who was signed in at this browser before is signed out.

    Raises: SignInRefused: their password is not that of this hash any more, or they are disabled.
    """
    sessions = ConsoleSessions(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)
    token = await sessions.begin(user_id, password_hash=password_hash)  # first: all lock a person before their sessions
    await sessions.end_of_token(call.request.cookies.get(COOKIE))
    answer.set_cookie(COOKIE, token, path="/", httponly=True, samesite="lax", secure=_is_secure(call))


def _is_secure(call: Call) -> bool:
    """Whether the browser has come by TLS: the one who ends it before us says so (``X-Forwarded-Proto``), or the
    address at which we answer."""
    return "https" in (call.request.url.scheme, urlsplit(call.appliance.settings.public_url or "").scheme)


def _address(call: Call) -> str:
    """Where the browser is; the one who stands before us says so (``X-Forwarded-For``)."""
    client = call.request.client
    return client.host if client else ""


def _refuse(call: Call, refusal: AccessError) -> Response:
    form, (problem, headers) = form_of(call), problem_of(refusal)
    log.warning("sign-in refused", code=refusal.code, address=_address(call))
    if isinstance(refusal, SignInsTooMany):
        headers["Retry-After"] = str(int(WINDOW.total_seconds()))
    answer = _form(
        call,
        next_=form.text("next"),
        status=problem["status"],
        refusal=str(refusal),
        login_name=form.text("login_name")[:SHOWN_NAME],
    )
    answer.headers.update({name: value for name, value in headers.items() if name == "Retry-After"})
    return answer


def _form(call: Call, *, next_: str = HOME, status: int = 200, refusal: str = "", login_name: str = "") -> Response:
    return show(
        call,
        "sign_in.html.j2",
        "Sign in",
        status=status,
        refusal=refusal,
        login_name=login_name,
        next=next_ if _PATH.fullmatch(next_) else HOME,
        is_signed_out=True,
    )
