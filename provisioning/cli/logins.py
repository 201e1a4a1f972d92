"""``firstlight subscribers logins | unknown | diagnose``: who logged in, who was refused and why, and what to do."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from provisioning.bootstrap import Appliance
from provisioning.cli.printing import Entry, clock_time, print_indented, print_json, print_list, say
from provisioning.cli.running import AsJson, run
from provisioning.cli.whom import ByExternalId, ById, Username, username_of, whom
from radius import LoginView, UnknownUser

MARKS = {"cause": "✗", "note": "!", "fine": "✓"}
STYLES = {"cause": "bold red", "note": "yellow", "fine": "green"}

Limit = Annotated[int, typer.Option(min=1, max=200, help="How many, the newest first.")]


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    for command in (logins, unknown, diagnose):
        app.command()(command)


def logins(
    username: Username,
    limit: Limit = 20,
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """Show when and where a subscriber tried to log in, how, and why it was refused; by its former names too."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            radius = appliance.services(db).radius_service
            desk = appliance.subscriber_desk(db)
            who = whom(username, external_id, id_)
            name = (await desk.named(who))["username"]
            tried = await desk.held_names(who)
            names = {nas["address"]: nas["name"] for nas in await radius.nas_list()}
        found = await appliance.logins.logins_of(*tried, limit=limit)
        if json_:
            print_json(found)
        elif not found:
            say(f"the log of logins has none of {name} in the last {appliance.settings.login_keep_days} days")
        else:
            print_list(("when", "nas", "method", "line", ""), [_entry(each, names, name) for each in found])

    run(act, as_json=json_)


def unknown(limit: Limit = 50, json_: AsJson = False) -> None:
    """List the names that were tried at our NASes and that nobody has, who tried last first."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            nases = await appliance.services(db).radius_service.nas_list()
            names = {nas["address"]: nas["name"] for nas in nases}
        found = await appliance.logins.unknown_users(appliance.tenant_id, limit=limit)
        if json_:
            print_json(found)
        elif not found:
            say("nobody unknown has tried to log in")
        else:
            print_list(("last", "times", "nas", "line", "name"), [_unknown(each, names) for each in found])

    run(act, as_json=json_)


def diagnose(
    username: Annotated[str, typer.Argument(help="The RADIUS username, as it stands in the CPE.")],
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """Say why somebody can't log in: what was found, the evidence and the next act, the gravest first."""

    async def act(appliance: Appliance) -> None:
        found = await appliance.diagnoses.of(await username_of(appliance, username, external_id, id_))
        if json_:
            print_json(found)
            return
        for each in found["findings"]:
            say(Text.assemble((f"{MARKS[each['weight']]} ", STYLES[each["weight"]]), each["sentence"]))
            for line in each["evidence"]:
                print_indented(line, indent=4)
            if each["next_act"] is not None:
                print_indented(each["next_act"], first="  -> ", indent=5)

    run(act, as_json=json_)


def _entry(login: LoginView, names: dict[str, str], present: str) -> Entry:
    nas = names.get(login["nas_address"], login["nas_address"])
    verdict = "accepted" if login["accepted"] else f"refused: {login['words']}"
    if login["about"] is not None:
        verdict += f" on {names.get(login['about'], login['about'])}"
    line = " ".join(each for each in (login["calling_station"], login["nas_port"], login["circuit"]) if each)
    below = "" if login["username"] == present else f"as {login['username']}"
    return Entry((clock_time(login["happened_at"]), nas, login["method"], line, verdict), below)


def _unknown(user: UnknownUser, names: dict[str, str]) -> Entry:
    nas = names.get(user["nas_address"], user["nas_address"])
    line = " ".join(each for each in (user["calling_station"], user["nas_port"], user["circuit"]) if each)
    below = "" if user["words"] == "no such user" else user["words"]
    return Entry((clock_time(user["last_at"]), str(user["times"]), nas, line, user["username"]), below)
