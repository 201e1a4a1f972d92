"""``firstlight webhooks``: which systems are told of changes, what they were told, and telling it again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import typer

from provisioning.access import subject_of
from provisioning.act_previews import WEBHOOK_VERBS, WebhookVerb, previewed_webhook
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import tells
from provisioning.cli.choices import chosen
from provisioning.cli.moments import as_moment_in_utc
from provisioning.cli.printing import (
    Entry,
    at_second,
    clock_time,
    print_json,
    print_list,
    say,
    say_touches,
    state_text,
)
from provisioning.cli.running import AsJson, By, run
from provisioning.webhooks import EVENT_TYPES, DeliveryRecord, WebhookRecord, WebhookWithSecret, impersonal_webhook
from provisioning.webhooks.tables import DeliveryState

app = typer.Typer(no_args_is_help=True, help="Systems that are told of changes, signed, as docs/webhooks.md says.")

Number = Annotated[int, typer.Argument(metavar="WEBHOOK", help="The webhook's number.")]


@app.command()
def add(
    url: Annotated[str, typer.Argument(help="Where it takes messages: https://...")],
    by: By = "",
    type_: Annotated[
        list[str] | None, typer.Option("--type", help=f"What it is told of, once or more: {', '.join(EVENT_TYPES)}.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="It is told of all there is.")] = False,
    json_: AsJson = False,
) -> None:
    """Tell a system of what happens from now on; its secret is shown this once."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            added = await appliance.webhooks(db).add(url=url, event_types=EVENT_TYPES if all_ else type_ or [], by=by)
            tells(subject=subject_of("webhook", added["webhook_id"]), after={"webhook": impersonal_webhook(added)})
        print_json(added) if json_ else _say_secret(added, "is added")

    run(act, as_json=json_)


@app.command("list")
def list_(json_: AsJson = False) -> None:
    """List the webhooks: where they lead, what they are told of, and how they stand."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.webhooks(db).webhooks()
        if json_:
            print_json(found)
        elif not found:
            say("no webhooks")
        else:
            print_list(("webhook", "state", "url"), [_entry(each) for each in found])

    run(act, as_json=json_)


@app.command()
def show(webhook: Number, json_: AsJson = False) -> None:
    """Show a webhook and what it was told last."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.webhooks(db).webhook(webhook_id=webhook)
            told = await appliance.webhooks(db).deliveries(webhook_id=webhook, limit=20)
        if json_:
            print_json({**found, "deliveries": told})
            return
        print_list(("webhook", "state", "url"), [_entry(found)])
        say("")
        _print_deliveries(told)

    run(act, as_json=json_)


@app.command()
def preview(
    webhook: Number,
    verb: Annotated[str, typer.Argument(help=f"What is to be done with it: {', '.join(WEBHOOK_VERBS)}.")],
    hours: Annotated[int, typer.Option(min=1, max=720, help="Of a replay: how far back.")] = 24,
    only_failed: Annotated[bool, typer.Option(help="Of a replay: only what it didn't take.")] = False,
    json_: AsJson = False,
) -> None:
    """Say what this would touch; nothing is changed."""

    async def act(appliance: Appliance) -> None:
        wanted: WebhookVerb = chosen("verb", verb, WebhookVerb)
        now = appliance.clock()
        async with appliance.database.read() as db:
            found = await previewed_webhook(
                appliance.webhooks(db),
                webhook,
                wanted,
                since=now - timedelta(hours=hours),
                only_failed=only_failed,
                now=now,
            )
        print_json(found) if json_ else say_touches(found.touches, found.refused)

    run(act, as_json=json_)


