"""``firstlight devices render | override | templates``: what exactly a CPE is set to, and where each part is from."""

from __future__ import annotations

from typing import Annotated

import typer

from acs import DeviceSettings, RenderedDevice, RenderedParameter, TemplateEntry
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import tells
from provisioning.cli.printing import Entry, print_indented, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, By, run
from provisioning.errors import Fault, InvalidRequest

Serial = Annotated[str, typer.Argument(help="The CPE's serial number, in any spelling of it.")]


def add_to(app: typer.Typer) -> None:
    """Makes these commands part of ``firstlight devices``."""
    app.command()(render)
    app.command()(override)
    app.command()(templates)


def render(serial: Serial, json_: AsJson = False) -> None:
    """Show exactly what a CPE is set to, parameter by parameter, and where each is from; nothing is sent."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            rendered = await appliance.device_settings(db).rendered(device_serial=serial)
        print_json(rendered) if json_ else _print_rendered(rendered)

    run(act, as_json=json_)


def override(
    serial: Serial,
    changes: Annotated[
        list[str] | None,
        typer.Argument(
            help="NAME=VALUE: an input, a parameter's path, a selector, management, inform.verified_seconds; null to"
            " leave it alone."
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the audit.")] = "",
    remove: Annotated[list[str] | None, typer.Option(help="A name whose override ends, once or more.")] = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Let one CPE have something otherwise than its template says; it is given that as a new revision."""

    async def act(appliance: Appliance) -> None:
        texts = _given(changes or (), remove or (), reason)
        async with appliance.database.begin() as db:
            settings = appliance.device_settings(db)
            rendered = await _overridden(settings, serial, texts, remove or ())
            tells(after={"overrides": sorted(rendered["overrides"]), "revision": rendered["revision"]})
        print_json(rendered) if json_ else _print_rendered(rendered)

    run(act, as_json=json_)


def templates(json_: AsJson = False) -> None:
    """List the CPE templates: for which CPEs each is, and how sure its paths are."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = appliance.device_settings(db).templates()
        if json_:
            print_json(found)
        else:
            print_list(("template", "models", "standard/seen/reported", "title"), [_entry(each) for each in found])

    run(act, as_json=json_)


async def _overridden(
    settings: DeviceSettings, serial: str, texts: dict[str, str], removed: list[str] | tuple[str, ...]
) -> RenderedDevice:
    typed = await settings.typed(device_serial=serial, texts=texts)
    return await settings.override(device_serial=serial, changes=typed, removed=removed)


def _given(changes: list[str] | tuple[str, ...], removed: list[str] | tuple[str, ...], reason: str) -> dict[str, str]:
    """The changes by name. Raises: InvalidRequest with everything that is wrong with them."""
    faults = [Fault(each, "is not NAME=VALUE") for each in changes if "=" not in each]
    texts = dict(each.split("=", 1) for each in changes if "=" in each)
    faults += [Fault(name, "is changed and removed") for name in removed if name in texts]
    if not changes and not removed:
        faults.append(Fault("changes", "say nothing: NAME=VALUE, or --remove NAME"))
    if not reason.strip():
        faults.append(Fault("--reason", "says nothing"))
    if faults:
        raise InvalidRequest("The override", faults)
    return texts


def _print_rendered(rendered: RenderedDevice) -> None:
    plan = f", plan {rendered['plan']}" if rendered["plan"] else ""
    say(f"{rendered['device_serial']}  template {rendered['template']} ({rendered['data_model']}){plan}")
    say(f"{state_text(rendered['state'])}, revision {rendered['revision']}, management {rendered['management']}")
    for row in rendered["selectors"]:
        say(f"{row['name']}: {row['row'] or 'not chosen yet'}")
        print_indented(f"chosen by the CPE: {row['chosen_by']}", first="  ")
    headings = ("value", "origin", "path")
    print_list(headings, [_parameter(each) for each in rendered["parameters"]])
    if rendered["problem"]:
        say(f"cannot be rendered anew: {rendered['problem']}")
    for path in rendered["changes"]:
        say(f"said otherwise by now: {path}")


def _parameter(each: RenderedParameter) -> Entry:
    value = str(each["value"]).lower() if isinstance(each["value"], bool) else str(each["value"])
    if each["once_verified"] is not None:
        value += f", then {each['once_verified']}"
    origin = f"{each['origin']} {each['name']}" if each["name"] else each["origin"]
    sureness = f" ({each['sureness']})" if each["sureness"] not in (None, "standard") else ""
    return Entry((value, origin, f"{each['placed'] or each['path']}{sureness}"), "")


def _entry(each: TemplateEntry) -> Entry:
    sureness = "/".join(str(each["sureness"].get(how, 0)) for how in ("standard", "seen", "reported"))
    refused = f" refuses {', '.join(each['refuses'])}." if each["refuses"] else ""
    models = ", ".join([*each["manufacturers"][:1], *each["models"]]) or "any"
    return Entry((each["name"], models, sureness, each["title"]), f"{each['note']}{refused}".strip())
