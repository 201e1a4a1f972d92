"""``/welcome/<token>``: what a one-time link of the console opens: choosing a password, and for the first person also
the name. Looking uses nothing up."""

from __future__ import annotations

from functools import partial

from fastapi import Response

from provisioning.access import (
    InvitationOver,
    Invitations,
    Invited,
    Users,
    check_password,
    read_login_name,
    subject_of,
)
from provisioning.api import PUBLIC, Call, InCall
from provisioning.api.routes import Later
from provisioning.console.doors import ConsoleDoors, form_of
from provisioning.console.pages import show, to
from provisioning.console.sign_in import HOME, begin_session, sign_ins_of
from provisioning.errors import Fault, InvalidRequest
from provisioning.intake import Faults

doors = ConsoleDoors(name="users")


@doors.page("/welcome/{token}", permission=PUBLIC)
async def look(call: InCall, token: str) -> Response:
    """Whom the link is for, and the form."""
    return _form(call, await _invitations(call).open(token))


async def _check(call: Call) -> Response | Later:
    """All faults at once, before anything may be written. Raises: InvitationOver."""
    invited = await _invitations(call).open(call.request.path_params["token"])
    form, faults = form_of(call), Faults("The password")
    name = invited.login_name or read_login_name(faults, form.get("login_name", ""))
    if invited.login_name is None:
        faults.line("display_name", form.get("display_name", ""), longest=100)
    password = form.get("password", "")
    check_password(faults, password, login_name=name)
    if password != form.get("again", ""):
        faults.add("again", "is another password")
    try:
        faults.refuse_if_any()
    except InvalidRequest as refusal:
        return _form(call, invited, refusal.faults, status=422)
    return partial(_hash, call, password)


async def _hash(call: Call, password: str) -> None:
    """It takes its time, in which nothing is held of the database. Raises: SignInsBusy."""
    call.request.state.password_hash = await sign_ins_of(call).passwords.hash(password)


@doors.act("/welcome/{token}", permission=PUBLIC, first=_check)
async def choose(call: InCall, token: str) -> Response:
    """The link is used up by the password, and its owner signed in."""
    users = Users(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)
    invited = await _invitations(call).use(token)
    user_id = invited.user_id
    if user_id is None:
        form = form_of(call)
        added = await users.add(login_name=form["login_name"], display_name=form["display_name"], role="admin")
        user_id = added.user_id
    password_hash: str = call.request.state.password_hash
    user = await users.set_password_hash(user_id, password_hash)
    if user.disabled_at is not None:  # since the link was looked at
        raise InvitationOver
    call.tells(actor=user.login_name, subject=subject_of("console user", user_id), after={"role": user.role})
    answer = to(HOME)
    await begin_session(call, answer, user_id, password_hash=password_hash)
    return answer


def _form(call: Call, invited: Invited, faults: list[Fault] | tuple[Fault, ...] = (), *, status: int = 200) -> Response:
    sent = getattr(call.request.state, "form", {})
    return show(
        call,
        "welcome.html.j2",
        "Choose a password" if invited.login_name else "The first administrator",
        status=status,
        invited=invited,
        faults={fault.field: fault.reason for fault in faults},
        login_name=sent.get("login_name", ""),
        display_name=sent.get("display_name", ""),
    )


def _invitations(call: Call) -> Invitations:
    return Invitations(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)
