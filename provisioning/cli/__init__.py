"""``firstlight``: the command line, one module a noun.

Every command speaks plain sentences to a person and, with ``--json``, one JSON value to a program. To add a noun: a
module with a `typer.Typer` named ``app``, one line below, and one in ``docs/commands.md`` (a test compares them).
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from provisioning.cli import (
    addresses,
    audit,
    campaigns,
    customers,
    devices,
    devices_fleet,
    events,
    keys,
    leads,
    licences,
    line,
    mails,
    nas,
    notices,
    offers,
    orders,
    partners,
    payments,
    plans,
    quotes,
    runs,
    sessions,
    subscribers,
    subscriptions,
    technicians,
    tenants,
    tickets,
    tokens,
    users,
    visits,
    visits_planning,
    webhooks,
)
from provisioning.cli.attention import add_to as add_attention
from provisioning.cli.audited import remember_what_is_typed
from provisioning.cli.demo import add_to as add_demo
from provisioning.cli.doctor import add_to as add_doctor
from provisioning.cli.find import add_to as add_find
from provisioning.cli.lab import app as lab
from provisioning.cli.operate import add_to as add_operations
from provisioning.cli.output import OutputUnwritten, give_up_output, watch_output
from provisioning.cli.printing import say
from provisioning.cli.running import EXIT_FAILED, tell_unwritten

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(runs.app, name="runs")
app.add_typer(events.app, name="events")
visits_planning.add_to(visits.app)
app.add_typer(visits.app, name="visits")
app.add_typer(technicians.app, name="technicians")
app.add_typer(line.app, name="line")
app.add_typer(subscribers.app, name="subscribers")
app.add_typer(nas.app, name="nas")
devices_fleet.add_to(devices.app)
app.add_typer(devices.app, name="devices")
app.add_typer(campaigns.app, name="campaigns")
app.add_typer(sessions.app, name="sessions")
app.add_typer(plans.app, name="plans")
app.add_typer(addresses.app, name="addresses")
app.add_typer(offers.app, name="offers")
app.add_typer(leads.app, name="leads")
app.add_typer(customers.app, name="customers")
app.add_typer(quotes.app, name="quotes")
app.add_typer(orders.app, name="orders")
app.add_typer(payments.app, name="payments")
app.add_typer(subscriptions.app, name="subscriptions")
app.add_typer(partners.app, name="partners")
app.add_typer(licences.app, name="licences")
app.add_typer(tenants.app, name="tenants")
app.add_typer(keys.app, name="keys")
app.add_typer(mails.app, name="mails")
app.add_typer(notices.app, name="notices")
app.add_typer(tickets.app, name="tickets")
app.add_typer(tokens.app, name="tokens")
app.add_typer(users.app, name="users")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(audit.app, name="audit")
app.add_typer(lab, name="lab")
add_operations(app)
add_doctor(app)
add_find(app)
add_attention(app)
add_demo(app)
remember_what_is_typed(app)


def _tell_version(wanted: bool) -> None:
    if wanted:
        say(f"firstlight {version('firstlight')}")
        raise typer.Exit


@app.callback()
def firstlight(
    version_: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Say which release this is.")
    ] = False,
) -> None:
    """Firstlight: from an approved installation ticket to a live subscriber."""


def main() -> None:
    """The console script.

    A command's output may fail when the command is over: what is left of it is written here.
    """
    watch_output()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has seen enough
        give_up_output()
        sys.exit(EXIT_FAILED)
    except OutputUnwritten as error:
        sys.exit(tell_unwritten(error, as_json="--json" in sys.argv))
