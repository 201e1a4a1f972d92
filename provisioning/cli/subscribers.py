"""``firstlight subscribers``: what we want of a RADIUS subscriber, bringing FreeRADIUS to it, and its end."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli import logins, subscribers_files, subscribers_list, subscribers_verbs, truth
from provisioning.cli.audited import carrying, changes_elsewhere, changes_nothing, tells
from provisioning.cli.bars import bar
from provisioning.cli.data_cap_words import cap_of
from provisioning.cli.printing import print_json, say
from provisioning.cli.running import AsJson, By, Reason, guarded, run
from provisioning.cli.whom import ByExternalId, ById, CustomersElsewhere, Username, whom, whom_to_end
from provisioning.days import minute
from provisioning.errors import Fault, InvalidRequest
from provisioning.intake import Faults
from provisioning.projections import ProjectedAll
from provisioning.subscriber_desk import ChangedSubscriber, SubscriberDesk, ends_by_hand
from provisioning.subscriber_looks import SubscriberNumber, Who
from radius import SubscriberUnknown, SubscriberView

app = typer.Typer(no_args_is_help=True, help="RADIUS subscribers: how they shall be, and making it so.")
subscribers_list.add_to(app)
subscribers_verbs.add_to(app)
subscribers_files.add_to(app)
logins.add_to(app)
truth.add_to(app)


@app.command()
def show(username: Username, external_id: ByExternalId = False, id_: ById = False, json_: AsJson = False) -> None:
    """Show one subscriber as it shall be, and whether that has been carried over to FreeRADIUS."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.subscriber_desk(db).named(whom(username, external_id, id_))
        cap, in_words = await cap_of(appliance, found["subscriber_id"])
        if json_:
            print_json({**found, "data_cap": cap})
            return
        _print(found)
        if in_words is not None:
            say(in_words)

    run(act, as_json=json_)


@app.command()
def create(
    username: Annotated[str, typer.Argument(help="The RADIUS username, realm included.")],
    customer: Annotated[int, typer.Option(help="Whose it is, by your customer number.")],
    plan: Annotated[str, typer.Option(help="The plan by its name.")],
    reason: Reason,
    pool: Annotated[
        str | None, typer.Option(help="The pool of its NAS that it gets an IPv4 address from; left out, its plan's.")
    ] = None,
    own_id: Annotated[str | None, typer.Option("--id", help="Your own id of it.")] = None,
    customers_elsewhere: CustomersElsewhere = False,
    json_: AsJson = False,
) -> None:
    """Make a subscriber without a service, with a random password; `activate` lets it in. The same again is the same.

    A service that is ordered has its subscriber made by its installation; many are brought in by `import`.
    """

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            desk = appliance.subscriber_desk(db)
            before: SubscriberView | None = None
            with suppress(SubscriberUnknown):
                before = await desk.named(username)
            made = await desk.create(
                username,
                customer_id=customer,
                plan=plan,
                ipv4_pool=pool,
                external_id=own_id,
                customers_elsewhere=customers_elsewhere,
            )
            if made == before:
                changes_nothing(db)
            tells(subject=subject_of("subscriber", made["subscriber_id"]), customer_id=made["customer_id"])
        print_json(made) if json_ else _print(made)

    run(act, as_json=json_)


