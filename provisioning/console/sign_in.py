"""``/home``, ``/sign-in``, ``/sign-out``: who one is, and where one begins."""

from __future__ import annotations

import re
from typing import Annotated

import structlog
from fastapi import Query, Response

from provisioning.access import ConsoleSessions, SignInRefused, SignIns, SignInsTooMany, UserView, subject_of
from provisioning.api import PUBLIC, Call, InCall
from provisioning.api.statuses import status_of
from provisioning.console.doors import COOKIE, ConsoleDoors, form_of, signed_in
from provisioning.console.pages import SIGN_IN, show, to

HOME = "/home"
SHOWN_NAME = 64

log = structlog.get_logger(__name__)
doors = ConsoleDoors(name="users")

_PATH = re.compile(r"/(?![/\\])[^\\\s]*")


@doors.page(SIGN_IN, permission=PUBLIC)
async def sign_in_page(call: InCall, next: Annotated[str, Query(max_length=2000)] = HOME) -> Response:
    """Name and password."""
    return _form(call, next_=next)


async def _check(call: Call) -> Response | None:
    """Before anything may be written: who is refused takes no lock, and a password takes its time."""
    form, sign_ins = form_of(call), call.request.app.state.sign_ins
    assert isinstance(sign_ins, SignIns)
    client = call.request.client
    address = client.host if client else ""
    appliance = call.appliance
    try:
        call.request.state.user = await sign_ins.check(
            call.db,
            form.text("login_name"),
            form.get("password", ""),
            address=address,
            tenant_id=appliance.tenant_id,
            now=appliance.clock,
        )
    except (SignInRefused, SignInsTooMany) as refusal:
        log.warning("sign-in refused", code=refusal.code, address=address)
        return _form(
            call,
            next_=form.text("next"),
            status=status_of(refusal),
            refusal=str(refusal),
            login_name=form.text("login_name")[:SHOWN_NAME],
        )
    return None


@doors.act(SIGN_IN, permission=PUBLIC, first=_check)
async def sign_in(call: InCall) -> Response:
    """Begins a session: a new token, whatever cookie came along."""
    user: UserView = call.request.state.user
    call.tells(actor=user.login_name, subject=subject_of("console user", user.user_id), after={"role": user.role})
    wanted = form_of(call).text("next")
    answer = to(wanted if _PATH.fullmatch(wanted) else HOME)
    await begin_session(call, answer, user.user_id)
    return answer


@doors.act("/sign-out")
async def sign_out(call: InCall) -> Response:
    """Ends the session."""
    who = signed_in(call.request)
    await ConsoleSessions(call.db, tenant_id=call.tenant_id, now=call.appliance.clock).end(who.session_id)
    call.tells(subject=subject_of("console session", who.session_id))
    answer = to(SIGN_IN)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax", secure=_is_secure(call))
    return answer


async def begin_session(call: Call, answer: Response, user_id: int) -> None:
    """Signs this person in with what is answered. The one who was signed in at this browser before is signed out."""
    sessions = ConsoleSessions(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)
    await sessions.end_of_token(call.request.cookies.get(COOKIE))
    token = await sessions.begin(user_id)
    answer.set_cookie(COOKIE, token, path="/", httponly=True, samesite="lax", secure=_is_secure(call))


def _is_secure(call: Call) -> bool:
    """Whether the browser has come by TLS; the one who ends it before us says so (``X-Forwarded-Proto``)."""
    return call.request.url.scheme == "https"


def _form(call: Call, *, next_: str = HOME, status: int = 200, refusal: str = "", login_name: str = "") -> Response:
    return show(
        call,
        "sign_in.html.j2",
        "Sign in",
        status=status,
        refusal=refusal,
        login_name=login_name,
        next=next_ if _PATH.fullmatch(next_) else HOME,
    )
