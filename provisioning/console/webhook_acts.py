"""Acts on a webhook: enabling, disabling and replaying: what one would touch, then the act itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Query, Response
from starlette.exceptions import HTTPException

from provisioning.access import subject_of
from provisioning.act_previews import WEBHOOK_VERBS, WebhookVerb, previewed_webhook
from provisioning.api import Call, InCall
from provisioning.api.pages import Number
from provisioning.console.doors import ConsoleDoors, Form, form_of
from provisioning.console.pages import show, to
from provisioning.console.webhooks import TITLES, host_of
from provisioning.errors import Fault, InvalidRequest
from provisioning.webhooks import impersonal_webhook
from workflows import NO_MOMENT

HOURS = {"1": "the last hour", "24": "the last 24 hours", "168": "the last seven days", "720": "the last 30 days"}
USUAL_HOURS = "24"

doors = ConsoleDoors(name="webhooks")

Word = Annotated[str, Query(max_length=10)]


@doors.page("/webhooks/{webhook_id}/acts/{verb}", permission="webhooks.write")
async def look(call: InCall, webhook_id: Number, verb: str, hours: Word = USUAL_HOURS, all: Word = "") -> Response:
    """What this act would touch, and the form that takes it."""
    known, desk = _known(verb), call.appliance.webhooks(call.db)
    webhook = await desk.webhook(webhook_id=webhook_id)
    since, now = _since(call, hours), call.appliance.clock()
    return show(
        call,
        "touching.html.j2",
        f"{TITLES[known]}: webhook {webhook_id}",
        lead=f"at {host_of(webhook)}",
        state=webhook["state"],
        preview=await previewed_webhook(desk, webhook_id, known, since=since, only_failed=not all, now=now),
        mark=webhook["state"],
        button=TITLES[known],
        back=f"/webhooks/{webhook_id}",
        hours=HOURS if known == "replay" else {},
        said={"hours": hours, "all": all, "since": since.isoformat()},
    )


@doors.act("/webhooks/{webhook_id}/acts/{verb}", permission="webhooks.write")
async def take(call: InCall, webhook_id: Number, verb: str) -> Response:
    """Takes the act, if the webhook still stands as it was seen."""
    known, form, desk = _known(verb), form_of(call), call.appliance.webhooks(call.db)
    before = await desk.webhook(webhook_id=webhook_id, hold=True)
    faults = [] if form.text("reason") else [Fault("reason", "is missing")]
    if form.text("seen") != before["state"]:
        faults.append(Fault("seen", f"it is {before['state']} by now: look again"))
    since = _moment(form, faults) if known == "replay" else None
    if faults:
        raise InvalidRequest("The act", faults)
    call.tells(
        action=f"webhooks {known}",
        subject=subject_of("webhook", webhook_id),
        reason=form.text("reason"),
        before=impersonal_webhook(before),
    )
    if known == "replay":
        queued = await desk.replay(webhook_id=webhook_id, since=since, only_failed=not form.text("all"))
        call.tells(after={"queued": queued})
    elif known == "disable":
        call.tells(after=impersonal_webhook(await desk.disable(webhook_id=webhook_id, reason=form.text("reason"))))
    else:
        call.tells(after=impersonal_webhook(await desk.enable(webhook_id=webhook_id)))
    return to(f"/webhooks/{webhook_id}")


def _since(call: Call, hours: str) -> datetime:
    if hours not in HOURS:
        raise InvalidRequest("The act", [Fault("hours", f"is none of {', '.join(HOURS)}: {hours}")])
    return call.appliance.clock() - timedelta(hours=int(hours))


def _moment(form: Form, faults: list[Fault]) -> datetime | None:
    """What was previewed is what is replayed, though the clock has gone on."""
    try:
        since = datetime.fromisoformat(form.text("since"))
    except ValueError:
        since = None
    if since is None or since.tzinfo is None:
        faults.append(Fault("since", NO_MOMENT))
    return since


def _known(verb: str) -> WebhookVerb:
    if verb not in WEBHOOK_VERBS:
        raise HTTPException(404)
    return verb
