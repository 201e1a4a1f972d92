"""What every command needs around it: settings, an appliance for its time, and errors told in one sentence.

Exit statuses: 0 done; 1 it could not be done now, or a check found something; 2 refused, since what was asked (or set)
can't be done as it was asked.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

import typer
import uvloop
from rich.text import Text
from sqlalchemy.exc import SQLAlchemyError

from acs import AcsError
from ipam import IpamError
from provisioning.address_errors import pool_numbers
from provisioning.bootstrap import Appliance, open_appliance
from provisioning.cli.account import or_the_account
from provisioning.cli.audited import audit_changes, has_changed
from provisioning.cli.output import OutputUnwritten, give_up_output
from provisioning.cli.printing import err, print_json
from provisioning.database_errors import DatabaseError, as_database_error
from provisioning.days import minute
from provisioning.errors import FileUnusable, ProvisioningError
from provisioning.field import SlotRefused
from provisioning.lab.errors import DemoFailed
from provisioning.logs import configure_logs
from provisioning.settings import load_settings
from provisioning.vault import VaultError
from radius import RadiusDatabaseUnfit, RadiusError
from workflows import CodeMissing, WorkflowError

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="One JSON value on standard output.")]


def _in_words(reason: str) -> str:
    """
    Raises: typer.BadParameter, of a reason that says nothing.
    """
    if not reason.strip():
        raise typer.BadParameter("is blank: say why, in a few words")
    return reason.strip()


Reason = Annotated[str, typer.Option(help="Why, for the audit.", callback=_in_words)]
ReasonToSee = Annotated[str, typer.Option(help="Why, for the audit: a secret is shown.", callback=_in_words)]
By = Annotated[
    str,
    typer.Option(
        help="Who does this, if not the account that types it; it stands in the run's log.", callback=or_the_account
    ),
]

KNOWN_ERRORS = (ProvisioningError, WorkflowError, IpamError, RadiusError, AcsError)
THE_MACHINES_FAULT = (DatabaseError, VaultError, FileUnusable, RadiusDatabaseUnfit, CodeMissing, DemoFailed)
EXIT_FAILED = 1
EXIT_REFUSED = 2


def run(command: Callable[[Appliance], Awaitable[T]], *, as_json: bool, looks: bool = False) -> T:
    """Runs a command on an opened appliance and ends the process with a sentence when it fails. ``looks``: it would
    have written nothing anyway, so that nobody has to be told that it didn't."""

    async def opened() -> T:
        async with _appliance() as appliance:
            try:
                return await command(appliance)
            except SlotRefused as refused:
                await appliance.alternatives.tell(refused)
                raise

    return guarded(lambda: uvloop.run(opened()), as_json=as_json, looks=looks)


def guarded(act: Callable[[], T], *, as_json: bool, looks: bool = False) -> T:
    """A known error becomes its sentence (or a JSON object) and an exit status; nothing is hidden in a traceback."""
    try:
        return act()
    except KNOWN_ERRORS as error:
        raise _told(error, as_json=as_json, looks=looks) from error
    except SQLAlchemyError as error:
        raise _told(as_database_error(error), as_json=as_json) from error
    except OSError as error:
        if error.filename is None:  # no file is to blame: a fault of ours, whose traceback is wanted
            raise
        unusable = FileUnusable(str(error.filename), error.strerror or "no reason given", is_done=has_changed())
        raise _told(unusable, as_json=as_json) from error


def tell_unwritten(error: OutputUnwritten, *, as_json: bool) -> int:
    """Tells on standard error that the other one can't be written; returns the exit status."""
    give_up_output()
    reason = error.strerror or "no reason given"
    unusable = FileUnusable("standard output", reason, act="written", is_done=has_changed())
    if as_json:
        print_json(_as_json(unusable, []), to=sys.stderr)
    else:
        _print_refusal(unusable, [], looks=True)
    return exit_status(unusable)


def exit_status(error: Exception) -> int:
    """2 if asking otherwise would help, 1 if the machine or the other side must be put right, or time must pass."""
    failed = bool(getattr(error, "transient", False)) or isinstance(error, THE_MACHINES_FAULT)
    return EXIT_FAILED if failed else EXIT_REFUSED


def _told(error: Any, *, as_json: bool, looks: bool = False) -> typer.Exit:
    faults = [_fault(fault) for fault in getattr(error, "faults", ())]
    try:
        if as_json:
            _print_as_json(_as_json(error, faults))
        else:
            _print_refusal(error, faults, looks=looks)
    except OSError:  # nothing takes what is to be said: what is left is the exit status
        give_up_output()
    return typer.Exit(exit_status(error))


def _print_as_json(told: dict[str, Any]) -> None:
    """On standard output, or where that takes nothing on the other one."""
    try:
        print_json(told)
    except OSError:
        give_up_output()
        print_json(told, to=sys.stderr)


def _as_json(error: Any, faults: Sequence[tuple[str, str]]) -> dict[str, Any]:
    others: dict[str, Any] = {"alternatives": error.alternatives} if getattr(error, "alternatives", ()) else {}
    others |= pool_numbers(error)
    return {"error": {"code": error.code, "message": str(error), "faults": faults, **others}}


@asynccontextmanager
async def _appliance() -> AsyncIterator[Appliance]:
    settings = load_settings()
    configure_logs(level="warning", form=settings.log_format)
    async with open_appliance(settings) as appliance:
        audit_changes(appliance)
        yield appliance


def _fault(fault: Any) -> tuple[str, str]:
    """(where, what) of a fault, whichever package found it."""
    if isinstance(fault, tuple):
        return str(fault[0]), str(fault[1])
    if hasattr(fault, "field"):
        return str(fault.field), str(fault.reason)
    return "", str(fault)


def _print_refusal(error: Exception, faults: Sequence[tuple[str, str]], *, looks: bool) -> None:
    if not faults:
        word = "refused: " if exit_status(error) == EXIT_REFUSED else "failed: "
        err.print(Text.assemble((word, "bold red"), str(error)))
        for other in getattr(error, "alternatives", ()):
            err.print(Text(f"  free: {minute(other['starts_at'])}, {other['technician_name']}: {other['why']}"))
        return
    what, left = getattr(error, "what", "The input"), getattr(error, "left", "nothing was written")
    err.print(Text(f"{what} is refused:" if looks else f"{what} is refused, {left}:", style="bold red"))
    for where, what in faults:
        err.print(Text(f"  {where}: {what}" if where else f"  {what}"))
