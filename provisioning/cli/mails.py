"""``firstlight mails``: what customers are written, and what was written to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from provisioning.bootstrap import Appliance
from provisioning.cli.printing import (
    Entry,
    at_second,
    clock_time,
    print_indented,
    print_json,
    print_list,
    say,
    state_text,
)
from provisioning.cli.replacing import replacing
from provisioning.cli.running import AsJson, guarded, run
from provisioning.commercial import MailPreview, Outbox
from provisioning.configured import mail_templates
from provisioning.errors import Fault, InvalidRequest
from provisioning.settings import load_settings
from workflows.services import MailState

app = typer.Typer(no_args_is_help=True, help="Mails to customers: their templates, and the outbox.")


@app.command()
def templates(json_: AsJson = False) -> None:
    """List the mails there are: in which languages, and what each is told."""

    def act() -> None:
        preview = MailPreview(mail_templates(load_settings()))
        found = [preview.template(name) for name in preview.names()]
        if json_:
            print_json(found)
            return
        for one in found:
            say(f"{one['template']}  ({', '.join(one['languages'])})")
            print_indented(one["about"], indent=4)
            names = (f"[{each.name}]" if each.optional else each.name for each in one["variables"])
            print_indented(" ".join(names), indent=4, style="dim")

    guarded(act, as_json=json_)


@app.command()
def preview(
    template: Annotated[str, typer.Argument(help="The mail's name, as `mails templates` lists it.")],
    language: Annotated[str | None, typer.Option(help="Such as de or de-AT; default: the ISP's own.")] = None,
    variables: Annotated[
        Path | None, typer.Option(help="JSON file with its variables; default: those of the sample.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="File to write the HTML part to, to open in a browser.")] = None,
    json_: AsJson = False,
) -> None:
    """Show a mail as a customer would get it; nothing is sent or kept, and its links lead nowhere."""

    def act() -> None:
        given = None if variables is None else _variables(variables)
        mail = MailPreview(mail_templates(load_settings())).preview(template, given, language=language)
        if html is not None:
            with replacing(html) as target:
                target.write(mail.html)
        if json_:
            print_json(mail)
            return
        say(f"language: {mail.language}")
        say(f"subject:  {mail.subject}")
        say("")
        say(mail.text.rstrip("\n"))

    guarded(act, as_json=json_)


@app.command("list")
def list_(
    state: Annotated[
        list[str] | None, typer.Option(help="Only mails in this state; may be given several times.")
    ] = None,
    recipient: Annotated[str | None, typer.Option(help="Only mails to this address.")] = None,
    before: Annotated[int | None, typer.Option(help="Only mails older than this number: the next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 50,
    json_: AsJson = False,
) -> None:
    """List the outbox, the newest first: to whom, how each mail stands, and what the mail server said last."""

    async def act(appliance: Appliance) -> None:
        wanted = _states(state or [])
        async with appliance.database.read() as db:
            found = await Outbox(db, tenant_id=appliance.tenant_id).mails(
                states=wanted, recipient=recipient, before=before, limit=limit
            )
        if json_:
            print_json(found)
            return
        if not found:
            say("no mails")
            return
        entries = [
            Entry(
                (
                    str(mail["email_id"]),
                    clock_time(mail["queued_at"]),
                    state_text(mail["state"]),
                    mail["template"],
                    mail["recipient"],
                ),
                "" if mail["state"] in ("sent", "queued") else mail["last_answer"] or "",
            )
            for mail in found
        ]
        print_list(("mail", "queued", "state", "template", "recipient"), entries)

    run(act, as_json=json_)


@app.command()
def show(
    mail: Annotated[int, typer.Argument(help="The mail's number.")],
    json_: AsJson = False,
) -> None:
    """Show one mail and every attempt to deliver it. Its one-time links are the customer's and are blotted out."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await Outbox(db, tenant_id=appliance.tenant_id).mail(mail)
        if json_:
            print_json(found)
            return
        say(state_text(found["state"]))
        for name in ("template", "language", "recipient", "subject", "message_id", "request_id"):
            say(f"{name + ':':<12}{found[name]}")
        for one in found["tries"]:
            ended = at_second(one["ended_at"]) or "never ended"
            say(f"attempt {one['number']}: {at_second(one['started_at'])} to {ended}, {one['outcome'] or 'unknown'}")
            print_indented(one["reply"] or "", indent=4)
        say("")
        say(found["text"].rstrip("\n"))

    run(act, as_json=json_)


def _variables(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The preview", [Fault(str(file), f"is not JSON: {error}")]) from error
    if not isinstance(found, dict):
        raise InvalidRequest("The preview", [Fault(str(file), "is not a JSON object")])
    return found


def _states(wanted: list[str]) -> list[MailState]:
    known: tuple[MailState, ...] = get_args(MailState)
    if unknown := [state for state in wanted if state not in known]:
        raise InvalidRequest("The list", [Fault("state", f"{one} is none of {', '.join(known)}") for one in unknown])
    return [state for state in known if state in wanted]
