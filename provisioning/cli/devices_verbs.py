"""``firstlight devices reboot | refresh | get | set | firmware | ...``: what is done to a CPE once.

A command writes an operation down and answers with it; the worker carries it to the CPE. With ``--wait`` the command
does that itself, and ends when the operation has, or with status 1 if that takes too long.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import typer

from acs import OperationRecord
from provisioning.cli.devices_asking import Hours, Reason, Request, Serial, Wait, WaitSeconds, ask
from provisioning.cli.running import AsJson, By
from provisioning.device_desk import DeviceDesk
from provisioning.errors import Fault, InvalidRequest

Paths = Annotated[list[str], typer.Argument(help="Parameters by their full paths.")]


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    for command in (reboot, factory_reset, firmware, refresh, get, ping, download, cancel):
        app.command()(command)
    app.command("set")(set_)


def reboot(
    serial: Serial,
    reason: Reason,
    request: Request = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 600,
    hours: Hours = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Reboot a CPE once; done when it has reported a boot since."""
    ask(
        lambda desk: desk.operations.reboot(device_serial=serial, by=by, request_id=request, within=_within(hours)),
        reason=reason,
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def factory_reset(
    serial: Serial,
    reason: Reason,
    request: Request = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 900,
    hours: Hours = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Take a CPE back to factory default; done when it has reported as a new one and has its settings again."""
    ask(
        lambda desk: desk.operations.factory_reset(
            device_serial=serial, by=by, request_id=request, within=_within(hours)
        ),
        reason=reason,
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def firmware(
    serial: Serial,
    file: Annotated[str, typer.Argument(help="The file by its name at the ACS.")],
    reason: Reason,
    request: Request = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 1800,
    hours: Hours = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Give a CPE a firmware that the ACS has for its model; done when it has booted with that version."""
    ask(
        lambda desk: desk.operations.firmware(
            device_serial=serial, file=file, by=by, request_id=request, within=_within(hours)
        ),
        reason=reason,
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def refresh(
    serial: Serial,
    objects: Annotated[
        list[str] | None, typer.Argument(help="Objects by their full paths; without any those its settings are in.")
    ] = None,
    request: Request = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 120,
    hours: Hours = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Have the ACS read whole objects of a CPE anew; never ManagementServer, which would cut connection requests."""
    ask(
        lambda desk: desk.operations.refresh(
            device_serial=serial, paths=objects or [], by=by, request_id=request, within=_within(hours)
        ),
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def get(
    serial: Serial,
    paths: Paths,
    request: Request = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 120,
    hours: Hours = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Read parameters from a CPE itself; a secret is not shown."""
    ask(
        lambda desk: desk.operations.get(
            device_serial=serial, paths=paths, by=by, request_id=request, within=_within(hours)
        ),
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def set_(
    serial: Serial,
    values: Annotated[list[str], typer.Argument(help="PATH=VALUE, once or more; all are set or none.")],
    reason: Reason,
    request: Request = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 120,
    hours: Hours = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Set parameters that no template sets, once; done when they were read back in a later session."""
    assigned, faults = _assignments(values)

    async def act(desk: DeviceDesk) -> OperationRecord:
        if not assigned:
            raise InvalidRequest("The request", faults)
        return await desk.operations.set(
            device_serial=serial, values=assigned, by=by, request_id=request, within=_within(hours)
        )

    ask(
        act,
        reason=reason,
        faults=faults if assigned else (),
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def ping(
    serial: Serial,
    host: Annotated[str, typer.Argument(help="Whom it pings, by name or address.")],
    count: Annotated[int, typer.Option(help="How often.")] = 4,
    size_bytes: Annotated[int, typer.Option(help="Size of each, in bytes.")] = 56,
    request: Request = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 120,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Let a CPE ping a host, where its model can."""
    ask(
        lambda desk: desk.operations.ping(
            device_serial=serial,
            host=host,
            count=count,
            size_bytes=size_bytes,
            by=by,
            request_id=request,
        ),
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def download(
    serial: Serial,
    url: Annotated[str, typer.Argument(help="The file: an http or ftp address.")],
    request: Request = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 300,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Let a CPE download a file and tell how fast, where its model can."""
    ask(
        lambda desk: desk.operations.download(device_serial=serial, url=url, by=by, request_id=request),
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def cancel(
    operation: Annotated[int, typer.Argument(help="The operation's number.")],
    reason: Annotated[str, typer.Option(help="Why, for the audit.")],
    wait: Wait = False,
    wait_seconds: WaitSeconds = 60,
    json_: AsJson = False,
) -> None:
    """Take an operation back that the CPE has not been sent yet."""
    ask(
        lambda desk: desk.operations.cancel(operation_id=operation),
        reason=reason,
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def _within(hours: int | None) -> timedelta | None:
    return None if hours is None else timedelta(hours=hours)


def _assignments(words: list[str]) -> tuple[dict[str, Any], list[Fault]]:
    """The values by their paths; and what is wrong: a word that is no PATH=VALUE, a path that is there twice."""
    values: dict[str, Any] = {}
    faults = []
    for word in words:
        path, equals, value = word.partition("=")
        if not equals or not path:
            faults.append(Fault("values", f"{path[:80]!r} is no PATH=VALUE"))
        elif path in values:
            faults.append(Fault("values", f"{path} is set twice"))
        else:
            values[path] = value
    return values, faults
