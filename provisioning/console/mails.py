"""``/mails`` and ``/notices``: what customers were written and teams were told, and what didn't get through.

Who sees no money reads them without amounts.
"""

from __future__ import annotations

from typing import Annotated, get_args

from fastapi import Query, Response

from provisioning.amounts import line_without_amounts, mail_without_amounts, notice_without_amounts
from provisioning.api import InCall
from provisioning.api.pages import After, Number, page_of, row_of
from provisioning.commercial import NotificationsService, Outbox
from provisioning.console.doors import ConsoleDoors
from provisioning.console.lists import one_of
from provisioning.console.pages import show
from provisioning.sight import sees_money
from workflows.answers import NoticeState
from workflows.services import MailState

ON_A_PAGE = 50
MAIL_STATES: tuple[MailState, ...] = get_args(MailState)
NOTICE_STATES: tuple[NoticeState, ...] = get_args(NoticeState)

doors = ConsoleDoors(name="mails")

Word = Annotated[str, Query(max_length=254)]


@doors.page("/mails", permission="mails.read")
async def mails(call: InCall, state: Word = "", recipient: Word = "", after: After = None) -> Response:
    """The outbox, the newest first."""
    wanted = one_of(MAIL_STATES, state)
    found = await Outbox(call.db, tenant_id=call.tenant_id).mails(
        states=[wanted] if wanted else (),
        recipient=recipient.strip() or None,
        before=row_of(after),
        limit=ON_A_PAGE + 1,
    )
    page = page_of(call, found, [mail["email_id"] for mail in found], ON_A_PAGE)
    return show(
        call,
        "mails.html.j2",
        "Mails",
        mails=page.items if sees_money(call.caller) else [line_without_amounts(mail) for mail in page.items],
        next=page.next,
        states=MAIL_STATES,
        wanted={"state": state, "recipient": recipient},
    )


@doors.page("/mails/{email_id}", permission="mails.read")
async def mail(call: InCall, email_id: Number) -> Response:
    """One mail and every attempt to deliver it; its one-time links are the customer's and are blotted out."""
    found = await Outbox(call.db, tenant_id=call.tenant_id).mail(email_id)
    shown = found if sees_money(call.caller) else mail_without_amounts(found)
    return show(call, "mail.html.j2", f"Mail {email_id}", mail=shown)


@doors.page("/notices", permission="mails.read")
async def notices(call: InCall, state: Word = "", team: Word = "", after: After = None) -> Response:
    """What teams were told, the newest first."""
    wanted = one_of(NOTICE_STATES, state)
    found = await NotificationsService(call.db, tenant_id=call.tenant_id, now=call.appliance.clock).notices(
        states=[wanted] if wanted else (), team=team or None, before=row_of(after), limit=ON_A_PAGE + 1
    )
    page = page_of(call, found, [notice["notice_id"] for notice in found], ON_A_PAGE)
    return show(
        call,
        "notices.html.j2",
        "Notices",
        notices=page.items if sees_money(call.caller) else [notice_without_amounts(each) for each in page.items],
        next=page.next,
        states=NOTICE_STATES,
        teams=[each["team"] for each in await call.appliance.teams(call.db).teams()],
        wanted={"state": state, "team": team},
    )
