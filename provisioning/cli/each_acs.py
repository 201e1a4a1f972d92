"""What is asked of every ACS: one that does not answer keeps nobody from the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

import typer
from rich.text import Text

from acs import NbiError
from provisioning.cli.printing import err


async def of_each_acs(names: Iterable[str], act: Callable[[str], Awaitable[None]]) -> dict[str, str]:
    """Does it at each ACS; why it could not be done, by the names of those where it could not.

    Raises: NbiError where it could be done at none of them.
    """
    trouble: dict[str, NbiError] = {}
    done = 0
    for name in names:
        try:
            await act(name)
        except NbiError as error:
            trouble[name] = error
        else:
            done += 1
    if trouble and not done:
        raise next(iter(trouble.values()))
    return {name: str(error) for name, error in trouble.items()}


def end_without(trouble: Mapping[str, str]) -> None:
    """Names the ACSes that were not asked, on standard error, and ends with status 1 if there are any."""
    for name, why in trouble.items():
        err.print(Text.assemble(("not asked: ", "bold red"), f"ACS {name}. {why}"))
    if trouble:
        raise typer.Exit(1)
