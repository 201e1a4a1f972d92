"""``firstlight subscribers``: what we want of a RADIUS subscriber, and bringing FreeRADIUS to it."""

from __future__ import annotations

from typing import Annotated

import typer

from provisioning.bootstrap import Appliance
from provisioning.cli.printing import clock_time, print_json, say
from provisioning.cli.running import AsJson, run
from provisioning.errors import Fault, InvalidRequest
from provisioning.projections import ProjectedAll
from radius import SubscriberView

app = typer.Typer(no_args_is_help=True, help="RADIUS subscribers: how they shall be, and making FreeRADIUS show it.")


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
        done = await (appliance.projections.project_all() if username is None else _one(appliance, username))
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


async def _one(appliance: Appliance, username: str) -> ProjectedAll:
    shown = await appliance.projections.project(username)
    return ProjectedAll(projected=1, changed=[username] if shown["changed"] else [])


def _print(found: SubscriberView) -> None:
    service = f"service {found['service_id']}" if found["service_id"] else "no service"
    until = f" until {clock_time(found['testing_until'])}" if found["testing_until"] else ""
    pool = f"pool {found['ipv4_pool']}" if found["ipv4_pool"] else None
    addresses = (found["ipv4"], pool, found["ipv6_wan_prefix"], found["delegated_prefix"])
    say(f"{found['username']}  customer {found['customer_id']}, {service}")
    say(f"{found['state']}{until} on plan {found['plan']}")
    say(f"addresses: {', '.join(each for each in addresses if each) or 'none'}")
    say(f"password: {found['password']}")
    say("carried over to FreeRADIUS" if found["projected"] else "its last change is not carried over yet")
