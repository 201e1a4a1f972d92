"""``/mails``: what customers are written. Looking at a mail sends nothing and keeps nothing."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from provisioning.api.calls import Call, InCall
from provisioning.api.pages import Page
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish
from provisioning.commercial import MailPreview, MailTemplate, RenderedMail

doors = Doors(prefix="/mails", tags=["mails"])


class MailToPreview(Wish):
    """A mail, and what it is to be told; without ``variables``, what its sample is told."""

    template: str = Field(max_length=100)
    variables: dict[str, Any] | None = Field(default=None, description="As the sample of the template has them")
    language: str | None = Field(default=None, description="Such as de or de-AT; the ISP's own without one")


@doors.get("/templates", permission="mails.read")
async def templates(call: InCall) -> Page[MailTemplate]:
    """The mails there are: in which languages, and what each is told."""
    preview = _preview(call)
    found = [preview.template(name) for name in preview.names()]
    return Page(items=found)


@doors.post("/preview", permission="mails.read", keyed=False)
async def preview(call: InCall, wish: MailToPreview) -> RenderedMail:
    """The mail as a customer would get it; its links lead nowhere."""
    call.changes_nothing()
    return _preview(call).preview(wish.template, wish.variables, language=wish.language)


def _preview(call: Call) -> MailPreview:
    return MailPreview(call.appliance.mail_templates)
