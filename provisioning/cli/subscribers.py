"""``firstlight subscribers``: what we want of a RADIUS subscriber, bringing FreeRADIUS to it, and its end."""

from __future__ import annotations

from typing import Annotated

import typer

from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli import subscribers_files, subscribers_verbs
from provisioning.cli.audited import tells
from provisioning.cli.printing import clock_time, print_json, say
from provisioning.cli.running import AsJson, By, run
from provisioning.errors import Fault, InvalidRequest
from provisioning.projections import ProjectedAll
from radius import SubscriberView

app = typer.Typer(no_args_is_help=True, help="RADIUS subscribers: how they shall be, and making it so.")
subscribers_verbs.add_to(app)
subscribers_files.add_to(app)


@app.command()
def show(
    username: Annotated[str, typer.Argument(help="The RADIUS username, realm included.")], json_: AsJson = False
) -> None:
    """Show one subscriber as it shall be, and whether that has been carried over to FreeRADIUS."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.services(db).radius_service.subscriber_named(username=username)
        print_json(found) if json_ else _print(found)

    run(act, as_json=json_)


@app.command()
def project(
    username: Annotated[str | None, typer.Argument(help="The RADIUS username, realm included.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every subscriber there is or was.")] = False,
    json_: AsJson = False,
) -> None:
    """Bring FreeRADIUS' rows to what is wanted, whoever changed them; status 1 if any could not be."""

    async def act(appliance: Appliance) -> bool:
        if (username is None) != all_:
            raise InvalidRequest("The projection", [Fault("username", "is needed, or --all, and not both")])
        done = await (_all(appliance) if username is None else _one(appliance, username))
        if json_:
            print_json(done)
        else:
            for name in done.changed:
                say(f"{name}: brought to it")
            for name, reason in done.failed:
                say(f"{name}: {reason}")
            say(f"{done.projected} as they shall be, {len(done.changed)} of them since now")
        return not done.failed

    if not run(act, as_json=json_):
        raise typer.Exit(1)


@app.command()
def terminate(
    username: Annotated[str, typer.Argument(help="The RADIUS username, realm included.")],
    reason: Annotated[str, typer.Option(help="Why, in one line.")],
    on: Annotated[str | None, typer.Option(help="The last day that is served and billed, as 2026-03-31.")] = None,
    now: Annotated[bool, typer.Option("--now", help="At once, in the day's place.")] = False,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """End a service: its bill, account, session, CPE, line and addresses. Until its day it can be taken back."""

    async def act(appliance: Appliance) -> None:
        wish = {"username": username, "at_once": now, "reason": reason, **({} if on is None else {"ends_on": on})}
        async with appliance.database.begin() as db:
            started = await appliance.termination_desk(db).accept(wish, by=by)
            tells(subject=subject_of("run", started.run_id))
        if json_:
            print_json(started)
            return
        when = "now" if now else f"after {started.ends_on}"
        again = "" if started.is_new else ", as it was to already"
        say(f"{username} ends {when}{again} (run {started.run_id})")

    run(act, as_json=json_)


@app.command()
def keep(
    username: Annotated[str, typer.Argument(help="The RADIUS username, realm included.")],
    reason: Annotated[str, typer.Option(help="Why, in one line.")],
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Take the end of a service back, as long as its day is not over: nothing of it has happened."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            run_id = await appliance.termination_desk(db).withdraw(username, reason=reason, by=by)
            tells(subject=subject_of("run", run_id))
        print_json({"username": username, "run": run_id}) if json_ else say(f"{username} is kept (run {run_id})")

    run(act, as_json=json_)


async def _all(appliance: Appliance) -> ProjectedAll:
    return await appliance.projections.project_all(before_each=_tells_subscriber)


def _tells_subscriber(subscriber_id: int) -> None:
    tells(subject=subject_of("subscriber", subscriber_id))


async def _one(appliance: Appliance, username: str) -> ProjectedAll:
    shown = await appliance.projections.project(username, before_each=_tells_subscriber)
    return ProjectedAll(projected=1, changed=[username] if shown["changed"] else [])


def _print(found: SubscriberView) -> None:
    service = f"service {found['service_id']}" if found["service_id"] else "no service"
    until = f" until {clock_time(found['testing_until'])}" if found["testing_until"] else ""
    pool = f"pool {found['ipv4_pool']}" if found["ipv4_pool"] else None
    addresses = (found["ipv4"], pool, found["ipv6_wan_prefix"], found["delegated_prefix"])
    routes = [*found["routes"], *found["ipv6_routes"]]
    say(f"{found['username']}  customer {found['customer_id']}, {service}")
    garden = f" in garden {found['garden']}" if found["garden"] else ""
    say(f"{found['state']}{garden}{until} on plan {found['plan']}")
    say(f"addresses: {', '.join(each for each in addresses if each) or 'none'}")
    for route in routes:
        say(f"routed: {route}")
    say(f"password: {found['password']}")
    say("carried over to FreeRADIUS" if found["projected"] else "its last change is not carried over yet")
