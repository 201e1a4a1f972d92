"""``firstlight devices swap | wifi | move``: what changes what a CPE is to have, or where it is looked for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from acs import OperationRecord
from provisioning.cli.devices_asking import Reason, Request, Serial, Wait, WaitSeconds, ask
from provisioning.cli.running import AsJson, By
from provisioning.device_desk import DeviceDesk
from provisioning.errors import Fault, InvalidRequest


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    for command in (swap, wifi, move):
        app.command()(command)


def swap(  # noqa: PLR0913, PLR0917 - each is a fact about the swap
    serial: Serial,
    new_serial: Annotated[str, typer.Argument(help="The serial number of the CPE that takes its place.")],
    reason: Reason,
    template: Annotated[str | None, typer.Option(help="The template of the new one, if it is another model.")] = None,
    line_by_hand: Annotated[
        bool,
        typer.Option("--line-by-hand", help="You authorise the new one on the OLT; needed where that has the old."),
    ] = False,
    request: Request = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 900,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Put a CPE in the place of another one, with its service, its settings and its WiFi passphrase."""
    ask(
        lambda desk: desk.swap(
            serial, new_serial=new_serial, template=template, line_by_hand=line_by_hand, by=by, request_id=request
        ),
        reason=reason,
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def wifi(
    serial: Serial,
    reason: Reason,
    ssid: Annotated[str | None, typer.Option(help="The WiFi's name from now on.")] = None,
    passphrase_file: Annotated[
        str | None, typer.Option(help="The file with the passphrase, - is standard input; its first line counts.")
    ] = None,
    request: Request = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 300,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Give the customer's WiFi another name or passphrase; it is applied, read back, and stays so after a reset."""

    async def act(desk: DeviceDesk) -> OperationRecord:
        passphrase = None if passphrase_file is None else _first_line(passphrase_file)
        return await desk.change_wifi(serial, ssid=ssid, passphrase=passphrase, by=by, request_id=request)

    ask(
        act,
        reason=reason,
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def move(
    serial: Serial,
    acs: Annotated[str, typer.Option(help="The name of the ACS that it reports to from now on.")],
    reason: Reason,
    request: Request = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 900,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Look for a CPE at another ACS from now on, and give it its settings there; you have it report there."""
    ask(
        lambda desk: desk.move(serial, acs_name=acs, by=by, request_id=request),
        reason=reason,
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def _first_line(file: str) -> str:
    """Raises: InvalidRequest."""
    try:
        text = sys.stdin.readline() if file == "-" else Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError:  # which has the bytes in it
        raise InvalidRequest("The change", [Fault("--passphrase-file", "is not UTF-8 text")]) from None
    return text.split("\n", 1)[0].rstrip("\r")