@app.command()
def identify(
    username: Username,
    reason: Reason,
    new_id: Annotated[str | None, typer.Argument(help="Your own id of it; left out, it has none any more.")] = None,
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """Let a subscriber be known by your own id of it, which stands in the username's place with --external-id."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            desk = appliance.subscriber_desk(db)
            found = await desk.identify(whom(username, external_id, id_), external_id=new_id)
            tells(subject=subject_of("subscriber", found["subscriber_id"]), customer_id=found["customer_id"])
        print_json(found) if json_ else _print(found)

    run(act, as_json=json_)


@app.command()
def project(
    username: Annotated[str | None, typer.Argument(help="The RADIUS username, realm included.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Whoever is or was there, all plans and NASes.")] = False,
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """Bring FreeRADIUS' rows to what is wanted, whoever changed them; status 1 if any could not be."""

    async def act(appliance: Appliance) -> bool:
        if (username is None) != all_:
            raise InvalidRequest("The projection", [Fault("username", "is needed, or --all, and not both")])
        if username is None:
            done = await _all(appliance, shown=not json_)
        else:
            done = await _one(appliance, whom(username, external_id, id_))
        if json_:
            print_json(done)
        else:
            for name in done.changed:
                say(f"{name}: brought to it")
            for name, reason in done.failed:
                say(f"{name}: {reason}")
            definitions = f" (and {done.definitions} plans and NASes)" if done.definitions else ""
            say(f"{done.projected} as they shall be{definitions}, {len(done.changed)} of them since now")
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
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """End a service: its bill, account, session, CPE, line and addresses. Until its day it can be taken back.

    One that was brought in, or has no service, can end --now alone.
    """

    who = guarded(lambda: whom_to_end(username, external_id, id_), as_json=json_)
    found = run(lambda appliance: _to_end(appliance, who), as_json=json_)  # by now, and by its number from here on
    named, number = (username, None) if found is None else (found["username"], found["subscriber_id"])
    if now and on is None and found is not None and ends_by_hand(found):
        checked = SubscriberNumber(found["subscriber_id"])
        subscribers_verbs.change(lambda: checked, lambda desk, whom_: _ended(desk, whom_, reason), as_json=json_)
        return

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            wish = {"username": named, "at_once": now, "reason": reason, **({} if on is None else {"ends_on": on})}
            started = await appliance.termination_desk(db).accept(wish, by=by, subscriber_id=number)
            tells(subject=subject_of("run", started.run_id))
        if json_:
            print_json(started)
            return
        when = "now" if now else f"after {started.ends_on}"
        again = "" if started.is_new else ", as it was to already"
        say(f"{named} ends {when}{again} (run {started.run_id})")

    run(act, as_json=json_)


@app.command()
def keep(
    username: Annotated[str, typer.Argument(help="The RADIUS username, realm included.")],
    reason: Reason,
    by: By = "",
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """Take the end of a service back, as long as its day is not over: nothing of it has happened."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            who = whom(username, external_id, id_)
            named = who if isinstance(who, str) else (await appliance.subscriber_desk(db).named(who))["username"]
            run_id = await appliance.termination_desk(db).withdraw(named, reason=reason, by=by)
            tells(subject=subject_of("run", run_id))
        print_json({"username": named, "run": run_id}) if json_ else say(f"{named} is kept (run {run_id})")

    run(act, as_json=json_)


async def _ended(desk: SubscriberDesk, who: Who, reason: str) -> ChangedSubscriber:
    """
    Raises: InvalidRequest without a reason, and as ``SubscriberDesk.end``
    """
    faults = Faults("The termination")
    faults.line("reason", reason, longest=1000)
    faults.refuse_if_any()
    return await desk.end(who)


async def _to_end(appliance: Appliance, who: Who) -> SubscriberView | None:
    """None: nobody has that name, which is refused with all else that is wrong. Raises: SubscriberUnknown, of an id."""
    async with appliance.database.read() as db:
        try:
            return await appliance.subscriber_desk(db).named(who)
        except SubscriberUnknown:
            if isinstance(who, str):
                return None
            raise


async def _all(appliance: Appliance, *, shown: bool) -> ProjectedAll:
    """One entry in the audit says that it is begun, and of how many."""
    with bar("compared", shown=shown) as looked:
        unlike = await appliance.projections.look_at_all(looked=looked)
    tells(subject=subject_of("estate", appliance.tenant_id), after={"unlike": len(unlike.subscribers)})
    async with appliance.database.begin() as db:
        await changes_elsewhere(db)
    with carrying(appliance), bar("projected", total=len(unlike.subscribers), shown=shown) as progress:
        return await appliance.projections.project_all(unlike, progress=progress)


def _tells_subscriber(subscriber_id: int) -> None:
    tells(subject=subject_of("subscriber", subscriber_id))


async def _one(appliance: Appliance, who: Who) -> ProjectedAll:
    async with appliance.database.read() as db:
        username = (await appliance.subscriber_desk(db).named(who))["username"]
    shown = await appliance.projections.project(username, before_each=_tells_subscriber)
    return ProjectedAll(projected=1, changed=[username] if shown["changed"] else [])


def _print(found: SubscriberView) -> None:
    service = f"service {found['service_id']}" if found["service_id"] else "no service"
    until = f" until {minute(found['testing_until'])}" if found["testing_until"] else ""
    pool = f"pool {found['ipv4_pool']}" if found["ipv4_pool"] else None
    addresses = (found["ipv4"], pool, found["ipv6_wan_prefix"], found["delegated_prefix"])
    routes = [*found["routes"], *found["ipv6_routes"]]
    say(f"{found['username']}  customer {found['customer_id']}, {service}")
    garden = f" in garden {found['garden']}" if found["garden"] else ""
    capped = f", served by {found['capped']} since its data cap is used up" if found["capped"] else ""
    say(f"{found['state']}{garden}{until} on plan {found['plan']}{capped}")
    say(f"addresses: {', '.join(each for each in addresses if each) or 'none'}")
    for route in routes:
        say(f"routed: {route}")
    if found["external_id"] is not None:
        say(f"external id: {found['external_id']}")
    if found["line"]:
        how = "logs in by its line" if found["login_by_line"] else "bound to its line"
        say(f"{how}: {', '.join(f'{name} {value}' for name, value in found['line'].items())}")
    hashed = f"only its {found['password_hash_kind']} hash is known, by which logins are checked"
    say(f"password: {found['password'] if found['password_hash_kind'] is None else hashed}")
    say("carried over to FreeRADIUS" if found["projected"] else "its last change is not carried over yet")