@app.command()
def rotate(
    webhook: Number,
    keep_hours: Annotated[
        int, typer.Option(min=0, max=720, help="How long the secret before this one signs as well.")
    ] = 24,
    json_: AsJson = False,
) -> None:
    """Give a webhook a new secret, which is shown this once."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            rotated = await appliance.webhooks(db).rotate(webhook_id=webhook, keep=timedelta(hours=keep_hours))
        print_json(rotated) if json_ else _say_secret(rotated, "has a new secret")

    run(act, as_json=json_)


@app.command()
def disable(
    webhook: Number, reason: Annotated[str, typer.Option(help="Why; it is kept.")], json_: AsJson = False
) -> None:
    """Send a webhook nothing from now on."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            found = await appliance.webhooks(db).disable(webhook_id=webhook, reason=reason)
        days = appliance.settings.webhook_keep_days
        print_json(found) if json_ else say(
            f"webhook {webhook} is disabled: {found['disable_reason']}; what it is not told is kept for {days} days"
        )

    run(act, as_json=json_)


@app.command()
def enable(webhook: Number, json_: AsJson = False) -> None:
    """Send a webhook what waits for it, and what happens from now on."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            found = await appliance.webhooks(db).enable(webhook_id=webhook)
        print_json(found) if json_ else say(
            f"webhook {webhook} is enabled; `firstlight webhooks replay {webhook} --since ...` sends what happened"
            " while it was not"
        )

    run(act, as_json=json_)


@app.command()
def replay(
    webhook: Number,
    message: Annotated[str | None, typer.Option(help="One message, as `webhooks messages` numbers it.")] = None,
    since: Annotated[
        datetime | None, typer.Option(help="All that happened from this moment on (UTC).", parser=as_moment_in_utc)
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="Up to this moment (UTC); else now.", parser=as_moment_in_utc)
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Of these only what it didn't take.")] = False,
    json_: AsJson = False,
) -> None:
    """Send a webhook once more what it was told, and what it missed while it was disabled."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            queued = await appliance.webhooks(db).replay(
                webhook_id=webhook, message_id=message, since=since, until=until, only_failed=failed
            )
            tells(after={"queued": queued})
        print_json({"webhook_id": webhook, "queued": queued}) if json_ else say(
            f"{queued} message{'' if queued == 1 else 's'} queued for webhook {webhook}"
        )

    run(act, as_json=json_)


@app.command()
def messages(
    webhook: Annotated[int | None, typer.Option(help="Only to this webhook.")] = None,
    state: Annotated[str | None, typer.Option(help="Only in this state: queued, delivered, failed.")] = None,
    before: Annotated[int | None, typer.Option(help="Only deliveries older than this number: the next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 50,
    json_: AsJson = False,
) -> None:
    """List what was told to whom, the newest first, and why it was not taken."""

    async def act(appliance: Appliance) -> None:
        wanted: DeliveryState | None = chosen("state", state, DeliveryState)
        async with appliance.database.read() as db:
            found = await appliance.webhooks(db).deliveries(
                webhook_id=webhook, states=(wanted,) if wanted else (), before=before, limit=limit
            )
        print_json(found) if json_ else _print_deliveries(found)

    run(act, as_json=json_)


def _say_secret(webhook: WebhookWithSecret, what: str) -> None:
    say(f"webhook {webhook['webhook_id']} {what}; keep it now, it is not shown again:")
    say(webhook["secret"])


def _entry(webhook: WebhookRecord) -> Entry:
    told = f"is told of {', '.join(webhook['event_types'])}"
    state = f"; disabled at {at_second(webhook['disabled_at'])}: {webhook['disable_reason']}"
    return Entry(
        (str(webhook["webhook_id"]), state_text(webhook["state"]), webhook["url"]),
        told + (state if webhook["state"] == "disabled" else ""),
    )


def _print_deliveries(found: list[DeliveryRecord]) -> None:
    if not found:
        say("no messages")
        return
    entries = [
        Entry(
            (
                str(each["delivery_id"]),
                clock_time(each["occurred_at"]),
                state_text(each["state"]),
                str(each["webhook_id"]),
                f"{each['type']} {each['subject']}",
                each["message_id"],
            ),
            f"attempt {each['attempts']}: {each['last_error']}" if each["last_error"] else "",
        )
        for each in found
    ]
    print_list(("number", "happened", "state", "to", "what", "message"), entries)
